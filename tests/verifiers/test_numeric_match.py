"""Numbers: how they may be written, when they are equal, and which of several counts."""

from __future__ import annotations

import math
from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from turnwise.verifiers import InvalidInput, NumericMatch
from turnwise.verifiers.numbers import picked_number, whole_number

WRITTEN = [
    ("42", Fraction(42)),
    ("+7", Fraction(7)),
    ("-7", Fraction(-7)),
    ("\u22127", Fraction(-7)),
    ("\uff0d7", Fraction(-7)),
    ("007", Fraction(7)),
    ("3.50", Fraction(7, 2)),
    (".5", Fraction(1, 2)),
    ("5.", Fraction(5)),
    ("1,234,567.5", Fraction(2469135, 2)),
    ("1\u202f234\u202f567", Fraction(1234567)),
    ("1e3", Fraction(1000)),
    ("1.5E-3", Fraction(3, 2000)),
    ("2.5 x 10^4", Fraction(25000)),
    ("2.5\u00d710\u207b\u00b2", Fraction(1, 40)),
    (r"3 \times 10^{8}", Fraction(3 * 10**8)),
    ("6.02*10**23", Fraction(602 * 10**21)),
    ("3/4", Fraction(3, 4)),
    ("-3 / 4", Fraction(-3, 4)),
    ("3\u20444", Fraction(3, 4)),
    ("50%", Fraction(1, 2)),
    ("12.5 %", Fraction(1, 8)),
    ("\uff11\uff12", Fraction(12)),
    ("\u0661\u0662", Fraction(12)),
    (" 42\n", Fraction(42)),
    ("1" + "0" * 999, Fraction(10**999)),
]


@pytest.mark.parametrize(("text", "value"), WRITTEN)
def test_numbers_are_read_exactly(text, value):
    number = whole_number(text)
    assert number is not None
    assert number.value == value
    number, count = picked_number(f"it is {text.strip()}, then", "last")
    assert (number.value, count) == (value, 1)


NOT_ONE_NUMBER = """
- . nan inf \u221e --5 1e 0x10 five 1_000 3! \u00bd __import__('os') 5km x2 $5 (5) 1,23 12,345,6789 1.2.3 1/2/3 10^2
10\u00b2 2\u03c0 \u221a2
"""


@pytest.mark.parametrize("text", ["", "5 km", "5 or 6", "1 234", *NOT_ONE_NUMBER.split()])
def test_what_is_not_one_number_is_not_read_as_one(text):
    assert whole_number(text) is None


@pytest.mark.parametrize("text", ["1/0", "0/0", "1e1001", "1e-1001", "1e99999999999999", "1" * 1001, f"1/{'3' * 1001}"])
def test_numbers_without_a_value_within_the_budget_are_recognised_but_have_none(text):
    number = whole_number(text)
    assert number is not None
    assert number.value is None


@pytest.mark.parametrize(
    ("text", "first", "last", "count"),
    [
        ("5-3", 5, 3, 2),
        ("from 1 to 10.", 1, 10, 2),
        ("(1,2)", 1, 2, 2),
        ("(2)-3", 2, 3, 2),
        ("(-2)", -2, -2, 1),
        ("x1 = 7", 7, 7, 1),
        ("答案是5个", 5, 5, 1),
        ("2020-01-02", 2020, 2, 3),
        ("5km and 6 km", 6, 6, 1),
        ("a = -3, b = +4", -3, 4, 2),
        ("10^2 is not 7", 7, 7, 1),
    ],
)
def test_numbers_in_running_text(text, first, last, count):
    assert picked_number(text, "first")[0].value == first
    number, found = picked_number(text, "last")
    assert (number.value, found) == (last, count)


def test_running_text_may_hold_no_number():
    assert picked_number("10^2 has no digits of its own", "last") == (None, 0)


def test_a_decimal_comma_swaps_the_roles_of_comma_and_point():
    assert whole_number("1.234,5", decimal_comma=True).value == Fraction(2469, 2)
    assert whole_number("1,234.5", decimal_comma=True) is None
    assert whole_number("0,5", decimal_comma=True).value == Fraction(1, 2)


