"""Gates, minimum and maximum, thresholds."""

from __future__ import annotations

import math

import pytest

from turnwise.verifiers import Gate, InvalidInput, Sample, Threshold


def test_an_open_gate_has_the_score_and_the_evidence_of_its_last_stage(fixed):
    verdict = (fixed("form", 1.0) >> fixed("answer", 0.25, "half of it"))("x")
    assert verdict.score == 0.25
    assert verdict.evidence == "answer: half of it"
    assert verdict.flat() == {"form": 1.0, "answer": 0.25}


def test_a_closed_gate_scores_zero_and_does_not_ask_what_is_behind_it(fixed):
    answer = fixed("answer", 1.0)
    verdict = (fixed("form", 0.5, "no answer tag") >> answer)("x")
    assert verdict.score == 0.0
    assert verdict.evidence == "stopped at form, 0.5 of 1: no answer tag"
    assert verdict.flat() == {"form": 0.5}
    assert answer.asked == []


def test_a_chain_of_gates_is_one_gate_that_stops_at_the_first_failing_stage(fixed):
    a, b, c = fixed("a", 1.0), fixed("b", 0.0), fixed("c", 1.0)
    for chain in ((a >> b) >> c, a >> (b >> c)):
        assert list(chain.components) == ["a", "b", "c"]
        assert chain("x").evidence == "stopped at b, 0 of 1"
    assert c.asked == []


def test_the_threshold_decides_what_passes(fixed):
    half, answer = fixed("half", 0.5), fixed("answer", 0.9)
    assert Gate(half, answer, threshold=0.5)("x").score == 0.9
    assert Gate(half, answer, threshold=0.51)("x").score == 0.0
    assert (Threshold(half, 0.5) >> answer)("x").score == 0.9


def test_rounding_does_not_close_a_gate(fixed):
    almost = fixed("a", 0.1 + 0.2 - 0.3 + 1.0 - 1e-12)
    assert (almost >> fixed("b", 0.7))("x").score == 0.7


def test_a_gate_with_its_own_threshold_is_not_merged_into_a_chain(fixed):
    lenient = Gate(fixed("a", 0.5), fixed("b", 1.0), threshold=0.5)
    chain = lenient >> fixed("c", 0.3)
    assert list(chain.components) == ["gate", "c"]
    assert chain("x").score == 0.3


@pytest.mark.parametrize("status", ["error", "timeout", "abstain"])
def test_an_undecided_stage_makes_the_gate_undecided_and_later_stages_are_spared(fixed, status):
    answer = fixed("answer", 1.0)
    verdict = (fixed("form", status) >> answer)("x")
    assert (verdict.status, verdict.error) == (status, f"form: {status} of form")
    assert answer.asked == []
    assert (fixed("form", 1.0) >> fixed("answer", status))("x").status == status


def test_a_closed_gate_hides_the_fault_of_a_stage_that_it_never_asks(fixed):
    assert (fixed("form", 0.0) >> fixed("answer", "error"))("x").score == 0.0


def test_in_a_group_the_later_stage_judges_only_the_samples_that_came_through(by_text, share):
    relative = share()
    gate = by_text({"good": 1.0, "bad": 0.0, "fine": 1.0}) >> relative
    verdicts = gate.verify_group([Sample(text) for text in ("good", "bad", "fine", "odd")])
    assert [verdict.score for verdict in verdicts[:3]] == [0.5, 0.0, 0.5]
    assert verdicts[3].status == "abstain"
    assert relative.groups == [["good", "fine"]]


def test_on_turns_each_turn_passes_the_gate_by_itself(by_text):
    gate = by_text({"a": 1.0, "b": 0.0, "c": 1.0}) >> by_text({"a": 0.2, "c": 0.9})
    verdicts = gate.verify_turns(Sample(turns=("a", "b", "c")))
    assert [verdict.score for verdict in verdicts] == [0.2, 0.0, 0.9]


def test_minimum_and_maximum_take_the_score_and_evidence_of_one_component(fixed):
    a, b = fixed("a", 0.25, "thin"), fixed("b", 0.75, "thick")
    assert (a & b)("x").score == 0.25
    assert (a | b)("x").score == 0.75
    assert (a & b)("x").evidence == "a is the least of a (0.25), b (0.75): thin"
    assert (a | b)("x").evidence == "b is the greatest of a (0.25), b (0.75): thick"
    assert list(((a & b) & a).components) == ["a", "b", "a_2"]
    assert list((a | (b | a)).components) == ["a", "b", "a_2"]


@pytest.mark.parametrize("other", [0.0, 1.0])
def test_minimum_and_maximum_are_undecided_even_where_the_decided_score_would_settle_it(fixed, other):
    for both in (fixed("a", other) & fixed("b", "error"), fixed("a", other) | fixed("b", "error")):
        verdict = both("x")
        assert math.isnan(verdict.score)
        assert verdict.flat()["a"] == other


@pytest.mark.parametrize(("score", "expected"), [(0.49, 0.0), (0.5, 1.0), (0.51, 1.0)])
def test_a_threshold_turns_a_score_into_pass_or_fail(fixed, score, expected):
    verdict = Threshold(fixed("a", score, "so so"), 0.5)("x")
    assert verdict.score == expected
    verb = "reaches" if expected else "misses"
    assert verdict.evidence == f"a ({score:g}) {verb} 0.5: so so"


def test_a_threshold_of_something_undecided_is_undecided(fixed):
    assert Threshold(fixed("a", "timeout"), 0.5)("x").status == "timeout"


def test_thresholds_must_be_numbers(fixed):
    with pytest.raises(InvalidInput):
        Threshold(fixed("a", 1.0), math.nan)
    with pytest.raises(InvalidInput):
        Gate(fixed("a", 1.0), threshold=math.inf)
