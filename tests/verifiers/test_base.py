"""The interface: what follows from each method that a verifier may override, and what becomes of its failures."""

from __future__ import annotations

import asyncio
import math
from collections.abc import Sequence

import pytest

from turnwise.verifiers import (
    Abstain,
    InvalidInput,
    Sample,
    Verdict,
    Verifier,
    VerifierError,
    VerifierTimeout,
    verifier,
)


class OneByOne(Verifier):
    def _verify(self, sample: Sample) -> Verdict:
        return Verdict(len(sample.text))


class OneByOneAsync(Verifier):
    async def _averify(self, sample: Sample) -> Verdict:
        await asyncio.sleep(0)
        return Verdict(len(sample.text))


class Grouped(Verifier):
    def _verify_group(self, samples: Sequence[Sample]) -> list[Verdict]:
        return [Verdict(len(sample.text)) for sample in samples]


class GroupedAsync(Verifier):
    async def _averify_group(self, samples: Sequence[Sample]) -> list[Verdict]:
        await asyncio.sleep(0)
        return [Verdict(len(sample.text)) for sample in samples]


@pytest.mark.parametrize("kind", [OneByOne, OneByOneAsync, Grouped, GroupedAsync])
def test_one_overridden_method_gives_all_the_others(kind):
    judge, samples = kind(), [Sample("a"), Sample("bbb")]
    turns = Sample(turns=("a", {"role": "assistant", "content": "bb"}))
    assert [judge.verify(sample).score for sample in samples] == [1.0, 3.0]
    assert [verdict.score for verdict in judge.verify_group(samples)] == [1.0, 3.0]
    assert [verdict.score for verdict in judge.verify_turns(turns)] == [1.0, 2.0]

    async def everything() -> tuple[list[Verdict], list[Verdict], list[Verdict]]:
        one = [await judge.averify(sample) for sample in samples]
        return one, await judge.averify_group(samples), await judge.averify_turns(turns)

    one, group, by_turn = asyncio.run(everything())
    assert [verdict.score for verdict in one] == [verdict.score for verdict in group] == [1.0, 3.0]
    assert [verdict.score for verdict in by_turn] == [1.0, 2.0]


class ByTurn(Verifier):
    def _verify_turns(self, sample: Sample) -> list[Verdict]:
        return [Verdict.undecided("?", "abstain") if turn == "?" else Verdict(float(turn)) for turn in sample.turns]


class ByTurnAsync(Verifier):
    async def _averify_turns(self, sample: Sample) -> list[Verdict]:
        await asyncio.sleep(0)
        return ByTurn()._verify_turns(sample)


@pytest.mark.parametrize("kind", [ByTurn, ByTurnAsync])
def test_a_verifier_of_turns_alone_judges_an_episode_by_their_mean(kind):
    judge, sample = kind(), Sample(turns=("0.25", "0.75"))
    verdict = judge.verify(sample)
    assert (verdict.score, verdict.evidence) == (0.5, "mean of 2 turns")
    assert verdict.flat() == {"turn_1": 0.25, "turn_2": 0.75}
    assert asyncio.run(judge.averify(sample)) == verdict
    assert judge.verify_turns(sample) == asyncio.run(judge.averify_turns(sample))
    assert judge.verify(Sample("text")).status == "abstain"
    spoiled = judge.verify(Sample(turns=("1", "?")))
    assert (spoiled.status, spoiled.error) == ("abstain", "turn_2: ?")


def test_a_verifier_that_overrides_nothing_says_so():
    class Empty(Verifier):
        pass

    with pytest.raises(NotImplementedError, match="Empty must override"):
        Empty()("x")


@pytest.mark.parametrize(
    ("raised", "status", "error"),
    [
        (Abstain("units"), "abstain", "units"),
        (Abstain(), "abstain", "abstained"),
        (VerifierTimeout("too slow"), "timeout", "too slow"),
        (TimeoutError(), "timeout", "the verifier's deadline passed"),
        (VerifierError("no judge"), "error", "no judge"),
        (ZeroDivisionError("division by zero"), "error", "ZeroDivisionError: division by zero"),
        (RecursionError("too deep"), "error", "RecursionError: too deep"),
    ],
)
def test_what_a_verifier_raises_becomes_the_reason_why_it_did_not_decide(raised, status, error):
    class Raises(Verifier):
        def _verify(self, sample: Sample) -> Verdict:
            raise raised

    judge, sample = Raises(), Sample("x", turns=("a",))
    verdicts = [judge.verify(sample), asyncio.run(judge.averify(sample))]
    verdicts += judge.verify_group([sample]) + judge.verify_turns(sample)
    verdicts += asyncio.run(judge.averify_group([sample])) + asyncio.run(judge.averify_turns(sample))
    assert len(verdicts) == 6
    for verdict in verdicts:
        assert (verdict.status, verdict.error) == (status, error)
        assert math.isnan(verdict.score)


