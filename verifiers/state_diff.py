"""Changes of a state: those that should be made, and those that must not."""

from __future__ import annotations

import sqlite3
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from contextlib import closing
from enum import Enum
from pathlib import Path
from typing import Any, Literal, TypeAlias, get_args

from turnwise.verifiers.base import Verifier
from turnwise.verifiers.errors import InvalidInput, VerifierError
from turnwise.verifiers.sql.database import Database
from turnwise.verifiers.types import Sample, Verdict

Steps: TypeAlias = tuple[str, ...]
OtherChanges: TypeAlias = Literal["forbid", "ignore"]

DEEPEST_STATE = 200
"""Levels of nesting beyond which a state is not compared."""


class StateMark(Enum):
    """What an expected change can be, other than a value.

    Attributes:
        REMOVED: The path is no longer there.
        CHANGED: The path holds something else than before, or is new.
    """

    REMOVED = "removed"
    CHANGED = "changed"


class StateDiff(Verifier):
    """The share of the expected changes that were made; 0 if a forbidden or unexpected one was.

    The states are `sample.state["before"]` and `sample.state["after"]`: nested mappings, lists and values; or SQLite
    databases (a connection, a path, a script, a `Database`), which become `{table: {primary key: {column: value}}}`, or
    `{table: {row: count}}` where there is no primary key. The response is not read: what counts is what was done.

    A path is text with dots, `"orders.17.status"`, or a tuple of keys where keys hold dots; `*` stands for one step and
    `**` for any number of them. Positions are the keys of lists. A path names all that lies below it. Values compare by
    type: True is not 1, 5 is 5.0.

    `parts`: `expected` (the share made), `forbidden` and `others` (1 where there is none).

    Args:
        expected: The value that each path must have afterwards, `StateMark.REMOVED` or `StateMark.CHANGED`. A path with
            wildcards holds if something below it changed, and everything changed that it names has the value. None
            takes each sample's reference; an empty one says that nothing may change.
        forbidden: Paths at or below which nothing may change, whatever is expected.
        others: Whether changes that are neither expected nor forbidden are forbidden too (a side effect) or ignored.

    Raises:
        InvalidInput: A path is empty, or `others` is unknown. When judging: the sample holds no two states.
    """

    def __init__(
        self,
        expected: Mapping[str | Sequence[str], Any] | None = None,
        *,
        forbidden: Sequence[str | Sequence[str]] = (),
        others: OtherChanges = "forbid",
    ) -> None:
        if others not in get_args(OtherChanges):
            raise InvalidInput(f"others={others!r}: choose one of {', '.join(get_args(OtherChanges))}")
        self.expected = expected
        self.forbidden = list(forbidden)
        self.others: OtherChanges = others
        self._forbidden = [steps_of(path) for path in self.forbidden]
        if expected is not None:
            expected_steps(expected)

    def _verify(self, sample: Sample) -> Verdict:
        expected = expected_steps(sample.reference if self.expected is None else self.expected)
        for name in ("before", "after"):
            if name not in sample.state:
                raise InvalidInput(f"state={sorted(sample.state)}: give the states as state['before'] and ['after']")
        before, after = (leaves(as_tree(sample.state[name])) for name in ("before", "after"))
        changed = changes(before, after)
        missing = [path for path, value in expected.items() if not made(path, value, changed, before, after)]
        broken = [path for path in changed if any(names(pattern, path) for pattern in self._forbidden)]
        loose = [path for path in changed if not any(names(pattern, path) for pattern in expected)]
        stray = [path for path in loose if path not in set(broken)] if self.others == "forbid" else []
        share = 1 - len(missing) / len(expected) if expected else 1.0
        parts = {
            "expected": Verdict(share, evidence=listed("not made", missing)),
            "forbidden": Verdict(float(not broken), evidence=listed("forbidden", broken)),
            "others": Verdict(float(not stray), evidence=listed("unexpected", stray)),
        }
        evidence = "; ".join(part.evidence for part in parts.values() if part.evidence) or "changed as expected"
        metrics = {"changes": float(len(changed))}
        return Verdict(0.0 if broken or stray else share, parts, evidence, metrics=metrics)


