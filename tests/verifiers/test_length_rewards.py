"""Rewards that look at length, and switch it off where it would harm."""

from __future__ import annotations

import asyncio
import math
import pickle

import pytest
from hypothesis import given
from hypothesis import strategies as st

from turnwise.verifiers import (
    CosineLength,
    DecoupledLength,
    ExactMatch,
    InvalidInput,
    LengthPenalty,
    Overlong,
    Sample,
    Verdict,
    Verifier,
    verifier,
)


@verifier
def right(response: str) -> bool | None:
    """Right are responses of `y`; `?` is undecided."""
    return None if response.startswith("?") else response.startswith("y")


def tokens(sample: Sample) -> int:
    return sample.state["tokens"]


def scores(judge: Verifier, *responses: str) -> list[float]:
    return [verdict.score for verdict in judge.verify_group([Sample(response) for response in responses])]


@pytest.mark.parametrize(
    ("length", "score"), [(0, 0.0), (80, 0.0), (85, -0.25), (90, -0.5), (100, -1.0), (101, -1.0), (10_000, -1.0)]
)
def test_overlong_responses_are_punished_linearly_within_the_buffer(length, score):
    assert Overlong(100, 20)("x" * length).score == score


def test_length_is_measured_in_characters_words_or_by_a_function():
    assert Overlong(10, 5)("one two three four").score == -1.0
    assert Overlong(10, 5, measure="words")("one two three four").score == 0.0
    counted = Overlong(10, 5, measure=tokens)
    assert counted("x", state={"tokens": 8}).evidence == "length 8; punished from 5, limit 10"
    assert pickle.loads(pickle.dumps(counted))("x", state={"tokens": 8}).score == pytest.approx(-0.6)


@pytest.mark.parametrize("measured", [-1, math.nan, math.inf, "8"])
def test_a_measure_that_gives_no_length_is_the_callers_mistake(measured):
    with pytest.raises(InvalidInput, match="a length is"):
        Overlong(10, 5, measure=tokens)("x", state={"tokens": measured})


@pytest.mark.parametrize(
    ("response", "score"),
    [
        ("y", 1.0 - 0.25 * (1 - math.cos(math.pi * 0.1))),
        ("y" * 5, 0.75),
        ("y" * 9, 0.5 + 0.25 * (1 + math.cos(math.pi * 0.9))),
        ("n", -1.0 + 0.25 * (1 - math.cos(math.pi * 0.1))),
        ("n" * 5, -0.75),
        ("", -1.0),
        ("y" * 10, -2.0),
        ("n" * 11, -2.0),
    ],
)
def test_the_cosine_falls_for_right_and_rises_for_wrong_responses(response, score):
    assert CosineLength(right, 10, exceeding=-2.0)(response).score == pytest.approx(score)


def test_the_cosine_with_the_values_of_the_paper():
    paper = CosineLength(right, 1000, correct=(2, 1), wrong=(-10, 0), exceeding=-10)
    assert paper("").score == -10.0
    assert paper("y" * 500).score == pytest.approx(1.5)
    assert paper("n" * 500).score == pytest.approx(-5.0)
    assert paper("n" * 500).evidence == "wrong, length 500 of 1000"
    assert paper("?").status == "abstain"


def test_longer_right_answers_pay_by_the_sigmoid_of_their_standardised_length():
    # Lengths 1, 2, 3 of the right ones: mean 2, standard deviation sqrt(2/3); the wrong one does not count.
    expected = [1 - 0.5 / (1 + math.exp(-z)) for z in (-math.sqrt(1.5), 0.0, math.sqrt(1.5))]
    assert scores(LengthPenalty(right, 0.5), "y", "yy", "yyy", "n" * 99) == pytest.approx([*expected, 0.0])
    assert expected == pytest.approx([0.8864, 0.75, 0.6136], abs=1e-4)


def test_length_does_not_count_while_most_answers_are_wrong():
    group = ("y", "yyyyy", "n", "n", "n")
    assert scores(LengthPenalty(right, 0.5), *group) == [1.0, 1.0, 0.0, 0.0, 0.0]
    assert scores(LengthPenalty(right, 0.5, least_accuracy=0.4), *group)[0] < 0.9
    assert scores(LengthPenalty(right, 0.5), *group[:4])[:2] == pytest.approx(
        [1 - 0.5 / (1 + math.e), 1 - 0.5 / (1 + 1 / math.e)]
    )


