"""Properties over generated expressions and garbage."""

from __future__ import annotations

import asyncio
import gc
import math
from concurrent.futures import ThreadPoolExecutor

from hypothesis import given, settings
from hypothesis import strategies as st

from turnwise.verifiers.math import MathVerifier
from turnwise.verifiers.math.answers import read_answer
from turnwise.verifiers.math.extraction import extract
from turnwise.verifiers.types import Sample

VERIFIER = MathVerifier()
QUICK = settings(max_examples=80, deadline=None)

numbers = st.one_of(
    st.integers(-999, 999).map(str),
    st.tuples(st.integers(1, 99), st.integers(1, 99)).map(lambda pair: rf"\frac{{{pair[0]}}}{{{pair[1]}}}"),
    st.tuples(st.integers(0, 99), st.integers(0, 999)).map(lambda pair: f"{pair[0]}.{pair[1]:03d}"),
)


def larger(inner):
    return st.one_of(
        st.tuples(inner, inner).map(lambda pair: f"({pair[0]})+({pair[1]})"),
        st.tuples(inner, inner).map(lambda pair: f"({pair[0]})({pair[1]})"),
        st.tuples(inner, inner).map(lambda pair: rf"\frac{{{pair[0]}}}{{({pair[1]})^2+1}}"),
        inner.map(lambda text: rf"\sqrt{{({text})^2+1}}"),
        inner.map(lambda text: rf"\sin\left({text}\right)"),
        inner.map(lambda text: f"({text})^2"),
    )


expressions = st.recursive(st.one_of(numbers, st.sampled_from(["x", "y", r"\pi", "e", "i"])), larger, max_leaves=5)
soup = st.lists(
    st.sampled_from(
        [r"\frac", r"\sqrt", "{", "}", "(", ")", "[", "]", r"\{", r"\}", "1", "23", "x", "+", "-", "*", "/",
         "^", "_", "=", "<",
         r"\le", ",", ";", r"\text{", "or", " and ", r"\pm", "|", "!", "%", "$", r"\\", "&",
         r"\begin{cases}", r"\end{cases}",
         r"\begin{pmatrix}", r"\end{pmatrix}", r"\boxed{", r"\sum_{k=1}^{3}", r"\int_0^1", "dx", r"\cup",
         r"\infty", ":", "cm",
         r"\pmod", r"\log_", r"\sin", "°", "½", "√", "the answer is ", "...", r"\overline{", "0.", "e", "i",
         "\x00", "\ud800"]
    ),
    max_size=25,
).map("".join)  # fmt: skip


@given(expressions)
@QUICK
def test_an_expression_equals_itself_in_other_dress(text):
    assert VERIFIER(rf"\boxed{{\displaystyle {text} }}", text).score == 1.0


@given(expressions)
@QUICK
def test_an_expression_differs_from_itself_plus_a_little(text):
    assert VERIFIER(rf"\left({text}\right)+\frac{{1}}{{1000003}}", text).score != 1.0


@given(expressions, expressions)
@QUICK
def test_bare_answers_compare_the_same_in_both_directions(left, right):
    first, second = VERIFIER(left, right).score, VERIFIER(right, left).score
    assert first == second or (math.isnan(first) and math.isnan(second))


@given(st.text(max_size=60), st.text(min_size=1, max_size=20))
@QUICK
def test_no_text_raises_or_scores_anything_but_zero_one_or_nothing(response, reference):
    verdict = VERIFIER(response, reference)
    assert verdict.score in (0.0, 1.0) or math.isnan(verdict.score)
    assert verdict.error is None or not verdict.error.startswith(UNEXPECTED)


# What an exception that nobody foresaw would look like in a verdict.
UNEXPECTED = ("AttributeError", "TypeError", "KeyError", "IndexError", "ValueError", "RecursionError", "AssertionError")


@given(soup, soup)
@settings(max_examples=250, deadline=None)
def test_no_token_soup_raises(response, reference):
    verdict = VERIFIER(response, reference or "1")
    assert verdict.error is None or not verdict.error.startswith(UNEXPECTED)


@given(soup)
@QUICK
def test_extraction_finds_only_what_is_there(text):
    found = extract(text)
    assert found.text == "" or found.method != "none"


@given(st.integers(-(10**30), 10**30), st.integers(1, 10**30))
@QUICK
def test_changing_the_last_digit_changes_the_verdict(value, other):
    assert VERIFIER(str(value), str(value)).score == 1.0
    assert VERIFIER(str(value + 1), str(value)).score == 0.0
    assert VERIFIER(rf"\frac{{{value}}}{{{other}}}", rf"\frac{{{value + 1}}}{{{other}}}").score == 0.0


PAIRS = [
    ("1/2", "0.5"),
    (r"\sqrt{8}", r"2\sqrt2"),
    (r"\sin 2x", r"2\sin x\cos x"),
    (r"\sin 2x", r"2\sin x"),
    ("x<1 or x>3", r"(-\infty,1)\cup(3,\infty)"),
    (r"7^{10^9}", "7"),
    ("[" * 5000, "5"),
    (r"\ln 2", r"\log_2 e"),
    (r"\{1,2\}", "2,1"),
    (r"e^{i\pi/3}", r"\frac12+\frac{\sqrt3}{2}i"),
]


def outcome(pair):
    verdict = VERIFIER(*pair)
    return (None if math.isnan(verdict.score) else verdict.score, verdict.evidence, verdict.error)


def test_threads_give_the_verdicts_that_one_thread_gives():
    alone = [outcome(pair) for pair in PAIRS]
    with ThreadPoolExecutor(8) as pool:
        together = list(pool.map(outcome, PAIRS * 12))
    assert together == alone * 12


def test_coroutines_give_the_verdicts_that_one_thread_gives():
    alone = [outcome(pair) for pair in PAIRS]

    async def judge_all():
        return await asyncio.gather(*(VERIFIER.averify(Sample(*pair)) for pair in PAIRS * 5))

    verdicts = asyncio.run(judge_all())
    assert [(None if not v.decided else v.score, v.evidence, v.error) for v in verdicts] == alone * 5


def test_a_deep_call_stack_does_not_change_a_verdict():
    nested = r"\frac{1}{" * 15 + "2" + "}" * 15

    def deeper(levels):
        return deeper(levels - 1) if levels else VERIFIER(nested, "1/2").score

    read_answer.__globals__["_read"].cache_clear()
    assert deeper(0) == 1.0
    for depth in (100, 400, 700, 780):
        read_answer.__globals__["_read"].cache_clear()
        assert deeper(depth) == 1.0


def test_many_verdicts_do_not_make_memory_grow():
    def run(start):
        for index in range(start, start + 1_500):
            VERIFIER(f"x^2+{index}", f"{index}+x^2")

    run(0)
    gc.collect()
    before = len(gc.get_objects())
    run(10_000)
    gc.collect()
    assert len(gc.get_objects()) - before < 2_000
