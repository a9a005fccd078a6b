"""The bias of an estimator, exactly: its expected gradient on a small task, every group of episodes enumerated.

    bias = measure(make("grpo"), Ladder(), group_size=3)
    bias.cosine, bias.scale

The task is a ladder. In each turn the policy either submits what it has, which ends the episode and pays by the rung
it stands on, or climbs, which costs something, may slip, and is cut off after `horizon` turns. So the policy chooses
when to stop, episodes terminate as well as truncate, states recur within an episode, and outcomes have many values:
what sets estimators apart. Nothing is sampled; the numbers are exact up to rounding.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import lru_cache
from itertools import combinations_with_replacement
from typing import Literal

import numpy as np

from turnwise.agents.credit.segments import Floats, Ints
from turnwise.agents.credit.table import TurnTable

Outcome = Literal["reward", "success"]
"""What an episode is judged by: the sum of its rewards, or success."""

SUBMIT, CLIMB = 0, 1
"""The two actions."""


@dataclass(frozen=True)
class Ladder:
    """A multi-turn task with a tabular softmax policy, small enough to enumerate."""

    logits: tuple[tuple[float, float], ...] = ((0.3, -0.2), (-0.1, 0.4), (0.5, 0.1))
    """The policy: logits of submitting and climbing on each rung."""
    scores: tuple[float, ...] = (0.0, 0.4, 1.0)
    """What submitting pays on each rung; success is to submit above the first one."""
    grip: float = 0.6
    """Probability that climbing reaches the next rung; otherwise, and on the last rung, it changes nothing."""
    progress_reward: float = 0.2
    """What reaching a new rung pays."""
    turn_cost: float = 0.1
    """What every turn of climbing costs."""
    horizon: int = 3
    """After so many turns an episode is truncated."""

    def policy(self, rung: int) -> Floats:
        """Returns the probability of each action on a rung; float64 [actions]."""
        weights = np.exp(np.array(self.logits[rung]) - max(self.logits[rung]))
        chances: Floats = weights / weights.sum()
        return chances

    def moves(self, rung: int, action: int) -> list[tuple[float, float, int | None]]:
        """Returns (probability, reward, next rung) of everything that an action may lead to; None ends the episode."""
        if action == SUBMIT:
            return [(1.0, self.scores[rung], None)]
        if rung == len(self.logits) - 1:
            return [(1.0, -self.turn_cost, rung)]
        return [(self.grip, self.progress_reward - self.turn_cost, rung + 1), (1.0 - self.grip, -self.turn_cost, rung)]

    def score_function(self, rung: int, action: int) -> Floats:
        """Returns the gradient of log pi(action | rung) with respect to all logits; float64 [rungs * actions]."""
        gradient = np.zeros((len(self.logits), 2))
        gradient[rung] = -self.policy(rung)
        gradient[rung, action] += 1.0
        return gradient.ravel()

    def value(self, rung: int, turn: int) -> float:
        """Returns the exact expected sum of rewards from a rung at a turn."""
        if turn == self.horizon:
            return 0.0
        return float(
            sum(
                chance * probability * (reward + (0.0 if after is None else self.value(after, turn + 1)))
                for action, chance in enumerate(self.policy(rung))
                for probability, reward, after in self.moves(rung, action)
            )
        )


@dataclass(frozen=True, eq=False)
class Trajectory:
    """One possible episode.

    Attributes:
        probability: How probable it is under policy and environment.
        rungs: The rung before each turn, and the last one reached after them.
        actions: The action of each turn.
        rewards: The reward of each turn; float64 [turns].
        scores: The score function of each turn; float64 [turns, parameters].
        terminated: Whether the policy submitted; otherwise the horizon cut it off.
        success: 1.0 if it submitted above the first rung, else 0.0.
    """

    probability: float
    rungs: tuple[int, ...]
    actions: tuple[int, ...]
    rewards: Floats
    scores: Floats
    terminated: bool
    success: float


def trajectories(task: Ladder) -> list[Trajectory]:
    """Returns every possible episode; their probabilities sum to 1."""

    def walk(
        probability: float, rungs: tuple[int, ...], actions: tuple[int, ...], rewards: tuple[float, ...]
    ) -> Iterator[tuple[float, tuple[int, ...], tuple[int, ...], tuple[float, ...], bool]]:
        if len(actions) == task.horizon:
            yield probability, rungs, actions, rewards, False
            return
        for action, chance in enumerate(task.policy(rungs[-1])):
            for move, reward, after in task.moves(rungs[-1], action):
                path = (*actions, action), (*rewards, reward)
                if after is None:
                    yield probability * chance * move, (*rungs, rungs[-1]), *path, True
                else:
                    yield from walk(probability * chance * move, (*rungs, after), *path)

    return [
        Trajectory(
            float(probability),
            rungs,
            actions,
            np.array(rewards),
            np.array([task.score_function(rung, action) for rung, action in zip(rungs, actions, strict=False)]),
            terminated,
            float(terminated and rungs[-1] > 0),
        )
        for probability, rungs, actions, rewards, terminated in walk(1.0, (0,), (), ())
    ]


def policy_gradient(task: Ladder, outcome: Outcome = "reward") -> Floats:
    """Returns the exact gradient of the expected outcome with respect to the logits; float64 [parameters]."""
    gradient = np.zeros(np.size(task.logits))
    for path in trajectories(task):
        gradient += path.probability * outcome_of(path, outcome) * path.scores.sum(0)
    return gradient


def outcome_of(path: Trajectory, outcome: Outcome) -> float:
    """Returns what an episode is judged by."""
    return float(path.rewards.sum()) if outcome == "reward" else path.success


@lru_cache(maxsize=16)
def groups(task: Ladder, group_size: int, outcome: Outcome = "reward") -> list[tuple[float, TurnTable, Floats]]:
    """Returns every group of independent episodes as (probability, table, score function of each turn).

    The order of the episodes does not matter to an estimator, so that each multiset stands once, with its
    multiplicity in the probability.
    """
    paths = trajectories(task)
    found = []
    for chosen in combinations_with_replacement(range(len(paths)), group_size):
        orders = math.factorial(group_size)
        for times in Counter(chosen).values():
            orders //= math.factorial(times)
        members = [paths[index] for index in chosen]
        probability = orders * math.prod(path.probability for path in members)
        found.append((probability, as_table(task, members, outcome), np.concatenate([path.scores for path in members])))
    return found


def as_table(
    task: Ladder,
    members: list[Trajectory],
    outcome: Outcome = "reward",
    node: Ints | None = None,
    tree: Ints | None = None,
) -> TurnTable:
    """Returns one group's table, with every column that some estimator asks for.

    The process reward is the number of rungs gained, the probability of the answer (rung + 1) / (rungs + 1); every
    action follows the record, and has one token. Unless `node` and `tree` say otherwise, episodes share no turns.
    """
    lengths = [len(path.actions) for path in members]
    rung = np.concatenate([path.rungs[:-1] for path in members]).astype(np.float64)
    after = np.concatenate([path.rungs[1:] for path in members]).astype(np.float64)
    reward = np.concatenate([path.rewards for path in members])
    turn = np.concatenate([np.arange(length) for length in lengths])
    action = np.concatenate([path.actions for path in members])
    answer = (np.arange(len(task.logits)) + 1.0) / (len(task.logits) + 1.0)
    return TurnTable.from_columns(
        episode=np.repeat(np.arange(len(members)), lengths),
        group=np.zeros(len(reward), np.int64),
        reward=reward,
        outcome=None if outcome == "reward" else [path.success for path in members],
        truncated=[not path.terminated for path in members],
        state_key=[f"rung {value:g}" for value in rung],
        next_state_key=[
            f"{'submitted on ' if act == SUBMIT else ''}rung {value:g}"
            for act, value in zip(action, after, strict=True)
        ],
        action_tokens=np.ones(len(reward), np.int64),
        parts={"score": np.where(action == SUBMIT, reward, 0.0), "climb": np.where(action == CLIMB, reward, 0.0)},
        columns={
            "value": [_values(task)[int(where), int(when)] for where, when in zip(rung, turn, strict=True)],
            "process": after - rung,
            "log_ratio": after - rung,
            "answer_probability": answer[after.astype(np.int64)],
            "match": np.ones(len(reward)),
            "node": np.arange(len(reward)) if node is None else node,
            "fork": np.where(turn == 0, 0.0, -1.0),
            "logprob": [math.log(task.policy(int(where))[act]) for where, act in zip(rung, action, strict=True)],
        },
        episode_columns={
            "answer_probability_before": np.full(len(members), answer[0]),
            "tree": np.arange(len(members)) if tree is None else tree,
        },
    )


@lru_cache(maxsize=16)
def _values(task: Ladder) -> dict[tuple[int, int], float]:
    rungs, turns = range(len(task.logits)), range(task.horizon)
    return {(rung, turn): task.value(rung, turn) for rung in rungs for turn in turns}


def gradients(
    estimator: Callable[[TurnTable], Floats], task: Ladder, group_size: int, outcome: Outcome = "reward"
) -> tuple[Floats, Floats]:
    """Returns the probability of every group of n episodes and its gradient 1/n sum_e sum_t A_t grad log pi(a_t | s_t).

    Returns:
        float64 [groups], and float64 [groups, parameters].
    """
    everything = groups(task, group_size, outcome)
    found = [estimator(table) @ scores / group_size for _, table, scores in everything]
    return np.array([chance for chance, _, _ in everything]), np.array(found)


def expected_gradient(
    estimator: Callable[[TurnTable], Floats], task: Ladder, group_size: int, outcome: Outcome = "reward"
) -> Floats:
    """Returns the expectation of a group's gradient; float64 [parameters]."""
    chances, found = gradients(estimator, task, group_size, outcome)
    mean: Floats = chances @ found
    return mean


