"""The parts one by one: extraction, policy, evidence, exact paths, numerics, real sets, the worker."""

from __future__ import annotations

import math
import os
import threading
from fractions import Fraction

import mpmath
import pytest

from turnwise.verifiers.errors import InvalidInput
from turnwise.verifiers.math import Budget, MathPolicy, MathVerifier, extract
from turnwise.verifiers.math import scalars as scalars_module
from turnwise.verifiers.math.answers import read_answer
from turnwise.verifiers.math.atoms import parse
from turnwise.verifiers.math.characters import to_latex
from turnwise.verifiers.math.exact import PRIMES, Inexact, Residues, magnitude, rational, same_residues
from turnwise.verifiers.math.numeric import Evaluator, context
from turnwise.verifiers.math.policy import OverBudget, Work
from turnwise.verifiers.math.realsets import real_set, same_set
from turnwise.verifiers.math.scalars import equal_scalars
from turnwise.verifiers.math.tokens import tokenize
from turnwise.verifiers.math.tree import num
from turnwise.verifiers.math.worker import Worker
from turnwise.verifiers.types import Sample

POLICY = MathPolicy()


def tree(text):
    return parse(to_latex(text), POLICY.budget)


def work():
    return Work(POLICY.budget)


@pytest.mark.parametrize(
    ("response", "text", "method"),
    [
        (r"so \boxed{\frac{1}{2}}.", r"\frac{1}{2}", "boxed"),
        (r"\boxed{1} but then \boxed{{2}}", "{2}", "boxed"),
        (r"\boxed{1} or \boxed{2}", "1 or 2", "boxed"),
        (r"x=\boxed{1}, y=\boxed{2}", "x=1, y=2", "boxed"),
        (r"\boxed{unclosed", "unclosed", "boxed"),
        (r"\boxed{5} cm", r"5 \text{ cm}", "boxed"),
        ("The answer is 5.", "5", "phrase"),
        ("the final answer is: $x^2$. Good.", "$x^2$", "phrase"),
        ("答案是：5。", "5", "phrase"),
        ("work\n#### 42", "42", "hash marks"),
        ("<answer> 7 </answer>", "7", "answer tag"),
        (r"<answer>\boxed{7}</answer>", "7", "answer tag, boxed"),
        (r"<think>\boxed{1}</think>The answer is 2", "2", "phrase"),
        ("  12  ", "12", "whole text"),
        ("", "", "none"),
        ("   ", "", "none"),
    ],
)
def test_extraction_reports_what_it_found_and_how(response, text, method):
    found = extract(response)
    assert (found.text, found.method) == (text, method)


def test_the_verdict_carries_the_extraction_as_a_part():
    verdict = MathVerifier()(r"so \boxed{3}", "3")
    assert verdict.parts["extraction"].evidence == "boxed: 3"
    assert verdict.parts["extraction"].score == 1.0
    assert MathVerifier()("", "3").parts["extraction"].score == 0.0


def test_evidence_shows_both_sides_and_the_method():
    assert MathVerifier()("1/2", "0.5").evidence == "1/2 == 0.5 (exact rational)"
    assert MathVerifier()("1/2", "0.6").evidence == "1/2 != 0.6 (exact rational)"


def test_strict_extraction_does_not_search_prose():
    prose = "Adding everything up we see that the total is 12"
    assert MathVerifier()(prose, "12").score == 1.0
    assert MathVerifier(MathPolicy(extraction="strict"))(prose, "12").score == 0.0


@pytest.mark.parametrize(
    ("policy", "response", "reference", "default", "changed"),
    [
        ({"units": "required"}, "5", "5 cm", 1.0, 0.0),
        ({"percent": "exact"}, "50%", "50", 1.0, 0.0),
        ({"angles": "distinct"}, r"30^\circ", r"\pi/6", 1.0, 0.0),
        ({"lists": "ordered"}, "1, 2", "2, 1", 1.0, 0.0),
        ({"vectors": "exact"}, r"\begin{pmatrix}1\\2\end{pmatrix}", "(1,2)", 1.0, 0.0),
        ({"decimals": "reference"}, "1/3", "0.33", 0.0, 1.0),
        ({"log_base": "e"}, r"\log 100", "2", 1.0, 0.0),
        ({"log_base": "10"}, r"\log x", r"\ln x", 1.0, 0.0),
        ({"number_words": False}, "five", "5", 1.0, 0.0),
        ({"integration_constant": "optional"}, "x^2", "x^2+C", 0.0, 1.0),
        ({"ratios": "distinct"}, "3:4", "3/4", 1.0, 0.0),
    ],
)
def test_each_convention_can_be_changed(policy, response, reference, default, changed):
    assert MathVerifier()(response, reference).score == default
    assert MathVerifier(MathPolicy(**policy))(response, reference).score == changed


