"""Transform, Schedule, Constraint and Noise."""

from __future__ import annotations

import math
import pickle
import subprocess
import sys

import pytest

from turnwise.verifiers import (
    Constraint,
    InvalidInput,
    LinearRamp,
    Noise,
    NumericMatch,
    Sample,
    Schedule,
    Transform,
)


def reference_of(sample: Sample) -> float:
    return sample.state["reference_score"]


@pytest.mark.parametrize(
    ("score", "reference", "expected"),
    [(0.0, 0.0, -0.6931471805599453), (3.0, 1.0, -0.1269280110429726), (-3.0, 1.0, -4.0181499279178094)],
)
def test_log_sigmoid_is_the_log_of_the_sigmoid_of_the_distance_to_the_reference(fixed, score, reference, expected):
    verdict = Transform(fixed("rm", score), "log_sigmoid", reference=reference)("x")
    assert verdict.score == pytest.approx(expected, abs=1e-12)


@pytest.mark.parametrize(
    ("score", "reference", "expected"),
    [(0.0, 0.0, 0.5), (3.0, 1.0, 0.8807970779778823), (1.0, [0.0, 2.0], 0.5), (1.0, [1.0, 3.0], 0.3096014610110588)],
)
def test_centred_sigmoid_is_the_mean_chance_to_be_preferred_to_the_references(fixed, score, reference, expected):
    verdict = Transform(fixed("rm", score), "centred_sigmoid", reference=reference)("x")
    assert verdict.score == pytest.approx(expected, abs=1e-12)


@pytest.mark.parametrize("score", [1e6, -1e6, 800.0, -800.0])
def test_transformations_do_not_overflow(fixed, score):
    assert Transform(fixed("rm", score), "log_sigmoid")("x").score == pytest.approx(min(score, 0.0))
    assert Transform(fixed("rm", score), "centred_sigmoid")("x").score == pytest.approx(float(score > 0))


def test_the_reference_may_be_a_function_of_the_sample(fixed):
    transform = Transform(fixed("rm", 3.0), "centred_sigmoid", reference=reference_of)
    assert transform("x", reference=None, state={"reference_score": 3.0}).score == 0.5
    assert pickle.loads(pickle.dumps(transform))("x", state={"reference_score": 3.0}).score == 0.5


def test_a_transformation_says_what_it_did(fixed):
    verdict = Transform(fixed("rm", 3.0), "centred_sigmoid", reference=[1.0, 3.0])("x")
    assert verdict.evidence == "rm (3) is preferred to 1, 3 with chance 0.690399"


@pytest.mark.parametrize(
    ("kind", "reference"),
    [("tanh", 0.0), ("log_sigmoid", [0.0, 1.0]), ("centred_sigmoid", []), ("log_sigmoid", math.nan)],
)
def test_unknown_kinds_and_unusable_references_are_refused(fixed, kind, reference):
    with pytest.raises(InvalidInput):
        Transform(fixed("rm", 0.0), kind, reference=reference)


def test_a_schedule_weighs_by_the_step_that_the_sample_carries(fixed):
    shaped = Schedule(fixed("a", 0.5), LinearRamp(1.0, 0.0, end=100))
    scores = [shaped("x", state={"step": step}).score for step in (-5, 0, 25, 100, 1000)]
    assert scores == [0.5, 0.5, 0.375, 0.0, 0.0]
    assert shaped("x", state={"step": 25}).evidence == "weight 0.75 at step 25 * a (0.5) = 0.375"


def test_a_ramp_may_begin_late_and_rise(fixed):
    ramp = LinearRamp(0.0, 2.0, begin=10, end=20)
    assert [ramp(step) for step in (0, 10, 15, 20, 30)] == [0.0, 0.0, 1.0, 2.0, 2.0]


def test_a_bound_step_stands_in_for_samples_that_carry_none(fixed):
    shaped = Schedule(fixed("a", 1.0), LinearRamp(1.0, 0.0, end=4), step=1)
    assert shaped("x").score == 0.75
    assert shaped("x", state={"step": 2}).score == 0.5


def test_without_a_step_the_schedule_is_undecided_and_keeps_the_parts(fixed):
    verdict = Schedule(fixed("a", 1.0), LinearRamp(1.0, 0.0, end=4))("x")
    assert verdict.status == "error"
    assert "step" in (verdict.error or "")
    assert verdict.flat() == {"a": 1.0}


