"""What holds for every composition: how it is written, copied, awaited, and what its verdict's tree holds."""

from __future__ import annotations

import asyncio
import copy
import math
import pickle
import threading
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from turnwise.verifiers import (
    Cascade,
    Clip,
    Constraint,
    Delta,
    Ensemble,
    ExactMatch,
    Fallback,
    Gate,
    InvalidInput,
    LinearRamp,
    Noise,
    NumericMatch,
    Potential,
    Regex,
    Sample,
    Schedule,
    TaggedFormat,
    Threshold,
    Transform,
    Verdict,
    Verifier,
    VerifierError,
    Within,
    verifier,
)
from turnwise.verifiers.compose.extrema import Maximum, Minimum


@verifier
def long_enough(response: str) -> float:
    return min(len(response) / 10, 1.0)


@verifier
async def patient(response: str) -> float:
    await asyncio.sleep(0)
    return 0.5


EXACT, NUMBER = ExactMatch(), NumericMatch()

EXPRESSIONS = {
    "0.2 * ExactMatch() + 0.8 * NumericMatch()": 0.2 * EXACT + 0.8 * NUMBER,
    "ExactMatch() - NumericMatch() + 1": EXACT - NUMBER + 1,
    "1 - ExactMatch()": 1 - EXACT,
    "-ExactMatch() - 0.5 * NumericMatch()": -EXACT - 0.5 * NUMBER,
    "2 * (ExactMatch() * NumericMatch())": 2 * EXACT * NUMBER,
    "ExactMatch() * NumericMatch() + long_enough": EXACT * NUMBER + long_enough,
    "(ExactMatch() + NumericMatch()) * long_enough": (EXACT + NUMBER) * long_enough,
    "ExactMatch() >> NumericMatch() >> long_enough": EXACT >> NUMBER >> long_enough,
    "(ExactMatch() & NumericMatch()) | long_enough": EXACT & NUMBER | long_enough,
    "(ExactMatch() + NumericMatch()) >> long_enough": EXACT + NUMBER >> long_enough,
    "(ExactMatch() + NumericMatch()).named('both') * long_enough": (EXACT + NUMBER).named("both") * long_enough,
    "Gate(ExactMatch(), NumericMatch(), threshold=0.5)": Gate(EXACT, NUMBER, threshold=0.5),
    "Fallback(ExactMatch(), NumericMatch())": Fallback(EXACT, NUMBER),
    "Cascade(ExactMatch().named('rules'), long_enough.named('judge'))": Cascade(
        EXACT.named("rules"), long_enough.named("judge")
    ),
    "Ensemble(ExactMatch(), NumericMatch(), how='uncertainty', penalty=0.5)": Ensemble(
        EXACT, NUMBER, how="uncertainty", penalty=0.5
    ),
    "Delta(Clip(long_enough, 0.9))": Delta(Clip(long_enough, 0.9)),
    "Potential(long_enough, gamma=0.9)": Potential(long_enough, gamma=0.9),
    "Threshold(long_enough, 0.5)": Threshold(long_enough, 0.5),
    "Transform(long_enough, 'log_sigmoid', reference=1.5)": Transform(long_enough, "log_sigmoid", reference=1.5),
    "Schedule(long_enough, LinearRamp(first=1.0, last=0.0, end=100, begin=0))": Schedule(
        long_enough, LinearRamp(1.0, 0.0, end=100)
    ),
    "Constraint(long_enough, at_least=0.8, multiplier=0.5)": Constraint(long_enough, at_least=0.8, multiplier=0.5),
    "Noise(long_enough, false_positive=0.4, seed=7)": Noise(long_enough, false_positive=0.4, seed=7),
    "TaggedFormat('think', 'answer') >> Within('answer', ExactMatch())": TaggedFormat("think", "answer")
    >> Within("answer", EXACT),
    "TaggedFormat('answer', opened='answer')": TaggedFormat("answer", opened="answer"),
    "NumericMatch(relative=0.01, take='last')": NumericMatch(take="last", relative=0.01),
    "Regex(re.compile('a+'), method='fullmatch')": Regex("a+", method="fullmatch"),
}


@pytest.mark.parametrize(("text", "built"), EXPRESSIONS.items())
def test_a_composition_reads_like_the_expression_that_makes_it(text, built):
    assert repr(built) == text


@pytest.mark.parametrize("text", [text for text in EXPRESSIONS if "re.compile" not in text])
def test_evaluating_the_representation_rebuilds_the_composition(text):
    assert repr(eval(text)) == text


@pytest.mark.parametrize("text", EXPRESSIONS)
@pytest.mark.parametrize("clone", [copy.copy, copy.deepcopy, lambda v: pickle.loads(pickle.dumps(v))])
def test_copies_judge_like_the_original(text, clone):
    built = EXPRESSIONS[text]
    sample = Sample("<answer>5</answer>", "5", state={"step": 10}, turns=("a", "bcd"))
    assert repr(clone(built)) == text
    assert clone(built).verify(sample).to_json() == built.verify(sample).to_json()