def test_a_decimal_reference_accepts_only_what_rounds_to_it():
    verifier = MathVerifier(MathPolicy(decimals="reference"))
    assert verifier("1/3", "0.33").score == 1.0
    assert verifier(r"\sqrt{2}", "1.414").score == 1.0
    assert verifier("1/3", "0.34").score == 0.0
    assert verifier("0.33", "1/3").score == 0.0


def test_an_unknown_policy_value_is_refused():
    with pytest.raises(InvalidInput, match="units='maybe'"):
        MathPolicy(units="maybe")


def test_a_reference_that_is_no_text_is_the_callers_mistake():
    with pytest.raises(InvalidInput, match="reference answer as text"):
        MathVerifier()("5", ["5"])
    assert MathVerifier()("5", 5).score == 1.0


def test_an_empty_reference_leaves_the_verdict_open():
    verdict = MathVerifier()("5", " ")
    assert math.isnan(verdict.score)
    assert verdict.status == "error"


def test_chat_messages_are_judged_by_the_last_assistant_message():
    messages = [{"role": "user", "content": "2+2?"}, {"role": "assistant", "content": r"\boxed{4}"}]
    assert MathVerifier().verify(Sample(messages, "4")).score == 1.0


@pytest.mark.parametrize(
    ("text", "value"),
    [
        (r"0.\overline{3}", Fraction(1, 3)),
        ("0.1(6)", Fraction(1, 6)),
        ("1.2e-3", Fraction(3, 2500)),
        ("1,234.5", Fraction(2469, 2)),
        (r"12\,345", Fraction(12345)),
        ("0.142857142857...", Fraction(1, 7)),
        ("1011_2", Fraction(11)),
        ("2 3/4", Fraction(11, 4)),
        (r"\binom{5}{2}", Fraction(10)),
        ("3^{-2}", Fraction(1, 9)),
        ("8^{2/3}", Fraction(4)),
        (r"\sqrt[3]{-27}", Fraction(-3)),
        ("5!!", Fraction(15)),
        (r"\gcd(12,18)", Fraction(6)),
    ],
)
def test_rational_values_are_exact(text, value):
    assert rational(tree(text), work()) == value


def test_an_abbreviated_decimal_has_no_value():
    assert read_answer("3.14159...", POLICY).node.op == "text"


def test_residues_agree_with_exact_values_and_know_the_imaginary_unit():
    for prime in PRIMES:
        assert pow(2, prime - 1, prime) == 1
        residues = Residues(prime, work())
        assert residues.value(tree("i^2")) == prime - 1
        assert residues.value(tree("7^{10^9}")) == pow(7, 10**9, prime)
        assert residues.value(tree("1/3")) * 3 % prime == 1


def test_residues_refuse_what_is_no_rational_function():
    with pytest.raises(Inexact):
        same_residues(tree(r"\sqrt{2}"), tree("1"), work())


def test_towers_of_powers_have_comparable_magnitudes():
    level, top = magnitude(tree("10^{10^{10}}"))
    assert (level, top) == (2, 10.0)
    assert magnitude(tree("9^{9^{9^9}}")) > magnitude(tree("9^{9^9}"))


@pytest.mark.parametrize(
    ("text", "digits"),
    [
        (r"\sqrt{2}", "1.4142135623730950488016887242096980785696718753769"),
        (r"\sin 1", "0.84147098480789650665250232163029899962256306079837"),
        (r"\sum_{k=1}^{5} \frac{1}{k}", "2.2833333333333333333333333333333333333333333333333"),
        (r"\log_2 10", "3.3219280948873623478703194294893901758648313930246"),
        (r"30^\circ", "0.52359877559829887307710723054658381403286156656252"),
    ],
)
def test_numerical_values_match_published_digits(text, digits):
    node = read_answer(text, POLICY).node
    node = node.args[0] if node.op == "qty" else node
    found = Evaluator(context(60), work(), {}, "10").value(node)
    expected = context(60).mpf(digits) if "circ" not in text else context(60).mpf(30)
    assert abs(found - expected) < context(60).mpf(10) ** -48


def test_the_global_mpmath_precision_is_left_alone():
    before = mpmath.mp.dps
    assert MathVerifier()(r"\sqrt{2}+\sqrt{3}", r"\sqrt{5+2\sqrt6}").score == 1.0
    assert mpmath.mp.dps == before


def test_real_sets_from_different_notations_are_the_same():
    wanted = real_set(tree(r"(-\infty,-1]\cup[3,\infty)"), POLICY, work())
    for text in (r"|x-1|\ge 2", r"x\le -1 \text{ or } x\ge 3", r"\mathbb{R}\setminus(-1,3)", r"x^2-2x-3\ge 0"):
        assert same_set(real_set(tree(text), POLICY, work()), wanted), text
    assert not same_set(real_set(tree(r"|x-1|>2"), POLICY, work()), wanted)


