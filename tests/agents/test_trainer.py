"""The whole loop at its smallest: it runs, it learns from turns, and a killed run continues identically."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from turnwise.agents.credit import TurnReturn
from turnwise.agents.engines.base import Sampling
from turnwise.agents.errors import CheckpointError, ConfigError
from turnwise.agents.evaluation import Evaluation
from turnwise.agents.learner import ForwardOptions, LearnerConfig, OptimizerConfig, SupervisedConfig
from turnwise.agents.losses import GSPO, KLPenalty
from turnwise.agents.model import ModelConfig
from turnwise.agents.rollout import read_episodes
from turnwise.agents.tasks import TaskConfig, training_jobs
from turnwise.agents.tokens.tiny import make_model, make_tokenizer
from turnwise.agents.train_config import (
    CheckpointConfig,
    EvaluationConfig,
    ObjectiveConfig,
    TrainConfig,
    WarmStartConfig,
)
from turnwise.agents.trainer import Trainer, evaluation_path
from turnwise.agents.types import Status

CORPUS = [
    "Find my secret whole number. Each turn write one guess N as <guess>N</guess>.",
    "I think of a number. It is between 1 and 16. 5 guesses left.",
    "8 is too low. It is between 9 and 16. 4 guesses left. 3 is too high. 5 is right!",
    "<guess>12</guess>",
] * 4
TIMES = ("seconds", "per_second", "time/")
"""Parts of the names of metrics that measure the clock, and so differ from run to run."""


@pytest.fixture(scope="session")
def tiny_model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("model")
    tokenizer = make_tokenizer(CORPUS, vocab_size=320)
    make_model(tokenizer, layers=1, width=32, heads=2).save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    return folder


def tiny_config(model: Path, **changes: Any) -> TrainConfig:
    config = TrainConfig(
        steps=4,
        tasks=TaskConfig(env="turnwise/GuessNumber-v0", groups=2, group_size=3),
        model=ModelConfig(path=str(model), device="cpu"),
        sampling=Sampling(max_tokens=8),
        learner=LearnerConfig(optimizer=OptimizerConfig(learning_rate=1e-3)),
        warm_start=WarmStartConfig(
            episodes=96,
            noise=0.2,
            imitation=SupervisedConfig(epochs=3, batch_size=8),
            optimizer=OptimizerConfig(learning_rate=5e-3),
        ),
        evaluation=EvaluationConfig(episodes=4),
        checkpoints=CheckpointConfig(every=1),
        keep_episodes=6,
    )
    return replace(config, **changes)


def rows(folder: Path) -> list[dict[str, Any]]:
    """The metrics of a run without those that measure the clock."""
    lines = (folder / "metrics.jsonl").read_text().splitlines()
    return [
        {name: value for name, value in json.loads(line).items() if not any(part in name for part in TIMES)}
        for line in lines
    ]


@pytest.fixture(scope="module")
def finished(tiny_model: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of an uninterrupted run."""
    folder = tmp_path_factory.mktemp("run")
    with Trainer(tiny_config(tiny_model), folder, terminal=False) as trainer:
        trainer.run()
    return folder


def test_a_run_writes_one_row_of_metrics_a_step_and_one_before_the_first(finished: Path) -> None:
    assert [row["step"] for row in rows(finished)] == [0, 1, 2, 3, 4]


def test_a_run_evaluates_the_same_held_out_tasks_before_and_after(finished: Path) -> None:
    before, after = (Evaluation.from_json(json.loads(evaluation_path(finished, step).read_text())) for step in (0, 4))
    assert [task.seed for task in before.tasks] == [task.seed for task in after.tasks]
    assert before.split == "test"


def test_the_trained_model_loads_and_differs_from_the_one_that_training_began_with(
    finished: Path, tiny_model: Path
) -> None:
    from transformers import AutoModelForCausalLM

    begun, ended = (
        AutoModelForCausalLM.from_pretrained(path).state_dict() for path in (tiny_model, finished / "model")
    )
    assert begun.keys() == ended.keys()
    assert all(float((begun[name] - ended[name]).abs().max()) > 0 for name in begun)


def test_the_kept_episodes_carry_one_advantage_a_turn(finished: Path) -> None:
    episodes = list(read_episodes(finished / "episodes.jsonl"))
    assert len(episodes) == 4 * 6
    assert all(len(episode.tags["advantages"]) == len(episode.turns) for episode in episodes)
    assert any(np.ptp(episode.tags["advantages"]) > 0 for episode in episodes)


def test_two_runs_with_one_seed_are_equal_and_another_seed_differs(
    tiny_model: Path, finished: Path, tmp_path: Path
) -> None:
    for seed in (0, 1):
        with Trainer(tiny_config(tiny_model, seed=seed, steps=2), tmp_path / str(seed), terminal=False) as trainer:
            trainer.run()
    again = rows(tmp_path / "0")
    assert [row for row in again if row["step"] == 1] == [row for row in rows(finished) if row["step"] == 1]
    assert rows(tmp_path / "1")[1] != again[1]


RUN = """
import sys
from pathlib import Path
from turnwise.agents import config
from turnwise.agents.train_config import TrainConfig
from turnwise.agents.trainer import Trainer
folder = Path(sys.argv[1])
with Trainer(config.load(TrainConfig, [sys.argv[2]]), folder, resume=True, terminal=False) as trainer:
    trainer.run()
"""