def test_the_mistake_of_a_caller_is_raised():
    @verifier
    def wants_a_number(response: str, reference: object) -> float:
        raise InvalidInput(f"reference={reference!r}: give a number")

    with pytest.raises(InvalidInput, match="give a number"):
        wants_a_number("x", "y")
    with pytest.raises(InvalidInput, match="answer"):
        wants_a_number("x", answer="y")


@pytest.mark.parametrize("response", [3, [3], {"role": "assistant"}])
def test_a_response_that_is_neither_text_nor_messages_is_refused(response):
    with pytest.raises(InvalidInput, match="response must be"):
        OneByOne()(response)


def test_of_a_conversation_the_last_assistant_message_is_judged():
    messages = [
        {"role": "assistant", "content": "first"},
        {"role": "assistant", "content": [{"type": "text", "text": "se"}, {"type": "text", "text": "cond"}]},
        {"role": "user", "content": "thanks a lot"},
    ]
    assert OneByOne()(messages).score == 6.0
    assert OneByOne()([{"role": "user", "content": "hello"}]).score == 0.0
    assert OneByOne()([{"role": "assistant", "content": None}]).score == 0.0


def test_each_turn_is_judged_in_the_light_of_those_before_it():
    @verifier
    def novel(sample: Sample) -> bool:
        return sample.text not in sample.turns

    verdicts = novel.verify_turns(Sample(turns=("a", "b", "a")))
    assert [verdict.score for verdict in verdicts] == [1.0, 1.0, 0.0]


def test_turns_may_be_objects_with_an_action():
    class Turn:
        action = "four"

    assert OneByOne().verify_turns(Sample(turns=(Turn(),)))[0].score == 4.0
    with pytest.raises(InvalidInput, match="a turn must be"):
        OneByOne().verify_turns(Sample(turns=(3,)))


@pytest.mark.parametrize(
    ("returned", "score", "status"),
    [
        (True, 1.0, "ok"),
        (0.25, 0.25, "ok"),
        (Verdict(0.5, evidence="half"), 0.5, "ok"),
        (None, None, "abstain"),
        (math.nan, None, "abstain"),
        ("yes", None, "error"),
    ],
)
def test_a_function_may_return_a_verdict_a_bool_a_number_or_none(returned, score, status):
    @verifier
    def judge(response: str) -> object:
        return returned

    verdict = judge("x")
    assert verdict.status == status
    assert verdict.decided == (score is not None)
    if score is not None:
        assert verdict.score == score


def test_a_function_takes_what_it_names():
    @verifier
    def by_reference(response: str, reference: str) -> bool:
        return response == reference

    @verifier(name="first_turn")
    def by_sample(sample: Sample) -> bool:
        return not sample.turns

    assert by_reference("a", "a").score == 1.0
    assert by_sample("a", turns=("x",)).score == 0.0
    assert by_sample.name == "first_turn"
    assert by_reference.__name__ == "by_reference"


@pytest.mark.parametrize(
    ("class_name", "name"),
    [("ToolCalls", "tool_calls"), ("JSONSchema", "json_schema"), ("SQL", "sql"), ("ExactMatch", "exact_match")],
)
def test_a_verifier_is_named_after_its_class(class_name, name):
    assert type(class_name, (OneByOne,), {})().name == name


def test_an_undecided_verdict_has_no_score_and_json_has_no_nan():
    verdict = Verdict(0.7, error="broken", parts={"a": Verdict(1.0)})
    assert math.isnan(verdict.score)
    assert (verdict.status, verdict.decided) == ("error", False)
    assert verdict.to_json()["score"] is None
    assert verdict.to_json()["parts"]["a"]["score"] == 1.0


def test_a_verdict_cannot_hide_why_it_is_undecided():
    with pytest.raises(InvalidInput, match="NaN"):
        Verdict(math.nan)
    with pytest.raises(InvalidInput, match="needs an error"):
        Verdict(1.0, status="timeout")