@pytest.mark.parametrize("text", EXPRESSIONS)
def test_every_form_of_judging_agrees(text):
    built = EXPRESSIONS[text]
    samples = [Sample(str(n), "5", state={"step": 10}, turns=("a", str(n))) for n in (5, 6)]
    one_by_one = [built.verify(sample).to_json() for sample in samples]

    def as_json(verdicts: Sequence[Verdict]) -> list[object]:
        return [verdict.to_json() for verdict in verdicts]

    assert as_json(built.verify_group(samples)) == one_by_one
    assert as_json(asyncio.run(built.averify_group(samples))) == one_by_one
    assert [asyncio.run(built.averify(sample)).to_json() for sample in samples] == one_by_one
    by_turn = as_json(built.verify_turns(samples[0]))
    assert as_json(asyncio.run(built.averify_turns(samples[0]))) == by_turn
    assert len(by_turn) == 2


def test_a_name_is_kept_by_copies_and_the_original_keeps_its_own():
    renamed = long_enough.named("length")
    assert (renamed.name, long_enough.name, repr(renamed)) == ("length", "long_enough", "long_enough.named('length')")
    assert pickle.loads(pickle.dumps(renamed)).name == "length"
    assert pickle.loads(pickle.dumps(long_enough)) is long_enough


@pytest.mark.parametrize("name", ["", "a/b"])
def test_names_that_would_break_paths_are_refused(name):
    with pytest.raises(InvalidInput, match="without slashes"):
        long_enough.named(name)


def test_walking_a_composition_gives_the_paths_of_its_verdicts():
    built = (EXACT + NUMBER) * Threshold(long_enough, 0.5)
    flat = built("5", "5").flat()
    assert [path for path, _ in built.walk()] == list(flat)
    assert list(flat) == [
        "weighted_sum",
        "weighted_sum/exact_match",
        "weighted_sum/numeric_match",
        "threshold",
        "threshold/long_enough",
    ]


class Meeting(Verifier):
    """Scores 1 once as many as are expected wait at the same time; fails after ten seconds otherwise."""

    def __init__(self, name: str, expected: int, room: list[asyncio.Event]) -> None:
        self._name, self.expected, self.room = name, expected, room

    async def _averify(self, sample: Sample) -> Verdict:
        arrived = asyncio.Event()
        self.room.append(arrived)
        if len(self.room) == self.expected:
            for event in self.room:
                event.set()
        await asyncio.wait_for(arrived.wait(), timeout=10.0)
        return Verdict(1.0)


@pytest.mark.parametrize("join", [lambda a, b: a + b, lambda a, b: a * b, Minimum, Maximum, Ensemble])
def test_independent_components_are_awaited_side_by_side(join):
    room: list[asyncio.Event] = []
    verdict = asyncio.run(join(Meeting("a", 2, room), Meeting("b", 2, room)).averify(Sample("x")))
    assert verdict.decided, verdict.error


def test_the_samples_of_a_group_and_the_turns_of_an_episode_are_awaited_side_by_side():
    room: list[asyncio.Event] = []
    gate = Meeting("a", 3, room) >> long_enough
    verdicts = asyncio.run(gate.averify_group([Sample("x" * 10)] * 3))
    assert [verdict.score for verdict in verdicts] == [1.0] * 3
    room.clear()
    verdicts = asyncio.run(gate.averify_turns(Sample(turns=("x" * 10,) * 3)))
    assert [verdict.score for verdict in verdicts] == [1.0] * 3


@pytest.mark.parametrize("join", [lambda a, b: a >> b, Fallback, Cascade])
def test_lazy_compositions_await_nothing_that_they_do_not_need(fixed, join):
    first = fixed("first", 0.0)
    unneeded = Meeting("second", 99, [])
    assert asyncio.run(join(first, unneeded).averify(Sample("x"))).score == 0.0
    assert unneeded.room == []


def test_synchronous_judging_of_asynchronous_components_works_also_inside_a_running_loop():
    async def inside() -> Verdict:
        return (patient + patient).verify(Sample("x"))

    assert asyncio.run(inside()).score == 1.0
    assert (patient + patient).verify(Sample("x")).score == 1.0


def test_an_async_function_judges_a_group_side_by_side_from_synchronous_code():
    room: list[asyncio.Event] = []

    @verifier
    async def meet(response: str) -> float:
        return (await Meeting("m", 3, room)._averify(Sample(response))).score

    assert [verdict.score for verdict in meet.verify_group([Sample("x")] * 3)] == [1.0] * 3


def test_a_relative_verifier_sees_the_whole_group_through_a_composition(share):
    relative = share()
    built = 0.5 * long_enough + 0.5 * relative
    verdicts = built.verify_group([Sample("x" * 10), Sample("")])
    assert [verdict.score for verdict in verdicts] == [0.75, 0.25]
    assert relative.groups == [["x" * 10, ""]]


def test_one_failing_sample_leaves_the_verdicts_of_its_group_alone():
    scheduled = Schedule(long_enough, LinearRamp(1.0, 0.0, end=10))
    verdicts = scheduled.verify_group([Sample("x" * 10, state={"step": 5}), Sample("x" * 10)])
    assert verdicts[0].score == 0.5
    assert verdicts[1].status == "error"


