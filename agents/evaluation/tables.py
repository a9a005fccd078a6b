"""Evaluations as text tables."""

from __future__ import annotations

from collections.abc import Sequence

from turnwise.agents.evaluation.results import ALL, Evaluation, Summary
from turnwise.agents.evaluation.statistics import Estimate


def evaluation_table(evaluation: Evaluation) -> str:
    """Returns an evaluation as text: a line of what was done, a row per difficulty, and what failed."""
    row = evaluation.overall
    title = (
        f"{evaluation.env_id}, split {evaluation.split}, seed {evaluation.seed}: {counted(row.tasks, 'task')}, "
        f"{counted(evaluation.samples, 'attempt')} each"
    )
    ks = list(row.pass_at)
    headers = ["difficulty", "tasks", "success", *(f"pass@{k}" for k in ks), "reward", "turns", "truncated", "failed"]
    levels = [level for level in evaluation.by_difficulty if level.name]
    rows = [_cells(level, ks) for level in [*(levels if len(levels) > 1 else []), row]]
    if len(levels) == 1:
        rows[0][0] = levels[0].name
    lines = [title, "", *columns([headers, *rows]), ""]
    lines.append("Intervals in brackets hold the true mean with 95% confidence.")
    if row.instances < row.judged:
        lines.append(f"The {row.judged} tasks are {counted(row.instances, 'different instance')}.")
    if row.failed:
        lines.append(f"{counted(row.failed, 'failed attempt')}, neither solved nor lost:")
        lines += [f"  {count} x {error}" for error, count in evaluation.errors.items()]
    return "\n".join(lines)


def columns(rows: Sequence[Sequence[str]]) -> list[str]:
    """Returns rows as lines with aligned columns, the first to the left and the others to the right."""
    widths = [max(len(row[column]) for row in rows) for column in range(len(rows[0]))]
    return [
        "  ".join(
            cell.ljust(width) if column == 0 else cell.rjust(width)
            for column, (cell, width) in enumerate(zip(row, widths, strict=True))
        )
        for row in rows
    ]


def counted(number: int, noun: str) -> str:
    """Returns "1 task", "2 tasks"."""
    return f"{number} {noun}{'' if number == 1 else 's'}"


def _cells(row: Summary, ks: Sequence[int]) -> list[str]:
    return [
        row.name or ALL,
        str(row.tasks),
        shown(row.success),
        *(shown(row.pass_at[k]) for k in ks),
        shown(row.reward),
        "-" if row.judged == 0 else f"{row.turns:.1f}",
        str(row.truncated),
        str(row.failed),
    ]


def shown(estimate: Estimate) -> str:
    """Returns an estimate as a cell; a dash where nothing is known."""
    return str(estimate) if estimate.value == estimate.value else "-"
