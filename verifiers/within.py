"""Judging what stands inside a tagged block."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from typing import Literal, TypeAlias, get_args

from turnwise.verifiers.base import Verifier, turn_samples
from turnwise.verifiers.compose.core import Composition, Parts, Plan
from turnwise.verifiers.errors import InvalidInput
from turnwise.verifiers.tags import checked_tag, layout_of
from turnwise.verifiers.types import Sample, Verdict

Which: TypeAlias = Literal["only", "first", "last"]


class Within(Composition):
    """`Within("answer", ExactMatch())`: judges the content of the `<answer>` block as if it were the response.

    0 where there is no such block: not to mark an answer is the agent's failure, not the verifier's. With
    `which="only"`, also where there are several, or stray tags of that name: a response that answers twice must not
    be paid for its better answer.

    In a group, the component judges the samples that have the block. `verify_turns` judges the block of every turn by
    itself.

    Args:
        tag: The tag's name.
        verifier: What judges the content.
        which: Which block counts: the `only` one, the `first`, or the `last`.

    Raises:
        InvalidInput: The tag's name is malformed, or `which` is unknown.
    """

    def __init__(self, tag: str, verifier: Verifier, which: Which = "only") -> None:
        super().__init__(verifier)
        if which not in get_args(Which):
            raise InvalidInput(f"which={which!r}: choose one of {', '.join(get_args(Which))}")
        self.tag = checked_tag(tag)
        self.which: Which = which

    def content(self, text: str) -> str | None:
        """Returns the content of the block that counts, or None if there is none."""
        layout = layout_of(text, [self.tag])
        if not layout.blocks or (self.which == "only" and (len(layout.blocks) > 1 or layout.faults[self.tag])):
            return None
        return layout.blocks[0 if self.which == "first" else -1].content

    def _view(self, sample: Sample) -> Sample:
        content = self.content(sample.text)
        return sample if content is None else replace(sample, response=content)

    def _plan(self, sample: Sample) -> Plan:
        if self.content(sample.text) is None:
            amount = "exactly one" if self.which == "only" else "a"
            return Verdict(0.0, {}, f"the response does not have {amount} well-formed <{self.tag}> block")
        parts: Parts = yield tuple(self.components)
        (part,) = parts.values()
        return replace(part, parts=parts)

    def _verify_turns(self, sample: Sample) -> list[Verdict]:
        return [self.verify(turn) for turn in turn_samples(sample)]

    async def _averify_turns(self, sample: Sample) -> list[Verdict]:
        return list(await asyncio.gather(*(self.averify(turn) for turn in turn_samples(sample))))