@pytest.mark.parametrize(
    ("left", "right", "how"),
    [
        ("1/2", "0.5", "exact rational"),
        ("(x+1)^2", "x^2+2x+1", "rational functions modulo primes"),
        (r"\sqrt{8}", r"2\sqrt2", "numerically, 160 digits"),
        (r"\sin^2 x+\cos^2 x", "1", "numerically at fixed points"),
        (r"\int_0^1 x dx", "1/2", "quadrature or extrapolation"),
    ],
)
def test_the_cheapest_method_that_can_decide_does(left, right, how):
    outcome = equal_scalars(tree(left), tree(right), POLICY, work())
    assert outcome.equal
    assert outcome.how == how


def test_rationals_never_reach_the_numerical_path(monkeypatch):
    """Breaks if a fast path is disabled."""

    def refuse(*_):
        raise AssertionError("a cheaper method should have decided")

    monkeypatch.setattr(scalars_module, "_numbers", refuse)
    monkeypatch.setattr(scalars_module, "_functions", refuse)
    for left, right in (("1/3+1/6", "0.5"), ("(x+y)^9", "(y+x)^9"), ("(2+i)(2-i)", "5"), ("x/y", "y/x")):
        equal_scalars(tree(left), tree(right), POLICY, work())


def test_numerical_equality_needs_more_digits_than_a_near_miss_has():
    almost, whole = tree(r"e^{\pi\sqrt{163}}"), tree("262537412640768744")
    assert not equal_scalars(almost, whole, POLICY, work()).equal


@pytest.mark.parametrize(
    ("text", "budget"),
    [
        ("1" * 101, Budget(digits=100)),
        ("x+" * 60 + "x", Budget(tokens=100)),
        ("[" * 50 + "1" + "]" * 50, Budget()),
        ("1," * 60 + "1", Budget(items=50)),
        ("x" * 101, Budget(characters=100)),
    ],
)
def test_each_limit_on_size_is_counted_and_refused(text, budget):
    with pytest.raises(OverBudget):
        parse(text, budget)


def test_redundant_parentheses_do_not_count_as_depth():
    assert parse("(" * 500 + "5" + ")" * 500, POLICY.budget) == num(5)


def test_steps_are_counted_and_end_in_an_abstention():
    verifier = MathVerifier(MathPolicy(budget=Budget(steps=20)))
    verdict = verifier(r"\sin(x)^2+\cos(x)^2+x-x+x-x", r"\cos(y)")
    assert verdict.status == "abstain"
    assert "20 evaluation steps" in verdict.error
    assert verdict.metrics["steps"] > 20


def test_the_same_verdict_costs_the_same_steps_every_time():
    costs = {MathVerifier()(r"\sin 2x", r"2\sin x\cos x").metrics["steps"] for _ in range(3)}
    assert len(costs) == 1


def test_tokens_mark_upright_text_and_spaces():
    tokens = tokenize(r"5\text{ cm} x", POLICY.budget)
    assert [(token.text, token.upright, token.space) for token in tokens] == [
        ("5", False, False),
        ("cm", True, True),
        ("x", False, True),
    ]


def test_the_worker_answers_what_has_no_direct_value_and_survives_being_killed():
    worker = Worker()
    series = {"seconds": 5.0, "left": ["num", "1", []], "right": ["num", "1", []]}
    try:
        assert worker.ask(series, 30) is True
        process = worker._process
        process.kill()
        process.wait()
        assert worker.ask(series, 30) is True
        assert worker._process.pid != process.pid
    finally:
        worker.close()


def test_a_question_over_its_processor_time_is_a_timeout_and_the_worker_lives_on():
    worker = Worker()
    one = ["num", "1", []]
    slow = ["big", ["sum", "k"], [["pow", None, [["sym", "k", []], ["sym", "k", []]]], one, ["num", str(10**9), []]]]
    try:
        with pytest.raises(TimeoutError):
            worker.ask({"seconds": 0.2, "left": slow, "right": one}, 5)
        assert worker.ask({"seconds": 5.0, "left": one, "right": one}, 30) is True
    finally:
        worker.close()


def test_a_verdict_that_runs_out_of_time_is_no_zero():
    verdict = MathVerifier()(r"\sum_{k=1}^{10^9} k^k", "5")
    assert math.isnan(verdict.score)
    assert verdict.status in ("timeout", "abstain")


@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork")
def test_no_worker_runs_before_one_is_needed():
    before = {thread.name for thread in threading.enumerate() if thread.name == "math-worker-reader"}
    MathVerifier()("1/2", "0.5")
    after = {thread.name for thread in threading.enumerate() if thread.name == "math-worker-reader"}
    assert after == before
