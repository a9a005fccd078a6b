"""Lists and sets: how items are separated, matched and counted."""

from __future__ import annotations

from itertools import permutations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from turnwise.verifiers import ExactMatch, InvalidInput, ListMatch, NumericMatch
from turnwise.verifiers.list_match import largest_matching, longest_common

CITIES = ["Paris", "Rome", "Oslo"]


@pytest.mark.parametrize(
    "response",
    [
        "Paris, Rome, Oslo",
        "paris; OSLO ;  rome",
        "Paris, Rome and Oslo",
        "Paris, Rome, and Oslo",
        "[Paris, Rome, Oslo]",
        "(Oslo, Rome, Paris)",
        "{Rome,Oslo,Paris}",
        '["Paris", "Rome", "Oslo"]',
        "- Paris\n- Rome\n- Oslo",
        "1. Paris\n2) Rome\n3. Oslo\n",
        "* Paris\n\n\u2022 Rome\n* Oslo",
        "Paris,\nRome,\nOslo,",
    ],
)
def test_lists_are_written_in_many_ways(response):
    assert ListMatch()(response, CITIES).score == 1.0


@pytest.mark.parametrize(
    ("response", "precision", "recall", "f1"),
    [
        ("Paris, Rome", 1.0, 2 / 3, 0.8),
        ("Paris, Rome, Oslo, Bern", 0.75, 1.0, 6 / 7),
        ("Paris, Paris, Paris", 1 / 3, 1 / 3, 1 / 3),
        ("Paris, Rome, Oslo, Oslo", 0.75, 1.0, 6 / 7),
        ("Bern", 0.0, 0.0, 0.0),
        ("", 0.0, 0.0, 0.0),
        ("Paris Rome Oslo", 0.0, 0.0, 0.0),
    ],
)
def test_missing_extra_and_repeated_items_fail_the_list_and_cost_f1(response, precision, recall, f1):
    strict, partial = ListMatch()(response, CITIES), ListMatch(partial=True)(response, CITIES)
    assert strict.score == 0.0
    assert partial.score == pytest.approx(f1)
    assert partial.flat() == {"precision": pytest.approx(precision), "recall": pytest.approx(recall)}


@pytest.mark.parametrize(
    ("response", "score", "f1"),
    [("Paris, Rome, Oslo", 1.0, 1.0), ("Rome, Paris, Oslo", 0.0, 2 / 3), ("Bern, Paris, Rome, Oslo", 0.0, 6 / 7)],
)
def test_with_order_only_items_in_order_match(response, score, f1):
    assert ListMatch(ordered=True)(response, CITIES).score == score
    assert ListMatch(ordered=True, partial=True)(response, CITIES).score == pytest.approx(f1)


def test_items_are_judged_by_the_given_verifier_with_the_best_matching():
    near = ListMatch(NumericMatch(absolute=0.6))
    assert near("1.5, 1", [1, 2]).score == 1.0  # 1.5 fits both; giving it to 1 first would strand the other
    assert near("1.5, 3", [1, 2]).score == 0.0
    assert ListMatch(ExactMatch())("PARIS", ["Paris"]).score == 0.0


def test_another_separator_replaces_the_usual_ones():
    assert ListMatch(NumericMatch(), separator=";")("1,000; 2,000", [1000, 2000]).score == 1.0
    assert ListMatch(separator="|")("rock and roll | jazz", ["Rock and Roll", "Jazz"]).score == 1.0


@pytest.mark.parametrize(
    "reference", [CITIES, tuple(CITIES), set(CITIES), "Paris, Rome and Oslo", '["Paris","Rome","Oslo"]']
)
def test_references_may_be_lists_sets_or_text(reference):
    assert ListMatch()("Oslo, Paris, Rome", reference).score == 1.0


@pytest.mark.parametrize("reference", [None, [], "", " , ", 5, ["x"] * 201])
def test_a_reference_without_items_or_with_too_many_is_the_callers_mistake(reference):
    with pytest.raises(InvalidInput, match="give a list of 1 to 200 items"):
        ListMatch()("x", reference)


def test_an_empty_separator_is_refused():
    with pytest.raises(InvalidInput, match="separator"):
        ListMatch(separator="")


def test_too_many_items_are_not_compared():
    verdict = ListMatch()("x," * 201, ["x"])
    assert (verdict.score, verdict.evidence[:20]) == (0.0, "more than 200 items:")


def test_an_item_that_cannot_be_judged_makes_the_list_undecided():
    from turnwise.verifiers import Abstain, verifier

    @verifier
    def picky(response: str, reference: str) -> bool:
        if response == "?":
            raise Abstain("who knows")
        return response == reference

    verdict = ListMatch(picky)("a, ?", ["a", "b"])
    assert (verdict.status, verdict.error) == ("abstain", "item '?': who knows")


def test_the_evidence_counts():
    assert ListMatch()("Paris, Bern", CITIES).evidence == "1 of 3 items found among 2"
    assert ListMatch(ordered=True)("Paris", CITIES).evidence == "1 of 3 items found in order among 1"


TABLES = st.integers(1, 5).flatmap(
    lambda width: st.lists(st.lists(st.booleans(), min_size=width, max_size=width), min_size=1, max_size=5)
)


@given(TABLES)
def test_the_matching_is_as_large_as_the_best_of_all_assignments(matches):
    rows, columns = len(matches), len(matches[0])
    size = max(rows, columns)
    table = [[r < rows and c < columns and matches[r][c] for c in range(size)] for r in range(size)]
    best = max(sum(table[row][column] for row, column in enumerate(order)) for order in permutations(range(size)))
    assert largest_matching(matches) == best


@given(st.lists(st.integers(0, 3), max_size=7), st.lists(st.integers(0, 3), max_size=7))
def test_the_longest_common_subsequence_is_the_best_of_all_subsequences(a, b):
    def subsequences(items):
        return {tuple(x for i, x in enumerate(items) if mask >> i & 1) for mask in range(1 << len(items))}

    best = max(len(common) for common in subsequences(a) & subsequences(b))
    assert longest_common([[x == y for y in b] for x in a]) == best


def test_hostile_text_comes_to_a_verdict(hostile):
    for options in ({}, {"ordered": True, "partial": True}):
        verdict = ListMatch(**options)(hostile, CITIES)
        assert verdict.score == 0.0
        verdict.evidence.encode("utf-8")
