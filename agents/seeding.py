"""Seeds derived from names, so that no draw depends on timing or on the order of work."""

from __future__ import annotations

import hashlib
import json

SEED_BITS = 63
"""Seeds fit a signed 64-bit integer, which NumPy, torch and JSON readers all accept."""


def derive_seed(*parts: str | int) -> int:
    """Returns a seed for what the parts name: the same on every machine, version and process.

    It is the first 63 bits of BLAKE2b over the parts' JSON list, so that `("a", 1)`, `("a1",)` and `("a", "1")` give
    unrelated seeds, and so do neighbouring integers.

    Args:
        parts: What the seed is for, most general first: for example a run's seed, a purpose, a job, a turn.
    """
    name = json.dumps(parts, ensure_ascii=True, separators=(",", ":")).encode("ascii")
    digest = hashlib.blake2b(name, digest_size=8).digest()
    return int.from_bytes(digest, "big") >> (64 - SEED_BITS)
