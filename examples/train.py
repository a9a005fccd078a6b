"""A training script to copy: a model of the Hugging Face hub learns a multi-turn task with turn-level credit.

    python examples/train.py Qwen/Qwen3-0.6B runs/first

Stop it whenever you like: the same command continues where the last checkpoint was made.
"""

import sys

from turnwise.agents.credit import GiGPO
from turnwise.agents.engines import Sampling
from turnwise.agents.learner import ForwardOptions, LearnerConfig, OptimizerConfig
from turnwise.agents.model import ModelConfig
from turnwise.agents.tasks import TaskConfig
from turnwise.agents.train_config import CreditConfig, EvaluationConfig, TrainConfig
from turnwise.agents.trainer import Trainer

model, folder = sys.argv[1:3]
config = TrainConfig(
    steps=int(sys.argv[3]) if len(sys.argv) > 3 else 100,
    tasks=TaskConfig(env="turnwise/Arithmetic-v0", difficulties=("easy", "medium"), groups=16, group_size=8),
    model=ModelConfig(path=model),
    sampling=Sampling(max_tokens=256),
    credit=CreditConfig(GiGPO(weight=1.0, gamma=0.95)),
    learner=LearnerConfig(ForwardOptions(max_tokens=16384), OptimizerConfig(learning_rate=1e-6)),
    evaluation=EvaluationConfig(every=20, episodes=256),
)
with Trainer(config, folder, resume=True) as trainer:
    trainer.run()
