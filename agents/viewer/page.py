"""Renders episodes into one HTML page that needs nothing else: no server, no network, no other file.

What a model wrote is taken to be hostile. It reaches the page as JSON in which no character can end the script element,
it is shown with `textContent` only, and the page's content security policy allows no script but its own, no style but
its own, and no request at all.
"""

from __future__ import annotations

import base64
import hashlib
import html
import json
from collections.abc import Iterable, Sequence
from importlib.resources import files
from typing import Any

from turnwise.agents.errors import InvalidInput
from turnwise.agents.types import Episode
from turnwise.agents.viewer.data import Decoder, page_data


def render(
    episodes: Iterable[Episode],
    *,
    title: str = "Episodes",
    advantages: Sequence[Sequence[float] | None] | None = None,
    tokenizer: Decoder | None = None,
) -> str:
    """Returns an HTML page that shows episodes.

    Args:
        episodes: The episodes, in the order in which they are listed.
        title: Stands at the top.
        advantages: For each episode one advantage per turn; None for an episode, or for all, takes those that the
            episode carries in its tag "advantages".
        tokenizer: Gives tokens their text; without it the token view shows ids.

    Raises:
        InvalidInput: There is not one entry of `advantages` per episode, or not one advantage per turn.
    """
    listed = list(episodes)
    given: Sequence[Sequence[float] | None] = [None] * len(listed) if advantages is None else advantages
    if len(given) != len(listed):
        raise InvalidInput(f"there are {len(listed)} episodes but {len(given)} entries of advantages")
    data = page_data(listed, given, tokenizer) | {"title": title}
    folder = files("turnwise.agents.viewer")
    style = folder.joinpath("page.css").read_text(encoding="utf-8")
    script = folder.joinpath("page.js").read_text(encoding="utf-8")
    policy = (
        f"default-src 'none'; script-src {_source_hash(script)}; style-src {_source_hash(style)}; img-src data:; "
        "base-uri 'none'; form-action 'none'"
    )
    page = folder.joinpath("page.html").read_text(encoding="utf-8")
    filled = {
        "policy": policy,
        "title": html.escape(title),
        "style": style,
        "data": script_json(data),
        "script": script,
    }
    # One pass over the template: what is filled in is never searched for further holes.
    pieces = page.split("%%")
    return "".join(filled[piece] if position % 2 else piece for position, piece in enumerate(pieces))


def script_json(data: Any) -> str:
    """Returns JSON that is safe inside an HTML script element.

    ASCII only, so that neither U+2028 nor a lone surrogate stands in the page; and without `<`, `>` and `&`, so that
    neither `</script` nor `<!--` can.
    """
    text = json.dumps(data, ensure_ascii=True, allow_nan=False, separators=(",", ":"))
    for character in "<>&":
        text = text.replace(character, f"\\u{ord(character):04x}")
    return text


def _source_hash(text: str) -> str:
    digest = base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()
    return f"'sha256-{digest}'"