class Miscounting(Verifier):
    def _verify_group(self, samples: Sequence[Sample]) -> list[Verdict]:
        return [Verdict(1.0)]


def test_a_component_that_returns_too_few_verdicts_is_an_error_and_not_a_shift():
    verdicts = (Miscounting() + long_enough).verify_group([Sample("a"), Sample("b")])
    assert {verdict.error for verdict in verdicts} == {"miscounting returned 1 verdicts for 2 samples"}


def test_the_mistake_of_a_caller_passes_through_a_composition():
    with pytest.raises(InvalidInput, match="reference=None"):
        (0.5 * long_enough + 0.5 * EXACT)("x")
    with pytest.raises(InvalidInput, match="reference=None"):
        asyncio.run((long_enough & EXACT).averify(Sample("x")))


@verifier
def broken(response: str) -> float:
    raise KeyError("row")


@verifier
def gives_up(response: str) -> float:
    raise VerifierError("the service is down")


def test_an_exception_inside_a_component_becomes_an_undecided_part():
    verdict = (long_enough + broken + gives_up)("x")
    assert verdict.error == "broken: KeyError: 'row'; gives_up: the service is down"


def test_compositions_are_safe_to_share_between_threads():
    built = TaggedFormat("answer") >> Within("answer", 0.5 * NUMBER + 0.5 * Noise(long_enough, std=1.0))
    samples = [Sample(f"<answer>{n}</answer>", 7) for n in range(50)]
    alone = [built.verify(sample) for sample in samples]
    barrier = threading.Barrier(8)

    def judge(_: int) -> list[Verdict]:
        barrier.wait()
        return [built.verify(sample) for sample in samples]

    with ThreadPoolExecutor(8) as pool:
        assert all(verdicts == alone for verdicts in pool.map(judge, range(8)))


# Random expressions over components with known verdicts, against a second, plain evaluator of the same expressions.

NAN = math.nan
SCORES = st.sampled_from([0.0, 0.25, 0.5, 1.0, NAN])


class Leaf(Verifier):
    def __init__(self, score: float) -> None:
        self.score = score

    def _verify(self, sample: Sample) -> Verdict:
        return Verdict.undecided("no", "abstain") if self.score != self.score else Verdict(self.score)


def leaf(score: float) -> tuple[Verifier, float]:
    return Leaf(score), score


def gated(a: float, b: float) -> float:
    return a if a != a else (b if a >= 1 else 0.0)


def propagating(function):
    return lambda *scores: NAN if any(score != score for score in scores) else function(*scores)


BINARY = {
    "+": (lambda a, b: a + b, propagating(lambda a, b: a + b)),
    "-": (lambda a, b: a - b, propagating(lambda a, b: a - b)),
    "*": (lambda a, b: a * b, propagating(lambda a, b: a * b)),
    "&": (lambda a, b: a & b, propagating(min)),
    "|": (lambda a, b: a | b, propagating(max)),
    ">>": (lambda a, b: a >> b, gated),
    "fallback": (Fallback, lambda a, b: b if a != a else a),
    "worst": (lambda a, b: Ensemble(a, b, how="worst"), propagating(min)),
    "mean": (Ensemble, propagating(lambda a, b: (a + b) / 2)),
}
BOUNDED = ["*", "&", "|", ">>", "fallback", "worst", "mean"]


def trees(operators):
    def combine(children):
        return st.tuples(st.sampled_from(operators), children, children).map(
            lambda node: (BINARY[node[0]][0](node[1][0], node[2][0]), BINARY[node[0]][1](node[1][1], node[2][1]))
        )

    return st.recursive(SCORES.map(leaf), combine, max_leaves=12)


@given(trees(list(BINARY)))
def test_any_expression_scores_as_a_plain_evaluation_of_it_does(tree):
    built, expected = tree
    verdict = built.verify(Sample("x"))
    assert verdict.decided == (expected == expected)
    if verdict.decided:
        assert verdict.score == pytest.approx(expected, abs=1e-12)


@given(trees(BOUNDED))
def test_bounded_combinators_keep_scores_in_zero_to_one(tree):
    verdict = tree[0].verify(Sample("x"))
    assert verdict.score != verdict.score or 0.0 <= verdict.score <= 1.0


@given(trees(["+", "-", "*", "&", "|", "mean"]))
def test_compositions_that_ask_everybody_hold_every_component_in_their_verdict(tree):
    built = tree[0]
    verdict = built.verify(Sample("x"))
    assert list(verdict.flat()) == [path for path, _ in built.walk()]
    assert sum(isinstance(part, Leaf) for _, part in built.walk()) >= len(built.components) > 0 or isinstance(
        built, Leaf
    )


@given(trees(list(BINARY)))
def test_a_verdict_says_in_words_why_it_is_what_it_is(tree):
    built = tree[0]
    verdict = replace(built.verify(Sample("x")))
    if built.components:
        assert verdict.evidence if verdict.decided else verdict.error
