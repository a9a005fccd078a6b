from __future__ import annotations

import copy
import itertools
import pickle
from collections import deque

import numpy as np
import pytest

from turnwise.envs import InvalidInput
from turnwise.envs.text.sokoban.generator import SokobanLevel, draw_grid
from turnwise.envs.text.sokoban.room import Room, rank

CORRIDOR = ["#######", "#_____#", "#######"]


def fewest_moves(grid: list[str], boxes: frozenset[tuple[int, int]], player: tuple[int, int]) -> int:
    """Returns the optimal number of moves by forward breadth-first search on squares, or -1: the slow reference."""
    floor = {(r, c) for r, row in enumerate(grid) for c, letter in enumerate(row) if letter != "#"}
    targets = {(r, c) for r, row in enumerate(grid) for c, letter in enumerate(row) if letter == "."}
    seen = {(boxes, player)}
    queue = deque([(boxes, player, 0)])
    while queue:
        boxes, (r, c), moves = queue.popleft()
        if boxes == targets:
            return moves
        for dr, dc in ((-1, 0), (1, 0), (0, -1), (0, 1)):
            ahead, beyond = (r + dr, c + dc), (r + 2 * dr, c + 2 * dc)
            after = boxes
            if ahead not in floor:
                continue
            if ahead in boxes:
                if beyond not in floor or beyond in boxes:
                    continue
                after = boxes - {ahead} | {beyond}
            if (after, ahead) not in seen:
                seen.add((after, ahead))
                queue.append((after, ahead, moves + 1))
    return -1


def square(room: Room, number: int) -> tuple[int, int]:
    """Returns the row and column of a square."""
    row, column = divmod(number, len(room.grid[0]) - 2)
    return row + 1, column + 1


@pytest.mark.parametrize(("boxes", "walls"), [(1, 0.1), (1, 0.3), (2, 0.1), (2, 0.25), (3, 0.2)])
def test_distances_agree_with_a_forward_search_from_single_positions(boxes: int, walls: float) -> None:
    rng = np.random.default_rng(boxes)
    level = SokobanLevel(max_turns=1, size=6, boxes=boxes, walls=walls, shortest=1, longest=99)
    solvable = 0
    for _ in range(3):
        solved_by_table = np.zeros(0, dtype=np.intp)
        while not solved_by_table.size:
            grid = draw_grid(rng, level)
            if grid is not None:
                room = Room.parse(grid)
                solved_by_table = np.flatnonzero(room.distances > 0)
        assert grid is not None
        picks = [*rng.choice(solved_by_table, 12), *rng.integers(len(room.distances), size=12)]
        for where, player in (room.position(int(pick)) for pick in picks):
            letters = [room.letters[room.spots[number]] for number in (*where, player)]
            if player not in where and "#" not in letters:
                expected = fewest_moves(grid, frozenset(square(room, box) for box in where), square(room, player))
                assert room.distance(where, player) == expected
                solvable += expected > 0
    assert solvable >= 36


def test_a_corridor_has_the_distances_one_counts_by_hand() -> None:
    room = Room.parse(["#######", "#____.#", "#######"])
    assert room.distance((4,), 0) == 0  # solved
    assert room.distance((1,), 0) == 3  # three pushes
    assert room.distance((3,), 0) == 3  # two steps and a push
    assert room.distance((2,), 3) == -1  # the player stands on the wrong side
    assert room.distance((0,), 2) == -1  # a box in the corner


def test_every_move_changes_the_distance_by_at_most_one_and_the_best_by_minus_one() -> None:
    room = Room.parse(["######", "#_#__#", "#____#", "#.__.#", "#__###", "######"])
    for index in range(len(room.distances)):
        boxes, player = room.position(index)
        if player in boxes or room.distance(boxes, player) <= 0:
            continue
        after = [room.distance(*moved) for d in range(4) if (moved := room.moved(boxes, player, d)) is not None]
        assert min(distance for distance in after if distance >= 0) == room.distance(boxes, player) - 1
        best = room.best_direction(boxes, player)
        assert best is not None
        moved = room.moved(boxes, player, best)
        assert moved is not None
        assert room.distance(*moved) == room.distance(boxes, player) - 1


def test_ranks_number_all_sets_without_gaps() -> None:
    for size in (1, 2, 3):
        ranks = sorted(rank(boxes) for boxes in itertools.combinations(range(8), size))
        assert ranks == list(range(len(ranks)))


def test_positions_and_their_indices_are_inverse() -> None:
    room = Room.parse(["######", "#_.__#", "#_.__#", "######"])
    for index in range(0, len(room.distances), 7):
        boxes, player = room.position(index)
        assert rank(boxes) * room.board.squares + player == index


def test_pushes_and_blocks_follow_the_rules() -> None:
    room = Room.parse(["#######", "#____.#", "#######"])
    up, right, left = 0, 3, 2
    assert room.moved((2,), 0, right) == ((2,), 1)
    assert room.moved((2,), 1, right) == ((3,), 2)
    assert room.moved((2,), 1, up) is None
    assert room.moved((2,), 3, left) == ((1,), 2)
    assert room.moved((4,), 3, right) is None
    assert Room.parse(["#######", "#_..__#", "#######"]).moved((1, 2), 0, right) is None  # two boxes in a row


def test_drawing_uses_the_usual_letters() -> None:
    room = Room.parse(["######", "#_.._#", "######"])
    assert room.draw((1, 3), 0) == "######\n#@*.$#\n######"
    assert room.draw((0, 3), 2) == "######\n#$.+$#\n######"


@pytest.mark.parametrize(
    ("grid", "message"),
    [
        (CORRIDOR, "at least one target"),
        (["####", "#_.$", "####"], "made of"),
        (["####", "#_._", "####"], "border"),
        (["####", "#_.#", "###"], "equally long"),
        (["#" * 18] + ["#" + "." * 5 + "_" * 11 + "#"] * 2 + ["#" * 18], "32 squares with 10 boxes have more than"),
    ],
)
def test_impossible_rooms_are_refused_with_the_reason(grid: list[str], message: str) -> None:
    with pytest.raises(InvalidInput, match=message):
        Room.parse(grid)


def test_copies_share_the_table_and_pickles_make_it_again() -> None:
    room = Room.parse(["####", "#_.#", "####"])
    assert copy.deepcopy(room) is room
    again = pickle.loads(pickle.dumps(room))
    assert again.grid == room.grid
    assert np.array_equal(again.distances, room.distances)
    assert len(pickle.dumps(room)) < 500
