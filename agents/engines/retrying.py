"""Requests to a server that may be busy, slow, broken or gone: what is tried again, after how long, and what is not."""

from __future__ import annotations

import asyncio
import email.utils
import random
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from datetime import UTC
from typing import Any, TypeVar

from turnwise.agents.errors import EngineError

T = TypeVar("T")

LONGEST_WAIT = 60.0
"""The most seconds between two tries that are not asked for by the server."""
LONGEST_ASKED_WAIT = 300.0
"""The most seconds that a server may ask to wait; above, waiting is left to the caller."""


class TransientError(Exception):
    """Something that may work when it is tried again.

    Args:
        message: What happened.
        retry_after: After how many seconds the server wants to be asked again; None where it does not say.
    """

    def __init__(self, message: str, retry_after: float | None = None) -> None:
        super().__init__(message)
        self.retry_after = retry_after


@dataclass(frozen=True)
class Backoff:
    """How often and after how long something is tried again.

    Attributes:
        retries: How many times it is tried again.
        first: Seconds before the first retry; doubled for each further one, up to a minute, and varied by up to a half
            either way so that many clients do not come back at once.
    """

    retries: int
    first: float

    def seconds(self, attempt: int, asked: float | None) -> float:
        """Returns how long to wait after a failed attempt, counted from 0; at least what the server asked for."""
        own: float = min(self.first * 2.0**attempt, LONGEST_WAIT) * random.uniform(0.5, 1.5)
        return own if asked is None else max(own, asked)

    async def run(self, attempt: Callable[[], Awaitable[T]], on_retry: Callable[[], None]) -> T:
        """Tries until it works.

        Args:
            attempt: Raises `TransientError` for what may be tried again.
            on_retry: Called before each retry.

        Raises:
            EngineError: The last try failed too, or the server asks to wait too long.
        """
        for number in range(self.retries + 1):
            try:
                return await attempt()
            except TransientError as error:
                failure = error
            if failure.retry_after is not None and failure.retry_after > LONGEST_ASKED_WAIT:
                raise EngineError(
                    f"{failure}; the server asks to wait {failure.retry_after:.0f} s"
                ) from failure.__cause__
            if number < self.retries:
                on_retry()
                await asyncio.sleep(self.seconds(number, failure.retry_after))
        raise EngineError(f"{failure} (tried {self.retries + 1} times)") from failure.__cause__


def retry_after(headers: Any) -> float | None:
    """Returns the seconds that a `Retry-After` header asks for: a number, or a date (RFC 9110); None without one."""
    value = headers.get("retry-after")
    if value is None:
        return None
    try:
        return max(0.0, float(value))
    except ValueError:
        pass
    try:
        when = email.utils.parsedate_to_datetime(value)
    except ValueError:
        return None
    return max(0.0, when.replace(tzinfo=when.tzinfo or UTC).timestamp() - time.time())
