"""The outputs that docs/cli.md and docs/index.md show are what the commands print."""

from __future__ import annotations

import contextlib
import io
import re
import shlex
from pathlib import Path

import pytest

from turnwise.agents.cli import main

DOCS = Path(__file__).resolve().parents[3] / "docs"


def console_blocks() -> list[tuple[str, str]]:
    """Returns each command of docs/cli.md with the output that is shown below it."""
    text = (DOCS / "cli.md").read_text(encoding="utf-8")
    found = []
    for block in re.findall(r"```console\n(.*?)```", text, re.DOTALL):
        for part in re.split(r"^\$ ", block, flags=re.MULTILINE)[1:]:
            command, _, output = part.partition("\n")
            found.append((command, output))
    return found


@pytest.mark.parametrize(("command", "shown"), console_blocks(), ids=lambda value: value.split("\n")[0][:60])
def test_a_command_in_the_documentation_prints_what_is_shown(
    command: str, shown: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("COLUMNS", "80")
    typed, _, words = command.rpartition(" | ")
    if typed:  # printf 'a\nb\n' | turnwise ...
        monkeypatch.setattr("sys.stdin", io.StringIO(shlex.split(typed)[1].replace("\\n", "\n")))
    output = io.StringIO()
    with contextlib.redirect_stdout(output), contextlib.redirect_stderr(output):
        main(shlex.split(words)[1:])
    printed = re.sub(r"[ \t]+$", "", output.getvalue(), flags=re.MULTILINE).strip("\n")
    if "\n...\n" in f"\n{shown}":  # a line of three dots stands for lines left out
        begin, _, end = f"\n{shown}".partition("\n...\n")
        assert printed.startswith(begin.strip("\n"))
        assert printed.endswith(end.strip("\n"))
    else:
        assert printed == shown.strip("\n")


def test_the_first_example_prints_what_is_shown(capsys: pytest.CaptureFixture[str]) -> None:
    text = (DOCS / "index.md").read_text(encoding="utf-8")
    (program,) = re.findall(r"```python\n(.*?)```", text, re.DOTALL)
    (shown,) = re.findall(r"```text\n(.*?)```", text, re.DOTALL)
    exec(program, {})
    assert capsys.readouterr().out == shown
