"""Train with TRL on a turnwise verifier.

pip install trl
python examples/trl_reward.py Qwen/Qwen3-0.6B
"""

import sys

from datasets import Dataset
from trl import GRPOConfig, GRPOTrainer

from turnwise.verifiers import MathVerifier, TaggedFormat, Within
from turnwise.verifiers.adapters import as_trl

questions = [
    f"What is {a} * {b}? Think in <think></think>, answer in <answer></answer>." for a in range(9) for b in range(9)
]
answers = [str(a * b) for a in range(9) for b in range(9)]
reward = 0.1 * TaggedFormat("think", "answer") + 0.9 * Within("answer", MathVerifier())

GRPOTrainer(
    sys.argv[1],
    reward_funcs=as_trl(reward, reference="answer"),
    args=GRPOConfig(output_dir="runs/trl", max_steps=50, num_generations=8, max_completion_length=256),
    train_dataset=Dataset.from_dict({"prompt": questions, "answer": answers}),
).train()