class Gone(Enum):
    """Where a path is not there."""

    GONE = "gone"


GONE = Gone.GONE


def steps_of(path: str | Sequence[str]) -> Steps:
    """Returns the steps of a path.

    Raises:
        InvalidInput: It has none, or an empty one in text with dots.
    """
    steps = tuple(path.split(".")) if isinstance(path, str) else tuple(str(step) for step in path)
    if not steps or (isinstance(path, str) and not all(steps)):
        raise InvalidInput(f"path={path!r}: give steps separated by dots, or a tuple of keys")
    return steps


def expected_steps(expected: Any) -> dict[Steps, Any]:
    """Returns the expected values by the steps of their paths.

    Raises:
        InvalidInput: They are no mapping, or a path is empty.
    """
    if not isinstance(expected, Mapping):
        raise InvalidInput(f"expected={expected!r}: give a mapping from paths to the values that they must have")
    return {steps_of(path): value for path, value in expected.items()}


def as_tree(state: Any) -> Any:
    """Returns a state as mappings, lists and values."""
    if isinstance(state, sqlite3.Connection):
        return tables_of(state)
    if isinstance(state, str | Path | Database):
        database = state if isinstance(state, Database) else Database(state)
        with closing(database.connect()) as connection:
            return tables_of(connection)
    if not isinstance(state, Mapping | list | tuple):
        raise InvalidInput(f"state={state!r}: give a mapping, a list or an SQLite database")
    return state


def tables_of(connection: sqlite3.Connection) -> dict[str, dict[str, Any]]:
    """Returns the rows of all tables by primary key, or how often each stands where a table has none."""
    query = "SELECT name FROM sqlite_master WHERE type = 'table' AND name NOT LIKE 'sqlite\\_%' ESCAPE '\\'"
    return {name: rows_of(connection, name) for (name,) in connection.execute(query).fetchall()}


def rows_of(connection: sqlite3.Connection, table: str) -> dict[str, Any]:
    """Returns the rows of one table; see `tables_of`."""
    doubled = table.replace('"', '""')
    columns = connection.execute("SELECT name, pk FROM pragma_table_info(?)", (table,)).fetchall()
    primary = [place for _, place in sorted((key, place) for place, (_, key) in enumerate(columns) if key)]
    selected = ", ".join('"' + name.replace('"', '""') + '"' for name, _ in columns)
    rows = [tuple(row) for row in connection.execute(f'SELECT {selected} FROM "{doubled}"')]
    if not primary:
        return {repr(row): count for row, count in Counter(rows).items()}
    labels = [name for name, _ in columns]
    return {",".join(str(row[place]) for place in primary): dict(zip(labels, row, strict=True)) for row in rows}


def leaves(tree: Any) -> dict[Steps, Any]:
    """Returns the values of a state that hold no others, by their paths; an empty mapping or list is one.

    Raises:
        VerifierError: It is nested too deeply, or within itself.
    """
    found: dict[Steps, Any] = {}
    stack: list[tuple[Steps, Any]] = [((), tree)]
    while stack:
        path, value = stack.pop()
        if len(path) > DEEPEST_STATE:
            raise VerifierError(f"the state is nested more than {DEEPEST_STATE} levels deep")
        children = list(items(value))
        if not children:
            found[path] = value
        stack += [((*path, key), child) for key, child in children]
    return found


