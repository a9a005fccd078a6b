"""Fallback, cascade and ensemble."""

from __future__ import annotations

import pytest

from turnwise.verifiers import Cascade, Ensemble, Fallback, InvalidInput, Sample


@pytest.mark.parametrize("status", ["error", "timeout", "abstain"])
def test_a_fallback_asks_the_next_verifier_after_any_refusal(fixed, status):
    verdict = Fallback(fixed("a", status), fixed("b", 0.75, "close"))("x")
    assert verdict.score == 0.75
    assert verdict.evidence == f"b: close; a did not decide ({status} of a)"
    assert list(verdict.parts) == ["a", "b"]


def test_a_fallback_stops_at_the_first_verifier_that_decides(fixed):
    second = fixed("b", 1.0)
    verdict = Fallback(fixed("a", 0.0, "wrong"), second)("x")
    assert (verdict.score, verdict.evidence) == (0.0, "a: wrong")
    assert second.asked == []


def test_a_fallback_is_undecided_only_if_all_are_and_names_every_reason(fixed):
    verdict = Fallback(fixed("a", "timeout"), fixed("b", "abstain"))("x")
    assert verdict.status == "abstain"
    assert verdict.error == "a: timeout of a; b: abstain of b"


def test_a_cascade_asks_the_dear_verifier_only_after_an_abstention(fixed):
    dear = fixed("judge", 0.5)
    assert Cascade(fixed("rules", 1.0), dear)("x").score == 1.0
    assert dear.asked == []
    assert Cascade(fixed("rules", "abstain"), dear)("x").score == 0.5
    assert dear.asked == ["x"]


@pytest.mark.parametrize("status", ["error", "timeout"])
def test_a_fault_in_a_cascade_is_shown_and_not_paid_for(fixed, status):
    dear = fixed("judge", 0.5)
    verdict = Cascade(fixed("rules", status), dear)("x")
    assert (verdict.status, verdict.error) == (status, f"rules: {status} of rules")
    assert dear.asked == []


def test_in_a_group_a_cascade_asks_the_dear_verifier_about_the_open_samples_only(by_text, share):
    dear = share()
    cascade = Cascade(by_text({"a": 1.0, "c": 0.0}), dear)
    verdicts = cascade.verify_group([Sample(text) for text in "abcd"])
    assert [verdict.score for verdict in verdicts] == [1.0, 0.5, 0.0, 0.5]
    assert dear.groups == [["b", "d"]]


@pytest.mark.parametrize(
    ("how", "penalty", "score"),
    [
        ("mean", 1.0, 0.5),
        ("worst", 1.0, 0.2),
        ("uncertainty", 1.0, 0.44),  # 0.5 - 1 * (0.09 + 0 + 0.09) / 3
        ("uncertainty", 0.5, 0.47),
        ("uncertainty", 0.0, 0.5),
    ],
)
def test_an_ensemble_combines_its_members_as_the_paper_does(fixed, how, penalty, score):
    members = [fixed("a", 0.2), fixed("b", 0.5), fixed("c", 0.8)]
    assert Ensemble(*members, how=how, penalty=penalty)("x").score == pytest.approx(score, abs=1e-12)


def test_members_that_agree_pay_no_penalty(fixed):
    agreed = Ensemble(fixed("a", 0.7), fixed("b", 0.7), how="uncertainty", penalty=10.0)
    assert agreed("x").score == pytest.approx(0.7, abs=1e-12)


def test_an_ensemble_with_an_undecided_member_is_undecided(fixed):
    verdict = Ensemble(fixed("a", 0.2), fixed("b", "timeout"))("x")
    assert (verdict.status, verdict.error) == ("timeout", "b: timeout of b")


def test_an_ensemble_of_the_same_name_logs_every_member(fixed):
    verdict = Ensemble(fixed("judge", 0.2), fixed("judge", 0.4), fixed("judge", 0.6))("x")
    assert verdict.flat() == {"judge": 0.2, "judge_2": 0.4, "judge_3": 0.6}
    assert verdict.evidence == "mean of judge (0.2), judge_2 (0.4), judge_3 (0.6)"


def test_an_ensemble_refuses_unknown_ways_and_rewards_for_disagreement(fixed):
    with pytest.raises(InvalidInput, match="'median'"):
        Ensemble(fixed("a", 1.0), how="median")
    with pytest.raises(InvalidInput, match="penalty=-1"):
        Ensemble(fixed("a", 1.0), how="uncertainty", penalty=-1)
    with pytest.raises(InvalidInput, match="at least one"):
        Ensemble()
