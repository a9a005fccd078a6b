"""Progress of a run on the terminal: a live panel on a terminal, one plain line a step anywhere else."""

from __future__ import annotations

import os
import sys
import time
from collections import defaultdict, deque
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Protocol, TextIO

from turnwise.agents.errors import MissingExtra
from turnwise.agents.logs.metrics import HIGHLIGHTS

SPARK = "▁▂▃▄▅▆▇█"
SPARK_WIDTH = 24


class Progress(Protocol):
    """Shows how far a run has come."""

    def show(self, step: int, metrics: Mapping[str, float]) -> None:
        """Shows the metrics of a finished step."""

    def message(self, text: str) -> None:
        """Shows a line of its own."""

    def close(self) -> None:
        """Leaves the terminal as it was."""


def progress_for(folder: Path, total_steps: int | None, step: int) -> Progress:
    """Returns the progress display that suits standard error.

    Args:
        folder: The run's folder, for the title.
        total_steps: How many steps the run means to make, if it knows.
        step: The step recorded last, from which a resumed run continues; -1 for a new one.
    """
    clock = Clock(total_steps, step)
    utf8 = (sys.stderr.encoding or "").lower().replace("-", "") == "utf8"
    if sys.stderr.isatty() and utf8 and os.environ.get("TERM") != "dumb":
        return LivePanel(folder, clock)
    return PlainLines(clock, sys.stderr)


class Clock:
    """Measures a run's pace, from this process's own steps only.

    Args:
        total_steps: How many steps the run means to make, if it knows.
        step: The step recorded last; -1 for none.
    """

    def __init__(self, total_steps: int | None, step: int) -> None:
        self.total_steps = total_steps
        self.step = step
        self._first = max(step, 0)
        self._begin = self._tick = time.monotonic()

    def update(self, step: int) -> None:
        """Notes that a step is done. Step 0 is before the first update: the pace is measured from there."""
        self.step = step
        self._tick = time.monotonic()
        if step == 0:
            self._begin = self._tick

    @property
    def elapsed(self) -> float:
        """Seconds since this process began."""
        return time.monotonic() - self._begin

    @property
    def left(self) -> float | None:
        """Estimated seconds to the end; None before the first step or without a goal."""
        done = self.step - self._first
        if self.total_steps is None or done <= 0:
            return None
        pace = (self._tick - self._begin) / done
        return max(pace * (self.total_steps - self.step) - (time.monotonic() - self._tick), 0.0)


class PlainLines:
    """One line a step: for files, pipes and terminals that cannot redraw."""

    def __init__(self, clock: Clock, stream: TextIO) -> None:
        self._clock, self._stream = clock, stream

    def show(self, step: int, metrics: Mapping[str, float]) -> None:
        """Prints the step's line."""
        self._clock.update(step)
        total = self._clock.total_steps
        parts = [f"step {step}/{total}" if total is not None else f"step {step}"]
        parts += [f"{label} {text}" for label, text, _ in highlights_of(metrics)]
        if self._clock.left is not None:
            parts.append(f"ETA {duration(self._clock.left)}")
        self.message("  ".join(parts))

    def message(self, text: str) -> None:
        """Prints a line."""
        print(text, file=self._stream, flush=True)

    def close(self) -> None:
        """Does nothing: every line is out already."""


class LivePanel:
    """A panel that redraws itself: a bar, the time of arrival, and each highlight with its recent course."""

    def __init__(self, folder: Path, clock: Clock) -> None:
        try:
            from rich.console import Console
            from rich.live import Live
        except ImportError as error:
            raise MissingExtra(error.name or "rich", "train") from error
        self._clock = clock
        self._title = str(folder)
        self._latest: list[tuple[str, str, float]] = []
        self._course: dict[str, deque[float]] = defaultdict(lambda: deque(maxlen=SPARK_WIDTH))
        self._live = Live(
            console=Console(stderr=True), get_renderable=self._render, refresh_per_second=2, redirect_stdout=False
        )
        self._live.start()

    def show(self, step: int, metrics: Mapping[str, float]) -> None:
        """Redraws the panel with the step's metrics; a metric that this step lacks keeps its last value."""
        self._clock.update(step)
        latest = {label: (label, text, value) for label, text, value in self._latest}
        for label, text, value in highlights_of(metrics):
            latest[label] = (label, text, value)
            self._course[label].append(value)
        order = {highlight.label: position for position, highlight in enumerate(HIGHLIGHTS)}
        self._latest = sorted(latest.values(), key=lambda item: order[item[0]])
        self._live.refresh()

    def message(self, text: str) -> None:
        """Prints a line above the panel."""
        self._live.console.print(text, markup=False, highlight=False)

    def close(self) -> None:
        """Draws the panel a last time and gives the terminal back."""
        self._live.stop()

    def _render(self) -> Any:
        from rich.console import Group
        from rich.panel import Panel
        from rich.progress_bar import ProgressBar
        from rich.table import Table
        from rich.text import Text

        total, step = self._clock.total_steps, max(self._clock.step, 0)
        left = self._clock.left
        head = Table.grid(expand=True, padding=(0, 1))
        head.add_column(no_wrap=True)
        head.add_column(ratio=1)
        head.add_column(no_wrap=True, justify="right")
        times = f"{duration(self._clock.elapsed)} elapsed"
        if total is not None:
            times += f", {duration(left)} left" if left is not None else ""
        head.add_row(
            Text(f"step {step}/{total}" if total is not None else f"step {step}", style="bold"),
            ProgressBar(
                total=total, completed=step, pulse=total is None, complete_style="cyan", finished_style="green"
            ),
            Text(times, style="dim"),
        )
        table = Table.grid(padding=(0, 2))
        table.add_column(style="dim")
        table.add_column(justify="right", style="bold")
        table.add_column(style="cyan", no_wrap=True)
        for label, text, _ in self._latest:
            table.add_row(label, text, sparkline(self._course[label]))
        body = Group(head, Text(), table) if self._latest else head
        return Panel(body, title=Text(self._title), title_align="left", border_style="dim", padding=(0, 1))


def highlights_of(metrics: Mapping[str, float]) -> list[tuple[str, str, float]]:
    """Returns label, text and value of each highlight that a step's metrics have."""
    found = [(highlight, highlight.find(metrics)) for highlight in HIGHLIGHTS]
    return [
        (highlight.label, highlight.write(metrics[name]), metrics[name])
        for highlight, name in found
        if name is not None
    ]


def sparkline(values: Sequence[float]) -> str:
    """Returns values as a row of bars, the lowest and the highest of them at the ends of the scale."""
    low, high = min(values), max(values)
    if high == low:
        return SPARK[0] * len(values)
    return "".join(SPARK[round((value - low) / (high - low) * (len(SPARK) - 1))] for value in values)


def duration(seconds: float) -> str:
    """Returns a duration for people: 42s, 3m05s, 2h07m, 3d04h."""
    whole = round(seconds)
    if whole < 60:
        return f"{whole}s"
    if whole < 3600:
        return f"{whole // 60}m{whole % 60:02d}s"
    if whole < 86400:
        return f"{whole // 3600}h{whole % 3600 // 60:02d}m"
    return f"{whole // 86400}d{whole % 86400 // 3600:02d}h"
