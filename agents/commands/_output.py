"""What commands print: colours where they are wanted, and JSON."""

from __future__ import annotations

import json
import os
import sys
from typing import Any

_CODES = {"bold": "1", "dim": "2", "red": "31", "green": "32", "yellow": "33", "cyan": "36"}


def colored() -> bool:
    """Whether standard output takes colours: it is a terminal, and `NO_COLOR` (https://no-color.org) is not set."""
    return not os.environ.get("NO_COLOR") and os.environ.get("TERM") != "dumb" and sys.stdout.isatty()


def styled(text: str, *styles: str) -> str:
    """Returns text in bold, dim, red, green, yellow or cyan where standard output takes colours."""
    if not text or not styles or not colored():
        return text
    return f"\x1b[{';'.join(_CODES[style] for style in styles)}m{text}\x1b[0m"


def print_json(value: Any) -> None:
    """Prints JSON; whoever calls has made None of numbers that JSON lacks."""
    print(json.dumps(value, indent=2, ensure_ascii=False, allow_nan=False))
