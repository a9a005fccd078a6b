"""What counts as the same result, and how much work a query may be."""

from __future__ import annotations

import math
from dataclasses import dataclass, fields
from typing import Literal, TypeAlias, get_args

from turnwise.verifiers.errors import InvalidInput

EmptyResults: TypeAlias = Literal["flag", "abstain"]


@dataclass(frozen=True)
class SQLPolicy:
    """How results are compared.

    Attributes:
        column_order: Whether the columns must stand in the order of the reference. Names of columns never count.
        absolute: How far a number may be from the reference's where one of the two is a float.
        relative: The same as a share of the reference. The default forgives what the order of a sum changes.
        empty: What happens where the reference returns no row on any instance, so that every wrong query that returns
            none agrees: `flag` it in evidence and metrics, or `abstain`.

    Raises:
        InvalidInput: A tolerance is negative or not finite, or `empty` is unknown.
    """

    column_order: bool = True
    absolute: float = 0.0
    relative: float = 1e-9
    empty: EmptyResults = "flag"

    def __post_init__(self) -> None:
        for label, tolerance in (("absolute", self.absolute), ("relative", self.relative)):
            if not 0 <= tolerance < math.inf:
                raise InvalidInput(f"{label}={tolerance!r}: a tolerance is a finite number of at least 0")
        if self.empty not in get_args(EmptyResults):
            raise InvalidInput(f"empty={self.empty!r}: choose one of {', '.join(get_args(EmptyResults))}")


@dataclass(frozen=True)
class SQLBudget:
    """How much work one query may be. All limits but `seconds` count work, so that no verdict depends on the load.

    Attributes:
        steps: Instructions of SQLite's virtual machine.
        rows: Rows of a result.
        value_bytes: Bytes of one value, in the database and on the way.
        result_bytes: Bytes of a whole result.
        sql_bytes: Bytes of the SQL.
        seconds: CPU seconds of the thread, a backstop for instructions that take long: such a query is undecided.

    Raises:
        InvalidInput: A limit is not positive.
    """

    steps: int = 10_000_000
    rows: int = 100_000
    value_bytes: int = 100_000
    result_bytes: int = 64_000_000
    sql_bytes: int = 100_000
    seconds: float = 5.0

    def __post_init__(self) -> None:
        for field in fields(self):
            if not getattr(self, field.name) > 0:
                raise InvalidInput(f"{field.name}={getattr(self, field.name)!r}: a limit must be positive")
