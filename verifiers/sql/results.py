"""Whether two results are the same: as lists or as bags of rows, each value by its type."""

from __future__ import annotations

import itertools
import math
from collections import Counter
from collections.abc import Iterator, Sequence
from typing import TypeAlias

from turnwise.verifiers.sql.guard import Row, Value
from turnwise.verifiers.sql.policy import SQLPolicy

MOST_PERMUTATIONS = 1000
"""Orders of the columns that are tried where their order does not count and their contents leave several."""

MOST_PAIRED = 300
"""Rows for which an assignment is searched where tolerance is needed."""


def key(value: Value) -> tuple[str, Value]:
    """Returns the value with its kind: NULL, 0, '' and x'' are four things, 5 and 5.0 one."""
    if value is None:
        return ("null", 0)
    if isinstance(value, int | float):
        return ("number", value)
    return ("blob" if isinstance(value, bytes) else "text", value)


def same_value(given: Value, reference: Value, policy: SQLPolicy) -> bool:
    """Whether two values are equal: exactly, or within tolerance where one is a float."""
    if key(given) == key(reference):
        return True
    if not isinstance(given, int | float) or not isinstance(reference, int | float):
        return False
    if (isinstance(given, int) and isinstance(reference, int)) or math.isinf(given) or math.isinf(reference):
        return False
    return abs(given - reference) <= max(policy.absolute, policy.relative * abs(reference))


def same_row(given: Row, reference: Row, policy: SQLPolicy) -> bool:
    """Whether two rows are equal, column by column."""
    return len(given) == len(reference) and all(
        same_value(left, right, policy) for left, right in zip(given, reference, strict=True)
    )


def same_list(given: Sequence[Row], reference: Sequence[Row], policy: SQLPolicy) -> bool:
    """Whether two results have the same rows in the same order."""
    return len(given) == len(reference) and all(
        same_row(left, right, policy) for left, right in zip(given, reference, strict=True)
    )


def same_bag(given: Sequence[Row], reference: Sequence[Row], policy: SQLPolicy) -> bool:
    """Whether two results have the same rows equally often: some order of the one is, row by row, the other.

    Exact within `MOST_PAIRED` rows. Of longer results, rows that are exactly equal are paired first, and then all in
    sorted order: two ways that miss no difference, but may see one where tolerances of several rows overlap.
    """
    if len(given) != len(reference):
        return False
    mine, theirs = [keys(row) for row in given], [keys(row) for row in reference]
    left, right = Counter(mine), Counter(theirs)
    rest, wanted = list((left - right).elements()), list((right - left).elements())
    if not rest:
        return True
    if Counter(map(without_numbers, rest)) != Counter(map(without_numbers, wanted)):
        return False
    if in_sorted_order(rest, wanted, policy) or in_sorted_order(mine, theirs, policy):
        return True
    if len(mine) > MOST_PAIRED:
        mine, theirs = rest, wanted
    if len(mine) > MOST_PAIRED:
        return False
    partners = []
    for one in mine:
        partners.append([place for place, row in enumerate(theirs) if same_keys(one, row, policy)])
        if not partners[-1]:
            return False
    return pairing_exists(partners)


def without_numbers(row: Keys) -> Keys:
    """Returns a row without its numbers: what is left must be exactly equal."""
    return tuple((kind, None if kind == "number" else value) for kind, value in row)


def in_sorted_order(given: Sequence[Keys], reference: Sequence[Keys], policy: SQLPolicy) -> bool:
    """Whether rows are the same when both are sorted."""
    pairs = zip(sorted(given, key=sortable), sorted(reference, key=sortable), strict=True)
    return all(same_keys(mine, theirs, policy) for mine, theirs in pairs)


Keys: TypeAlias = tuple[tuple[str, Value], ...]
Orders: TypeAlias = Sequence[Sequence[Row]]


def keys(row: Row) -> Keys:
    """Returns a row as something that equals another row if all values are exactly equal."""
    return tuple(key(value) for value in row)


def sortable(row: Keys) -> list[tuple[str, str | float | bytes]]:
    """Returns what rows are sorted by; kinds first, so that only equal kinds are compared."""
    return [(kind, value if value is not None else 0) for kind, value in row]


