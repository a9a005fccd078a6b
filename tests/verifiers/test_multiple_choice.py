"""Multiple choice: which letter a response chooses, however it is dressed."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from turnwise.verifiers import InvalidInput, MultipleChoice

CITIES = ["Paris", "Rome", "a red square", "London."]
WHOLE, STATED = MultipleChoice("ABCD"), MultipleChoice("ABCD", "stated")


@pytest.mark.parametrize(
    "response",
    [
        "B", "b", " B\n", "(B)", "(b)", "[B]", "{B}", "B.", "B)", "B:", "**B**", "**B.**", "$B$", "'B'",
        r"\boxed{B}", r"$\boxed{\text{B}}$", r"\boxed{(B)}", "Answer: B", "The answer is B.", "answer = b", "Option B",
        "My final answer is: (B)", "the correct choice is **B**", "B. Rome", "(B) rome", "B: Rome.", "Rome", " rome. ",
    ],
)  # fmt: skip
def test_a_choice_may_be_dressed_in_many_ways(response):
    for judge in (WHOLE, STATED):
        assert judge(response, "B", state={"choices": CITIES}).score == 1.0
        assert judge(response, "A", state={"choices": CITIES}).score == 0.0


@pytest.mark.parametrize(
    "response",
    [
        "", "E", "BB", "B2", "b c", "A or B", "A, B", "B and C", "B) Paris", "Romeo", "I choose B", "not B",
        "the answer is a triangle", "A triangle", "the answer is not B", r"\boxed{A or B}", "the answer is", "\u212a",
        "B because", "1",
    ],
)  # fmt: skip
def test_what_is_not_one_choice_chooses_nothing(response):
    assert WHOLE.chosen_in(response, CITIES) is None


@pytest.mark.parametrize(
    ("response", "chosen"),
    [
        ("I think the answer is B because it is old.", "B"),
        ("The answer is A. No wait, the answer is C.", "C"),
        ("It cannot be A.\nAnswer: C\nThat is my view.", "C"),
        ("Let us see.\n\n(d)", "D"),
        ("Let us see.\n\nRome", "B"),
        ("The answer is B, not A", "B"),
        ("So the answer is (a), as said.", "A"),
        (r"Hence \boxed{C}. Done.", "C"),
        ("The answer is a triangle", None),
        ("The answer is A triangle", None),
        ("The answer is A or B", None),
        ("Answer: A, C", None),
        ("The answer is A. Or rather, the answer is B or C.", None),
        ("the answer is b, I guess, or so", None),
        ("the answer is not B", None),
        ("A is wrong and B is right", None),
        (r"\boxed{A or B}", None),
    ],
)
def test_the_last_statement_of_a_longer_response_counts(response, chosen):
    assert STATED.chosen_in(response, CITIES) == chosen


def test_the_text_of_an_option_counts_only_where_it_names_one():
    assert WHOLE.chosen_in("Rome", ["Rome", "rome."]) is None
    assert WHOLE.chosen_in("Rome") is None


def test_other_letters_may_be_asked_for():
    judge = MultipleChoice("TF")
    assert judge("t", "T").score == 1.0
    assert judge("A", "T").evidence == "'A' chooses none of TF"
    assert judge("(F)", "t").evidence == "chose F, which is not the answer"


def test_letters_of_other_scripts_that_fold_to_a_letter_choose_nothing():
    assert MultipleChoice("KS")("\u212a", "K").evidence == "'\u212a' chooses none of KS"  # the sign of the kelvin
    assert MultipleChoice("KS")("\u017f", "S").score == 0.0


@pytest.mark.parametrize("reference", [None, "", "E", "AB", 1])
def test_a_reference_that_is_none_of_the_letters_is_the_callers_mistake(reference):
    with pytest.raises(InvalidInput, match="give one of the letters"):
        WHOLE("A", reference)


@pytest.mark.parametrize("choices", [["a"] * 5, [1, 2]])
def test_choices_that_do_not_fit_the_letters_are_the_callers_mistake(choices):
    with pytest.raises(InvalidInput, match="choices="):
        WHOLE("A", "A", state={"choices": choices})


@pytest.mark.parametrize("options", [{"letters": ""}, {"letters": "AA"}, {"letters": "A1"}, {"reading": "lenient"}])
def test_unusable_options_are_refused(options):
    with pytest.raises(InvalidInput):
        MultipleChoice(**options)


@given(st.text(alphabet="AaBb ()[]{}.*\\answeri:,or\n", max_size=30))
def test_any_text_chooses_one_letter_or_none(text):
    for judge in (WHOLE, STATED):
        assert judge.chosen_in(text, CITIES) in {None, "A", "B", "C", "D"}


@pytest.mark.parametrize("reading", ["whole", "stated"])
def test_hostile_text_comes_to_a_verdict(hostile, reading):
    verdict = MultipleChoice("BCDE", reading)(hostile, "B")
    assert verdict.score == 0.0
    verdict.evidence.encode("utf-8")
