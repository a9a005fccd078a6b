"""Check that an environment keeps its contract.

More than gymnasium's own checker looks at: seeds, threads, leaks from episode to
episode, snapshots, hostile actions, that the expert solves every task and chance
does not, that the answer does not leak, that train and test share no task. The
exit status is 1 when a check fails.

Examples:
  turnwise check turnwise/GuessNumber-v0
  turnwise check turnwise/Sokoban-v0 --level easy --level hard
  turnwise check acme.envs:acme/Shop-v0 --level all --json
"""

from __future__ import annotations

import argparse
from typing import Any

from turnwise.agents.commands._output import print_json, styled

_COLORS = {"pass": "green", "fail": "red", "skip": "yellow"}


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Adds the command's arguments."""
    parser.add_argument("env", metavar="ENV", help="the environment's id; turnwise envs lists them")
    parser.add_argument(
        "--level",
        action="append",
        default=[],
        help="a difficulty level to check, by name or number; may be repeated; 'all' checks each; "
        "by default the environment's own",
    )
    parser.add_argument("--episodes", type=int, default=16, metavar="N", help="tasks that each check looks at (16)")
    parser.add_argument("--skip", action="append", default=[], metavar="CHECK", help="leave one out; may be repeated")
    parser.add_argument("--json", action="store_true", help="print JSON")


def run(arguments: argparse.Namespace) -> int:
    """Checks the environment at each level."""
    from turnwise.agents.commands._envs import find_spec, levels
    from turnwise.envs import check_env

    spec = find_spec(arguments.env)
    reports = []
    chosen: list[dict[str, Any]] = [{"difficulty": level} for level in levels(arguments.env, arguments.level)]
    for options in chosen or [{}]:
        report = check_env(spec, episodes=arguments.episodes, skip=arguments.skip, **options)
        reports.append(report)
        if not arguments.json:
            _show(report)
    if arguments.json:
        print_json([report.to_json() for report in reports])
    return 0 if all(report.ok for report in reports) else 1


def _show(report: Any) -> None:
    print(styled(report.subject, "bold"))
    width = max(len(result.name) for result in report.results)
    for result in report.results:
        print(f"  {styled(result.status, _COLORS[result.status])}  {result.name:<{width}}  {result.detail}")
    failed = len(report.failures)
    skipped = sum(result.status == "skip" for result in report.results)
    total = f"{len(report.results) - failed - skipped} passed, {failed} failed, {skipped} skipped"
    print(styled(total, "red" if failed else "green", "bold") + "\n")
