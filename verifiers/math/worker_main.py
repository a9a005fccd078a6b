"""The worker's side: reads one question a line, says that it has begun, answers on one line."""

from __future__ import annotations

import contextlib
import json
import signal
import sys
from collections.abc import Iterator
from typing import Any


def limit_memory(size: int) -> None:
    """Limits this process's address space to `size` bytes, where the system can."""
    with contextlib.suppress(ImportError, ValueError, OSError):
        import resource

        resource.setrlimit(resource.RLIMIT_AS, (size, size))


class OutOfTime(BaseException):
    """The question's processor time is used up; no `except Exception` inside sympy swallows it."""


@contextlib.contextmanager
def deadline(seconds: float) -> Iterator[None]:
    """Raises OutOfTime in the block once it has used this much processor time (where the system has such a timer)."""
    if not hasattr(signal, "setitimer"):
        yield
        return

    def stop(*_: Any) -> None:
        raise OutOfTime

    signal.signal(signal.SIGVTALRM, stop)
    signal.setitimer(signal.ITIMER_VIRTUAL, seconds)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_VIRTUAL, 0)


def main() -> None:
    """Serves until the input ends."""
    limit_memory(2 << 30)
    import sympy  # noqa: F401 - imported before the first question, so that its deadline does not pay for it
    from sympy.core.cache import clear_cache

    from turnwise.verifiers.math.algebra import compare, from_json

    for line in sys.stdin:
        reply: dict[str, Any]
        sys.stdout.write('"begun"\n')
        sys.stdout.flush()
        try:
            question = json.loads(line)
            clear_cache()  # what was asked before must not decide whether the time suffices
            with deadline(question["seconds"]):
                reply = {"answer": compare(from_json(question["left"]), from_json(question["right"]))}
        except OutOfTime:
            reply = {"timeout": True}
        except Exception as error:  # noqa: BLE001 - whatever sympy raises is an answer: it could not
            reply = {"error": f"{type(error).__name__}: {error}"[:300]}
        sys.stdout.write(json.dumps(reply) + "\n")
        sys.stdout.flush()


if __name__ == "__main__":
    main()
