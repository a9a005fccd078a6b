"""SQL as text: out of a response, into tokens, apart into statements. Nothing here knows what the tokens mean."""

from __future__ import annotations

import re
import sqlite3
from collections.abc import Iterator

FENCE = re.compile(r"```([^\n`]*)\n(.*?)```", re.DOTALL)
TAGS = ("answer", "sql")
MARKS = ("sql", "sqlite", "")

TOKEN = re.compile(
    r"""(?P<skip>\s+|--[^\n]*|/\*.*?(?:\*/|\Z))
    |(?P<text>[xX]?'[^']*(?:''[^']*)*(?:'|\Z))
    |(?P<name>"[^"]*(?:""[^"]*)*(?:"|\Z)|`[^`]*(?:``[^`]*)*(?:`|\Z)|\[[^\]]*(?:\]|\Z))
    |(?P<number>(?:\d+(?:\.\d*)?|\.\d+)(?:[eE][+-]?\d+)?|0[xX][0-9a-fA-F]+)
    |(?P<word>[^\W\d][\w$]*)
    |(?P<sign><=|>=|<>|!=|==|\|\||<<|>>|.)""",
    re.VERBOSE | re.DOTALL,
)

TRIGGER = re.compile(r"\s*create\s+(?:temp\s+|temporary\s+)?trigger\b", re.IGNORECASE)


def extract_sql(response: str) -> str:
    """Returns the SQL of a response: the last `<answer>` or `<sql>` block, then the last fenced block in it.

    Only what follows `</think>` counts. Blocks marked with another language are passed over; without any block the
    whole text is SQL.
    """
    text = response.rpartition("</think>")[2]
    for tag in TAGS:
        _, opened, after = text.rpartition(f"<{tag}>")
        if opened and f"</{tag}>" in after:
            text = after.partition(f"</{tag}>")[0]
            break
    blocks = [block.group(2) for block in FENCE.finditer(text) if block.group(1).strip().lower() in MARKS]
    return (blocks[-1] if blocks else text).strip()


def tokens(sql: str) -> list[tuple[str, str]]:
    """Returns kind (`text`, `name`, `number`, `word`, `sign`) and text of each token, without comments.

    Words and numbers are in lower case, and quoted names are words where quoting them changes nothing.
    """
    found = []
    for match in TOKEN.finditer(sql):
        kind, text = str(match.lastgroup), match.group()
        if kind == "name" and re.fullmatch(r"[^\W\d]\w*", text[1:-1]):
            kind, text = "word", text[1:-1]
        if kind in ("word", "number"):
            text = text.lower()
        if kind != "skip":
            found.append((kind, text))
    return found


def order_end(sql: str) -> int | None:
    """Returns where further terms may be added to the ORDER BY of the outermost query; None where it has none.

    That ORDER BY stands outside of all brackets, and ends before LIMIT or with the query.
    """
    depth, before, end = 0, "", None
    for match in TOKEN.finditer(sql):
        kind, text = match.lastgroup, match.group().lower()
        if kind == "skip":
            continue
        depth += (text == "(") - (text == ")")
        if depth == 0 and end is not None and text in ("limit", ";"):
            break
        if end is not None or (depth == 0 and text == "by" and before == "order"):
            end = match.end()
        before = text if kind == "word" else ""
    return end


def ngrams(sql: str, size: int) -> set[tuple[str, ...]]:
    """Returns the runs of `size` tokens; the whole where there are fewer. A closing semicolon does not count."""
    texts = [text for _, text in tokens(sql.strip().rstrip(";"))]
    return {tuple(texts[start : start + size]) for start in range(max(1, len(texts) - size + 1))} if texts else set()


def jaccard(left: set[object], right: set[object]) -> float:
    """Returns |left & right| / |left | right|; 1 where both are empty."""
    return len(left & right) / len(left | right) if left or right else 1.0


def statements(script: str) -> Iterator[str]:
    """Yields the statements of a script; bodies of triggers, strings and comments may hold semicolons."""
    pending = ""
    for piece in pieces(script):
        pending += piece
        if TRIGGER.match(pending) and [text for _, text in tokens(piece)][-2:] != ["end", ";"]:
            continue  # `complete_statement` reads everything again: only where a trigger can end
        if sqlite3.complete_statement(pending):
            if tokens(pending.strip().strip(";")):
                yield pending.strip()
            pending = ""
    if tokens(pending):
        yield pending.strip()


def pieces(script: str) -> Iterator[str]:
    """Yields a script cut behind every semicolon that is a token."""
    start = 0
    for match in TOKEN.finditer(script):
        if match.group() == ";":
            yield script[start : match.end()]
            start = match.end()
    yield script[start:]
