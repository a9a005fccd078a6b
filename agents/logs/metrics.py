"""Rows of metrics: how they are written, read back, and which of them a person looks at first."""

from __future__ import annotations

import json
import math
import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, SupportsFloat

from turnwise.agents.errors import InvalidInput


@dataclass(frozen=True)
class Highlight:
    """A metric that progress lines and learning curves show.

    Attributes:
        label: What a person reads.
        names: The last parts of metric names that mean it, best first.
        write: Formats a value.
    """

    label: str
    names: tuple[str, ...]
    write: Callable[[float], str]

    def find(self, metrics: Mapping[str, Any]) -> str | None:
        """Returns the name of this metric in a row: `rollout/success` means success, as `success` does."""
        for wanted in self.names:
            found = [name for name in metrics if name == wanted or name.endswith(f"/{wanted}")]
            if found:
                return min(found, key=_precedence)
        return None


def _precedence(name: str) -> tuple[bool, int]:
    """Training before evaluation, then the shorter name."""
    return is_evaluation(name), len(name)


def is_evaluation(name: str) -> bool:
    """Whether a metric was measured by an evaluation, not in training: `eval/success`, `test/success`."""
    return name.partition("/")[0] in ("eval", "evaluation", "test")


def _count(value: float) -> str:
    return f"{value:,.0f}" if abs(value) >= 100 else f"{value:.3g}"


def _share(value: float) -> str:
    return f"{value:.3f}"


def _small(value: float) -> str:
    return f"{value:.3g}" if value == 0 or abs(value) >= 1e-3 else f"{value:.1e}"


HIGHLIGHTS = (
    Highlight("success", ("success",), _share),
    Highlight("reward", ("reward",), _share),
    Highlight("tokens/s", ("tokens_per_second",), _count),
    Highlight("KL", ("kl",), _small),
    Highlight("entropy", ("entropy",), _small),
    Highlight("gradient norm", ("grad_norm", "gradient_norm"), _small),
)
"""In the order in which they are shown."""


def row_of(step: int, metrics: Mapping[str, SupportsFloat]) -> dict[str, float | int | None]:
    """Returns the JSON object of one step; a number that JSON does not have (NaN, infinity) is None.

    Raises:
        InvalidInput: A metric is called "step", or is not a number.
    """
    if "step" in metrics:
        raise InvalidInput(f"a metric cannot be called 'step': that names the row itself (metrics: {sorted(metrics)})")
    row: dict[str, float | int | None] = {"step": step}
    for name, value in metrics.items():
        try:
            number = float(value)
        except (TypeError, ValueError) as error:
            raise InvalidInput(f"metric {name!r} must be a number, not {value!r}") from error
        row[name] = number if math.isfinite(number) else None
    return row


def read_metrics(path: str | os.PathLike[str]) -> list[dict[str, Any]]:
    """Returns the rows of a `metrics.jsonl`; a last line that a killed run left unfinished is left out.

    Raises:
        InvalidInput: Another line is not a JSON object with a step.
    """
    rows = []
    lines = Path(path).read_bytes().split(b"\n")
    for number, line in enumerate(lines[:-1], start=1):
        try:
            row = json.loads(line)
            row["step"] = int(row["step"])
        except (ValueError, TypeError, KeyError) as error:
            raise InvalidInput(f"{os.fspath(path)}, line {number}: not a row of metrics: {line[:80]!r}") from error
        rows.append(row)
    return rows
