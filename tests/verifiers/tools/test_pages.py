"""The examples of the pages on tool calls, SQL and states are true."""

from __future__ import annotations

import doctest
import re
from pathlib import Path

import pytest

DOCS = Path(__file__).resolve().parents[3] / "docs"
BLOCK = re.compile(r"^```python\n(.*?)^```$", re.MULTILINE | re.DOTALL)


@pytest.mark.parametrize(("page", "least"), [("tool-calls.md", 10), ("sql.md", 18)])
def test_every_example_prints_what_the_page_says(page, least, capsys):
    text = (DOCS / page).read_text(encoding="utf-8")
    names: dict[str, object] = {}  # a page is one session
    tried = 0
    for number, block in enumerate(BLOCK.findall(text), start=1):
        test = doctest.DocTestParser().get_doctest(block, names, f"example {number}", page, 0)
        results = doctest.DocTestRunner(optionflags=doctest.REPORT_NDIFF).run(test, clear_globs=False)
        names = test.globs
        tried += results.attempted
        assert results.failed == 0, capsys.readouterr().out
    assert tried >= least
