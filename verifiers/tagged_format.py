"""Answers in tagged blocks: think, then act or answer."""

from __future__ import annotations

import re
from typing import NamedTuple

from turnwise.verifiers.base import Verifier
from turnwise.verifiers.errors import InvalidInput
from turnwise.verifiers.tags import Layout, checked_tag, layout_of
from turnwise.verifiers.text import quoted
from turnwise.verifiers.types import Sample, Verdict

FIRST_LETTER = 0xE000
"""Unicode's private use area, whose characters stand for tags when the order of blocks is matched."""


class Step(NamedTuple):
    """One element of a format: one of some tags, so many times."""

    tags: tuple[str, ...]
    quantifier: str


class TaggedFormat(Verifier):
    """`TaggedFormat("think", "answer")`: 1 where the response is these blocks, in this order, and nothing else.

    Every block must be there once, closed, not empty, and with none of the other tags inside; outside of the blocks
    only whitespace may stand. A step may also be

    - optional, `"think?"`; repeated, `"tool_call+"` (once or more), `"tool_call*"` (any number);
    - a choice, `"tool_call|answer"`: one block of either.

    `parts` says what is wrong: one part per tag (1 where its blocks are closed, filled and not inside others, and as
    many as they may be), `order`, and `outside`. Only the whole format scores 1; to pay for parts of it, weigh those
    parts. What the blocks contain is not judged: a model can fill them with anything. Judge it behind the format,
    `TaggedFormat("think", "answer") >> Within("answer", ExactMatch())`.

    Args:
        steps: The blocks, in order.
        opened: The tag that the prompt has already opened, as the templates of some reasoning models do with
            `<think>`: the response is judged as if it began with it.

    Raises:
        InvalidInput: There is no step, a tag's name is malformed, or stands in two steps.
    """

    def __init__(self, *steps: str, opened: str | None = None) -> None:
        if not steps:
            raise InvalidInput('a format needs at least one block, such as TaggedFormat("think", "answer")')
        self.steps = steps
        self.opened = opened
        self._parsed = [parsed_step(step) for step in steps]
        self._tags = [tag for step in self._parsed for tag in step.tags]
        if len(set(self._tags)) < len(self._tags):
            raise InvalidInput(f"{steps!r}: a tag may stand in one step only; repeat it with + or *")
        if opened is not None and opened not in self._tags:
            raise InvalidInput(f"opened={opened!r}: the tag is none of the format's, {', '.join(self._tags)}")
        letters = {tag: chr(FIRST_LETTER + index) for index, tag in enumerate(self._tags)}
        self._letters = letters
        self._order = re.compile(
            "".join(f"[{''.join(letters[tag] for tag in step.tags)}]{step.quantifier}" for step in self._parsed)
        )

    def _verify(self, sample: Sample) -> Verdict:
        text = sample.text if self.opened is None else f"<{self.opened}>{sample.text}"
        layout = layout_of(text, self._tags)
        parts = {tag: self._tag_verdict(tag, step, layout) for step in self._parsed for tag in step.tags}
        parts["order"] = self._order_verdict(layout)
        parts["outside"] = outside_verdict(layout)
        wrong = [f"{name}: {part.evidence}" for name, part in parts.items() if part.score < 1]
        if wrong:
            return Verdict(0.0, parts, "; ".join(wrong))
        return Verdict(
            1.0, parts, f"{', '.join(block.tag for block in layout.blocks) or 'no block'}, as the format wants"
        )

    def _tag_verdict(self, tag: str, step: Step, layout: Layout) -> Verdict:
        blocks = layout.of(tag)
        faults = [*layout.faults[tag]]
        if any(not block.content.strip() for block in blocks):
            faults.append("empty")
        if not blocks and not faults and step.quantifier in ("", "+") and len(step.tags) == 1:
            faults.append("missing")
        if len(blocks) > 1 and step.quantifier in ("", "?"):
            faults.append(f"{len(blocks)} blocks")
        if faults:
            return Verdict(0.0, evidence=", ".join(faults[:3]) + (", ..." if len(faults) > 3 else ""))
        return Verdict(1.0, evidence=f"{len(blocks)} well-formed")

    def _order_verdict(self, layout: Layout) -> Verdict:
        found = "".join(self._letters[block.tag] for block in layout.blocks)
        names = ", ".join(block.tag for block in layout.blocks[:8]) + (", ..." if len(layout.blocks) > 8 else "")
        if self._order.fullmatch(found):
            return Verdict(1.0, evidence=names)
        return Verdict(0.0, evidence=f"found {names or 'no block'}, not {', '.join(self.steps)}")


def outside_verdict(layout: Layout) -> Verdict:
    """Returns whether only whitespace stands outside of the blocks."""
    rest = layout.outside.strip()
    return Verdict(0.0, evidence=quoted(rest)) if rest else Verdict(1.0, evidence="nothing")


def parsed_step(step: str) -> Step:
    """Returns the tags and the quantifier of a step such as `tool_call|answer` or `tool_call+`."""
    if not isinstance(step, str):
        raise InvalidInput(f"{step!r} is not a step of a format: give a text such as 'answer' or 'tool_call+'")
    names, quantifier = (step[:-1], step[-1]) if step.endswith(("?", "*", "+")) else (step, "")
    return Step(tuple(checked_tag(name) for name in names.split("|")), quantifier)
