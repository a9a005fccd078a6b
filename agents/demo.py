"""The demonstration: a model made from scratch learns to use a calculator over several turns, on two CPU cores.

It goes the way that real training goes, at a size that a laptop can follow. A tokenizer and a small Qwen-style model
are made; the model imitates *noisy* demonstrations (many of their actions are random, and most of them fail), and is
then trained with multi-turn GRPO and turn-level credit. Success is measured before and after on the same held-out
tasks, which the training split cannot contain.
"""

from __future__ import annotations

import json
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from turnwise.agents.credit import GiGPO
from turnwise.agents.demonstrations import demonstrate
from turnwise.agents.engines.base import Sampling
from turnwise.agents.errors import ConfigError
from turnwise.agents.evaluation import Evaluation, compare
from turnwise.agents.learner import (
    ForwardOptions,
    LearnerConfig,
    OptimizerConfig,
    ScheduleConfig,
    SupervisedConfig,
)
from turnwise.agents.losses import DAPO
from turnwise.agents.model import ModelConfig
from turnwise.agents.quiet import without_progress_bars
from turnwise.agents.rollout import RolloutConfig, env_factory
from turnwise.agents.tasks import TaskConfig, demonstration_jobs
from turnwise.agents.tokens.tiny import make_model, make_tokenizer
from turnwise.agents.train_config import (
    CheckpointConfig,
    CreditConfig,
    EvaluationConfig,
    ObjectiveConfig,
    TrainConfig,
    WarmStartConfig,
)
from turnwise.agents.trainer import Trainer, evaluation_path
from turnwise.agents.types import Episode

NOISE = 0.3
"""The chance of a random action in each turn of a demonstration."""
STEPS = 80
"""Steps of reinforcement learning."""
CORPUS_EPISODES = 300
"""Episodes that the tokenizer is trained on."""


@dataclass(frozen=True)
class Demo:
    """What the demonstration came to.

    Attributes:
        before: Held-out tasks after the warm start.
        after: The same tasks after reinforcement learning.
        summary: What `summary.json` holds.
    """

    before: Evaluation
    after: Evaluation
    summary: dict[str, Any]


def demo_config(folder: Path, seed: int = 0, steps: int = STEPS) -> TrainConfig:
    """Returns the configuration of the demonstration.

    Args:
        folder: Where the run will go.
        seed: Everything follows from it: tokenizer, weights, demonstrations, tasks, samples.
        steps: Steps of reinforcement learning.
    """
    demonstrations, epochs, batch = 6000, 2, 4
    return TrainConfig(
        steps=steps,
        seed=seed,
        tasks=TaskConfig(
            env="turnwise/Arithmetic-v0",
            kwargs={"difficulty": "easy", "operations": 3},
            groups=16,
            group_size=8,
        ),
        model=ModelConfig(path=str(folder / "initial")),
        sampling=Sampling(max_tokens=16),
        rollout=RolloutConfig(concurrency=256),
        credit=CreditConfig(GiGPO()),
        objective=ObjectiveConfig(DAPO()),
        learner=LearnerConfig(
            forward=ForwardOptions(max_tokens=8192),
            optimizer=OptimizerConfig(learning_rate=3e-4, schedule=ScheduleConfig(warmup_steps=5)),
        ),
        warm_start=WarmStartConfig(
            episodes=demonstrations,
            noise=NOISE,
            imitation=SupervisedConfig(epochs=epochs, batch_size=batch, seed=seed),
            optimizer=OptimizerConfig(
                learning_rate=2e-3,
                schedule=ScheduleConfig("cosine", 20, epochs * -(-demonstrations // batch), 0.1),
            ),
        ),
        evaluation=EvaluationConfig(every=10, episodes=512),
        checkpoints=CheckpointConfig(every=20),
    )


def run_demo(config: TrainConfig, folder: Path, *, terminal: bool = True) -> Demo:
    """Runs the demonstration and writes `summary.json` beside the run's other files.

    Args:
        config: What `demo_config` returned.
        folder: Where the run goes; must not hold another.
        terminal: Whether to show progress.

    Raises:
        ConfigError: The folder holds something already.
    """
    if folder.exists() and any(folder.iterdir()):
        raise ConfigError(f"{folder} is not empty: choose another folder, or move that one away")
    began = time.perf_counter()
    make_initial_model(config, folder / "initial")
    with Trainer(config, folder, terminal=terminal) as trainer:
        totals = trainer.run()
    before, after = (_evaluation(folder, step) for step in (0, config.steps))
    gain = compare(before, after).success
    summary = {
        "environment": config.tasks.env,
        "environment_kwargs": config.tasks.kwargs,
        "credit": config.credit.estimator.name,
        "seed": config.seed,
        "held_out_tasks": before.overall.judged,
        "success_warm_start": before.success.value,
        "success_warm_start_95": [before.success.low, before.success.high],
        "success_trained": after.success.value,
        "success_trained_95": [after.success.low, after.success.high],
        "gain": gain.value,
        "gain_95": [gain.low, gain.high],
        "steps": totals.step,
        "episodes": totals.episodes,
        "tokens": totals.tokens,
        "tokens_per_second": totals.tokens / totals.rollout_seconds,
        "wall_seconds": time.perf_counter() - began,
    }
    (folder / "summary.json").write_text(json.dumps(summary, indent=2) + "\n", encoding="utf-8")
    return Demo(before, after, summary)


def make_initial_model(config: TrainConfig, folder: Path) -> None:
    """Makes a tokenizer from what is said in the environment, and a small model with random weights for it."""
    jobs = demonstration_jobs(config.tasks, config.seed, CORPUS_EPISODES)
    episodes = demonstrate(config.tasks.env, jobs, NOISE, env_kwargs=config.tasks.env_kwargs)
    tokenizer = make_tokenizer(corpus_of(config, episodes), vocab_size=512)
    model = make_model(tokenizer, layers=3, width=128, heads=4, kv_heads=2, seed=config.seed)
    with without_progress_bars():
        model.save_pretrained(folder)
        tokenizer.save_pretrained(folder)


def corpus_of(config: TrainConfig, episodes: Sequence[Episode]) -> Iterator[str]:
    """Yields all that is said in some episodes, the environment's instructions once."""
    env = env_factory(config.tasks.env, config.tasks.env_kwargs)()
    yield str(env.reset(seed=0)[1].get("instructions", ""))
    env.close()
    for episode in episodes:
        for turn in episode.turns:
            yield turn.observation
            yield turn.action
        yield episode.final_observation


def _evaluation(folder: Path, step: int) -> Evaluation:
    return Evaluation.from_json(json.loads(evaluation_path(folder, step).read_text(encoding="utf-8")))
