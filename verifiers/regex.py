"""Regular expressions."""

from __future__ import annotations

import asyncio
import re

from turnwise.verifiers.base import Verifier
from turnwise.verifiers.errors import InvalidInput
from turnwise.verifiers.exact_match import text_references
from turnwise.verifiers.guarded_search import Found, Method, guarded_search
from turnwise.verifiers.text import quoted
from turnwise.verifiers.types import Sample, Verdict


class Regex(Verifier):
    r"""1 where a pattern is found in the response, else 0; or 1 where what a group caught equals the reference.

    `Regex(r"\d{4}-\d\d-\d\d", method="fullmatch")` judges the form alone and looks at no reference. With a group,
    `Regex(r"[Tt]he answer is (\w+)", group=1)`, the text that it caught must equal the reference, or one of a list of
    references, both without surrounding whitespace. The first match counts, as `re` finds it.

    Patterns come from you, text from a model: one that drives the pattern into catastrophic backtracking would freeze
    the process, since `re` cannot be interrupted. So the search runs in a worker process with a limit on CPU time (see
    `guarded_search`; POSIX systems), and beyond it the verdict is a time-out, not a 0.

    Args:
        pattern: The pattern, or one compiled with flags.
        method: `search` finds it anywhere; `fullmatch` wants it to be the whole response.
        group: The group to compare with the reference, by number or name.
        seconds: CPU seconds that a search may take. None searches in this process, without any limit: a hundred times
            faster, for patterns that you know to be harmless.

    Raises:
        InvalidInput: The pattern is malformed, has no such group, or an option is unknown. When judging: a group is
            given and the reference is not text.
    """

    def __init__(
        self,
        pattern: str | re.Pattern[str],
        *,
        method: Method = "search",
        group: int | str | None = None,
        seconds: float | None = 1.0,
    ) -> None:
        try:
            self.pattern = re.compile(pattern)
        except (re.error, TypeError, RecursionError, OverflowError) as error:
            raise InvalidInput(f"pattern={pattern!r} is not a regular expression: {error}") from error
        if not isinstance(self.pattern.pattern, str):
            raise InvalidInput(f"pattern={pattern!r} searches bytes; give a pattern for text")
        if method not in ("search", "fullmatch"):
            raise InvalidInput(f"method={method!r}: choose 'search' or 'fullmatch'")
        if group is not None and group not in self.pattern.groupindex and group not in range(self.pattern.groups + 1):
            raise InvalidInput(f"group={group!r}: {self.pattern.pattern!r} has no such group")
        if seconds is not None and seconds <= 0:
            raise InvalidInput(f"seconds={seconds!r}: give a positive limit, or None for no limit")
        self.method: Method = method
        self.group = group
        self.seconds = seconds

    def find(self, text: str) -> Found | None:
        """Returns where the pattern is found in a text; raises `VerifierTimeout` when the search takes too long."""
        if self.seconds is not None:
            return guarded_search(self.pattern, text, self.method, self.group, self.seconds)
        match = getattr(self.pattern, self.method)(text)
        return match and Found(match.span(), None if self.group is None else match.group(self.group))

    def _verify(self, sample: Sample) -> Verdict:
        accepted = [] if self.group is None else [text.strip() for text in text_references(sample.reference)]
        found = self.find(sample.text)
        if found is None:
            return Verdict(0.0, evidence=f"{self.pattern.pattern!r} is not in {quoted(sample.text)}")
        if self.group is None:
            matched = quoted(sample.text[slice(*found.span)])
            return Verdict(1.0, evidence=f"{self.pattern.pattern!r} matches {matched}")
        if found.group is None:
            return Verdict(0.0, evidence=f"group {self.group!r} took no part in the match")
        equal = found.group.strip() in accepted
        wanted = quoted(accepted[0]) if len(accepted) == 1 else f"any of {len(accepted)} references"
        verb = "equals" if equal else "does not equal"
        return Verdict(float(equal), evidence=f"group {self.group!r}, {quoted(found.group)}, {verb} {wanted}")

    async def _averify(self, sample: Sample) -> Verdict:
        return await asyncio.to_thread(self._verify, sample)
