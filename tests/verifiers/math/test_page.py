"""The examples on the page of MathVerifier are true, and it names every convention."""

from __future__ import annotations

import dataclasses
import doctest
import re
from pathlib import Path

from turnwise.verifiers.math import MathPolicy

PAGE = Path(__file__).resolve().parents[3] / "docs" / "math-verifier.md"


def test_every_example_on_the_page_prints_what_it_says(capsys):
    text = PAGE.read_text(encoding="utf-8")
    source = "\n".join(re.findall(r"^```python\n(.*?)^```$", text, re.MULTILINE | re.DOTALL))
    test = doctest.DocTestParser().get_doctest(source, {}, "page", str(PAGE), 0)
    results = doctest.DocTestRunner().run(test)
    assert results.failed == 0, capsys.readouterr().out
    assert results.attempted >= 8


def test_the_page_names_every_field_of_the_policy():
    text = PAGE.read_text(encoding="utf-8")
    fields = {field.name for field in dataclasses.fields(MathPolicy)} - {"budget"}
    assert {name for name in fields if f"| `{name}` |" not in text} == set()
