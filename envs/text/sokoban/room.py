"""Sokoban rooms with the exact distance to the solution from every position.

A room is small enough to solve *all* of its positions at once, backwards from the solved ones (retrograde analysis, as
in endgame tables). This gives, for every position, the fewest moves that solve it, or that none do; from then on the
oracle, the detection of deadlocks and the progress of an episode are look-ups.

Squares are numbered row by row inside the border, walls among them; their count stands for "outside". A position is a
set of boxes (its rank among all sets of that size, see `rank`) and the player's square. Which position can precede
which does not depend on the walls, save that some are impossible: that table is made once for all rooms of one size
(`Board`). Directions are indices into `DIRECTIONS`.
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
_OPPOSITE = (1, 0, 3, 2)

WALL, FLOOR, TARGET, BOX, STORED, PLAYER, STANDING = "#", "_", ".", "$", "*", "@", "+"
"""The usual (XSB) letters: a stored box stands on a target, as does a standing player. The floor is `_`."""

MAX_POSITIONS = 2_000_000
"""Positions of the largest board that is solved; a larger table would take seconds and many megabytes."""

_UNSEEN, _IMPOSSIBLE = -1, -2


@dataclass(frozen=True, eq=False)
class Board:
    """What all rooms of one size with as many boxes share.

    Attributes:
        squares: How many squares there are inside the border.
        beside: The square next to each by direction; `squares` outside. [4][squares + 1]
        sets: The squares of every set of boxes, by rank. [sets, boxes]
        taken: Whether a set has a box on a square. [sets, squares]
        before: The positions from which one move leads to a position: by walking and by pushing, from each direction;
            the number of positions where there is none. Walls are not considered. [positions, 8]
    """

    squares: int
    beside: tuple[tuple[int, ...], ...]
    sets: NDArray[np.intp]
    taken: NDArray[np.bool_]
    before: NDArray[np.int32]

    @property
    def positions(self) -> int:
        """How many positions there are, impossible ones among them."""
        return len(self.before)


@lru_cache(maxsize=16)
def board_of(rows: int, columns: int, boxes: int) -> Board:
    """Returns the board of a size, its border not counted."""
    squares = rows * columns
    beside = tuple(
        (
            *(
                (r + dr) * columns + c + dc if 0 <= r + dr < rows and 0 <= c + dc < columns else squares
                for r in range(rows)
                for c in range(columns)
            ),
            squares,
        )
        for dr, dc in _STEPS
    )
    sets = np.array(sorted(itertools.combinations(range(squares), boxes), key=rank), dtype=np.intp)
    taken = np.zeros((len(sets), squares), dtype=np.bool_)
    taken[np.arange(len(sets))[:, None], sets] = True
    return Board(squares, beside, sets, taken, _positions_before(np.array(beside), sets, taken))


def _positions_before(beside: NDArray[np.intp], sets: NDArray[np.intp], taken: NDArray[np.bool_]) -> NDArray[np.int32]:
    """Returns `Board.before`.

    A position was reached by walking, from the square behind the player, or by pushing: then the box ahead of the
    player stood where the player is, and the player behind.
    """
    count, boxes = sets.shape
    squares = taken.shape[1]
    none = count * squares
    box_at = np.full((count, squares + 1), -1, dtype=np.intp)
    box_at[np.arange(count)[:, None], sets] = np.arange(boxes)
    blocked = np.ones((count, squares + 1), dtype=np.bool_)
    blocked[:, :squares] = taken
    which, player = np.divmod(np.arange(none), squares)
    before = np.full((none, 8), none, dtype=np.int32)
    for direction in range(4):
        behind = beside[_OPPOSITE[direction]][player]
        free = ~blocked[which, behind] & ~taken[which, player]
        before[free, direction] = which[free] * squares + behind[free]
        box = box_at[which, beside[direction][player]]
        pushed = np.flatnonzero(free & (box >= 0))
        moved = sets[which[pushed]]
        moved[np.arange(len(pushed)), box[pushed]] = player[pushed]
        moved.sort(axis=1)
        before[pushed, 4 + direction] = _ranks(moved) * squares + behind[pushed]
    return before


@dataclass(frozen=True, eq=False)
class Room:
    """Walls and targets, and the distance table that follows from them. Immutable, and shared by copies of its users.

    Attributes:
        grid: The room without boxes and player, one text a row.
        targets: The squares that have to be covered with boxes.
        neighbours: The square next to each by direction; the number of squares where there is a wall. [4][squares + 1]
        board: What it shares with other rooms of its size.
        distances: The fewest moves to a solution, -1 where there is none; [positions], indexed by
            `rank(boxes) * squares + player`.
        letters: The text of the room without boxes and player, letter by letter.
        spots: Where in that text each square is.
    """

    grid: tuple[str, ...]
    targets: frozenset[int] = field(repr=False)
    neighbours: tuple[tuple[int, ...], ...] = field(repr=False)
    board: Board = field(repr=False)
    distances: NDArray[np.int16] = field(repr=False)
    letters: list[str] = field(repr=False)
    spots: tuple[int, ...] = field(repr=False)

    @classmethod
    def parse(cls, grid: Sequence[str]) -> Self:
        """Makes a room of its walls, floor and targets.

        Raises:
            InvalidInput: Unknown letters, no targets, open borders, or more positions than can be solved.
        """
        rows = tuple(grid)
        _check_grid(rows)
        height, width = len(rows) - 2, len(rows[0]) - 2
        inside = "".join(row[1:-1] for row in rows[1:-1])
        targets = frozenset(square for square, letter in enumerate(inside) if letter == TARGET)
        board = board_of(height, width, len(targets))
        outside = board.squares
        neighbours = tuple(
            tuple(other if other != outside and inside[other] != WALL else outside for other in beside)
            for beside in board.beside
        )
        walls = np.array([letter == WALL for letter in inside])
        spots = tuple((r + 1) * (width + 3) + c + 1 for r in range(height) for c in range(width))
        distances = solve_all(board, walls, targets)
        return cls(rows, targets, neighbours, board, distances, list("\n".join(rows)), spots)

    def distance(self, boxes: tuple[int, ...], player: int) -> int:
        """Returns the fewest moves that solve a position, or -1 if none do.

        Args:
            boxes: The squares of the boxes in ascending order.
            player: The square of the player.
        """
        return int(self.distances[rank(boxes) * self.board.squares + player])

    def position(self, index: int) -> tuple[tuple[int, ...], int]:
        """Returns boxes and player of an index into `distances`."""
        boxes, player = divmod(index, self.board.squares)
        return tuple(self.board.sets[boxes].tolist()), player

    def moved(self, boxes: tuple[int, ...], player: int, direction: int) -> tuple[tuple[int, ...], int] | None:
        """Returns boxes and player after a move, or None where a wall or a second box blocks it."""
        beside = self.neighbours[direction]
        outside = self.board.squares
        ahead = beside[player]
        if ahead == outside:
            return None
        if ahead not in boxes:
            return boxes, ahead
        beyond = beside[ahead]
        if beyond == outside or beyond in boxes:
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

    def __reduce__(self) -> tuple[Any, ...]:
        return type(self).parse, (self.grid,)  # the tables are large, and solving is as fast as reading them


def _check_grid(rows: tuple[str, ...]) -> None:
    """Raises `InvalidInput` unless a grid is a closed room of bounded size with targets."""
    if set("".join(rows)) - {WALL, FLOOR, TARGET}:
        raise InvalidInput(f"a room is made of {WALL!r}, {FLOOR!r} and {TARGET!r}, not {rows!r}")
    if len({len(row) for row in rows}) != 1:
        raise InvalidInput(f"the rows of a room are equally long, not {rows!r}")
    border = rows[0] + rows[-1] + "".join(row[0] + row[-1] for row in rows)
    if set(border) != {WALL}:
        raise InvalidInput(f"the border of a room is wall, not {rows!r}")
    squares, targets = (len(rows) - 2) * (len(rows[0]) - 2), "".join(rows).count(TARGET)
    if not targets:
        raise InvalidInput(f"a room has at least one target, marked {TARGET!r}: {rows!r}")
    if math.comb(squares, targets) * squares > MAX_POSITIONS:
        raise InvalidInput(f"{squares} squares with {targets} boxes have more than {MAX_POSITIONS} positions")


def solve_all(board: Board, walls: NDArray[np.bool_], targets: frozenset[int]) -> NDArray[np.int16]:
    """Returns the fewest moves to a solution from every position: breadth-first search backwards from the solved ones.

    Args:
        board: The board.
        walls: Which squares are walls. [squares]
        targets: The squares of the targets.
    """
    walled = np.asarray(board.taken[:, walls].any(axis=1))  # sets with a box in a wall
    possible = ~walled[:, None] & ~walls
    distances = np.full(board.positions + 1, _IMPOSSIBLE, dtype=np.int16)
    distances[:-1][possible.ravel()] = _UNSEEN
    first = rank(tuple(sorted(targets))) * board.squares
    frontier = np.array([first + s for s in range(board.squares) if not walls[s] and s not in targets], dtype=np.int32)
    distances[frontier] = 0
    place = np.empty(board.positions, dtype=np.int32)
    moves = 0
    while frontier.size:
        moves += 1
        reached = board.before.take(frontier, axis=0).ravel()
        reached = reached[distances.take(reached) == _UNSEEN]
        distances[reached] = moves
        order = np.arange(reached.size, dtype=np.int32)
        place[reached] = order  # of equal positions the last one stays, so that each is in the next frontier once
        frontier = reached[place.take(reached) == order]
    return np.maximum(distances[:-1], -1)


def rank(boxes: tuple[int, ...]) -> int:
    """Returns the number of an ascending tuple of squares among all of its length (combinatorial number system)."""
    return sum(_BINOMIAL[size][square] for size, square in enumerate(boxes, start=1))


def _ranks(sets: NDArray[np.intp]) -> NDArray[np.intp]:
    """Returns the rank of each row of ascending squares, of shape [sets, boxes]."""
    boxes = sets.shape[1]
    binomial = np.array(_BINOMIAL[1 : boxes + 1])
    ranks: NDArray[np.intp] = binomial[np.arange(boxes), sets].sum(axis=1)
    return ranks


_MOST_BOXES = 8
_MOST_SQUARES = 256
_BINOMIAL = [[math.comb(square, size) for square in range(_MOST_SQUARES)] for size in range(_MOST_BOXES + 1)]
