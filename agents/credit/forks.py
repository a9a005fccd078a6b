"""The bias of estimators for rollout trees, exactly: every tree of a small task enumerated.

Two first turns are sampled from the prompt; after each of them that did not end its episode, two second turns. The
paths from the prompt to the leaves are the group's episodes, and each first turn is the root of a tree.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable
from functools import lru_cache
from typing import Literal

import numpy as np

from turnwise.agents.credit.exact import Bias, Ladder, Trajectory, as_table, compare, policy_gradient, trajectories
from turnwise.agents.credit.segments import Floats
from turnwise.agents.credit.table import TurnTable

BRANCHES = 2
"""How many turns are sampled at each branching."""


@lru_cache(maxsize=4)
def forests(task: Ladder) -> list[tuple[float, TurnTable, Floats, Floats]]:
    """Returns every rollout forest of a task of two turns.

    Returns:
        For each its probability, its table, the score function of each turn ([turns, parameters]), and the weight with
        which each row must enter a sum in which every turn of the forest counts once and every branching alike
        ([turns]).
    """
    by_first: dict[tuple[int, int], list[Trajectory]] = {}
    for path in trajectories(task):
        by_first.setdefault((path.actions[0], path.rungs[1]), []).append(path)
    trees: list[tuple[float, list[Trajectory]]] = []
    for paths in by_first.values():
        first = sum(path.probability for path in paths)
        if len(paths[0].actions) == 1:
            trees.append((first, paths))
            continue
        for leaves in itertools.product(paths, repeat=BRANCHES):
            trees.append((first * float(np.prod([leaf.probability / first for leaf in leaves])), list(leaves)))
    return [
        (float(np.prod([chance for chance, _ in chosen])), *_forest(task, [leaves for _, leaves in chosen]))
        for chosen in itertools.product(trees, repeat=BRANCHES)
    ]


def _forest(task: Ladder, trees: list[list[Trajectory]]) -> tuple[TurnTable, Floats, Floats]:
    leaves = [leaf for tree in trees for leaf in tree]
    tree = [index for index, members in enumerate(trees) for _ in members]
    node: list[int] = []
    weight: list[float] = []
    fresh = itertools.count(len(trees))
    for leaf, owner in zip(leaves, tree, strict=True):
        for depth in range(len(leaf.actions)):
            node.append(owner if depth == 0 else next(fresh))
            weight.append(1.0 / (BRANCHES * len(trees[owner])))
    table = as_table(task, leaves, node=np.array(node), tree=np.array(tree))
    return table, np.concatenate([leaf.scores for leaf in leaves]), np.array(weight)


def measure_forked(
    estimator: Callable[[TurnTable], Floats], task: Ladder | None = None, *, weigh: Literal["turns", "leaves"] = "turns"
) -> Bias:
    """Measures the bias of an estimator on rollout trees, its expected gradient against the exact policy gradient.

    Args:
        estimator: Any function of a table to one advantage per turn.
        task: A task of two turns; the default ladder with that horizon if omitted.
        weigh: "turns" counts every turn of the forest once and every branching alike; "leaves" averages over the
            episodes, as a loss does that knows nothing of trees.
    """
    task = task or Ladder(horizon=2)
    found = []
    for _, table, scores, weight in forests(task):
        shares = weight if weigh == "turns" else np.full(table.turns, 1.0 / table.episodes)
        found.append((estimator(table) * shares) @ scores)
    return compare(np.array([chance for chance, *_ in forests(task)]), np.array(found), policy_gradient(task))
