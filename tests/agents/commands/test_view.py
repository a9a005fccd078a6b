"""`turnwise view`."""

from __future__ import annotations

import webbrowser
from pathlib import Path

import numpy as np
import pytest

from turnwise.agents.cli import main
from turnwise.agents.rollout import write_episodes
from turnwise.agents.types import Episode, Status, Turn


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A run's folder with three episodes."""
    turn = Turn("seen", "done", 1.0, np.asarray([1]), np.asarray([2]), np.zeros(1, np.float32))
    episodes = [Episode(f"group-{n}", "e", n, (turn,), Status.TERMINATED, 1.0) for n in range(3)]
    (tmp_path / "run").mkdir()
    write_episodes(tmp_path / "run" / "episodes.jsonl", episodes)
    return tmp_path / "run"


def test_a_run_becomes_a_page_beside_its_episodes(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["view", str(folder)]) == 0
    page = folder / "episodes.html"
    assert capsys.readouterr().out == f"{page}: 3 episodes\n"
    assert "group-0" in page.read_text()


def test_a_file_becomes_a_page_where_it_is_wanted(folder: Path, tmp_path: Path) -> None:
    target = tmp_path / "new" / "page.html"
    assert main(["view", str(folder / "episodes.jsonl"), "-o", str(target)]) == 0
    assert "group-2" in target.read_text()


def test_only_the_last_episodes_are_shown_when_asked(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["view", str(folder), "--last", "2"]) == 0
    assert capsys.readouterr().out.endswith("2 episodes (the last of 3; --last N shows more)\n")
    page = (folder / "episodes.html").read_text()
    assert "group-0" not in page
    assert "group-2" in page


def test_open_starts_the_browser(
    folder: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    opened: list[str] = []
    monkeypatch.setattr(webbrowser, "open", lambda url: not opened.append(url))
    assert main(["view", str(folder), "--open"]) == 0
    assert opened == [(folder / "episodes.html").resolve().as_uri()]
    monkeypatch.setattr(webbrowser, "open", lambda url: False)
    assert main(["view", str(folder), "--open"]) == 0
    assert "no browser could be started" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["nowhere"], "turnwise view: there are no episodes at nowhere"),
        (["{folder}/empty"], "there are no episodes at"),
        (["{folder}", "--last", "0"], "--last must be at least 1, not 0"),
        (["{folder}", "--tokenizer", "{folder}"], "no tokenizer can be loaded from"),
        (["{folder}/notes.txt"], "notes.txt, line 1:"),
    ],
)
def test_what_cannot_be_shown_is_one_clear_line(
    folder: Path, capsys: pytest.CaptureFixture[str], words: list[str], message: str
) -> None:
    (folder / "empty").mkdir()
    (folder / "notes.txt").write_text("not episodes\n")
    assert main(["view", *(word.format(folder=folder) for word in words)]) == 2
    err = capsys.readouterr().err
    assert message in err
    assert err.count("\n") == 1
