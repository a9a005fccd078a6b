"""Tagged blocks in text: `<think>...</think><answer>...</answer>`, found in time linear in its length."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, field

from turnwise.verifiers.errors import InvalidInput

TAG_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_.-]*")


@dataclass(frozen=True)
class Block:
    """A tag's block.

    Attributes:
        tag: The tag's name.
        content: What stands between its opening and its closing tag.
    """

    tag: str
    content: str


@dataclass
class Layout:
    """How a text is laid out in blocks.

    Attributes:
        blocks: The closed blocks that stand in no other block, in order.
        outside: What stands outside of every block.
        faults: What is wrong with each tag, a few words for each fault, in order.
    """

    blocks: list[Block] = field(default_factory=list)
    outside: str = ""
    faults: dict[str, list[str]] = field(default_factory=dict)

    def of(self, tag: str) -> list[Block]:
        """Returns the blocks of one tag."""
        return [block for block in self.blocks if block.tag == tag]


def layout_of(text: str, tags: Sequence[str]) -> Layout:
    """Returns the layout of a text in the blocks of some tags.

    Tags are written `<tag>` and `</tag>`, exactly: no attributes, no spaces, in this case. Other tags are ordinary
    text. A block ends at the first closing tag of its own; any other tag of the list inside it is a fault, and so is
    one that is never closed, or closed without having been opened.

    Args:
        text: Any text, however long or strange.
        tags: The names of the tags to look for.
    """
    layout = Layout(faults={tag: [] for tag in tags})
    outside: list[str] = []
    open_tag: str | None = None
    start = 0  # where the open block's content, or the text outside, begins
    for match in tag_pattern(tags).finditer(text):
        closes, tag = bool(match[1]), match[2]
        if open_tag is None:
            outside.append(text[start : match.start()])
            start = match.end()
            if closes:
                layout.faults[tag].append("closed without being opened")
            else:
                open_tag = tag
        elif closes and tag == open_tag:
            layout.blocks.append(Block(tag, text[start : match.start()]))
            open_tag, start = None, match.end()
        else:
            layout.faults[tag].append(f"inside <{open_tag}>")
    if open_tag is None:
        outside.append(text[start:])
    else:
        layout.faults[open_tag].append("never closed")
    layout.outside = "".join(outside)
    return layout


def tag_pattern(tags: Sequence[str]) -> re.Pattern[str]:
    """Returns the pattern of the opening and closing tags; group 1 is the slash, group 2 the name."""
    return re.compile(rf"<(/?)({'|'.join(re.escape(tag) for tag in tags)})>")


def checked_tag(tag: str) -> str:
    """Returns a tag's name.

    Raises:
        InvalidInput: It cannot be one.
    """
    if not isinstance(tag, str) or not TAG_NAME.fullmatch(tag):
        raise InvalidInput(f"{tag!r} cannot name a tag: write the name alone, such as 'answer', without < and >")
    return tag
