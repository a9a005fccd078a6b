"""Multi-turn GRPO with turn-level credit assignment: the whole loop, top to bottom.

One step draws tasks, lets the policy attempt each of them several times, turns what happened into one advantage per
*turn*, spreads it over the tokens that the turn sampled, and takes a policy-gradient step on them.

Departures from GRPO as published (DeepSeekMath, arXiv 2402.03300):

1. The unit of credit is the turn, not the episode: any estimator of `turnwise.agents.credit` gives the advantages.
2. An episode is one token sequence with its observations masked; it forks only where a prompt cannot extend it.
3. The ids that the engine sampled are the ids that are trained on; text is never tokenised a second time.
4. A failed episode (the infrastructure's fault) enters neither the baseline nor the loss.
5. Ratios are taken against the learner's own log-probabilities; the engine's enter as an importance correction only.
6. The reference policy is optional and off by default.
"""

from __future__ import annotations

import asyncio
import copy
import json
import time
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from turnwise.agents import config as configuration
from turnwise.agents.credit import TurnTable, diagnostics
from turnwise.agents.demonstrations import demonstrate, demonstration_sequences
from turnwise.agents.engines.transformers_engine import TransformersEngine
from turnwise.agents.evaluation import evaluate
from turnwise.agents.learner import (
    Checkpoints,
    Learner,
    SupervisedTrainer,
    TrainBatch,
    sequence_logprobs,
)
from turnwise.agents.logs import RunLog
from turnwise.agents.model import load_model
from turnwise.agents.policies import EnginePolicy
from turnwise.agents.quiet import without_progress_bars
from turnwise.agents.rollout import Rollout, summarise
from turnwise.agents.seeding import derive_seed
from turnwise.agents.tasks import demonstration_jobs, training_jobs
from turnwise.agents.tokens import merge
from turnwise.agents.train_config import TrainConfig
from turnwise.agents.types import Episode, Status

Advantages = Sequence[NDArray[np.float64]]
"""The advantages of each episode's turns; [turns] each."""


@dataclass
class Totals:
    """What a run has done so far, over all its processes."""

    step: int = 0
    episodes: int = 0
    tokens: int = 0
    seconds: float = 0.0
    rollout_seconds: float = 0.0


