"""Dates: how they may be written, how precise they are, and when they are ambiguous."""

from __future__ import annotations

import datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from turnwise.verifiers import DateMatch, InvalidInput
from turnwise.verifiers.date_match import PartialDate

FIFTH = datetime.date(2024, 3, 5)


@pytest.mark.parametrize(
    "response",
    [
        "2024-03-05", "2024-3-5", "2024/03/05", "2024.3.5", "5 March 2024", "5th March 2024", "the 5th of March 2024",
        "5-Mar-2024", "March 5, 2024", "March 5th 2024", "MAR. 5, 2024", "on March 5, 2024.", "Tuesday, 5 March 2024",
        "Tue 5 March, 2024", " 5  March\n2024 ", "2024年3月5日", "2024 年 3 月 5 号",
    ],
)  # fmt: skip
def test_a_day_may_be_written_in_many_ways(response):
    assert DateMatch()(response, FIFTH).score == 1.0
    assert DateMatch()(response, "2024-03-06").score == 0.0


@pytest.mark.parametrize(
    "response",
    [
        "", "yesterday", "2024-02-30", "2023-02-29", "2024-13-01", "2024-03/05", "5 March", "March 5", "5 March 24",
        "0000", "32 March 2024", "March 2024 or April 2024", "2024-03-05T10", "it was 2024-03-05", "13/13/2024",
        "5/3/24", "20240305", "\u0968\u0966\u0968\u096a",
    ],
)  # fmt: skip
def test_what_is_not_a_date_of_the_calendar_is_not_read(response):
    assert DateMatch(numeric_order="day_first").read(response) is None
    assert DateMatch(numeric_order="day_first")(response, FIFTH).evidence.endswith("is not a date")


@pytest.mark.parametrize(
    ("response", "reference", "score"),
    [
        ("2024-03-05", "2024-03", 1.0),
        ("2024-03-05", "2024", 1.0),
        ("March 2024", "2024-03", 1.0),
        ("March 2024", "2024-03-05", 0.0),
        ("2024", "March 2024", 0.0),
        ("April 2024", "2024-03", 0.0),
        ("2023", "2024", 0.0),
        ("29 February 2024", "2024-02-29", 1.0),
    ],
)
def test_dates_agree_as_far_as_the_reference_goes(response, reference, score):
    assert DateMatch()(response, reference).score == score


def test_a_date_of_numbers_that_may_be_two_days_is_abstained_from():
    verdict = DateMatch()("5/3/2024", FIFTH)
    assert verdict.status == "abstain"
    assert verdict.error == "'5/3/2024' may be 2024-03-05 or 2024-05-03"


@pytest.mark.parametrize(
    ("order", "response", "date"),
    [
        (None, "25/3/2024", (2024, 3, 25)),
        (None, "3/25/2024", (2024, 3, 25)),
        (None, "5.5.2024", (2024, 5, 5)),
        ("day_first", "5/3/2024", (2024, 3, 5)),
        ("month_first", "5-3-2024", (2024, 5, 3)),
    ],
)
def test_the_order_of_numbers_is_known_or_told(order, response, date):
    assert DateMatch(numeric_order=order).read(response) == date


def test_a_told_order_is_not_bent_to_make_a_date():
    assert DateMatch(numeric_order="day_first").read("3/25/2024") is None
    assert DateMatch(numeric_order="month_first").read("25/3/2024") is None


def test_any_of_several_references_is_accepted():
    accepted = ["2024-03-04", FIFTH, datetime.datetime(2025, 1, 1, 12)]
    assert DateMatch()("5 March 2024", accepted).evidence == "2024-03-05 agrees with 2024-03-05"
    assert DateMatch()("6 March 2024", accepted).evidence == "2024-03-06 does not agree with any of 3 references"


@pytest.mark.parametrize("reference", [None, "soon", "5/3/2024", 2024, [], ["2024", "x"]])
def test_a_reference_that_is_no_one_date_is_the_callers_mistake(reference):
    with pytest.raises(InvalidInput, match="reference="):
        DateMatch()("2024", reference)


def test_an_unknown_order_is_refused():
    with pytest.raises(InvalidInput, match="year_first"):
        DateMatch(numeric_order="year_first")


@given(st.dates(min_value=datetime.date(1000, 1, 1)))
def test_every_day_of_the_calendar_is_read_back(date):
    day = PartialDate(date.year, date.month, date.day)
    month = date.strftime("%B")
    written = [date.isoformat(), f"{date.day} {month} {date.year}", f"{month[:3]} {date.day}, {date.year}"]
    assert [DateMatch().read(text) for text in written] == [day] * 3


def test_hostile_text_comes_to_a_verdict(hostile):
    verdict = DateMatch()(hostile, FIFTH)
    assert verdict.score == 0.0
    verdict.evidence.encode("utf-8")