def test_undecided_answers_do_not_count_for_the_accuracy_of_the_group():
    got = scores(LengthPenalty(right, 0.5), "y", "yyy", "?", "?", "n")
    assert got[:2] == pytest.approx([1 - 0.5 / (1 + math.e), 1 - 0.5 / (1 + math.exp(-1))])
    assert [math.isnan(score) for score in got] == [False, False, True, True, False]


def test_equally_long_answers_and_single_ones_pay_half():
    assert scores(LengthPenalty(right, 0.2), "yy", "yy") == [0.9, 0.9]
    assert LengthPenalty(right, 0.2)("yy").score == 0.9


def test_right_answers_share_by_weights_that_average_to_one():
    got = scores(DecoupledLength(right, most=10, temperature=0.5), "y" * 5, "y" * 10, "n")
    weights = [math.exp(0.5 / 0.5), math.exp(0.0)]
    assert got == pytest.approx([2 * weights[0] / sum(weights), 2 * weights[1] / sum(weights), 0.0])
    assert got[:2] == pytest.approx([1.46212, 0.53788], abs=1e-5)


def test_a_large_temperature_ignores_length_and_a_small_one_gives_all_to_the_shortest():
    group = ("y", "y" * 10)
    assert scores(DecoupledLength(right, 10, 1e9), *group) == pytest.approx([1.0, 1.0], abs=1e-6)
    assert scores(DecoupledLength(right, 10, 1e-4), *group) == pytest.approx([2.0, 0.0])
    assert DecoupledLength(right, 10)("yyy").score == 1.0


def test_a_group_without_right_answers_keeps_its_scores():
    for judge in (LengthPenalty(right), DecoupledLength(right, 10)):
        assert scores(judge, "n", "nn") == [0.0, 0.0]
        assert judge.verify_group([]) == []


@given(st.lists(st.tuples(st.booleans(), st.integers(1, 50)), min_size=1, max_size=8))
def test_no_wrong_answer_ever_beats_a_right_one_and_shorter_right_ones_never_lose(group):
    responses = [("y" if is_right else "n") * length for is_right, length in group]
    for judge in (LengthPenalty(right, 0.9), DecoupledLength(right, 50)):
        got = scores(judge, *responses)
        for (right_a, length_a), score_a in zip(group, got, strict=True):
            for (right_b, length_b), score_b in zip(group, got, strict=True):
                assert not (right_a and not right_b) or score_a > score_b
                assert not (right_a and right_b and length_a < length_b) or score_a >= score_b - 1e-12


def test_groups_are_the_same_asynchronously_and_keep_what_the_verifier_said():
    judge = LengthPenalty(ExactMatch())
    group = [Sample("a", "a"), Sample("b", "a")]
    verdicts = judge.verify_group(group)
    assert asyncio.run(judge.averify_group(group)) == verdicts
    assert verdicts[0].evidence == "right, with length 1; 1 of 2 are right"
    assert verdicts[1].evidence == "'b' does not equal 'a'"
    assert [verdict.flat() for verdict in verdicts] == [{"exact_match": 1.0}, {"exact_match": 0.0}]
    assert [path for path, _ in judge.walk()] == ["exact_match"]


def test_length_rewards_compose():
    reward = LengthPenalty(right, 0.2) + Overlong(10, 5)
    verdicts = reward.verify_group([Sample("y"), Sample("y" * 10)])
    assert [verdict.score for verdict in verdicts] == pytest.approx([0.9462117, -0.1462117])
    assert repr(reward) == "LengthPenalty(right) + Overlong(10, 5)"


def test_a_relative_reward_refuses_a_miscounting_verifier():
    class Short(Verifier):
        def _verify_group(self, samples):
            return [Verdict(1.0)]

    assert {verdict.status for verdict in LengthPenalty(Short()).verify_group([Sample("a"), Sample("b")])} == {"error"}


@pytest.mark.parametrize(
    "build",
    [
        lambda: Overlong(10, 0),
        lambda: Overlong(10, 11),
        lambda: Overlong(10, 5, measure="lines"),
        lambda: CosineLength(right, 0),
        lambda: CosineLength(right, 10, correct=(1, math.nan)),
        lambda: LengthPenalty(right, 1.0),
        lambda: LengthPenalty(right, -0.1),
        lambda: LengthPenalty(right, least_accuracy=2),
        lambda: DecoupledLength(right, 0),
        lambda: DecoupledLength(right, 10, 0),
        lambda: DecoupledLength("right", 10),
    ],
)
def test_unusable_options_are_refused(build):
    with pytest.raises(InvalidInput):
        build()
