"""SPO-tree: the value of the branch that a turn took against the value of where it branched off."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal

import numpy as np

from turnwise.agents.credit.base import Estimator
from turnwise.agents.credit.segments import EPSILON, Floats, Ints, dense, pair
from turnwise.agents.credit.table import TurnTable
from turnwise.agents.errors import InvalidInput


@dataclass(frozen=True)
class SPOTree(Estimator):
    """A_t = V(child) - V(parent), V(leaf) = R_e and V(node) = the mean of its children's values.

    The group's episodes are the paths of a rollout tree from the prompt to its leaves: turns with the same
    `columns["node"]` (any numbers) are one and the same turn, shared by the episodes that branched off after it. With
    `normalize` the difference is divided by the population deviation of the parent's children plus 1e-6.

    Source: Guo et al., "Segment Policy Optimization", arXiv 2505.23564 (SPO-tree), and its code, with a turn as the
    segment.

    Bias: none for each branching on its own beyond the (b - 1) / b of a mean over b children that contains the child.
    A turn stands in the table once for each leaf below it, so a loss that averages over episodes weighs it by its
    leaves.
    """

    normalize: bool = False
    """Whether to divide by the deviation of the siblings' values."""
    name: Literal["spo_tree"] = field(default="spo_tree", kw_only=True)
    """The name in the registry; tells estimators apart in a configuration."""

    def _advantages(self, table: TurnTable) -> Floats:
        node = pair(table.turn_group, dense_ids(table.column("node", type(self).__name__)))
        parent = _parents(table, node)
        value, spread = _values(table, node, parent)
        advantages = value[node] - value[parent[node]]
        return advantages / (spread[parent[node]] + EPSILON) if self.normalize else advantages


def dense_ids(column: Floats) -> Ints:
    """Returns ids that are kept in a column of numbers as 0, 1, ...; int64, same shape."""
    return dense(np.unique(column, return_inverse=True)[1].reshape(column.shape).astype(np.int64))


def _parents(table: TurnTable, node: Ints) -> Ints:
    """Returns the parent of each node: the turn before, or its group's root, numbered after all nodes; [nodes]."""
    nodes = int(node.max()) + 1
    before = np.where(table.turn == 0, nodes + table.turn_group, np.concatenate([node[:1], node[:-1]]))
    parent = np.zeros(nodes, np.int64)
    parent[node] = before
    if (parent[node] != before).any():
        row = int(np.flatnonzero(parent[node] != before)[0])
        raise InvalidInput(
            f"turn {row} shares its node with a turn that came after another one; turns are one node only where all "
            "turns before them are one too"
        )
    return parent


def _values(table: TurnTable, node: Ints, parent: Ints) -> tuple[Floats, Floats]:
    """Returns the value of every node and root, and the population deviation of its children's; [nodes + groups]."""
    nodes = len(parent)
    size = nodes + table.groups
    ends = np.bincount(node[table.last], minlength=nodes)
    inner = np.bincount(parent, minlength=size)
    if ((ends > 0) & (inner[:nodes] > 0)).any():
        raise InvalidInput(
            "a node is the last turn of one episode and is followed by a turn of another: it cannot be both"
        )
    total = np.zeros(size)
    total[:nodes] = np.bincount(node[table.last], weights=table.outcome[table.lengths > 0], minlength=nodes)
    children = inner + np.concatenate([ends, np.zeros(table.groups, np.int64)])
    depth = np.zeros(nodes, np.int64)
    depth[node] = table.turn
    # One pass per level of the tree, from the leaves up: a node's value needs those of all its children.
    for level in range(int(depth.max()), -1, -1):
        here = np.flatnonzero(depth == level)
        np.add.at(total, parent[here], total[here] / children[here])
    value = total / np.maximum(children, 1)
    squares = np.bincount(parent, weights=(value[:nodes] - value[parent]) ** 2, minlength=size)
    return value, np.sqrt(squares / np.maximum(inner, 1))