@dataclass(frozen=True)
class Bias:
    """How the gradient that an estimator gives relates to the policy gradient.

    Attributes:
        cosine: Cosine of the angle between the expected gradient and the policy gradient: 1 is no bias in direction.
        scale: Length of the expected gradient's projection on the policy gradient over the latter's length.
        deviation: Length of what remains beside the projection over the length of the projection: the tangent of the
            angle.
        noise: Root of the expected squared distance of one group's gradient from the expected one, over the length of
            the projection: the standard deviation in units of the signal. It falls with the root of the number of
            groups; bias does not.
    """

    cosine: float
    scale: float
    deviation: float
    noise: float


def compare(chances: Floats, found: Floats, exact: Floats) -> Bias:
    """Returns how gradients of known probability relate to the exact one.

    Args:
        chances: Probability of each gradient; float64 [n].
        found: The gradients; float64 [n, parameters].
        exact: The policy gradient; float64 [parameters].
    """
    expected = chances @ found
    scale = float(expected @ exact / (exact @ exact))
    signal = abs(scale) * np.linalg.norm(exact)
    return Bias(
        cosine=float(expected @ exact / (np.linalg.norm(expected) * np.linalg.norm(exact))),
        scale=scale,
        deviation=float(np.linalg.norm(expected - scale * exact) / signal),
        noise=float(np.sqrt(chances @ ((found - expected) ** 2).sum(1)) / signal),
    )


def measure(
    estimator: Callable[[TurnTable], Floats],
    task: Ladder | None = None,
    *,
    group_size: int = 3,
    outcome: Outcome = "reward",
) -> Bias:
    """Measures the bias of an estimator: its expected gradient, exactly, against the exact policy gradient.

    Args:
        estimator: Any function of a table to one advantage per turn that does not depend on the order of the episodes.
        task: The task; the default ladder if omitted.
        group_size: How many episodes make a group, and the batch, which is one group.
        outcome: What an episode is judged by, and whose expectation the policy gradient climbs.
    """
    task = task or Ladder()
    return compare(*gradients(estimator, task, group_size, outcome), policy_gradient(task, outcome))