def changes(before: Mapping[Steps, Any], after: Mapping[Steps, Any]) -> list[Steps]:
    """Returns the paths of the leaves that differ, sorted.

    A mapping or list that lost its last item, or got its first, has not changed itself: its items have.
    """
    found = []
    inner = {path[:size] for path in {*before, *after} for size in range(len(path))}
    for path in {*before, *after}:
        emptied = path in inner and all(
            state.get(path, GONE) is GONE or isinstance(state[path], Mapping | list | tuple)
            for state in (before, after)
        )
        if not emptied and not same(before.get(path, GONE), after.get(path, GONE)):
            found.append(path)
    return sorted(found)


def items(value: Any) -> Iterator[tuple[str, Any]]:
    """Yields what a mapping or a list holds."""
    if isinstance(value, Mapping):
        for key, item in value.items():
            yield str(key), item
    elif isinstance(value, list | tuple):
        for position, item in enumerate(value):
            yield str(position), item


def same(left: Any, right: Any) -> bool:
    """Whether two leaves are equal by type; NaN equals itself, since it has not changed."""
    for kind in (bool, Mapping, list | tuple):
        if isinstance(left, kind) or isinstance(right, kind):
            both = isinstance(left, kind) and isinstance(right, kind)
            return both and (kind is not bool or left == right)  # mappings and lists that are leaves are empty
    if isinstance(left, float) and isinstance(right, float) and left != left:
        return right != right
    return bool(left == right)


def names(pattern: Steps, path: Steps) -> bool:
    """Whether a path is what a pattern names, or lies below it."""
    return reach(pattern, path) is not None


def reach(pattern: Steps, path: Steps) -> int | None:
    """Returns how many steps of a path a pattern names, as few as possible; None where it names something else."""
    reached = closure(pattern, {0})  # how many steps of the pattern may be behind
    for length, step in enumerate(path):
        if len(pattern) in reached:
            return length
        following = {
            place if pattern[place] == "**" else place + 1
            for place in reached
            if pattern[place] in ("*", "**") or pattern[place] == step
        }
        reached = closure(pattern, following)
    return len(path) if len(pattern) in reached else None


def closure(pattern: Steps, reached: set[int]) -> set[int]:
    """Returns the places in a pattern that can be reached without a step: `**` may stand for none."""
    closed = set(reached)
    for place in range(len(pattern)):
        if place in closed and pattern[place] == "**":
            closed.add(place + 1)
    return closed


def made(
    pattern: Steps, value: Any, changed: Sequence[Steps], before: Mapping[Steps, Any], after: Mapping[Steps, Any]
) -> bool:
    """Whether an expected change was made.

    Raises:
        VerifierError: The state was so before: doing nothing would earn the reward.
    """
    touched = {path[: reach(pattern, path)] for path in changed if names(pattern, path)}
    if value is StateMark.CHANGED:
        return bool(touched)
    wanted = {} if value is StateMark.REMOVED else leaves(value)
    if "*" in pattern or "**" in pattern:
        return bool(touched) and all(equal_leaves(subtree(place, after), wanted) for place in touched)
    if equal_leaves(subtree(pattern, before), wanted):
        raise VerifierError(f"{'.'.join(pattern)!r} is as expected before anything was done: expect a change")
    return equal_leaves(subtree(pattern, after), wanted)


def subtree(place: Steps, state: Mapping[Steps, Any]) -> dict[Steps, Any]:
    """Returns the leaves at and below a path, by the rest of their paths."""
    size = len(place)
    return {path[size:]: value for path, value in state.items() if path[:size] == place}


def equal_leaves(left: Mapping[Steps, Any], right: Mapping[Steps, Any]) -> bool:
    """Whether two parts of states are the same."""
    return left.keys() == right.keys() and all(same(value, right[path]) for path, value in left.items())


def listed(what: str, paths: Sequence[Steps]) -> str:
    """Returns the first paths for a person; "" where there is none."""
    if not paths:
        return ""
    more = f" and {len(paths) - 3} more" if len(paths) > 3 else ""
    return f"{what}: {', '.join('.'.join(path)[:80] for path in paths[:3])}{more}"
