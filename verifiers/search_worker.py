"""A process that runs regular expressions on untrusted text, and that a CPU limit ends. Started by `guarded_search`.

It is run as a script by path, in a bare interpreter, and imports nothing of turnwise. Messages in both directions are
JSON in ASCII behind their length in four bytes. A request holds the pattern, its flags, the text, the name of the
method (`search`, `fullmatch`), the group wanted, and the CPU seconds that the search may take; the reply is the span
and the group, or null.
"""

from __future__ import annotations

import json
import re
import signal
import struct
import sys
from typing import IO, Any

LENGTH = struct.Struct(">I")


def read_message(stream: IO[bytes]) -> Any:
    """Returns the next message.

    Raises:
        EOFError: The other side has closed the stream, or died in the middle of a message.
    """
    header = stream.read(LENGTH.size)
    size = LENGTH.unpack(header)[0] if len(header) == LENGTH.size else -1
    body = stream.read(size) if size >= 0 else b""
    if len(body) != size:
        raise EOFError("the other side has closed the stream")
    return json.loads(body)


def write_message(stream: IO[bytes], message: Any) -> None:
    """Sends a message."""
    body = json.dumps(message).encode("ascii")
    stream.write(LENGTH.pack(len(body)) + body)
    stream.flush()


def limit_cpu(seconds: float) -> None:
    """Lets the kernel end this process after that much CPU time; 0 lifts the limit.

    The signal is not caught: `re` would not return to Python for a handler to run.
    """
    if hasattr(signal, "setitimer"):
        signal.setitimer(signal.ITIMER_PROF, seconds)


def answer(request: dict[str, Any]) -> dict[str, Any] | None:
    """Runs one search within its CPU limit."""
    pattern = re.compile(request["pattern"], request["flags"])
    limit_cpu(request["seconds"])
    match = getattr(pattern, request["method"])(request["text"])
    limit_cpu(0)
    if match is None:
        return None
    group = request["group"]
    return {"span": match.span(), "group": None if group is None else match.group(group)}


def serve(requests: IO[bytes], replies: IO[bytes]) -> None:
    """Answers requests until the other side closes the stream."""
    while True:
        try:
            request = read_message(requests)
        except EOFError:
            return
        write_message(replies, answer(request))


if __name__ == "__main__":
    serve(sys.stdin.buffer, sys.stdout.buffer)
