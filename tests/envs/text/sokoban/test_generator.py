from __future__ import annotations

import numpy as np
import pytest

from turnwise.envs.text.sokoban.env import Sokoban
from turnwise.envs.text.sokoban.generator import (
    SokobanLevel,
    draw_grid,
    draw_layout,
    family_of,
    largest_region,
)


@pytest.mark.parametrize("name", list(Sokoban.levels))
def test_layouts_suit_their_level(name: str) -> None:
    level = Sokoban.levels[name]
    for seed in range(3):
        layout = draw_layout(level, seed)
        room = layout.room
        assert len(room.targets) == level.boxes
        assert len(room.grid) == level.size
        lengths = room.distances[layout.starts]
        assert level.shortest <= lengths.min() <= lengths.max() <= level.longest
        assert 1 <= len(lengths) <= 1024
        for index in layout.starts[:50].tolist():
            boxes, player = room.position(index)
            assert not room.targets.intersection(boxes)
            assert player not in boxes


def test_the_same_seed_draws_the_same_room_and_others_differ() -> None:
    level = Sokoban.levels["hard"]
    draw_layout.cache_clear()
    first = draw_layout(level, 5)
    assert draw_layout(level, 5) is first
    draw_layout.cache_clear()
    again = draw_layout(level, 5)
    assert again is not first
    assert again.room.grid == first.room.grid
    assert np.array_equal(again.starts, first.starts)
    assert len({draw_layout(level, seed).family for seed in range(20)}) > 17


def test_the_floor_is_connected() -> None:
    rng = np.random.default_rng(0)
    level = SokobanLevel(max_turns=1, size=8, boxes=1, walls=0.45, shortest=1, longest=9)
    drawn = 0
    for _ in range(50):
        grid = draw_grid(rng, level)
        if grid is not None:
            drawn += 1
            floor = {(r, c) for r, row in enumerate(grid) for c, letter in enumerate(row) if letter != "#"}
            assert largest_region(floor) == floor
    assert drawn > 10


def test_the_largest_region_wins_and_no_floor_is_no_region() -> None:
    assert largest_region({(0, 0), (0, 1), (5, 5), (5, 6), (6, 6)}) == {(5, 5), (5, 6), (6, 6)}
    assert largest_region(set()) == set()


def test_mirror_images_and_rotations_are_one_family() -> None:
    grid = ["####", "#_.#", "#__#", "####"]
    turned = ["".join(column) for column in zip(*grid[::-1], strict=True)]
    mirrored = [row[::-1] for row in grid]
    assert turned != grid != mirrored
    assert family_of(grid) == family_of(turned) == family_of(mirrored) == family_of(grid[::-1])
    assert family_of(grid) != family_of(["####", "#_.#", "#_##", "####"])


def test_bounds_that_no_room_meets_end_in_an_error() -> None:
    impossible = SokobanLevel(max_turns=1, size=4, boxes=1, walls=0.0, shortest=50, longest=60)
    with pytest.raises(RuntimeError, match="its bounds leave next to none"):
        draw_layout(impossible, 0)
