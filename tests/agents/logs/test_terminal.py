"""Progress on the terminal."""

from __future__ import annotations

import os
import pty
import re
import select
import subprocess
import sys
import textwrap
from pathlib import Path

import pytest

from turnwise.agents.logs import terminal
from turnwise.agents.logs.metrics import HIGHLIGHTS


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(0, "0s"), (59.6, "1m00s"), (185, "3m05s"), (7620, "2h07m"), (273600, "3d04h")],
)
def test_durations_are_written_for_people(seconds: float, text: str) -> None:
    assert terminal.duration(seconds) == text


def test_a_sparkline_spans_its_own_range_and_a_constant_stays_low() -> None:
    assert terminal.sparkline([0, 1, 2, 3, 4, 5, 6, 7]) == "▁▂▃▄▅▆▇█"
    assert terminal.sparkline([3, 3, 3]) == "▁▁▁"


def test_highlights_prefer_training_over_evaluation_and_find_grouped_names() -> None:
    success = HIGHLIGHTS[0]
    assert success.find({"eval/success": 1, "rollout/success": 1}) == "rollout/success"
    assert success.find({"eval/success": 1}) == "eval/success"
    assert success.find({"unsuccess": 1, "success/rate": 1}) is None
    kl = next(highlight for highlight in HIGHLIGHTS if highlight.label == "KL")
    assert kl.find({"learner/approx_kl": 1, "learner/kl": 2}) == "learner/kl"


def test_the_time_of_arrival_follows_the_pace_of_this_process_only(monkeypatch: pytest.MonkeyPatch) -> None:
    now = 100.0
    monkeypatch.setattr(terminal.time, "monotonic", lambda: now)
    clock = terminal.Clock(total_steps=20, step=10)
    assert clock.left is None
    now = 106.0
    clock.update(12)
    assert clock.left == 24.0
    now = 110.0
    assert clock.left == 20.0
    assert clock.elapsed == 10.0


def test_what_comes_before_the_first_update_does_not_count_as_pace(monkeypatch: pytest.MonkeyPatch) -> None:
    now = 0.0
    monkeypatch.setattr(terminal.time, "monotonic", lambda: now)
    clock = terminal.Clock(total_steps=4, step=-1)
    now = 100.0
    clock.update(0)
    now = 103.0
    clock.update(1)
    assert clock.left == 9.0


def on_a_terminal(program: str) -> str:
    """Runs a program whose standard error is a terminal of 80 columns; returns what that terminal received."""
    primary, secondary = pty.openpty()
    environment = {**os.environ, "COLUMNS": "80", "TERM": "xterm", "NO_COLOR": "1", "PYTHONUTF8": "1"}
    command = [sys.executable, "-c", textwrap.dedent(program)]
    with subprocess.Popen(command, stderr=secondary, stdout=subprocess.DEVNULL, env=environment) as process:
        os.close(secondary)
        received = b""
        while select.select([primary], [], [], 30)[0]:
            try:
                received += os.read(primary, 65536)
            except OSError:  # Linux's way to say that the other end is closed
                break
        assert process.wait(30) == 0
    os.close(primary)
    return received.decode()


def test_on_a_terminal_a_panel_shows_the_step_and_the_courses(tmp_path: Path) -> None:
    text = on_a_terminal(f"""
        from turnwise.agents.logs import RunLog
        with RunLog({str(tmp_path)!r}, tensorboard=False, curves=False, total_steps=4) as log:
            log.step(1, {{"success": 0.25, "eval/success": 0.1}})
            log.message("saved [red]not markup[/red]")
            log.step(2, {{"success": 0.5}})
            log.step(3, {{"success": 0.75}})
            log.step(4, {{"reward": 1}})
    """)
    last = re.sub(r"\x1b\[[0-9;?]*[A-Za-z]", "", text[text.rindex("╭") :])
    assert "step 4/4" in last
    assert re.search(r"success\s+0\.750\s+▁▅█", last)
    assert re.search(r"reward\s+1\.000\s+▁", last)
    assert "saved [red]not markup[/red]" in text
    assert text.rstrip().endswith("\x1b[?25h")  # the cursor is shown again
