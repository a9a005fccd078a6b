"""Small batches for the tests of credit assignment."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
import pytest

from turnwise.agents.credit import TurnTable


def build_table(
    rewards: Sequence[Sequence[float]],
    *,
    groups: Sequence[int] | None = None,
    columns: Mapping[str, Sequence[Sequence[float]]] | None = None,
    parts: Mapping[str, Sequence[Sequence[float]]] | None = None,
    states: Sequence[Sequence[Any]] | None = None,
    after: Sequence[Sequence[Any]] | None = None,
    tokens: Sequence[Sequence[int]] | None = None,
    progress: Sequence[Sequence[float]] | None = None,
    **fields: Any,
) -> TurnTable:
    """A table of episodes that are given as lists of turn rewards; per-turn columns in the same nesting."""
    lengths = [len(episode) for episode in rewards]
    groups = [0] * len(rewards) if groups is None else groups

    def flat(nested: Sequence[Sequence[Any]] | None) -> list[Any] | None:
        return None if nested is None else [value for episode in nested for value in episode]

    return TurnTable.from_columns(
        episode=np.repeat(np.arange(len(rewards)), lengths),
        group=np.repeat(groups, lengths),
        reward=flat(rewards) or [],
        state_key=flat(states),
        next_state_key=flat(after),
        action_tokens=flat(tokens),
        progress=flat(progress),
        columns={name: flat(column) or [] for name, column in (columns or {}).items()},
        parts={name: flat(part) or [] for name, part in (parts or {}).items()},
        **fields,
    )


@pytest.fixture
def make_table() -> Callable[..., TurnTable]:
    return build_table


@dataclass(frozen=True)
class Step:
    """One turn with everything that any estimator asks for."""

    reward: float
    state: str
    after: str
    tokens: int
    parts: tuple[float, float]
    columns: Mapping[str, float]


@dataclass(frozen=True)
class Attempt:
    """One episode."""

    group: int
    outcome: float
    steps: tuple[Step, ...]
    truncated: bool = False
    failed: bool = False
    columns: Mapping[str, float] = field(default_factory=dict)


@dataclass(frozen=True)
class Batch:
    """Episodes that can be reordered, split and rescaled before they become a table."""

    attempts: tuple[Attempt, ...]

    def table(self) -> TurnTable:
        steps = [step for attempt in self.attempts for step in attempt.steps]
        names = sorted(steps[0].columns) if steps else []
        lengths = [len(attempt.steps) for attempt in self.attempts]
        return TurnTable.from_columns(
            episode=np.repeat(np.arange(len(self.attempts)), lengths),
            group=np.repeat([attempt.group for attempt in self.attempts], lengths),
            reward=[step.reward for step in steps],
            outcome=[attempt.outcome for attempt in self.attempts],
            truncated=[attempt.truncated for attempt in self.attempts],
            failed=[attempt.failed for attempt in self.attempts],
            state_key=[step.state for step in steps],
            next_state_key=[step.after for step in steps],
            action_tokens=[step.tokens for step in steps],
            parts={"first": [step.parts[0] for step in steps], "second": [step.parts[1] for step in steps]},
            columns={name: [step.columns[name] for step in steps] for name in names},
            episode_columns={
                name: [attempt.columns[name] for attempt in self.attempts]
                for name in ("tree", "answer_probability_before", "final_value")
            },
        )

    def steps(self, change: Callable[[Step], Step]) -> Batch:
        """The batch with every turn changed."""
        return Batch(tuple(replace(a, steps=tuple(change(step) for step in a.steps)) for a in self.attempts))

    def episodes(self, change: Callable[[Attempt], Attempt]) -> Batch:
        """The batch with every episode changed."""
        return Batch(tuple(change(attempt) for attempt in self.attempts))

    def of(self, order: Iterable[int]) -> Batch:
        """The batch with some episodes, in the given order."""
        return Batch(tuple(self.attempts[index] for index in order))


def random_batch(seed: int, group_sizes: Sequence[int] = (4, 2, 3), longest: int = 5) -> Batch:
    """Episodes of random lengths whose states recur; outcomes are 0, 0.5, 1 or 2, given apart from the rewards."""
    rng = np.random.default_rng(seed)
    attempts: list[Attempt] = []
    nodes = iter(range(10_000))
    for group, size in enumerate(group_sizes):
        for member in range(size):
            rungs = rng.integers(0, 3, rng.integers(1, longest + 1) + 1)
            steps = tuple(
                Step(
                    reward=float(rng.choice([0.0, 0.0, 0.25, 1.0])),
                    state=f"state {before}",
                    after=f"state {after}",
                    tokens=int(rng.integers(2, 9)),
                    parts=(float(rng.random()), float(rng.integers(0, 2))),
                    columns={
                        "value": float(rng.random()),
                        "process": float(rng.random()),
                        "log_ratio": float(rng.normal()),
                        "answer_probability": float(rng.random()),
                        "match": float(rng.random() < 0.7),
                        "node": float(next(nodes)),
                        "fork": float(rng.integers(-1, 2)),
                        "logprob": float(-rng.random() * 5),
                    },
                )
                for before, after in itertools.pairwise(rungs)
            )
            attempts.append(
                Attempt(
                    group,
                    float(rng.choice([0.0, 0.5, 1.0, 2.0])),
                    steps,
                    truncated=bool(rng.random() < 0.3),
                    columns={
                        "tree": float(member // 2),
                        "answer_probability_before": 0.3,
                        "final_value": float(rng.random()),
                    },
                )
            )
    return Batch(tuple(attempts))


@pytest.fixture
def make_batch() -> Callable[..., Batch]:
    return random_batch


@pytest.fixture
def batch() -> Batch:
    return random_batch(seed=1)