class Trainer:
    """Trains a policy; a context manager that closes environments, engine and log.

    Args:
        config: The run.
        folder: Where it writes: `config.yaml`, `metrics.jsonl`, `episodes.jsonl`, `curves.png`, `evaluations/`,
            `checkpoints/`, and at the end `model/`.
        resume: Continue from the folder's latest checkpoint. A run killed at any moment continues identically.
        terminal: Whether to show progress.

    Raises:
        ConfigError: The configuration cannot be used.
        CheckpointError: The folder holds a run and `resume` is false, or the checkpoint does not fit.
    """

    def __init__(self, config: TrainConfig, folder: str | Path, *, resume: bool = False, terminal: bool = True) -> None:
        self.config = config
        self.folder = Path(folder)
        self.totals = Totals()
        self.objective = config.objective.build()
        self.checkpoints = Checkpoints(self.folder / "checkpoints", config.checkpoints.keep)
        self.fresh = not resume or self.checkpoints.latest() is None
        self.model, self.tokenizer = load_model(config.model)
        self.engine = TransformersEngine(
            self.model,
            self.tokenizer,
            max_batch_size=config.engine.max_batch_size,
            max_wait=config.engine.max_wait,
            context_length=config.engine.context_length,
            autocast=self.model.device.type == "cuda",
        )
        self.rollout = Rollout(
            config.tasks.env,
            EnginePolicy(self.engine, self.tokenizer, config.sampling),
            config.rollout_config,
            env_kwargs=config.tasks.env_kwargs,
        )
        self.log = self._open_log(overwrite=resume, terminal=terminal)
        if self.fresh:
            self.warm_start()
        self.learner = Learner(self.model, config.learner)
        self.reference = self._reference() if config.objective.kl is not None else None
        if not self.fresh:
            self.restore()

    def run(self) -> Totals:
        """Trains until `config.steps` steps are done, and saves the model to `folder/model`."""
        if self.fresh:
            self.log.step(0, self.evaluate())
            self.save()
        while self.totals.step < self.config.steps:
            metrics = self.step()
            if self._due(self.config.evaluation.every):
                metrics |= self.evaluate()
            self.log.step(self.totals.step, metrics)
            if self._due(self.config.checkpoints.every):
                self.save()
        self._save_model("model")
        return self.totals

    def step(self) -> dict[str, float]:
        """One step of training; returns its metrics."""
        began = time.perf_counter()
        jobs = training_jobs(self.config.tasks, self.config.seed, self.totals.step)
        episodes = self.rollout.run_sync(jobs)
        advantages, credit_metrics = self.assign_credit(episodes)
        learner_metrics = self.learn(episodes, advantages)
        self.engine.update_weights(self.model)
        seconds = time.perf_counter() - began
        return self.count(episodes, advantages, seconds) | credit_metrics | learner_metrics

    def warm_start(self) -> None:
        """Imitates noisy demonstrations of the oracle, where the configuration asks for it."""
        config = self.config.warm_start
        if config.episodes == 0:
            return
        jobs = demonstration_jobs(self.config.tasks, self.config.seed, config.episodes)
        episodes = demonstrate(
            self.config.tasks.env,
            jobs,
            config.noise,
            config=self.config.rollout_config,
            env_kwargs=self.config.tasks.env_kwargs,
        )
        sequences = demonstration_sequences(episodes, self.tokenizer)
        learner = Learner(self.model, replace(self.config.learner, optimizer=config.optimizer))
        trainer = SupervisedTrainer(learner, sequences, config.imitation)
        stats = summarise(episodes, seconds=0.0)
        self.log.message(f"warm start: {stats.episodes} demonstrations, whose mean success is {stats.success:.2f}")
        shown = 0
        for metrics in trainer.run():
            if (tenth := 10 * trainer.steps_done // trainer.total_steps) > shown:
                shown = tenth
                self.log.message(f"warm start: {tenth}0%, loss {metrics['loss']:.3f} nats a token")
        self.engine.update_weights(self.model)

    def assign_credit(self, episodes: Sequence[Episode]) -> tuple[Advantages, dict[str, float]]:
        """Returns the advantages of every episode's turns, and the diagnostics of the credit."""
        table = TurnTable.from_episodes(episodes, self.config.credit.outcome)
        advantages = self.config.credit.estimator(table)
        metrics = {f"credit/{name}": value for name, value in diagnostics(table, advantages).items()}
        return table.by_episode(advantages), metrics

    def learn(self, episodes: Sequence[Episode], advantages: Advantages) -> dict[str, float]:
        """Updates the policy; returns the learner's metrics, the mean over its optimizer steps."""
        sequences = [
            sequence
            for index, episode in enumerate(episodes)
            if episode.status is not Status.FAILED
            for sequence in merge(episode.turns, episode=index)
        ]
        tied = not any(np.any(values) for values in advantages)
        if not sequences or (tied and self.objective.kl is None and self.objective.entropy is None):
            self.log.message(f"step {self.totals.step + 1}: every group is tied, so there is nothing to learn from")
            return {}
        batch = TrainBatch.from_turns(sequences, advantages)
        if self.reference is not None:
            reference = sequence_logprobs(self.reference, sequences, self.config.learner.forward)
            batch = replace(batch, reference_logprobs=tuple(reference))
        rng = np.random.default_rng(derive_seed(self.config.seed, "minibatches", self.totals.step))
        history = self.learner.update(
            batch, self.objective, epochs=self.config.epochs, minibatches=self.config.minibatches, rng=rng
        )
        metrics = {f"learner/{name}": float(np.mean([row[name] for row in history])) for name in history[0]}
        return metrics | {"learner/sequences_per_episode": len(sequences) / max(1, len(episodes))}

    def count(self, episodes: Sequence[Episode], advantages: Advantages, seconds: float) -> dict[str, float]:
        """Counts a finished step and writes some of its episodes; returns the metrics of its rollout."""
        stats = self.rollout.stats
        if stats is None:
            raise AssertionError("a step is counted after its rollout")
        self.totals.step += 1
        self.totals.episodes += len(episodes)
        self.totals.tokens += stats.tokens
        self.totals.seconds += seconds
        self.totals.rollout_seconds += stats.seconds
        kept = [
            replace(episode, tags={**episode.tags, "advantages": values.tolist()})
            for episode, values in zip(episodes, advantages, strict=True)
        ]
        self.log.episodes(self.totals.step, kept[: self.config.keep_episodes])
        return stats.as_dict("rollout/") | {
            "time/step_seconds": seconds,
            "total/episodes": self.totals.episodes,
            "total/tokens": self.totals.tokens,
        }

    def evaluate(self) -> dict[str, float]:
        """Evaluates the policy on held-out tasks, the same ones at every call; writes the result, returns metrics."""
        config = self.config.evaluation
        result = evaluate(
            self.config.tasks.env,
            EnginePolicy(self.engine, self.tokenizer, replace(self.config.sampling, temperature=config.temperature)),
            n=config.episodes,
            split="test",
            difficulties=self.config.tasks.difficulties or None,
            seed=derive_seed(self.config.seed, "evaluation"),
            rollout=self.config.rollout_config,
            env_kwargs=self.config.tasks.env_kwargs,
        )
        path = evaluation_path(self.folder, self.totals.step)
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(json.dumps(result.to_json(), indent=2) + "\n", encoding="utf-8")
        self.log.message(f"step {self.totals.step}: success {result.success} on {result.overall.judged} held-out tasks")
        return result.metrics("eval/")

    def save(self) -> None:
        """Saves a checkpoint: model, optimizer, schedule, random states, totals, and where the log stands."""
        state = {"totals": vars(self.totals).copy(), "log": dict(self.log.state())}
        self.checkpoints.save(self.totals.step, self.learner, state=state, tokenizer=self.tokenizer)

    def restore(self) -> None:
        """Puts the run back to where its latest checkpoint was made."""
        self.totals = Totals(**self.checkpoints.load(self.learner).state["totals"])
        self.engine.update_weights(self.model)

    def close(self) -> None:
        """Closes environments, engine and log; idempotent."""
        self.rollout.close()
        asyncio.run(self.engine.aclose())
        self.log.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def _due(self, every: int) -> bool:
        """Whether something that happens every so many steps happens now; at the last step everything does."""
        return self.totals.step == self.config.steps or (every > 0 and self.totals.step % every == 0)

    def _open_log(self, *, overwrite: bool, terminal: bool) -> RunLog:
        """Opens the log where the latest checkpoint left it; without one, what a killed run wrote may be replaced."""
        state = ({} if overwrite else None) if self.fresh else self.checkpoints.peek().state["log"]
        log = RunLog(self.folder, total_steps=self.config.steps, terminal=terminal, resume=state)
        (self.folder / "config.yaml").write_text(configuration.dump(self.config), encoding="utf-8")
        return log

    def _save_model(self, name: str) -> None:
        with without_progress_bars():
            self.model.save_pretrained(self.folder / name)
            self.tokenizer.save_pretrained(self.folder / name)

    def _reference(self) -> Any:
        """Returns the frozen policy that reinforcement learning began with."""
        folder = self.folder / "reference"
        if self.fresh:
            self._save_model("reference")
            return copy.deepcopy(self.model).requires_grad_(False)
        return load_model(replace(self.config.model, path=str(folder)))[0].requires_grad_(False)


def evaluation_path(folder: str | Path, step: int) -> Path:
    """Returns where a run writes the evaluation made after a step."""
    return Path(folder) / "evaluations" / f"step{step:06d}.json"
