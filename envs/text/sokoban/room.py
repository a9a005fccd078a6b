"""Sokoban rooms with the exact distance to the solution from every position.

A room is small enough to solve *all* of its positions at once, backwards from the solved ones (retrograde analysis, as
in endgame tables). This gives, for every position, the fewest moves that solve it, or that none do; from then on the
oracle, the detection of deadlocks and the progress of an episode are look-ups.

Cells are the floor's squares, numbered row by row; the number of cells stands for "wall". A position is a set of boxes
(its rank among all sets of that size, see `rank`) and the player's cell. Directions are indices into `DIRECTIONS`.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from turnwise.envs.errors import InvalidInput

DIRECTIONS = ("up", "down", "left", "right")
_STEPS = ((-1, 0), (1, 0), (0, -1), (0, 1))
_OPPOSITE = np.array([1, 0, 3, 2])

WALL, FLOOR, TARGET, BOX, STORED, PLAYER, STANDING = "#", "_", ".", "$", "*", "@", "+"
"""The usual (XSB) letters: a stored box stands on a target, as does a standing player. The floor is `_`."""

MAX_POSITIONS = 2_000_000
"""Positions of the largest room that is solved; a larger table would take seconds and many megabytes."""


@dataclass(frozen=True, eq=False)
class Room:
    """Walls and targets, and the distance table that follows from them. Immutable, and shared by copies of its users.

    Attributes:
        grid: The room without boxes and player, one text a row.
        cells: Row and column of each cell.
        targets: The cells that have to be covered with boxes.
        neighbours: For each direction the cell next to each cell; `len(cells)` where there is a wall. [4][cells + 1]
        distances: The fewest moves to a solution, -1 where there is none; int16 [sets of boxes * cells], indexed by
            `rank(boxes) * len(cells) + player`.
        letters: The text of the room without boxes and player, letter by letter.
        spots: Where in that text each cell is.
    """

    grid: tuple[str, ...]
    cells: tuple[tuple[int, int], ...] = field(repr=False)
    targets: frozenset[int] = field(repr=False)
    neighbours: tuple[tuple[int, ...], ...] = field(repr=False)
    distances: NDArray[np.int16] = field(repr=False)
    letters: list[str] = field(init=False, repr=False)
    spots: tuple[int, ...] = field(init=False, repr=False)

    def __post_init__(self) -> None:
        width = len(self.grid[0]) + 1
        object.__setattr__(self, "letters", list("\n".join(self.grid)))
        object.__setattr__(self, "spots", tuple(row * width + column for row, column in self.cells))

    @classmethod
    def parse(cls, grid: Sequence[str]) -> Self:
        """Makes a room of its walls, floor and targets.

        Raises:
            InvalidInput: Unknown letters, no targets, open borders, or more positions than can be solved.
        """
        rows = tuple(grid)
        cells = tuple((r, c) for r, row in enumerate(rows) for c, letter in enumerate(row) if letter != WALL)
        number = {cell: index for index, cell in enumerate(cells)}
        wall = len(cells)
        if set("".join(rows)) - {WALL, FLOOR, TARGET}:
            raise InvalidInput(f"a room is made of {WALL!r}, {FLOOR!r} and {TARGET!r}, not {rows!r}")
        if len({len(row) for row in rows}) != 1:
            raise InvalidInput(f"the rows of a room are equally long, not {rows!r}")
        if any(r in (0, len(rows) - 1) or c in (0, len(rows[r]) - 1) for r, c in cells):
            raise InvalidInput(f"the border of a room is wall, not {rows!r}")
        targets = frozenset(number[r, c] for r, c in cells if rows[r][c] == TARGET)
        if not targets:
            raise InvalidInput(f"a room has at least one target, marked {TARGET!r}: {rows!r}")
        if math.comb(wall, len(targets)) * wall > MAX_POSITIONS:
            raise InvalidInput(f"{wall} cells with {len(targets)} boxes have more than {MAX_POSITIONS} positions")
        neighbours = tuple((*(number.get((r + dr, c + dc), wall) for r, c in cells), wall) for dr, dc in _STEPS)
        return cls(rows, cells, targets, neighbours, solve_all(neighbours, targets))

    def distance(self, boxes: tuple[int, ...], player: int) -> int:
        """Returns the fewest moves that solve a position, or -1 if none do.

        Args:
            boxes: The cells of the boxes in ascending order.
            player: The cell of the player.
        """
        return int(self.distances[rank(boxes) * len(self.cells) + player])

    def moved(self, boxes: tuple[int, ...], player: int, direction: int) -> tuple[tuple[int, ...], int] | None:
        """Returns boxes and player after a move, or None where a wall or a second box blocks it."""
        beside = self.neighbours[direction]
        ahead = beside[player]
        if ahead == len(self.cells):
            return None
        if ahead not in boxes:
            return boxes, ahead
        beyond = beside[ahead]
        if beyond == len(self.cells) or beyond in boxes:
            return None
        return tuple(sorted([beyond, *(box for box in boxes if box != ahead)])), ahead

    def best_direction(self, boxes: tuple[int, ...], player: int) -> int | None:
        """Returns the first direction that leads closer to the solution, or None in a solved or hopeless position."""
        distance = self.distance(boxes, player)
        for direction in range(4) if distance > 0 else ():
            after = self.moved(boxes, player, direction)
            if after is not None and self.distance(*after) == distance - 1:
                return direction
        return None

    def position(self, index: int) -> tuple[tuple[int, ...], int]:
        """Returns boxes and player of an index into `distances`."""
        sets, _, _ = box_sets(len(self.cells), len(self.targets))
        boxes, player = divmod(index, len(self.cells))
        return tuple(sets[boxes].tolist()), player

    def draw(self, boxes: tuple[int, ...], player: int) -> str:
        """Returns the room with boxes and player as text."""
        letters = self.letters.copy()
        spots = self.spots
        for box in boxes:
            letters[spots[box]] = STORED if box in self.targets else BOX
        letters[spots[player]] = STANDING if player in self.targets else PLAYER
        return "".join(letters)

    def __deepcopy__(self, memo: dict[int, Any]) -> Self:
        return self


def rank(boxes: tuple[int, ...]) -> int:
    """Returns the number of an ascending tuple of cells among all of its length (combinatorial number system)."""
    return sum(_BINOMIAL[size][cell] for size, cell in enumerate(boxes, start=1))


_MAX_BOXES = 8
_MAX_CELLS = 256
_BINOMIAL = [[math.comb(cell, size) for cell in range(_MAX_CELLS)] for size in range(_MAX_BOXES + 1)]


@lru_cache(maxsize=64)
def box_sets(cells: int, boxes: int) -> tuple[NDArray[np.intp], NDArray[np.bool_], NDArray[np.int8]]:
    """Returns, for every set of boxes by rank: its cells, which cells are taken (walls are), and which box is where.

    Shapes [sets, boxes], [sets, cells + 1] and [sets, cells + 1]; the last is -1 where there is no box.
    """
    sets = np.array(sorted(itertools.combinations(range(cells), boxes), key=rank), dtype=np.intp)
    each = np.arange(len(sets))[:, None]
    taken = np.zeros((len(sets), cells + 1), dtype=np.bool_)
    taken[each, sets] = True
    taken[:, cells] = True
    box_at = np.full((len(sets), cells + 1), -1, dtype=np.int8)
    box_at[each, sets] = np.arange(boxes)
    return sets, taken, box_at


def _after_push(sets: NDArray[np.intp], beside: NDArray[np.intp]) -> NDArray[np.intp]:
    """Returns the rank of the set after one of its boxes moves one cell; meaningless where a wall or box is in the way.

    Args:
        sets: Cells of the boxes of every set. [sets, boxes]
        beside: The neighbour of each cell by direction. [4, cells + 1]

    Returns:
        [4, sets, boxes]
    """
    count, boxes = sets.shape
    after = np.broadcast_to(sets[None, :, None, :], (4, count, boxes, boxes)).copy()
    for box in range(boxes):
        after[:, :, box, box] = beside[:, sets[:, box]]
    after.sort(axis=-1)
    binomial = np.array([_BINOMIAL[size + 1][: beside.shape[1]] for size in range(boxes)])
    ranks: NDArray[np.intp] = binomial[np.arange(boxes), after].sum(axis=-1)
    return ranks


def solve_all(neighbours: Sequence[Sequence[int]], targets: frozenset[int]) -> NDArray[np.int16]:
    """Returns the fewest moves to a solution from every position: breadth-first search backwards from the solved ones.

    A position was reached by walking, from the cell behind the player, or by pushing: then the box ahead of the player
    stood where the player is, and the player behind.

    Args:
        neighbours: The neighbour of each cell by direction, as in `Room`.
        targets: The cells of the targets.
    """
    beside = np.array(neighbours, dtype=np.intp)
    cells = beside.shape[1] - 1
    sets, taken, box_at = box_sets(cells, len(targets))
    after_push = _after_push(sets, beside)
    behind = beside[_OPPOSITE]
    distances = np.full(len(sets) * cells, -1, dtype=np.int16)
    free_cells = np.array([cell for cell in range(cells) if cell not in targets], dtype=np.intp)
    frontier = rank(tuple(sorted(targets))) * cells + free_cells
    moves = 0
    while frontier.size:
        distances[frontier] = moves
        moves += 1
        boxes, player = np.divmod(frontier, cells)
        before = behind[:, player]  # [4, frontier]: where the player came from, by direction of the move
        free = ~taken[boxes, before]
        box = box_at[boxes, beside[:, player]]
        pushed = free & (box >= 0)
        direction, which = np.nonzero(pushed)
        origin = after_push[_OPPOSITE[direction], boxes[which], box[pushed]]
        reached = np.concatenate([(boxes * cells + before)[free], origin * cells + before[pushed]])
        distances[reached[distances[reached] < 0]] = moves
        frontier = np.flatnonzero(distances == moves)
    return distances
