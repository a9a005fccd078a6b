"""The worker's side: reads one question a line, says that it has begun, answers on one line."""

from __future__ import annotations

import contextlib
import json
import sys
from typing import Any


def limit_memory(size: int) -> None:
    """Limits this process's address space to `size` bytes, where the system can."""
    with contextlib.suppress(ImportError, ValueError, OSError):
        import resource

        resource.setrlimit(resource.RLIMIT_AS, (size, size))


def main() -> None:
    """Serves until the input ends."""
    limit_memory(2 << 30)
    import sympy  # noqa: F401 - imported before the first question, so that its deadline does not pay for it

    from turnwise.verifiers.math.algebra import compare, from_json

    for line in sys.stdin:
        reply: dict[str, Any]
        sys.stdout.write('"begun"\n')
        sys.stdout.flush()
        try:
            question = json.loads(line)
            reply = {"answer": compare(from_json(question["left"]), from_json(question["right"]))}
        except Exception as error:  # noqa: BLE001 - whatever sympy raises is an answer: it could not
            reply = {"error": f"{type(error).__name__}: {error}"[:300]}
        sys.stdout.write(json.dumps(reply) + "\n")
        sys.stdout.flush()


if __name__ == "__main__":
    main()
