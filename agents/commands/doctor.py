"""Say what is installed, and what each missing part would unlock.

Nothing is changed, and nothing missing is an error: turnwise runs without the
optional parts.

Examples:
  turnwise doctor
  turnwise doctor --json
"""

from __future__ import annotations

import argparse
import dataclasses
import textwrap

from turnwise.agents.commands._output import print_json, styled

LINE = 110
"""Where lines are wrapped."""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Adds the command's arguments."""
    parser.add_argument("--json", action="store_true", help="print JSON")


def run(arguments: argparse.Namespace) -> int:
    """Examines the installation."""
    from turnwise.agents.commands._probes import examine

    sections = examine()
    if arguments.json:
        print_json({name: [dataclasses.asdict(finding) for finding in found] for name, found in sections.items()})
        return 0
    for name, findings in sections.items():
        print(styled(name, "bold"))
        width = max(len(finding.name) for finding in findings)
        indent = " " * (width + 8)
        for finding in findings:
            mark = styled("ok", "green") if finding.ok else styled("--", "yellow")
            first, *more = textwrap.wrap(finding.detail, max(LINE - len(indent), 40), break_long_words=False)
            print(f"  {mark}  {finding.name:<{width}}  {first}")
            for line in more:
                print(f"{indent}{line}")
            if finding.unlocks:
                print(styled(f"{indent}unlocks  {finding.unlocks}", "dim"))
            if finding.remedy:
                print(f"{indent}get it   {finding.remedy}")
        print()
    return 0
