"""Equality of texts: what each option makes equal, and what it must leave different."""

from __future__ import annotations

import pytest

from turnwise.verifiers import ExactMatch, InvalidInput

COMPOSED, DECOMPOSED = "caf\u00e9", "cafe\u0301"


@pytest.mark.parametrize(
    ("options", "response", "reference", "score"),
    [
        ({}, "Paris", "Paris", 1.0),
        ({}, " Paris\n", "Paris", 1.0),
        ({}, "paris", "Paris", 0.0),
        ({}, "Paris, France", "Paris", 0.0),
        ({}, "New  York", "New York", 0.0),
        ({}, COMPOSED, DECOMPOSED, 1.0),
        ({}, "x\u00b2", "x2", 0.0),
        ({}, "", "x", 0.0),
        ({"whitespace": "keep"}, "Paris ", "Paris", 0.0),
        ({"whitespace": "collapse"}, " New \t\n York ", "New York", 1.0),
        ({"whitespace": "collapse"}, "NewYork", "New York", 0.0),
        ({"ignore_case": True}, "pARIS", "Paris", 1.0),
        ({"ignore_case": True}, "STRASSE", "stra\u00dfe", 1.0),
        ({"ignore_case": True}, "London", "Paris", 0.0),
        ({"unicode": "NFKC"}, "\uff30\uff41\uff32\uff49\uff53", "PaRis", 1.0),
        ({"unicode": "NFKC"}, "x\u00b2", "x2", 1.0),
        ({"unicode": "NFKC"}, "x3", "x2", 0.0),
        ({"ignore_punctuation": True}, "\u201ce-mail!\u201d", "email", 1.0),
        ({"ignore_punctuation": True}, "$5", "5", 0.0),
        ({"ignore_punctuation": True}, "-5", "5", 1.0),
    ],
)
def test_equality_up_to_the_chosen_differences(options, response, reference, score):
    assert ExactMatch(**options)(response, reference).score == score


@pytest.mark.parametrize("accepted", [["Paris", "Lutetia"], ("Paris", "Lutetia"), {"Paris", "Lutetia"}])
def test_any_of_several_references_is_accepted(accepted):
    assert ExactMatch()("Lutetia", accepted).score == 1.0
    assert ExactMatch()("Rome", accepted).score == 0.0


def test_the_evidence_quotes_both_sides():
    assert ExactMatch()("Rome", "Paris").evidence == "'Rome' does not equal 'Paris'"
    assert ExactMatch()(" Paris", ["Lutetia", "Paris"]).evidence == "' Paris' equals 'Paris'"
    assert (
        ExactMatch()("x" * 1000, ["a", "b"]).evidence
        == f"{'x' * 60!r}... (1000 characters) does not equal any of 2 references"
    )


@pytest.mark.parametrize("reference", [None, 5, [], ["a", 5], b"Paris"])
def test_a_reference_that_is_not_text_is_the_callers_mistake(reference):
    with pytest.raises(InvalidInput, match="reference="):
        ExactMatch()("x", reference)


@pytest.mark.parametrize(("options", "reference"), [({}, " \n"), ({"ignore_punctuation": True}, "?!"), ({}, ["a", ""])])
def test_a_reference_that_an_empty_answer_would_match_is_refused(options, reference):
    with pytest.raises(InvalidInput, match="empty after normalisation"):
        ExactMatch(**options)("", reference)


@pytest.mark.parametrize("options", [{"whitespace": "none"}, {"unicode": "NFD"}])
def test_unknown_options_are_refused(options):
    with pytest.raises(InvalidInput, match="choose one of"):
        ExactMatch(**options)


@pytest.mark.parametrize("unicode", ["NFC", "NFKC"])
def test_hostile_text_comes_to_a_verdict(hostile, unicode):
    verdict = ExactMatch(ignore_case=True, whitespace="collapse", unicode=unicode, ignore_punctuation=True)(
        hostile, "x"
    )
    assert verdict.score == 0.0
    verdict.evidence.encode("utf-8")