def same_keys(given: Keys, reference: Keys, policy: SQLPolicy) -> bool:
    """`same_row` for rows with kinds."""
    return len(given) == len(reference) and all(
        left[0] == right[0] and same_value(left[1], right[1], policy)
        for left, right in zip(given, reference, strict=True)
    )


def pairing_exists(partners: Sequence[Sequence[int]]) -> bool:
    """Whether everyone can have a partner of their own (augmenting paths; Kuhn 1955).

    Args:
        partners: For each, the places of those that fit.
    """
    owner: dict[int, int] = {}
    for start in range(len(partners)):
        parents: dict[int, int] = {}  # place -> who reached it
        queue = [start]
        free: int | None = None
        for one in queue:  # grows while it is read: breadth first
            for place in partners[one]:
                if place not in parents:
                    parents[place] = one
                    if place not in owner:
                        free = place
                        break
                    queue.append(owner[place])
            if free is not None:
                break
        if free is None:
            return False
        held = {one: place for place, one in owner.items()}
        while free is not None:
            one = parents[free]
            owner[free], free = one, held.get(one)
    return True


def blocks(first: Sequence[Row], second: Sequence[Row]) -> Iterator[tuple[int, int]]:
    """Yields the shortest runs of positions that hold the same rows in two orders of one result.

    Both orders are the reference's own, and differ only where its ORDER BY leaves the order open: ties.
    """
    start, open_rows = 0, Counter[Keys]()
    for position, (left, right) in enumerate(zip(first, second, strict=True), start=1):
        open_rows[keys(left)] += 1
        open_rows[keys(right)] -= 1
        for row in (keys(left), keys(right)):
            if open_rows[row] == 0:
                del open_rows[row]
        if not open_rows:
            yield start, position
            start = position


def same_up_to_ties(given: Sequence[Row], orders: Orders, policy: SQLPolicy) -> bool:
    """Whether a result is in the order of the reference, rows that tie in it in any order."""
    first, second = orders[0], orders[1 % len(orders)]
    if Counter(map(keys, first)) != Counter(map(keys, second)):  # a LIMIT cuts through a tie
        return any(same_list(given, order, policy) for order in orders)
    return len(given) == len(first) and all(
        same_bag(given[start:end], first[start:end], policy) for start, end in blocks(first, second)
    )


def same_result(given: Sequence[Row], orders: Orders, ordered: bool, policy: SQLPolicy) -> bool:
    """Whether a result is the reference's.

    Args:
        given: The rows that are judged.
        orders: The reference's rows, in one or more of the orders that it leaves open; of an ordered one, the first two
            have the ties one way and the other way round.
        ordered: Whether the reference says an order.
        policy: What counts as equal, the order of columns included.
    """
    for order in column_orders(given, orders[0], policy):
        rows = given if order is None else [tuple(row[place] for place in order) for row in given]
        if ordered and same_up_to_ties(rows, orders, policy):
            return True
        if not ordered and any(same_bag(rows, reference, policy) for reference in orders):
            return True
    return False


def column_orders(
    given: Sequence[Row], reference: Sequence[Row], policy: SQLPolicy
) -> Iterator[tuple[int, ...] | None]:
    """Yields the orders of the columns under which two results can be the same; None for the one that they have."""
    yield None
    if policy.column_order or not given or not reference or len(given[0]) != len(reference[0]):
        return
    mine, theirs = (list(zip(*rows, strict=True)) for rows in (given, reference))
    fitting = [
        [
            place
            for place, column in enumerate(mine)
            if same_bag([(value,) for value in column], [(value,) for value in wanted], policy)
        ]
        for wanted in theirs
    ]
    if not pairing_exists(fitting):
        return
    yield from itertools.islice(choices(fitting, ()), MOST_PERMUTATIONS)


def choices(fitting: Sequence[Sequence[int]], chosen: tuple[int, ...]) -> Iterator[tuple[int, ...]]:
    """Yields the ways to give each place one of the columns that fit it, each column once."""
    if len(chosen) == len(fitting):
        yield chosen
        return
    for place in fitting[len(chosen)]:
        if place not in chosen:
            yield from choices(fitting, (*chosen, place))
