"""Clip, Delta and Potential: rewards per turn."""

from __future__ import annotations

import asyncio
import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from turnwise.verifiers import Clip, Delta, InvalidInput, Potential, Sample

EPISODE = Sample(turns=("a", "b", "c", "d"))


def rewards(verifier, sample=EPISODE):
    return [verdict.score for verdict in verifier.verify_turns(sample)]


def test_clip_gives_good_turns_zero_and_bad_ones_what_they_lack(process):
    clip = Clip(process(0.95, 0.9, 0.5, 0.0), 0.9)
    assert rewards(clip) == pytest.approx([0.0, 0.0, -0.4, -0.9])
    assert clip.verify_turns(EPISODE)[2].evidence == "min(process (0.5), 0.9) - 0.9 = -0.4"


def test_clip_of_an_outcome_clips_its_score(fixed):
    assert Clip(fixed("a", 0.25), 0.75)("x").score == -0.5
    assert Clip(fixed("a", 0.8), 0.75)("x").score == 0.0


def test_delta_takes_differences_keeps_the_last_but_one_and_drops_the_last(process):
    delta = Delta(process(0.9, 0.5, 0.75, 0.1))
    assert rewards(delta) == pytest.approx([0.4, -0.25, 0.75, 0.0])


@pytest.mark.parametrize(
    ("scores", "expected"),
    [((), []), ((0.7,), [0.0]), ((0.7, 0.2), [0.7, 0.0]), ((0.7, 0.2, 0.9), [0.5, 0.2, 0.0])],
)
def test_delta_of_short_episodes(process, scores, expected):
    sample = Sample(turns=tuple("abc")[: len(scores)])
    assert rewards(Delta(process(*scores)), sample) == pytest.approx(expected)


@given(st.lists(st.floats(0, 1), min_size=2, max_size=30))
def test_delta_telescopes_from_every_turn_on_to_that_turns_score(process, scores):
    got = rewards(Delta(process(*scores)), Sample(turns=("x",) * len(scores)))
    for turn in range(len(scores) - 1):
        assert math.fsum(got[turn:]) == pytest.approx(scores[turn], abs=1e-9)


@given(st.lists(st.floats(0, 1), min_size=2, max_size=8), st.integers(1, 40))
def test_repeating_a_good_turn_earns_nothing_under_clip_and_delta(process, scores, times):
    def episode_return(values):
        verifier = Delta(Clip(process(*values), 0.8))
        return verifier.verify(Sample(turns=("x",) * len(values))).score

    padded = [scores[0]] * times + scores
    assert episode_return(padded) == pytest.approx(episode_return(scores), abs=1e-9)


def test_delta_of_clip_is_the_papers_combination(process):
    # Clipped at 0.8: 0, -0.3, 0, -0.7; differences: 0.3, -0.3, 0, and nothing for the last.
    assert rewards(Delta(Clip(process(0.9, 0.5, 0.85, 0.1), 0.8))) == pytest.approx([0.3, -0.3, 0.0, 0.0])


def test_the_outcome_of_delta_is_the_return_of_its_turns(process):
    verdict = Delta(process(0.9, 0.5, 0.75, 0.1)).verify(EPISODE)
    assert verdict.score == pytest.approx(0.9)
    assert verdict.flat()["turn_1"] == pytest.approx(0.4)
    assert verdict.flat()["turn_1/process"] == 0.9


@pytest.mark.parametrize("wrapped", [Delta, Potential])
def test_a_sample_without_turns_is_abstained_from(process, wrapped):
    assert wrapped(process()).verify(Sample("text")).status == "abstain"


def test_an_undecided_turn_spoils_the_rewards_that_it_enters_and_no_others(process):
    delta = Delta(process(0.9, None, 0.5, 0.4))
    verdicts = delta.verify_turns(EPISODE)
    assert [verdict.decided for verdict in verdicts] == [False, False, True, True]
    assert verdicts[0].error == "turn 2: no label"
    assert verdicts[0].status == "abstain"
    assert delta.verify(EPISODE).status == "abstain"


def test_an_undecided_last_turn_does_not_matter_to_delta(process):
    assert rewards(Delta(process(0.9, 0.5, 0.4, None))) == pytest.approx([0.4, 0.1, 0.4, 0.0])


def test_potential_pays_the_discounted_potential_after_minus_the_one_before(process):
    potential = Potential(process(0.2, 0.6, 0.5, 1.0), gamma=0.5, initial=0.1)
    # 0.5*0.2-0.1, 0.5*0.6-0.2, 0.5*0.5-0.6, 0-0.5
    assert rewards(potential) == pytest.approx([0.0, 0.1, -0.35, -0.5])
    assert potential.verify(EPISODE).score == pytest.approx(-0.1)


@given(st.lists(st.floats(-5, 5), min_size=1, max_size=20), st.floats(0, 1), st.floats(-5, 5))
def test_the_discounted_return_of_a_potential_is_a_constant_whatever_was_done(process, scores, gamma, initial):
    potential = Potential(process(*scores), gamma=gamma, initial=initial)
    sample = Sample(turns=("x",) * len(scores))
    discounted = math.fsum(gamma**turn * reward for turn, reward in enumerate(rewards(potential, sample)))
    assert discounted == pytest.approx(-initial, abs=1e-6)
    assert potential.verify(sample).score == pytest.approx(-initial, abs=1e-6)


@pytest.mark.parametrize("gamma", [-0.1, 1.1, math.nan])
def test_a_discount_outside_zero_and_one_is_refused(process, gamma):
    with pytest.raises(InvalidInput, match="gamma"):
        Potential(process(), gamma=gamma)


@pytest.mark.parametrize("make", [Delta, lambda v: Clip(v, 0.5), Potential, lambda v: Delta(Clip(v, 0.5))])
def test_asynchronous_rewards_equal_the_synchronous_ones(process, make):
    verifier = make(process(0.9, 0.5, 0.75, 0.1))
    assert asyncio.run(verifier.averify_turns(EPISODE)) == verifier.verify_turns(EPISODE)


@pytest.mark.parametrize("make", [Delta, Potential])
def test_returns_and_groups_are_the_same_asynchronously(process, make):
    verifier = make(process(0.9, 0.5, 0.75, 0.1))
    assert asyncio.run(verifier.averify(EPISODE)) == verifier.verify(EPISODE)
    group = [EPISODE, EPISODE]
    assert asyncio.run(verifier.averify_group(group)) == verifier.verify_group(group) == [verifier.verify(EPISODE)] * 2


def test_a_process_verifier_that_returns_too_few_turns_is_an_error_in_a_composition(process):
    short = process(0.5)
    verdicts = (2 * short).verify_turns(EPISODE)
    assert len(verdicts) == 4
    assert {verdict.error for verdict in verdicts} == {"1 verdicts were returned for 4 turns"}
