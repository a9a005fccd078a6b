"""Which call is meant as which call of the reference: the assignment of greatest total similarity."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

# NumPy is imported where it is used, so that importing the verifiers stays fast.


def best_assignment(weights: NDArray[np.float64]) -> list[tuple[int, int]]:
    """Returns the pairs (row, column) of greatest total weight, each row and column at most once.

    The Hungarian method by shortest augmenting paths with potentials (Kuhn 1955; Jonker and Volgenant 1987), which
    takes O(r^2 c) operations for r rows and c >= r columns, one row of them at a time in NumPy.

    Args:
        weights: Weights of at least 0, finite. [rows, columns]
    """
    import numpy as np

    if weights.shape[0] > weights.shape[1]:
        return sorted((row, column) for column, row in best_assignment(weights.T))
    rows, columns = weights.shape
    costs = weights.max(initial=0.0) - weights
    row_potential, column_potential = np.zeros(rows), np.zeros(columns)
    owner = np.full(columns, -1)  # row that each column is assigned to
    for start in range(rows):
        extend(start, costs, row_potential, column_potential, owner)
    return sorted((int(row), column) for column, row in enumerate(owner) if row >= 0)


def extend(
    start: int,
    costs: NDArray[np.float64],
    row_potential: NDArray[np.float64],
    column_potential: NDArray[np.float64],
    owner: NDArray[np.int_],
) -> None:
    """Assigns one more row, along the cheapest alternating path; changes the potentials and `owner` in place."""
    import numpy as np

    columns = costs.shape[1]
    distance = np.full(columns, np.inf)
    previous = np.full(columns, -1)  # column before this one on the path; -1 is the start
    done = np.zeros(columns, dtype=bool)
    row, current, length = start, -1, 0.0
    reached = [(start, 0.0)]
    while True:
        through = length + costs[row] - row_potential[row] - column_potential
        shorter = ~done & (through < distance)
        distance[shorter], previous[shorter] = through[shorter], current
        current = int(np.argmin(np.where(done, np.inf, distance)))
        length = float(distance[current])
        if owner[current] < 0:
            break
        done[current] = True
        row = int(owner[current])
        reached.append((row, length))
    for each, at in reached:
        row_potential[each] += length - at
    column_potential[done] -= length - distance[done]
    while current >= 0:
        before = int(previous[current])
        owner[current] = start if before < 0 else owner[before]
        current = before


def best_alignment(weights: NDArray[np.float64]) -> list[tuple[int, int]]:
    """Returns the pairs (row, column) of greatest total weight in which both only ascend: the order counts.

    Dynamic programming over prefixes, as for a longest common subsequence.

    Args:
        weights: Weights of at least 0, finite. [rows, columns]
    """
    import numpy as np

    rows, columns = weights.shape
    best = np.zeros((rows + 1, columns + 1))
    for row in range(rows):
        for column in range(columns):
            paired = best[row, column] + weights[row, column]
            best[row + 1, column + 1] = max(paired, best[row, column + 1], best[row + 1, column])
    pairs, row, column = [], rows, columns
    while row and column:
        if best[row, column] == best[row - 1, column]:
            row -= 1
        elif best[row, column] == best[row, column - 1]:
            column -= 1
        else:
            row, column = row - 1, column - 1
            pairs.append((row, column))
    return pairs[::-1]
