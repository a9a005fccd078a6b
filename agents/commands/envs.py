"""List the environments.

Environments of installed plug-ins are listed too; one that cannot be loaded says
why.

Examples:
  turnwise envs
  turnwise envs sokoban
  turnwise envs --json
"""

from __future__ import annotations

import argparse
import dataclasses

from turnwise.agents.commands._output import print_json, styled


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Adds the command's arguments."""
    parser.add_argument("name", nargs="?", default="", metavar="NAME", help="list only ids with this in them")
    parser.add_argument("--json", action="store_true", help="print JSON")


def run(arguments: argparse.Namespace) -> int:
    """Lists the environments."""
    from turnwise.envs import list_envs

    entries = [entry for entry in list_envs() if arguments.name.lower() in entry.id.lower()]
    if arguments.json:
        print_json([dataclasses.asdict(entry) | {"levels": dict(entry.levels)} for entry in entries])
        return 0
    if not entries:
        print(f"no environment has {arguments.name!r} in its id")
        return 1
    for entry in entries:
        print(styled(entry.id, "bold"))
        if entry.summary:
            print(f"  {entry.summary}")
        if entry.error:
            print(styled(f"  cannot be loaded: {entry.error}", "red"))
        if entry.actions:
            print(f"  action  {entry.actions}")
        if entry.levels:
            print("  levels  " + ", ".join(f"{name} ({turns} turns)" for name, turns in entry.levels.items()))
        print()
    print(styled("turnwise play ID plays one yourself; turnwise eval ID measures a policy on it.", "dim"))
    return 0