def test_unusable_schedules_are_refused(fixed):
    with pytest.raises(InvalidInput, match="function"):
        Schedule(fixed("a", 1.0), 0.5)
    with pytest.raises(InvalidInput, match="after it begins"):
        LinearRamp(0.0, 1.0, end=5, begin=5)
    with pytest.raises(InvalidInput, match="finite"):
        LinearRamp(0.0, math.inf, end=5)


def test_a_constraint_pays_multiplier_times_slack(fixed):
    least = Constraint(fixed("a", 0.6), at_least=0.8, multiplier=2.0)
    most = Constraint(fixed("a", 0.6), at_most=0.5, multiplier=2.0)
    assert least("x").score == pytest.approx(-0.4)
    assert most("x").score == pytest.approx(-0.2)
    assert least("x").evidence == "2 * slack of a (0.6, at least 0.8) = -0.4"


def test_the_multiplier_grows_while_violated_shrinks_while_held_and_is_never_negative(fixed):
    constraint = Constraint(fixed("a", 0.0), at_least=0.8, rate=0.5)
    assert constraint.update([0.4, 0.6]) == pytest.approx(0.15)  # 0 - 0.5 * (0.5 - 0.8)
    assert constraint.update([0.4]) == pytest.approx(0.35)
    assert constraint.update([1.0]) == pytest.approx(0.25)
    assert constraint.update([1e9]) == 0.0


def test_an_upper_bound_pushes_the_other_way(fixed):
    constraint = Constraint(fixed("a", 0.0), at_most=0.2, rate=1.0)
    assert constraint.update([0.5]) == pytest.approx(0.3)
    assert constraint.update([0.0]) == pytest.approx(0.1)


def test_undecided_scores_do_not_move_the_multiplier(fixed):
    constraint = Constraint(fixed("a", 0.0), at_least=0.8, rate=1.0)
    assert constraint.update([math.nan, 0.3]) == pytest.approx(0.5)
    assert constraint.update([math.nan]) == pytest.approx(0.5)
    assert constraint.update([]) == pytest.approx(0.5)


def test_dual_ascent_finds_the_multiplier_of_a_known_problem(fixed):
    """Maximise -(x - 1)^2 subject to x <= 0.5: the optimum is x = 0.5 with multiplier 2 * (1 - 0.5) = 1."""
    constraint = Constraint(fixed("x", 0.0), at_most=0.5, rate=0.1)
    for _ in range(500):
        x = 1 - constraint.multiplier / 2  # the maximum of the Lagrangian
        constraint.update([x])
    assert constraint.multiplier == pytest.approx(1.0, abs=1e-6)


def test_the_state_of_a_constraint_survives_a_checkpoint_and_pickling(fixed):
    constraint = Constraint(fixed("a", 0.5), at_least=1.0, rate=1.0)
    constraint.update([0.25])
    fresh = Constraint(fixed("a", 0.5), at_least=1.0, rate=1.0)
    fresh.load_state_dict(constraint.state_dict())
    assert fresh.multiplier == constraint.multiplier == 0.75
    assert pickle.loads(pickle.dumps(constraint)).multiplier == 0.75


def test_constraints_inside_a_composition_are_found_and_updated_from_its_verdicts(fixed, by_text):
    reward = fixed("main", 1.0) + Constraint(by_text({"a": 0.2, "b": 0.4}).named("polite"), at_least=0.8, rate=1.0)
    verdicts = [reward("a"), reward("b")]
    for path, part in reward.walk():
        if isinstance(part, Constraint):
            part.update(verdict.flat()[f"{path}/polite"] for verdict in verdicts)
    assert reward("a").score == pytest.approx(1.0 + 0.5 * (0.2 - 0.8))


@pytest.mark.parametrize(
    "options",
    [
        {},
        {"at_least": 1.0, "at_most": 2.0},
        {"at_least": math.nan},
        {"at_least": 1.0, "rate": 0.0},
        {"at_least": 1.0, "multiplier": -1.0},
    ],
)
def test_unusable_constraints_are_refused(fixed, options):
    with pytest.raises(InvalidInput):
        Constraint(fixed("a", 0.0), **options)


