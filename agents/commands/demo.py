"""Train a small agent from scratch with multi-turn GRPO, and show that it got better.

Makes a small model and tokenizer, imitates noisy demonstrations, trains with turn-level credit, and evaluates on
held-out tasks before and after. Takes some minutes on two CPU cores; uses a GPU where there is one. Needs no download.

Writes, in the output folder: summary.json, curves.png, metrics.jsonl, episodes.jsonl, tensorboard/ and the trained
model. An earlier demonstration in that folder is kept under another name.
"""

from __future__ import annotations

import argparse
import os
from pathlib import Path
from typing import Any


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Adds the command's arguments."""
    parser.add_argument("--seed", type=int, default=0, help="everything random follows from it (default 0)")
    parser.add_argument("--output", "-o", metavar="FOLDER", default="runs/demo", help="default runs/demo")
    parser.add_argument("--steps", type=int, default=None, help="steps of reinforcement learning")
    parser.add_argument("--quiet", "-q", action="store_true", help="show no progress")


def run(arguments: argparse.Namespace) -> int:
    """Runs the demonstration."""
    from turnwise.agents.demo import STEPS, demo_config, run_demo

    folder = Path(arguments.output)
    config = demo_config(folder, arguments.seed, STEPS if arguments.steps is None else arguments.steps)
    _make_way(folder)
    demo = run_demo(config, folder, terminal=not arguments.quiet)
    print(report(demo.summary, folder))
    return 0


def report(summary: dict[str, Any], folder: Path) -> str:
    """Returns what the demonstration came to, for a person."""

    def line(name: str, key: str) -> str:
        low, high = summary[f"{key}_95"]
        return f"  {name:<22}{summary[key]:.3f}   [{low:.3f}, {high:.3f}]"

    return "\n".join(
        [
            "",
            f"Success on {summary['held_out_tasks']} held-out tasks of {summary['environment']} (95% interval):",
            line("after the warm start", "success_warm_start"),
            line("after GRPO", "success_trained"),
            line("gain, task by task", "gain"),
            f"{summary['episodes']} episodes, {summary['tokens']} sampled tokens "
            f"at {summary['tokens_per_second']:.0f}/s, {summary['wall_seconds']:.0f} s in all",
            f"Curves: {folder / 'curves.png'}   Episodes: turnwise view {folder}   Summary: {folder / 'summary.json'}",
        ]
    )


def _make_way(folder: Path) -> None:
    """Renames an earlier run in the folder, so that nothing is lost."""
    if not folder.exists() or not any(folder.iterdir()):
        return
    number = 1
    while (other := folder.with_name(f"{folder.name}.{number}")).exists():
        number += 1
    os.rename(folder, other)
    print(f"the earlier run in {folder} is now in {other}")
