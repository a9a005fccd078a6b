"""The estimates and intervals of an evaluation, against published and hand-made numbers."""

from __future__ import annotations

import itertools
import math

import numpy as np
import pytest

from turnwise.agents.errors import InvalidInput
from turnwise.agents.evaluation import Estimate, bootstrap_mean, pass_at_k, wilson
from turnwise.agents.evaluation.statistics import normal_quantile, resampled_means


@pytest.mark.parametrize(
    ("successes", "trials", "low", "high"),
    [  # Newcombe, Statistics in Medicine 17 (1998), table I, method 3
        (81, 263, 0.2553, 0.3662),
        (15, 148, 0.0624, 0.1605),
        (0, 20, 0.0000, 0.1611),
        (1, 29, 0.0061, 0.1718),
    ],
)
def test_wilson_intervals_equal_the_published_ones(successes, trials, low, high):
    estimate = wilson(successes, trials)
    assert estimate.value == successes / trials
    assert (round(estimate.low, 4), round(estimate.high, 4)) == (low, high)


def test_wilson_is_symmetric_and_stays_in_the_unit_interval():
    for trials in (1, 7, 100):
        for successes in range(trials + 1):
            one, other = wilson(successes, trials), wilson(trials - successes, trials)
            assert one.low == pytest.approx(1 - other.high)
            assert 0.0 <= one.low <= one.value <= one.high <= 1.0


def test_wilsons_bounds_solve_the_equation_that_defines_them():
    estimate = wilson(3, 11)
    for p in (estimate.low, estimate.high):
        assert abs(3 / 11 - p) == pytest.approx(1.959964 * math.sqrt(p * (1 - p) / 11), rel=1e-6)


def test_no_trials_give_no_estimate():
    estimate = wilson(0, 0)
    assert all(math.isnan(value) for value in (estimate.value, estimate.low, estimate.high))


def test_more_confidence_widens_the_interval():
    assert wilson(5, 10, confidence=0.99).high > wilson(5, 10).high
    assert normal_quantile(0.95) == pytest.approx(1.959964, abs=1e-6)
    assert normal_quantile(0.99) == pytest.approx(2.575829, abs=1e-6)


@pytest.mark.parametrize(("successes", "trials"), [(-1, 3), (4, 3)])
def test_impossible_counts_are_refused(successes, trials):
    with pytest.raises(InvalidInput, match=f"successes={successes}"):
        wilson(successes, trials)


@pytest.mark.parametrize("confidence", [0, 1, 95])
def test_impossible_confidence_is_refused(confidence):
    with pytest.raises(InvalidInput, match=f"confidence={confidence}"):
        wilson(1, 3, confidence=confidence)


@pytest.mark.parametrize(
    ("samples", "solved", "k", "expected"),
    [
        (10, 3, 1, 0.3),
        (10, 3, 2, 1 - 21 / 45),
        (10, 3, 5, 1 - 21 / 252),
        (10, 3, 8, 1.0),
        (4, 0, 4, 0.0),
        (4, 4, 1, 1.0),
        (1, 1, 1, 1.0),
        (200, 1, 100, 0.5),
    ],
)
def test_pass_at_k_equals_the_ratio_of_binomials(samples, solved, k, expected):
    assert pass_at_k(samples, solved, k) == pytest.approx(expected, abs=1e-12)


def test_pass_at_k_is_the_share_of_subsets_with_a_solved_attempt():
    for samples in range(1, 7):
        for solved in range(samples + 1):
            for k in range(1, samples + 1):
                attempts = [True] * solved + [False] * (samples - solved)
                subsets = list(itertools.combinations(attempts, k))
                assert pass_at_k(samples, solved, k) == pytest.approx(sum(map(any, subsets)) / len(subsets))


@pytest.mark.parametrize(("samples", "solved", "k"), [(4, 5, 1), (4, 2, 5), (4, 2, 0), (4, -1, 1)])
def test_pass_at_k_of_too_few_samples_is_refused(samples, solved, k):
    with pytest.raises(InvalidInput, match=f"pass@{k}"):
        pass_at_k(samples, solved, k)


def test_the_bootstrap_has_the_quantiles_of_the_exact_resampling_distribution():
    # The sum of 4 draws from {0, 0, 0, 1} is binomial(4, 1/4): P(0) = 0.316, P(>= 3) = 0.051, P(4) = 0.004.
    assert bootstrap_mean([0.0, 0.0, 0.0, 1.0]) == Estimate(0.25, 0.0, 0.75)
    assert bootstrap_mean([0.0, 0.0, 0.0, 1.0], confidence=0.5) == Estimate(0.25, 0.0, 0.5)


def test_the_bootstrap_of_many_values_is_close_to_the_normal_interval():
    values = np.random.default_rng(0).exponential(size=2000)
    estimate = bootstrap_mean(values, resamples=4000)
    half = 1.96 * values.std() / math.sqrt(len(values))
    assert estimate.value == pytest.approx(values.mean())
    assert estimate.low == pytest.approx(values.mean() - half, abs=0.1 * half)
    assert estimate.high == pytest.approx(values.mean() + half, abs=0.1 * half)


def test_resampling_in_chunks_draws_what_a_loop_draws(monkeypatch):
    values = np.array([1.0, 2.0, 4.0, 8.0, 16.0])
    rng = np.random.default_rng(3)
    slow = [np.mean([values[index] for index in rng.integers(5, size=5)]) for _ in range(20)]
    np.testing.assert_allclose(resampled_means(values, 20, 3), slow)
    monkeypatch.setattr("turnwise.agents.evaluation.statistics.CHUNK", 15)
    np.testing.assert_allclose(resampled_means(values, 20, 3), slow)


def test_the_same_seed_gives_the_same_interval():
    values = [0.1, 0.5, 0.7, 0.9, 0.2]
    assert bootstrap_mean(values, seed=1) == bootstrap_mean(values, seed=1)


def test_equal_values_get_wilsons_interval_at_the_bounds_and_a_wide_one_between():
    for value, count in ((0.0, 0), (1.0, 12)):
        estimate, reference = bootstrap_mean([value] * 12, bounds=(0.0, 1.0)), wilson(count, 12)
        assert (estimate.value, estimate.low, estimate.high) == pytest.approx(
            (reference.value, reference.low, reference.high)
        )
    unseen = 1.959964**2 / (12 + 1.959964**2)
    middle = bootstrap_mean([0.5] * 12, bounds=(0.0, 1.0))
    assert (middle.low, middle.high) == pytest.approx((0.5 - 0.5 * unseen, 0.5 + 0.5 * unseen), rel=1e-6)
    same = bootstrap_mean([0.0] * 12, bounds=(-1.0, 1.0))
    assert (same.low, same.high) == pytest.approx((-unseen, unseen), rel=1e-6)


def test_equal_values_without_bounds_have_no_spread_and_no_values_no_estimate():
    assert bootstrap_mean([2.5, 2.5]) == Estimate(2.5, 2.5, 2.5)
    assert math.isnan(bootstrap_mean([]).value)


def test_an_estimate_reads_as_value_and_interval():
    assert str(Estimate(0.5, 0.25, 1.0)) == "0.500 [0.250, 1.000]"