def test_certain_noise_always_flips_and_no_noise_never_does(fixed):
    for score in (0.0, 0.25, 1.0):
        assert Noise(fixed("a", score), false_positive=1.0, false_negative=1.0)("x").score == 1.0 - score
        assert Noise(fixed("a", score))("x").score == score


def test_each_direction_of_error_has_its_own_rate(fixed):
    pessimist = {"false_negative": 1.0}
    assert Noise(fixed("a", 1.0), **pessimist)("x").score == 0.0
    assert Noise(fixed("a", 0.0), **pessimist)("x").score == 0.0
    assert Noise(fixed("a", 0.0), false_positive=1.0)("x").evidence == "a (0) flipped"


def test_the_rate_of_flips_is_the_one_asked_for(fixed):
    noisy = Noise(fixed("a", 1.0), false_negative=0.4)
    flipped = sum(noisy(f"answer {index}").score == 0.0 for index in range(4000))
    assert 0.37 < flipped / 4000 < 0.43  # four standard deviations


def test_gaussian_noise_has_the_asked_mean_and_deviation(fixed):
    noisy = Noise(fixed("a", 0.5), std=0.2)
    scores = [noisy(f"answer {index}").score for index in range(4000)]
    mean = sum(scores) / len(scores)
    deviation = math.sqrt(sum((score - mean) ** 2 for score in scores) / len(scores))
    assert mean == pytest.approx(0.5, abs=0.02)
    assert deviation == pytest.approx(0.2, abs=0.02)


def test_the_same_sample_gets_the_same_noise_and_another_seed_another(fixed):
    noisy, other = (Noise(fixed("a", 0.5), std=1.0, seed=seed) for seed in (0, 1))
    assert noisy("x").score == noisy("x").score == Noise(fixed("b", 0.5), std=1.0)("x").score
    assert noisy("x").score != other("x").score
    assert noisy("x").score != noisy("y").score
    assert noisy("x").score != noisy("x", prompt="p").score
    assert noisy("x").score != noisy("x", turns=("before",)).score
    assert noisy("x").score == noisy("x", reference="r", state={"rows": 3}).score


def test_noise_is_the_same_in_another_process():
    script = (
        "from turnwise.verifiers import Noise, NumericMatch;"
        "print(Noise(NumericMatch(), std=1.0, seed=3)('5 \\ud800', 5, prompt=[{'content': 'hi'}]).score)"
    )
    command = [sys.executable, "-c", script]
    elsewhere = float(subprocess.run(command, capture_output=True, text=True, check=True).stdout)
    here = Noise(NumericMatch(), std=1.0, seed=3)("5 \ud800", 5, prompt=[{"content": "hi"}])
    assert here.score == elsewhere


def test_noise_on_turns_is_drawn_for_each_turn(fixed):
    noisy = Noise(fixed("a", 0.5), std=1.0)
    scores = [verdict.score for verdict in noisy.verify_turns(Sample(turns=("same", "same", "same")))]
    assert len(set(scores)) == 3


def test_a_score_outside_zero_and_one_cannot_be_flipped(fixed):
    verdict = Noise(fixed("a", 3.0), false_negative=1.0)("x")
    assert verdict.status == "error"
    assert "cannot be flipped" in (verdict.error or "")
    assert Noise(fixed("a", 3.0), std=0.0)("x").score == 3.0


@pytest.mark.parametrize(
    "options", [{"false_positive": 1.5}, {"false_negative": -0.1}, {"std": -1.0}, {"std": math.inf}]
)
def test_impossible_rates_are_refused(fixed, options):
    with pytest.raises(InvalidInput):
        Noise(fixed("a", 1.0), **options)


@pytest.mark.parametrize(
    "make",
    [
        lambda v: Transform(v, "log_sigmoid"),
        lambda v: Schedule(v, LinearRamp(1.0, 0.0, end=4), step=0),
        lambda v: Constraint(v, at_least=1.0, multiplier=1.0),
        lambda v: Noise(v, std=1.0),
    ],
)
def test_wrappers_of_something_undecided_are_undecided(fixed, make):
    verdict = make(fixed("a", "timeout"))("x")
    assert (verdict.status, verdict.error) == ("timeout", "a: timeout of a")
