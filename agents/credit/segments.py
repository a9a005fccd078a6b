"""Vectorised arithmetic over the groups and episodes of a batch: no Python loop over turns, episodes or groups.

An *index* names the segment of each entry of a column: `table.group` maps episodes to groups, `table.episode` turns to
episodes. A *run* is a segment whose entries are adjacent, as the turns of an episode are.
"""

from __future__ import annotations

from collections.abc import Hashable, Iterable

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]
Bools = NDArray[np.bool_]

EPSILON = 1e-6
"""Added to a standard deviation before dividing by it: the value of GRPO's, RLOO's and GiGPO's published code."""


def codes(*columns: Iterable[Hashable]) -> tuple[Ints, ...]:
    """Returns columns of hashable values as integers that are equal exactly where the values are, in one code for all.

    Args:
        columns: Any hashable values (strings, numbers, tuples), one per entry.

    Returns:
        One int64 column each, numbered from 0 in the order of first appearance.
    """
    seen: dict[Hashable, int] = {}
    return tuple(np.array([seen.setdefault(value, len(seen)) for value in column], np.int64) for column in columns)


def dense(index: Ints) -> Ints:
    """Returns an index renumbered to 0, 1, ... without gaps; int64, same shape."""
    return np.unique(index, return_inverse=True)[1].reshape(index.shape).astype(np.int64)


def pair(first: Ints, second: Ints) -> Ints:
    """Returns a dense index of the pairs of two indices of non-negative integers."""
    return dense(first * (second.max(initial=0) + 1) + second)


def counts(index: Ints) -> Ints:
    """Returns, for each entry, how many entries its segment has; int64, same shape as `index`."""
    return np.bincount(index)[index]


def sums(values: Floats, index: Ints, segments: int) -> Floats:
    """Returns the sum of each segment; float64 [segments]."""
    return np.bincount(index, weights=values, minlength=segments).astype(np.float64, copy=False)


def center(values: Floats, index: Ints, weights: Floats | None = None) -> Floats:
    """Returns values minus the mean of their segment, exactly 0 where a segment holds one value only, or equal ones.

    Args:
        values: The column; [n].
        index: The segment of each entry; int64 [n].
        weights: The weight of each entry in the mean, more than 0 in total in each segment; equal ones by default; [n].

    Returns:
        float64 [n].
    """
    if not len(values):
        return np.zeros(0)
    reference = np.zeros(int(index.max()) + 1)
    reference[index] = values
    # Relative to a member of the segment, equal values differ by exactly 0; their plain mean is off by a rounding
    # error, which a division by a standard deviation of the same size would blow up into an advantage.
    offset = values - reference[index]
    total = np.bincount(index, weights=offset if weights is None else offset * weights)
    weight = np.bincount(index, weights=weights).astype(np.float64)
    return offset - np.divide(total, weight, out=np.zeros_like(total), where=weight > 0)[index]


def standardize(values: Floats, index: Ints, *, ddof: int = 1, epsilon: float = EPSILON) -> Floats:
    """Returns (values - mean) / (std + epsilon) within each segment; 0 for a segment of one entry.

    Args:
        values: The column; [n].
        index: The segment of each entry; int64 [n].
        ddof: 1 divides the squares by n - 1 (the sample deviation of torch, and so of GRPO's public code), 0 by n.
        epsilon: Added to the deviation.

    Returns:
        float64 [n].
    """
    offset = center(values, index)
    squares = np.bincount(index, weights=offset * offset)
    spread = np.sqrt(squares / np.maximum(np.bincount(index) - ddof, 1))
    return offset / (spread[index] + epsilon)


def whiten(values: Floats, *, epsilon: float = 1e-9) -> Floats:
    """Returns (values - mean) / (std + epsilon) over the whole column, with the population deviation; [n]."""
    return standardize(values, np.zeros(len(values), np.int64), ddof=0, epsilon=epsilon)


def discounted_returns(values: Floats, run: Ints, gamma: float) -> Floats:
    """Returns G_t = values_t + gamma * G_{t+1} within each run: the discounted sum of what follows in the same run.

    Doubles the horizon of the partial sums in every pass, so that the longest run of T entries takes log2(T) passes
    over the column. Zero values are entries like any other: no turn is told apart by its reward.

    Args:
        values: Rewards, or whatever is to be accumulated; [n].
        run: The run of each entry, equal ones adjacent; int64 [n].
        gamma: Discount per entry, in [0, 1].

    Returns:
        float64 [n].
    """
    total = np.array(values, np.float64)
    horizon, factor = 1, float(gamma)
    while horizon < len(total):
        inside = run[horizon:] == run[:-horizon]
        if not inside.any():
            break
        total[:-horizon] += factor * np.where(inside, total[horizon:], 0.0)
        horizon, factor = 2 * horizon, factor * factor
    return total


def following(values: Floats, run: Ints, last: Floats | float = 0.0) -> Floats:
    """Returns the next entry of the same run, `last` at the end of each run; float64 [n]."""
    after = np.array(np.broadcast_to(np.asarray(last, np.float64), values.shape))
    inside = run[1:] == run[:-1]
    after[:-1][inside] = values[1:][inside]
    return after


def preceding(values: Floats, run: Ints, first: Floats | float = 0.0) -> Floats:
    """Returns the previous entry of the same run, `first` at the start of each run; float64 [n]."""
    return following(values[::-1], run[::-1], np.broadcast_to(np.asarray(first, np.float64), values.shape)[::-1])[::-1]
