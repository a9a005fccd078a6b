"""Draws Sokoban rooms and starting positions of a wanted length."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from turnwise.envs.text.sokoban.room import FLOOR, TARGET, WALL, Room
from turnwise.envs.types import Level

_MAX_ATTEMPTS = 10_000
_MOST_STARTS = 1024


@dataclass(frozen=True)
class SokobanLevel(Level):
    """A level of `Sokoban`.

    Attributes:
        size: Rows and columns of the room, its border included.
        boxes: How many boxes and targets.
        walls: The share of inner squares that become walls.
        shortest: The fewest moves that an optimal solution may have.
        longest: The most.
    """

    size: int
    boxes: int
    walls: float
    shortest: int
    longest: int


@dataclass(frozen=True)
class Layout:
    """A room with the starting positions that suit a level.

    Attributes:
        room: The room.
        starts: Indices of positions, as in `Room.distances`, by ascending distance; at most 1024 of them.
        family: A text that is equal for rooms that are mirror images or rotations of each other.
    """

    room: Room
    starts: NDArray[np.intp]
    family: str


@lru_cache(maxsize=256)
def draw_layout(level: SokobanLevel, seed: int) -> Layout:
    """Returns a room drawn from a seed; the last ones are kept, since the rollouts of a group share theirs.

    Raises:
        RuntimeError: The level's bounds fit hardly any room.
    """
    rng = np.random.default_rng(seed)
    for _ in range(_MAX_ATTEMPTS):
        grid = draw_grid(rng, level)
        if grid is None:
            continue
        room = Room.parse(grid)
        starts = starting_positions(room, level)
        if len(starts):
            return Layout(room, starts, family_of(grid))
    raise RuntimeError(f"no room for {level!r} in {_MAX_ATTEMPTS} attempts: its bounds leave next to none")


def draw_grid(rng: np.random.Generator, level: SokobanLevel) -> list[str] | None:
    """Returns a random room whose floor is connected, or None where it came out too small."""
    inside = level.size - 2
    floor = rng.random((inside, inside)) >= level.walls
    region = largest_region({(r + 1, c + 1) for r, c in np.argwhere(floor).tolist()})
    if len(region) < 2 * level.boxes + 3:
        return None
    squares = sorted(region)
    targets = {squares[pick] for pick in rng.permutation(len(squares))[: level.boxes]}
    letters = {square: TARGET if square in targets else FLOOR for square in squares}
    return ["".join(letters.get((r, c), WALL) for c in range(level.size)) for r in range(level.size)]


def largest_region(squares: set[tuple[int, int]]) -> set[tuple[int, int]]:
    """Returns the largest connected part of a set of squares (of several, the one with the first square)."""
    best: set[tuple[int, int]] = set()
    left = set(squares)
    for first in sorted(squares):
        if first not in left:
            continue
        part = {first}
        border = [first]
        while border:
            r, c = border.pop()
            for square in ((r - 1, c), (r + 1, c), (r, c - 1), (r, c + 1)):
                if square in left and square not in part:
                    part.add(square)
                    border.append(square)
        left -= part
        if len(part) > len(best):
            best = part
    return best


def starting_positions(room: Room, level: SokobanLevel) -> NDArray[np.intp]:
    """Returns positions whose optimal length suits the level and where no box stands on a target yet."""
    covered = np.asarray(room.board.taken[:, sorted(room.targets)].any(axis=1))
    distances = room.distances.reshape(len(covered), -1)
    suits = (distances >= level.shortest) & (distances <= level.longest) & ~covered[:, None]
    found = np.flatnonzero(suits)
    found = found[np.argsort(room.distances[found], kind="stable")]
    stride = -(-len(found) // _MOST_STARTS) or 1
    return found[::stride]


def family_of(grid: list[str]) -> str:
    """Returns the smallest of the texts of a square room's eight mirror images and rotations."""
    images = []
    for _ in range(4):
        grid = ["".join(column) for column in zip(*grid[::-1], strict=True)]
        images += ["\n".join(grid), "\n".join(row[::-1] for row in grid)]
    return min(images)
