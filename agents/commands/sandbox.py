"""Build the image of the sandbox, or examine the sandboxes of this machine.

build makes the container image in which programs run, from a registry's Python
image where one is reachable, else from a Debian mirror (then debootstrap must be
installed, and the command run as root).

doctor runs hostile programs in every sandbox that this machine has and says
whether each held. The exit status is 1 when one did not, or when there is none.

Examples:
  turnwise sandbox build
  turnwise sandbox doctor
  turnwise sandbox doctor --json
"""

from __future__ import annotations

import argparse
from collections.abc import Callable
from typing import Any

from turnwise.agents.commands._output import print_json, styled


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Adds the command's arguments."""
    parser.add_argument("action", choices=["build", "doctor"], help="what to do")
    parser.add_argument("--json", action="store_true", help="print doctor's findings as JSON")


def run(arguments: argparse.Namespace) -> int:
    """Builds the image or examines the sandboxes."""
    if arguments.action == "build":
        from turnwise.verifiers.sandbox import build_image

        print(build_image())
        return 0
    reports = _examine(show=not arguments.json)
    if arguments.json:
        print_json(reports)
    available = [report for report in reports.values() if report["missing"] is None]
    return 0 if available and all(not report["problems"] for report in available) else 1


def _examine(show: bool) -> dict[str, dict[str, Any]]:
    """Returns what each kind of sandbox held, by its name."""
    from turnwise.verifiers.errors import MissingExtra
    from turnwise.verifiers.sandbox import DockerSandbox, LocalSandbox, Sandbox, SandboxError
    from turnwise.verifiers.sandbox.conformance import examine

    kinds: dict[str, Callable[[], Sandbox]] = {"docker": lambda: DockerSandbox(1), "local": lambda: LocalSandbox(1)}
    reports: dict[str, dict[str, Any]] = {}
    for name, opened in kinds.items():
        report: dict[str, Any] = {"missing": None, "weaker": name == "local", "held": 0, "problems": {}}
        reports[name] = report
        if show:
            print(styled(name, "bold"))
        try:
            with opened() as sandbox:
                sandbox.run("pass")
                for finding in examine(sandbox):
                    _note(report, finding.name, finding.problem, show)
        except (SandboxError, MissingExtra) as error:
            report["missing"] = str(error)
        if show:
            _summarise(report)
    return reports


def _note(report: dict[str, Any], name: str, problem: str | None, show: bool) -> None:
    if problem is None:
        report["held"] += 1
        return
    report["problems"][name] = problem
    if show:
        print(f"  {styled('failed', 'red')}  {name}: {problem}")


def _summarise(report: dict[str, Any]) -> None:
    if report["missing"] is not None:
        print(f"  {styled('--', 'yellow')}  {report['missing']}\n")
        return
    failed = len(report["problems"])
    print(styled(f"  held {report['held']} hostile programs, failed {failed}", "red" if failed else "green"))
    if report["weaker"]:
        print("  weaker than Docker: no seccomp profile; memory is limited for each process, not for all together")
    print()
