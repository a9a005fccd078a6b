"""Word overlap and repetition."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from turnwise.verifiers import InvalidInput, Repetition, TokenF1


@pytest.mark.parametrize(
    ("response", "reference", "precision", "recall", "f1", "exact"),
    [
        ("The Eiffel Tower!", "eiffel tower", 1.0, 1.0, 1.0, 1.0),
        ("in the city of Paris", "Paris", 0.25, 1.0, 0.4, 0.0),
        ("Paris", "the city of Paris", 1.0, 1 / 3, 0.5, 0.0),
        ("Paris Paris", "Paris", 0.5, 1.0, 2 / 3, 0.0),
        ("bye bye", "bye bye love", 1.0, 2 / 3, 0.8, 0.0),
        ("the dog bit the man", "the man bit the dog", 1.0, 1.0, 1.0, 0.0),
        ("Rome", "Paris", 0.0, 0.0, 0.0, 0.0),
        ("", "Paris", 0.0, 0.0, 0.0, 0.0),
        ("an-swer", "answer", 1.0, 1.0, 1.0, 1.0),
    ],
)
def test_words_are_compared_as_squad_does(response, reference, precision, recall, f1, exact):
    verdict = TokenF1()(response, reference)
    assert verdict.score == pytest.approx(f1)
    expected = {"exact": exact, "precision": pytest.approx(precision), "recall": pytest.approx(recall)}
    assert verdict.flat() == expected


def test_the_best_of_several_references_counts():
    verdict = TokenF1()("city of Paris", ["Rome", "Paris city", "Lutetia"])
    assert verdict.score == pytest.approx(0.8)
    assert verdict.evidence == "'city of Paris' against 'Paris city': precision 0.666667, recall 1"


@pytest.mark.parametrize("reference", [None, 5, [], "", "the", ["Paris", "!"]])
def test_a_reference_without_words_is_the_callers_mistake(reference):
    with pytest.raises(InvalidInput, match="reference"):
        TokenF1()("", reference)


@given(
    st.text(alphabet="ab the.", max_size=20),
    st.text(alphabet="ab the.", min_size=1, max_size=20).filter(lambda t: "b" in t),
)
def test_f1_is_symmetric_bounded_and_one_for_the_same_bag(a, b):
    score = TokenF1()(a, b).score
    assert 0.0 <= score <= 1.0
    assert TokenF1()(b, b).score == 1.0
    if "b" in a:
        assert TokenF1()(b, a).score == pytest.approx(score)


@pytest.mark.parametrize(
    ("options", "response", "score", "evidence"),
    [
        ({"n": 1}, "a b c d", 1.0, "4 of 4 1-grams are distinct"),
        ({"n": 1}, "Go go GO no", 0.5, "2 of 4 1-grams are distinct, 'go' 3 times"),
        ({"n": 2}, "a b a b a", 0.5, "2 of 4 2-grams are distinct, 'a b' 2 times"),
        ({"n": 2}, "so it goes, so it goes", 0.8, "4 of 5 2-grams are distinct, 'so it' 2 times"),
        ({}, "one two three", 1.0, "too short to repeat 4 words"),
        ({"n": 2, "unit": "character"}, "哈哈哈哈", 1 / 3, "1 of 3 2-grams are distinct, '哈哈' 3 times"),
        ({"n": 1}, "", 1.0, "too short to repeat 1 words"),
    ],
)
def test_repetition_is_the_share_of_distinct_n_grams(options, response, score, evidence):
    verdict = Repetition(**options)(response)
    assert verdict.score == pytest.approx(score)
    assert verdict.evidence == evidence


def test_a_loop_scores_near_zero():
    assert Repetition()("step by step " * 1000).score < 0.01


@pytest.mark.parametrize("options", [{"n": 0}, {"unit": "line"}])
def test_unusable_options_are_refused(options):
    with pytest.raises(InvalidInput):
        Repetition(**options)


def test_hostile_text_comes_to_a_verdict(hostile):
    assert TokenF1()(hostile, "x").score == 0.0
    for unit in ("word", "character"):
        verdict = Repetition(unit=unit)(hostile)
        assert 0.0 <= verdict.score <= 1.0
        verdict.evidence.encode("utf-8")
