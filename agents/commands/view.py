"""Show episodes in a page for the browser.

The page is one file that needs no server and no network. It shows turns, rewards
by part, advantages, and tokens with their mask and log-probabilities. It is
written beside the episodes unless --output says where.

Examples:
  turnwise view runs/demo
  turnwise view runs/demo --open
  turnwise view episodes.jsonl --output page.html --tokenizer Qwen/Qwen3-0.6B
"""

from __future__ import annotations

import argparse
import sys
import webbrowser
from collections import deque
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

from turnwise.agents.errors import InvalidInput, MissingExtra

if TYPE_CHECKING:
    from turnwise.agents.types import Episode
    from turnwise.agents.viewer.data import Decoder

LAST = 2000


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Adds the command's arguments."""
    parser.add_argument("source", metavar="FILE_OR_RUN", type=Path, help="a file of episodes, or a run's folder")
    parser.add_argument("-o", "--output", metavar="FILE", type=Path, help="where to write the page")
    parser.add_argument("--open", action="store_true", help="open the page in the browser")
    parser.add_argument(
        "--last", type=int, default=LAST, metavar="N", help=f"show the last N episodes (default {LAST})"
    )
    parser.add_argument(
        "--tokenizer",
        metavar="NAME",
        help="a folder or a name on the hub: gives tokens their text; by default the one saved in the run's folder",
    )


def run(arguments: argparse.Namespace) -> int:
    """Writes the page."""
    from turnwise.agents.viewer import render

    source: Path = arguments.source
    path = source / "episodes.jsonl" if source.is_dir() else source
    episodes, total = _read(path, arguments.last)
    target: Path = arguments.output or path.with_suffix(".html")
    page = render(episodes, title=str(source), tokenizer=_tokenizer(arguments.tokenizer, source))
    target.parent.mkdir(parents=True, exist_ok=True)
    target.write_text(page, encoding="utf-8")
    of_all = f" (the last of {total}; --last N shows more)" if total > len(episodes) else ""
    print(f"{target}: {len(episodes)} episodes{of_all}")
    if arguments.open and not webbrowser.open(target.resolve().as_uri()):
        print("no browser could be started: open the file yourself", file=sys.stderr)
    return 0


def _read(path: Path, last: int) -> tuple[list[Episode], int]:
    """Returns the last episodes of a file, and how many it has."""
    from turnwise.agents.rollout.jsonl import read_episodes

    if last < 1:
        raise InvalidInput(f"--last must be at least 1, not {last}")
    if not path.exists():
        raise InvalidInput(
            f"there are no episodes at {path}: give a file of episodes, or the folder of a run that kept some"
        )
    total = 0
    kept: deque[Episode] = deque(maxlen=last)
    for episode in read_episodes(path):
        kept.append(episode)
        total += 1
    return list(kept), total


def _tokenizer(name: str | None, source: Path) -> Decoder | None:
    """Returns the tokenizer that was asked for, or the one that a run saved last; None where there is none."""
    if name is None:
        saved = source.glob("**/tokenizer.json") if source.is_dir() else ()
        newest = max(saved, key=lambda path: path.stat().st_mtime, default=None)
        if newest is None:
            return None
        name = str(newest.parent)
    try:
        from transformers import AutoTokenizer
    except ImportError as error:
        raise MissingExtra(error.name or "transformers", "train") from error
    try:
        tokenizer: Any = AutoTokenizer.from_pretrained(name)
    except (OSError, ValueError) as error:
        raise InvalidInput(f"no tokenizer can be loaded from {name!r}: {error}") from error
    return cast("Decoder", tokenizer)
