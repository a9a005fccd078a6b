"""Estimates with intervals: small pure functions."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from statistics import NormalDist

import numpy as np
from numpy.typing import NDArray

from turnwise.agents.errors import InvalidInput

RESAMPLES = 2000
CONFIDENCE = 0.95
CHUNK = 1 << 20
"""How many draws a bootstrap holds in memory at once."""


@dataclass(frozen=True)
class Estimate:
    """A number and the interval that holds the true one with the stated confidence (95% by default).

    Attributes:
        value: The estimate; NaN where there is nothing to estimate it from, and then the bounds are NaN too.
        low: Lower bound.
        high: Upper bound.
    """

    value: float
    low: float
    high: float

    def __str__(self) -> str:
        return f"{self.value:.3f} [{self.low:.3f}, {self.high:.3f}]"


UNKNOWN = Estimate(math.nan, math.nan, math.nan)


def wilson(successes: float, trials: float, confidence: float = CONFIDENCE) -> Estimate:
    """Returns a proportion with Wilson's score interval, which stays in [0, 1] and is honest at 0 and 1.

    Wilson, "Probable inference, the law of succession, and statistical inference", JASA 22 (1927); without continuity
    correction: the proportions p with |successes / trials - p| <= z sqrt(p (1 - p) / trials).

    Raises:
        InvalidInput: `successes` does not lie in [0, `trials`].
    """
    if not 0 <= successes <= trials:
        raise InvalidInput(f"successes={successes!r} must lie between 0 and trials={trials!r}")
    if trials == 0:
        return UNKNOWN
    z2 = normal_quantile(confidence) ** 2
    p = successes / trials
    centre = (p + z2 / (2 * trials)) / (1 + z2 / trials)
    half = math.sqrt(z2 * (p * (1 - p) / trials + z2 / (4 * trials**2))) / (1 + z2 / trials)
    return Estimate(p, max(0.0, centre - half), min(1.0, centre + half))


def pass_at_k(samples: int, solved: int, k: int) -> float:
    """Returns the unbiased estimate of the chance that at least one of k attempts solves a task.

    Chen et al., "Evaluating large language models trained on code" (arXiv 2107.03374), equation 1:
    1 - C(n - c, k) / C(n, k), as the product over i = n-c+1..n of (1 - k / i).

    Args:
        samples: n, the attempts made.
        solved: c, how many of them solved the task.
        k: At most n.

    Raises:
        InvalidInput: Not 0 <= solved <= samples, or not 1 <= k <= samples.
    """
    if not 0 <= solved <= samples or not 1 <= k <= samples:
        raise InvalidInput(f"pass@{k} needs at least {k} samples and no more solved ones: {samples=!r}, {solved=!r}")
    if samples - solved < k:
        return 1.0
    return 1.0 - math.prod(1.0 - k / i for i in range(samples - solved + 1, samples + 1))


def bootstrap_mean(
    values: Sequence[float],
    *,
    bounds: tuple[float, float] | None = None,
    seed: int = 0,
    resamples: int = RESAMPLES,
    confidence: float = CONFIDENCE,
) -> Estimate:
    """Returns a mean with its percentile bootstrap interval (Efron and Tibshirani, 1993, chapter 13).

    What is resampled are the values: give one value per task, computed from all its attempts, and the interval is the
    clustered one; give differences of pairs, and it is the paired one.

    A bootstrap knows no spread where all values agree. If `bounds` are given, the interval is then that of the share of
    tasks, unseen so far, that may lie anywhere between the bounds (at a bound it equals Wilson's interval).

    Args:
        values: One value per cluster.
        bounds: The least and the greatest value that could have come.
        seed: Seeds the resampling.
        resamples: How many times the values are resampled.
        confidence: What share of the resampled means the interval holds.
    """
    array = np.asarray(values, np.float64)
    count = len(array)
    if count == 0:
        return UNKNOWN
    mean = float(array.mean())
    if np.all(array == array[0]):
        if bounds is None:
            return Estimate(mean, mean, mean)
        unseen = wilson(0, count, confidence).high
        return Estimate(mean, mean - unseen * (mean - bounds[0]), mean + unseen * (bounds[1] - mean))
    tail = (1 - confidence) / 2
    low, high = np.quantile(resampled_means(array, resamples, seed), [tail, 1 - tail])
    return Estimate(mean, float(low), float(high))


def resampled_means(values: NDArray[np.float64], resamples: int, seed: int) -> NDArray[np.float64]:
    """Returns the means of `resamples` draws with replacement of all values; float64 [resamples]."""
    rng = np.random.default_rng(seed)
    rows = max(1, CHUNK // len(values))
    parts = [
        values[rng.integers(len(values), size=(min(rows, resamples - begin), len(values)))].mean(axis=1)
        for begin in range(0, resamples, rows)
    ]
    return np.concatenate(parts)


def normal_quantile(confidence: float) -> float:
    """Returns how many standard deviations hold `confidence` of a normal distribution: 1.96 for 0.95.

    Raises:
        InvalidInput: `confidence` does not lie strictly between 0 and 1.
    """
    if not 0 < confidence < 1:
        raise InvalidInput(f"confidence={confidence!r} must lie strictly between 0 and 1")
    return NormalDist().inv_cdf((1 + confidence) / 2)
