"""The examples of the documentation are true."""

from __future__ import annotations

import doctest
import re
from pathlib import Path

import pytest

PAGE = Path(__file__).resolve().parents[2] / "docs" / "verifiers.md"
BLOCK = re.compile(r"^```python\n(.*?)^```$", re.MULTILINE | re.DOTALL)


def test_every_example_on_the_page_of_verifiers_prints_what_it_says(capsys: pytest.CaptureFixture[str]) -> None:
    text = PAGE.read_text(encoding="utf-8")
    blocks = BLOCK.findall(text)
    names: dict[str, object] = {}  # the page is one session: later examples use what earlier ones define
    parser = doctest.DocTestParser()
    runner = doctest.DocTestRunner(optionflags=doctest.REPORT_NDIFF)
    tried = 0
    for number, block in enumerate(blocks, start=1):
        test = parser.get_doctest(block, names, f"example {number}", str(PAGE), 0)
        results = runner.run(test, clear_globs=False)
        names = test.globs
        tried += results.attempted
        assert results.failed == 0, capsys.readouterr().out
    assert tried >= 30
    assert text.count("```python") == len(blocks)


def test_the_page_names_every_verifier_of_the_package() -> None:
    from turnwise import verifiers

    text = PAGE.read_text(encoding="utf-8")
    kinds = [getattr(verifiers, name) for name in verifiers.__all__]
    judges = [kind.__name__ for kind in kinds if isinstance(kind, type) and issubclass(kind, verifiers.Verifier)]
    hidden = {"Verifier", "FunctionVerifier", "Composition"}
    assert [name for name in judges if name not in hidden and not re.search(rf"`{name}\b", text)] == []
