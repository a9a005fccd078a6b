"""Learning curves."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import matplotlib.image
import numpy as np
import pytest
from matplotlib.figure import Figure

from turnwise.agents.logs import curves, draw_curves


def write(path: Path, rows: list[dict[str, Any]]) -> Path:
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return path


@pytest.fixture
def figures(monkeypatch: pytest.MonkeyPatch) -> list[Figure]:
    """The figures that are saved."""
    saved: list[Figure] = []
    save = Figure.savefig

    def record(figure: Figure, *arguments: Any, **options: Any) -> None:
        saved.append(figure)
        save(figure, *arguments, **options)

    monkeypatch.setattr(Figure, "savefig", record)
    return saved


def test_there_is_a_panel_for_each_highlight_that_has_values(tmp_path: Path, figures: list[Figure]) -> None:
    rows = [
        {"step": step, "rollout/success": 0.5, "entropy": 1.0, "other": 2, "rollout/reward": None} for step in range(3)
    ]
    assert draw_curves(write(tmp_path / "metrics.jsonl", rows), tmp_path / "curves.png")
    assert [axes.get_title(loc="left") for axes in figures[0].axes] == ["success", "entropy"]


def test_evaluation_stands_beside_training_with_its_confidence_band(tmp_path: Path, figures: list[Figure]) -> None:
    rows: list[dict[str, Any]] = [{"step": step, "rollout/success": step / 4} for step in range(4)]
    rows[1] |= {"eval/success": 0.5, "eval/success_low": 0.4, "eval/success_high": 0.6}
    rows[3] |= {"eval/success": 0.7, "eval/success_low": 0.6, "eval/success_high": 0.8}
    draw_curves(write(tmp_path / "metrics.jsonl", rows), tmp_path / "curves.png")
    (axes,) = figures[0].axes
    training, evaluation = axes.get_lines()
    assert training.get_xydata().tolist() == [[0, 0], [1, 0.25], [2, 0.5], [3, 0.75]]
    assert evaluation.get_xydata().tolist() == [[1, 0.5], [3, 0.7]]
    assert [text.get_text() for text in axes.get_legend().get_texts()] == ["rollout", "eval"]
    corners = axes.collections[0].get_paths()[0].vertices
    assert {(1.0, 0.4), (1.0, 0.6), (3.0, 0.6), (3.0, 0.8)} <= {tuple(corner) for corner in corners.tolist()}


def test_a_long_curve_is_smoothed_over_its_faint_raw_course(tmp_path: Path, figures: list[Figure]) -> None:
    rows = [{"step": step, "reward": step % 2} for step in range(40)]
    draw_curves(write(tmp_path / "metrics.jsonl", rows), tmp_path / "curves.png")
    raw, smooth = figures[0].axes[0].get_lines()
    assert raw.get_alpha() == 0.25
    assert np.ptp(smooth.get_ydata()) < np.ptp(raw.get_ydata())


def test_smoothing_neither_lags_nor_bends_a_straight_line() -> None:
    np.testing.assert_allclose(curves.smoothed(np.arange(40.0))[2:-2], np.arange(2.0, 38.0))
    np.testing.assert_allclose(curves.smoothed(np.asarray([0.0, 3.0, 6.0, 0.0])), [1.5, 3.0, 3.0, 3.0])


def test_the_picture_is_a_picture_with_the_panel_in_it(tmp_path: Path) -> None:
    path = write(tmp_path / "metrics.jsonl", [{"step": step, "success": step / 9} for step in range(10)])
    draw_curves(path, tmp_path / "curves.png", title="A run")
    pixels = matplotlib.image.imread(tmp_path / "curves.png")
    height, width, _ = pixels.shape
    assert (width, height) == (598, 455)
    line = np.abs(pixels[:, :, :3] - np.asarray([0x3B, 0x6F, 0xB6]) / 255).max(-1) < 0.05
    assert line.sum() > 500


def test_without_values_nothing_is_drawn(tmp_path: Path) -> None:
    assert not draw_curves(write(tmp_path / "metrics.jsonl", [{"step": 1, "success": None}]), tmp_path / "curves.png")
    assert not (tmp_path / "curves.png").exists()
