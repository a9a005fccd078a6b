"""`RunLog`: everything that a run writes about itself, in one folder, and continued exactly where a checkpoint left it.

    runs/demo/metrics.jsonl     one row a step
    runs/demo/episodes.jsonl    the episodes that the run chose to keep
    runs/demo/curves.png        learning curves
    runs/demo/tensorboard/      the same numbers for TensorBoard

A checkpoint stores `RunLog.state()`. A run that was killed later than its checkpoint has written rows that its
successor will write again: with `resume=state` they are cut off first, by the byte. Files are forced to disk before a
state is handed out, so that a checkpoint never points past their end.
"""

from __future__ import annotations

import json
import os
import time
from collections.abc import Iterable, Mapping
from dataclasses import replace
from pathlib import Path
from types import TracebackType
from typing import Any, Self, SupportsFloat, TypedDict

from turnwise.agents.errors import CheckpointError, InvalidInput, MissingExtra
from turnwise.agents.logs.curves import draw_curves
from turnwise.agents.logs.metrics import row_of
from turnwise.agents.logs.terminal import Progress, progress_for
from turnwise.agents.types import Episode

CURVES_SHARE = 0.02
"""The share of a run's time that redrawing its curves may take."""


class RunLogState(TypedDict):
    """Where a log stands: what a checkpoint stores, and JSON can hold."""

    step: int
    metrics_bytes: int
    episodes_bytes: int


class RunLog:
    """Writes the record of a run; a context manager.

    Args:
        folder: The run's folder; made where it does not exist.
        total_steps: How many steps the run means to make; without it there is no time of arrival.
        tensorboard: Whether to write event files for TensorBoard.
        terminal: Whether to show progress on the terminal (plain lines where standard error is not one).
        curves: Whether to draw `curves.png` now and then, and at the end.
        resume: The state to continue from: rows after it are cut off. `{}` begins anew, in place of what is there.

    Raises:
        CheckpointError: The folder holds a run and `resume` is None, or its files end before `resume`.
        MissingExtra: TensorBoard, rich or matplotlib is wanted and not installed.
    """

    def __init__(
        self,
        folder: str | os.PathLike[str],
        *,
        total_steps: int | None = None,
        tensorboard: bool = True,
        terminal: bool = True,
        curves: bool = True,
        resume: Mapping[str, int] | None = None,
    ) -> None:
        self.folder = Path(folder)
        self.folder.mkdir(parents=True, exist_ok=True)
        self.metrics_path = self.folder / "metrics.jsonl"
        self.episodes_path = self.folder / "episodes.jsonl"
        self.curves_path = self.folder / "curves.png"
        self._step = self._truncate(resume)
        self._metrics = self.metrics_path.open("ab")
        self._curves = curves
        self._drawn_at, self._draw_seconds = time.monotonic(), 1.0
        self._tensorboard = self._open_tensorboard(resumed=resume is not None) if tensorboard else None
        self._progress: Progress | None = progress_for(self.folder, total_steps, self._step) if terminal else None
        self._closed = False

    def step(self, step: int, metrics: Mapping[str, SupportsFloat]) -> None:
        """Records the metrics of one step. They are in the file when this returns.

        Args:
            step: How many updates are done; 0 for what is measured before the first.
            metrics: Numbers by name; slashes group them (`rollout/success`). Names that `logs.metrics.HIGHLIGHTS` lists
                are shown on the terminal and drawn; `NAME_low` and `NAME_high` beside one are its confidence band.

        Raises:
            InvalidInput: The step does not come after the last one, or a metric is not a number.
        """
        if step <= self._step:
            raise InvalidInput(f"step {step} must come after step {self._step}, which is recorded already")
        row = row_of(step, metrics)
        self._metrics.write(json.dumps(row, allow_nan=False).encode() + b"\n")
        self._metrics.flush()
        self._step = step
        finite = {name: value for name, value in row.items() if name != "step" and value is not None}
        if self._tensorboard is not None:
            for name, value in finite.items():
                self._tensorboard.add_scalar(name, value, step)
        if self._progress is not None:
            self._progress.show(step, finite)
        if self._curves and time.monotonic() - self._drawn_at > self._draw_seconds / CURVES_SHARE:
            self._draw()

    def episodes(self, step: int, episodes: Iterable[Episode]) -> None:
        """Appends episodes to `episodes.jsonl`, each with the step in its tags."""
        from turnwise.agents.rollout.jsonl import append_episodes

        tagged = (replace(episode, tags={**episode.tags, "step": step}) for episode in episodes)
        append_episodes(self.episodes_path, tagged)

    def message(self, text: str) -> None:
        """Shows a line above the progress (nowhere, without a terminal)."""
        if self._progress is not None:
            self._progress.message(text)

    def state(self) -> RunLogState:
        """Returns where the log stands, its files safely on disk."""
        self._metrics.flush()
        os.fsync(self._metrics.fileno())
        episodes_bytes = 0
        if self.episodes_path.exists():
            with self.episodes_path.open("rb") as file:
                os.fsync(file.fileno())
                episodes_bytes = file.seek(0, os.SEEK_END)
        return {"step": self._step, "metrics_bytes": self._metrics.tell(), "episodes_bytes": episodes_bytes}

    def close(self) -> None:
        """Draws the curves a last time and closes the files; idempotent."""
        if self._closed:
            return
        self._closed = True
        if self._progress is not None:
            self._progress.close()
        if self._tensorboard is not None:
            self._tensorboard.close()
        self._metrics.close()
        if self._curves:
            self._draw()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def _truncate(self, resume: Mapping[str, int] | None) -> int:
        """Cuts the files to where `resume` says they ended; returns the step recorded last."""
        if resume is None:
            if any(path.exists() and path.stat().st_size for path in (self.metrics_path, self.episodes_path)):
                raise CheckpointError(
                    f"{self.folder} already holds the record of a run; resume that run, or choose another folder"
                )
            return -1
        for path, key in ((self.metrics_path, "metrics_bytes"), (self.episodes_path, "episodes_bytes")):
            wanted = resume.get(key, 0)
            size = path.stat().st_size if path.exists() else 0
            if size < wanted:
                raise CheckpointError(
                    f"{path} has {size} bytes, but its checkpoint was made when it had {wanted}; "
                    "they are not of one run, or the file was cut"
                )
            if size > wanted:
                os.truncate(path, wanted)
        return resume.get("step", -1)

    def _open_tensorboard(self, *, resumed: bool) -> Any:
        try:
            from torch.utils.tensorboard import SummaryWriter
        except ImportError as error:
            raise MissingExtra(error.name or "tensorboard", "train") from error
        # Event files cannot be cut; a purge step makes TensorBoard hide what the killed run wrote from there on.
        return SummaryWriter(str(self.folder / "tensorboard"), purge_step=self._step + 1 if resumed else None)

    def _draw(self) -> None:
        begin = time.monotonic()
        draw_curves(self.metrics_path, self.curves_path)
        self._drawn_at = time.monotonic()
        self._draw_seconds = max(self._drawn_at - begin, 0.5)
