"""Reads the labelled cases: `cases.txt` (tuned on) and `heldout.txt` (written before, and not tuned on)."""

from __future__ import annotations

from pathlib import Path
from typing import NamedTuple

HERE = Path(__file__).parent
_RELATIONS = {" <=> ": "equal", " <!> ": "different", " <?> ": "undecided"}


class Case(NamedTuple):
    family: str
    response: str
    reference: str
    label: str  # "equal", "different", or "undecided": not equal, and the verifier may abstain


def read_cases(name: str) -> list[Case]:
    cases = []
    family = ""
    for line in (HERE / name).read_text(encoding="utf-8").splitlines():
        if line.startswith("# "):
            continue
        relation = next((relation for relation in _RELATIONS if relation in line), None)
        if relation is not None:
            response, reference = line.replace("⏎", "\n").split(relation)
            cases.append(Case(family, response, reference, _RELATIONS[relation]))
        elif line.startswith("["):
            family = line.strip("[]")
    return cases