@pytest.mark.parametrize(
    ("options", "response", "reference", "score"),
    [
        ({}, "0.50", 0.5, 1.0),
        ({}, "1/2", "0.5", 1.0),
        ({}, "5e-1", "50%", 1.0),
        ({}, "0.333", "1/3", 0.0),
        ({}, "1000001", 1000000, 0.0),
        ({}, "9" * 100, 10**100, 0.0),
        ({}, "1" + "0" * 100, 10**100, 1.0),
        ({}, "5", -5, 0.0),
        ({}, "50", "50%", 0.0),
        ({"percent": "number"}, "50", "50%", 1.0),
        ({"percent": "number"}, "0.5", "50%", 0.0),
        ({"absolute": 0.01}, "3.15", 3.14, 1.0),
        ({"absolute": 0.01}, "3.151", 3.14, 0.0),
        ({"relative": 0.01}, "101", 100, 1.0),
        ({"relative": 0.01}, "101.1", 100, 0.0),
        ({"relative": 0.01}, "-99", -100, 1.0),
        ({"relative": 0.5}, "0.0000001", 0, 0.0),
        ({"relative": 1e-3}, "1.0005e-30", 1e-30, 1.0),
        ({"relative": 1e-3}, "2e-30", 1e-30, 0.0),
        ({"absolute": 1.0, "relative": 0.5}, "149", 100, 1.0),
        ({"take": "last"}, "12 - 5 = 7", 7, 1.0),
        ({"take": "last"}, "12 - 5 = 7", 12, 0.0),
        ({"take": "first"}, "12 - 5 = 7", 12, 1.0),
        ({"take": "last"}, "none", 7, 0.0),
        ({"decimal_comma": True}, "3,14", "3,14", 1.0),
        ({}, "1/0", 0, 0.0),
        ({}, "nan", 0, 0.0),
    ],
)
def test_equality_within_the_chosen_tolerance(options, response, reference, score):
    assert NumericMatch(**options)(response, reference).score == score


@pytest.mark.parametrize(
    "reference",
    [3, 3.0, "3", "6/2", Fraction(3), np.int64(3), np.float32(3), "3.0", [7, "3"], (7, 3), {7, 3}],
)
def test_references_may_be_numbers_of_any_kind_or_several(reference):
    assert NumericMatch()("3", reference).score == 1.0
    assert NumericMatch()("4", reference).score == 0.0


def test_a_float_means_the_decimal_that_it_is_written_as():
    assert NumericMatch()("0.1", 0.1).score == 1.0
    assert NumericMatch()("1/10", 0.1).score == 1.0


@pytest.mark.parametrize("reference", [None, math.nan, math.inf, True, "five", "1/0", "5 km", [], [3, "x"], {"a": 1}])
def test_a_reference_that_is_no_finite_number_is_the_callers_mistake(reference):
    with pytest.raises(InvalidInput, match="reference="):
        NumericMatch()("3", reference)


@pytest.mark.parametrize(
    "options", [{"absolute": -1}, {"relative": math.nan}, {"absolute": math.inf}, {"take": "best"}, {"percent": "x"}]
)
def test_unusable_options_are_refused(options):
    with pytest.raises(InvalidInput):
        NumericMatch(**options)


def test_the_evidence_says_which_number_was_taken_and_how_close_it_is():
    assert NumericMatch(take="last")("12 - 5 = 7", 7).evidence == "the last of 3 numbers, '7' equals '7'"
    assert NumericMatch(absolute=1)("7", "7.5").evidence == "'7' equals '7.5' within tolerance"
    assert NumericMatch()("7", [1, 2]).evidence == "'7' does not equal any of 2 references"
    assert NumericMatch()("7 km", 7).evidence == "'7 km' is not one number"
    assert NumericMatch(take="first")("-", 7).evidence == "'-' holds no number"


@given(st.integers(-(10**30), 10**30))
def test_grouping_digits_does_not_change_a_number(value):
    assert whole_number(f"{value:,}").value == value


@given(st.floats(allow_nan=False, allow_infinity=False))
def test_every_float_equals_itself_as_python_writes_it(value):
    assert NumericMatch()(repr(value), value).score == 1.0
    assert NumericMatch(take="last")(f"so {value!r} it is", value).score == 1.0


@given(st.fractions(max_denominator=10**6), st.fractions(max_denominator=10**6))
def test_without_tolerance_two_fractions_match_exactly_when_they_are_equal(a, b):
    assert NumericMatch()(f"{a.numerator}/{a.denominator}", b).score == float(a == b)


@given(st.text())
def test_any_text_comes_to_a_decided_verdict(text):
    for take in ("whole", "first", "last"):
        assert NumericMatch(take=take)(text, 1).decided


@pytest.mark.parametrize("take", ["whole", "first", "last"])
def test_hostile_text_comes_to_a_verdict(hostile, take):
    verdict = NumericMatch(take=take)(hostile, 123456)
    assert verdict.score == 0.0
    verdict.evidence.encode("utf-8")
