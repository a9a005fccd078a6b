"""The checks of a turn table's columns: each returns the column in its own type, or says what is wrong with it."""

from __future__ import annotations

from collections.abc import Hashable, Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from turnwise.agents.credit.segments import Bools, Floats, Ints, codes, dense, pair
from turnwise.agents.errors import InvalidInput


def as_floats(name: str, column: ArrayLike) -> Floats:
    """Returns a column as float64, a copy.

    Raises:
        InvalidInput: It holds something else than numbers.
    """
    try:
        return np.array(column, np.float64)
    except (TypeError, ValueError) as error:
        raise InvalidInput(f"{name} must hold numbers: {error}") from error


def floats(name: str, column: ArrayLike, length: int, per: str) -> Floats:
    """Returns a column as float64 [length]; raises `InvalidInput` where it is not one."""
    values = as_floats(name, column)
    _check_shape(name, values, length, per)
    return values


def integers(name: str, column: ArrayLike, length: int, per: str) -> Ints:
    """Returns a column as int64 [length]; raises `InvalidInput` where it is not one."""
    values = np.asarray(column)
    _check_shape(name, values, length, per)
    if values.size and values.dtype.kind not in "iu":
        raise InvalidInput(f"{name} has dtype {values.dtype}; it must hold integers (`from_columns` codes other ids)")
    return values.astype(np.int64)


def flags(name: str, column: ArrayLike, length: int) -> Bools:
    """Returns a column as bool [length]; raises `InvalidInput` where it is not one."""
    values = np.asarray(column)
    _check_shape(name, values, length, "episode")
    if values.size and values.dtype != np.bool_:
        raise InvalidInput(f"{name} has dtype {values.dtype}; it must hold booleans")
    return values.astype(np.bool_)


def _check_shape(name: str, values: np.ndarray[Any, Any], length: int, per: str) -> None:
    if values.shape != (length,):
        raise InvalidInput(f"{name} has shape {values.shape}; it needs one entry per {per}: ({length},)")


def same_length(name: str, values: Ints, like: Ints) -> None:
    """Raises `InvalidInput` unless two columns of turns have one length."""
    _check_shape(name, values, len(like), "turn")


def finite(name: str, column: Floats, rows: Bools, per: str) -> None:
    """Raises `InvalidInput` where a column holds NaN or infinity in one of `rows`."""
    bad = np.flatnonzero(~np.isfinite(column) & rows)
    if bad.size:
        raise InvalidInput(
            f"{name} is {column[bad[0]]} at {per} {bad[0]}; it must be finite (an episode without a score is failed)"
        )


def order(episode: Ints, episodes: int) -> None:
    """Raises `InvalidInput` unless the rows stand episode by episode and name episodes that exist."""
    if (episode[1:] < episode[:-1]).any():
        row = int(np.flatnonzero(episode[1:] < episode[:-1])[0]) + 1
        raise InvalidInput(
            f"episode falls from {episode[row - 1]} to {episode[row]} at turn {row}; sort rows by episode"
        )
    if episode.size and (episode[0] < 0 or episode[-1] >= episodes):
        bad = episode[0] if episode[0] < 0 else episode[-1]
        raise InvalidInput(f"episode {bad} does not exist: group has {episodes} entries, one per episode")


def adjacent(episode: Ints, names: Sequence[Hashable]) -> None:
    """Raises `InvalidInput` where the turns of an episode, numbered by first appearance, do not stand together."""
    apart = np.flatnonzero(episode[1:] < episode[:-1])
    if apart.size:
        name = names[int(apart[0]) + 1]
        raise InvalidInput(
            f"the turns of episode {name!r} do not stand together; sort the rows by episode and turn first"
        )


def endings(terminated: Bools, truncated: Bools, failed: Bools) -> None:
    """Raises `InvalidInput` unless every episode ended in exactly one way."""
    ways = terminated.astype(np.int64) + truncated + failed
    bad = np.flatnonzero(ways != 1)
    if bad.size:
        raise InvalidInput(
            f"episode {bad[0]} is {ways[bad[0]]} of terminated, truncated and failed; it must be exactly one of them"
        )


def ids(names: Sequence[Hashable] | Ints) -> Sequence[Hashable]:
    """Returns ids as plain hashable values: those of an array as Python's own."""
    return names.tolist() if isinstance(names, np.ndarray) else names


def state_codes(
    state: Sequence[Hashable] | Ints | None, after: Sequence[Hashable] | Ints | None
) -> tuple[Ints | None, Ints | None]:
    """Returns two columns of state keys in one code: -1 for unknown states (None or ""), None for a column of those."""
    first, second = codes(() if state is None else ids(state), () if after is None else ids(after))
    return _known(first, state), _known(second, after)


def _known(coded: Ints, names: Sequence[Hashable] | Ints | None) -> Ints | None:
    if names is None:
        return None
    known = np.array([name is not None and name != "" for name in ids(names)], np.bool_)
    return np.where(known, coded, -1) if known.any() or not known.size else None


def state_groups(state: Ints, group: Ints) -> Ints:
    """Returns an index of the pairs {group, state}, with an index of its own for each unknown state (-1)."""
    unknown = state < 0
    alone = np.where(unknown, state.max(initial=-1) + np.cumsum(unknown), state)
    return pair(group, dense(alone))


def wanted(columns: Mapping[str, Floats], name: str, user: str, where: str, per: str) -> Floats:
    """Returns a named column; raises `InvalidInput` where it is missing."""
    if name not in columns:
        have = ", ".join(sorted(columns)) or "none"
        raise InvalidInput(f"{user} needs {where}[{name!r}] with one number per {per}; the table has: {have}")
    return columns[name]


def present(column: Ints | None, name: str, user: str) -> Ints:
    """Returns a column that is optional in the table; raises `InvalidInput` where `user` needs it and it is missing."""
    if column is None:
        raise InvalidInput(f"{user} needs the column {name}, which this table lacks; give it when making the table")
    return column
