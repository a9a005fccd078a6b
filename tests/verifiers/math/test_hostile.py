"""Hostile input: bounded work, no execution, no acceptance."""

from __future__ import annotations

import pytest

from turnwise.verifiers.math import Budget, MathVerifier
from turnwise.verifiers.math.extraction import box_spans

MEGABYTE = 1_000_000
VERIFIER = MathVerifier()
HUGE = {
    **{f"a megabyte of {char!a}": char * MEGABYTE for char in "()[]{}9\\$.a^|!-, \n½²√\u200b\x00\ud800中"},
    "balanced parentheses": "(" * (MEGABYTE // 2) + ")" * (MEGABYTE // 2),
    "boxes that never close": r"\boxed{" * 140_000,
    "nested boxes": r"\boxed{" * 70_000 + "5" + "}" * 70_000,
    "answer tags that never close": "<answer>" * 120_000,
    "closing tags before opening ones": "</answer>" + "<answer>" * 120_000,
    "phrases": "the answer is " * 70_000,
    "hash marks": "####" * 250_000,
    "nested fractions": r"\frac{1}{" * 5_000 + "2" + "}" * 5_000,
    "a list": "1," * 500_000,
    "words": "is " * 300_000,
    "spaces inside": "5" + " " * MEGABYTE + "a",
}


@pytest.mark.parametrize("name", HUGE)
def test_a_megabyte_of_anything_is_refused_cheaply_and_never_accepted(name):
    for response in (HUGE[name], f"The answer is {HUGE[name]}", rf"\boxed{{{HUGE[name]}}}"):
        verdict = VERIFIER(response, "7")
        assert verdict.score != 1.0
        assert verdict.metrics.get("steps", 0) <= Budget().steps + 100


@pytest.mark.parametrize(
    "text",
    [
        "7^{10^9}", "10^{10^{10}}", "9^{9^{9^9}}", "(10^9)!", "100000!", r"(1000\pi)!", r"\binom{10^6}{10^5}",
        "e^{e^{e^{e^e}}}", r"\sin(10^{10^6})", "9" * 4_301, "(x+1)^{10^6}", "x^" * 900 + "x",
        "2^" * 30 + "2", "-" * 4_900 + "5",
        r"\pm 1" * 500,
        "*".join(f"(x+{k})" for k in range(300)), r"\cup".join(f"({k},{k + 1})" for k in range(200)), "x*" * 900 + "x",
        ",".join(rf"\sqrt{{{k}}}" for k in range(200)), r"\sum_{k=1}^{1000} \sum_{j=1}^{1000} jk", "5" + "!" * 2_000,
        "|" * 2_000,
        "1e1000000", "1e-1000000", r"\frac\sqrt\left(\right" * 400, "5 or " * 1_900,
    ],
)  # fmt: skip
def test_expensive_mathematics_costs_bounded_steps_and_is_never_accepted(text):
    verdict = VERIFIER(text, "7")
    assert verdict.score != 1.0
    assert verdict.metrics.get("steps", 0) <= Budget().steps + 100
    assert verdict.error is None or not verdict.error.startswith(("RecursionError", "MemoryError", "ValueError"))


@pytest.mark.parametrize(
    "template",
    [
        "__import__('pathlib').Path({path!r}).touch()",
        "open({path!r}, 'w')",
        "eval(\"open({path!r}, 'w')\")",
        "\\boxed{{__import__('os').system('touch {path}')}}",
        "\\immediate\\write18{{touch {path}}}",
        "The answer is exec(\"open({path!r}, 'w')\")",
    ],
)
def test_nothing_in_a_response_or_reference_is_executed(template, tmp_path):
    path = tmp_path / "executed"
    text = template.format(path=str(path))
    assert VERIFIER(text, "5").score != 1.0
    VERIFIER("5", text)
    assert not path.exists()


def test_a_huge_correct_preamble_does_not_hide_the_answer():
    assert VERIFIER("thinking " * 100_000 + r"so \boxed{7}", "7").score == 1.0
    assert VERIFIER("thinking " * 100_000 + "The answer is 7.", "7").score == 1.0


def test_boxes_are_found_in_one_pass_also_when_nested():
    spans = box_spans(r"\boxed{1} \boxed{\boxed{2}} \boxed{{3}")
    assert len(spans) == 3
