"""Learning curves as a picture, drawn from `metrics.jsonl` alone."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from turnwise.agents.errors import MissingExtra
from turnwise.agents.logs.metrics import HIGHLIGHTS, Highlight, is_evaluation, read_metrics

if TYPE_CHECKING:
    from matplotlib.axes import Axes

COLORS = ("#3b6fb6", "#d1662a", "#3c8d5a", "#8a5aa8")
SMOOTH_FROM = 20
"""Curves with at least so many points are drawn smoothed, over their faint raw course."""


def draw_curves(metrics: str | os.PathLike[str], target: str | os.PathLike[str], title: str | None = None) -> bool:
    """Draws the learning curves of a run, in place of an earlier picture.

    Args:
        metrics: A run's `metrics.jsonl`.
        target: The picture to write; its suffix says the format.
        title: Stands above; by default the name of the run's folder.

    Returns:
        Whether there was anything to draw.

    Raises:
        MissingExtra: matplotlib is not installed.
    """
    try:
        from matplotlib.backends.backend_agg import FigureCanvasAgg
        from matplotlib.figure import Figure
    except ImportError as error:
        raise MissingExtra(error.name or "matplotlib", "train") from error
    rows = read_metrics(metrics)
    panels = [(highlight, names) for highlight in HIGHLIGHTS if (names := _names_of(highlight, rows))]
    if not panels:
        return False
    columns = min(3, len(panels))
    lines = -(-len(panels) // columns)
    figure = Figure(figsize=(4.6 * columns, 3.1 * lines + 0.4), dpi=130, layout="constrained")
    FigureCanvasAgg(figure)  # needs no display, and leaves pyplot's global state alone
    for position, (highlight, names) in enumerate(panels):
        axes = figure.add_subplot(lines, columns, position + 1)
        _draw_panel(axes, highlight, names, rows)
        if position + columns >= len(panels):
            axes.set_xlabel("step", color="#555555")
    figure.suptitle(
        Path(metrics).resolve().parent.name if title is None else title, x=0.01, ha="left", fontweight="bold"
    )
    # Written beside and moved into place: whoever looks at the picture of a running job never sees half of one.
    partial = Path(target).with_name(f".partial-{Path(target).name}")
    figure.savefig(partial)
    os.replace(partial, target)
    return True


def _names_of(highlight: Highlight, rows: Sequence[Mapping[str, Any]]) -> list[str]:
    """Returns the metrics of a panel: the best of training, and the best of evaluation."""
    present = {name: None for row in rows for name, value in row.items() if value is not None}
    training = highlight.find({name: None for name in present if not is_evaluation(name)})
    evaluation = highlight.find({name: None for name in present if is_evaluation(name)})
    return [name for name in (training, evaluation) if name is not None]


def _draw_panel(axes: Axes, highlight: Highlight, names: Sequence[str], rows: Sequence[Mapping[str, Any]]) -> None:
    for name, color in zip(names, COLORS, strict=False):
        steps, values = _series(rows, name)
        label = name.rpartition("/")[0] or "training"
        low_steps, low = _series(rows, f"{name}_low")
        high_steps, high = _series(rows, f"{name}_high")
        if len(low_steps) and np.array_equal(low_steps, high_steps):
            axes.fill_between(low_steps, low, high, color=color, alpha=0.18, linewidth=0)
        if len(values) >= SMOOTH_FROM:
            axes.plot(steps, values, color=color, alpha=0.25, linewidth=0.9)
            axes.plot(steps, smoothed(values), color=color, linewidth=2, label=label)
        else:
            marker = "o" if len(values) <= 12 else None
            axes.plot(steps, values, color=color, linewidth=1.8, marker=marker, markersize=4, label=label)
    _dress(axes, highlight)
    if len(names) > 1:
        axes.legend(frameon=False, fontsize=8, loc="best")


def _dress(axes: Axes, highlight: Highlight) -> None:
    axes.set_title(highlight.label, loc="left", fontsize=10)
    axes.grid(axis="y", color="#e6e6e6", linewidth=0.8)
    axes.set_axisbelow(True)
    axes.spines[["top", "right", "left"]].set_visible(False)
    axes.spines["bottom"].set_color("#bbbbbb")
    axes.tick_params(colors="#555555", labelsize=8, length=0)
    axes.locator_params(axis="x", integer=True)
    if highlight.label == "success":
        axes.set_ylim(-0.02, 1.02)
    elif highlight.label == "tokens/s":
        axes.set_ylim(bottom=0)


def _series(rows: Sequence[Mapping[str, Any]], name: str) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Returns the steps at which a metric was recorded, and its values; float64 [points] each."""
    points = [(row["step"], row[name]) for row in rows if row.get(name) is not None]
    array = np.asarray(points, np.float64).reshape(-1, 2)
    return array[:, 0], array[:, 1]


def smoothed(values: NDArray[np.float64]) -> NDArray[np.float64]:
    """Returns the centred moving average over about a tenth of the points; at the ends, over the points that exist.

    Centred, because an average of the past alone draws every rise and fall later than it was.

    Args:
        values: The raw course; float64 [points].
    """
    reach = max(len(values) // 20, 1)
    total = np.concatenate([[0.0], np.cumsum(values)])
    index = np.arange(len(values))
    begin, end = np.maximum(index - reach, 0), np.minimum(index + reach + 1, len(values))
    averages: NDArray[np.float64] = (total[end] - total[begin]) / (end - begin)
    return averages
