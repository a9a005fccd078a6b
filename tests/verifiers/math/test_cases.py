"""Every labelled case, by family, in both directions."""

from __future__ import annotations

import importlib.util
import math
from pathlib import Path

import pytest

from turnwise.verifiers.math import MathVerifier

_SPEC = importlib.util.spec_from_file_location("math_corpus", Path(__file__).parent / "corpus.py")
assert _SPEC is not None
assert _SPEC.loader is not None
corpus = importlib.util.module_from_spec(_SPEC)
_SPEC.loader.exec_module(corpus)

CASES = corpus.read_cases("cases.txt")
HELD_OUT = corpus.read_cases("heldout.txt")
FAMILIES = sorted({case.family for case in CASES})


def mistakes(cases):
    verifier = MathVerifier()
    found = []
    for case in cases:
        verdict = verifier(case.response, case.reference)
        wanted = {"equal": verdict.score == 1.0, "different": verdict.score == 0.0, "undecided": verdict.score != 1.0}
        if not wanted[case.label]:
            found.append((case, verdict.score, verdict.evidence, verdict.error))
    return found


@pytest.mark.parametrize("family", FAMILIES)
def test_every_case_of_the_family_is_judged_as_labelled(family):
    assert mistakes([case for case in CASES if case.family == family]) == []


def test_at_least_98_percent_of_the_held_out_cases_are_judged_as_labelled():
    assert len(mistakes(HELD_OUT)) <= len(HELD_OUT) * 0.02


def test_no_held_out_near_miss_is_accepted():
    verifier = MathVerifier()
    accepted = [
        case for case in HELD_OUT if case.label == "different" and verifier(case.response, case.reference).score == 1.0
    ]
    assert accepted == []


def test_the_corpus_is_large_and_has_both_directions_in_nearly_every_family():
    assert len(CASES) >= 400
    assert len(HELD_OUT) >= 150
    both = [
        family
        for family in FAMILIES
        if {"equal", "different"} <= {case.label for case in CASES if case.family == family}
    ]
    assert len(both) >= len(FAMILIES) - 2


def test_bare_equal_answers_are_equal_the_other_way_round_too():
    """Extraction is for responses; between two answers without prose the order does not matter."""
    verifier = MathVerifier()
    skipped = {"prose", "several boxes", "hedged", "choices", "text", "equations and labels"}
    bare = [case for case in CASES if case.family not in skipped and case.label != "undecided"]
    asymmetric = [
        case
        for case in bare
        if verifier(case.response, case.reference).score != verifier(case.reference, case.response).score
        and not math.isnan(verifier(case.reference, case.response).score)
    ]
    assert asymmetric == []