@pytest.mark.slow
@pytest.mark.parametrize("killed_after", [1, 3])
def test_a_run_killed_at_any_step_continues_identically(
    tiny_model: Path, finished: Path, tmp_path: Path, killed_after: int
) -> None:
    from turnwise.agents import config as configuration

    file = tmp_path / "config.yaml"
    file.write_text(configuration.dump(tiny_config(tiny_model)))
    folder = tmp_path / "run"
    command = [sys.executable, "-c", RUN, str(folder), str(file)]
    environment = {**os.environ, "OMP_NUM_THREADS": str(torch_threads())}
    with subprocess.Popen(command, env=environment) as process:
        deadline = time.monotonic() + 120
        while time.monotonic() < deadline and process.poll() is None and len_of(folder) <= killed_after:
            time.sleep(0.002)
        process.send_signal(signal.SIGKILL)
    assert len_of(folder) > killed_after, "the run ended before it could be killed"
    subprocess.run(command, env=environment, check=True, timeout=120)
    assert rows(folder) == rows(finished)
    assert [episode.turns[-1].action for episode in read_episodes(folder / "episodes.jsonl")] == [
        episode.turns[-1].action for episode in read_episodes(finished / "episodes.jsonl")
    ]


def torch_threads() -> int:
    """How many threads this process computes with: sums over another number of threads round differently."""
    import torch

    return torch.get_num_threads()


def len_of(folder: Path) -> int:
    """How many rows of metrics a run has written."""
    file = folder / "metrics.jsonl"
    return file.read_bytes().count(b"\n") if file.exists() else 0


def test_a_folder_that_holds_a_run_is_not_overwritten(tiny_model: Path, finished: Path) -> None:
    with pytest.raises(CheckpointError, match="already holds"):
        Trainer(tiny_config(tiny_model), finished, terminal=False)


def test_a_penalty_compares_with_the_policy_that_reinforcement_learning_began_with(
    tiny_model: Path, tmp_path: Path
) -> None:
    config = tiny_config(tiny_model, steps=2, objective=ObjectiveConfig(kl=KLPenalty(coefficient=0.1)))
    with Trainer(config, tmp_path / "run", terminal=False) as trainer:
        trainer.run()
    divergence = [row["learner/kl"] for row in rows(tmp_path / "run")[1:]]
    assert divergence[0] == pytest.approx(0.0, abs=1e-9)
    assert divergence[1] > 1e-6


def test_a_failed_episode_is_neither_learned_from_nor_compared_with(tiny_model: Path, tmp_path: Path) -> None:
    with Trainer(tiny_config(tiny_model), tmp_path / "run", terminal=False) as trainer:
        jobs = training_jobs(trainer.config.tasks, seed=0, step=0)
        first, *rest = trainer.rollout.run_sync(jobs)
        failed = replace(first, status=Status.FAILED, error="environment.step: it broke")
        advantages, _ = trainer.assign_credit([failed, *rest])
        alone, _ = trainer.assign_credit(rest)
        assert not advantages[0].any()
        assert all(np.array_equal(ours, theirs) for ours, theirs in zip(advantages[1:], alone, strict=True))
        # Something to learn, whatever the groups came to: a tied batch is skipped.
        metrics = trainer.learn([failed, *rest], [np.ones(len(episode.turns)) for episode in [failed, *rest]])
    assert metrics["learner/action_tokens"] == sum(episode.action_tokens for episode in rest)


def test_a_batch_in_which_every_group_is_tied_changes_nothing(tiny_model: Path, tmp_path: Path) -> None:
    with Trainer(tiny_config(tiny_model), tmp_path / "run", terminal=False) as trainer:
        episodes = trainer.rollout.run_sync(training_jobs(trainer.config.tasks, seed=0, step=0))
        before = [parameter.clone() for parameter in trainer.model.parameters()]
        assert trainer.learn(episodes, [np.zeros(len(episode.turns)) for episode in episodes]) == {}
        assert all(bool((old == new).all()) for old, new in zip(before, trainer.model.parameters(), strict=True))


def test_the_tasks_of_a_step_follow_from_seed_and_step_alone() -> None:
    config = TaskConfig(groups=3, group_size=2, difficulties=("easy", "hard"))
    jobs = training_jobs(config, seed=5, step=7)
    assert jobs == training_jobs(config, seed=5, step=7)
    assert [job.seed for job in jobs] != [job.seed for job in training_jobs(config, seed=5, step=8)]
    assert [(job.group, job.repeat) for job in jobs] == [(f"7/{g}", i) for g in range(3) for i in range(2)]
    assert [job.options["difficulty"] for job in jobs] == ["easy", "easy", "hard", "hard", "easy", "easy"]
    assert {job.options["split"] for job in jobs} == {"train"}


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"steps": 0}, "steps=0 must be at least 1"),
        ({"sampling": Sampling(temperature=0.0)}, "greedy actions teach nothing"),
        ({"learner": LearnerConfig(forward=ForwardOptions(temperature=0.5))}, "another policy than the one"),
        ({"checkpoints": CheckpointConfig(every=0)}, r"checkpoints\.every=0"),
    ],
)
def test_contradictions_of_a_configuration_are_named(change: dict[str, Any], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        replace(TrainConfig(), **change)


def test_a_model_that_is_not_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"model\.path='.*nowhere'"):
        Trainer(replace(TrainConfig(), model=ModelConfig(path=str(tmp_path / "nowhere"))), tmp_path, terminal=False)


def test_estimator_and_loss_are_chosen_by_name_and_their_fields_are_checked() -> None:
    from turnwise.agents import config as configuration

    config = configuration.load(
        TrainConfig,
        overrides=["credit.estimator.name=turn_return", "credit.estimator.gamma=0.8", "objective.policy.name=gspo"],
    )
    assert config.credit.estimator == TurnReturn(gamma=0.8)
    assert config.objective.build().policy == GSPO()
    with pytest.raises(ConfigError, match=r"did you mean credit\.estimator\.gamma"):
        configuration.load(TrainConfig, overrides=["credit.estimator.gama=0.8"])
