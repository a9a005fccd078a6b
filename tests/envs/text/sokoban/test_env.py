from __future__ import annotations

import math
import pickle
import warnings

import gymnasium as gym
import numpy as np
import pytest
from gymnasium.utils.env_checker import check_env as gymnasium_check_env

from turnwise.envs import InvalidInput, Task
from turnwise.envs.text.sokoban.env import Sokoban, read_moves
from turnwise.envs.text.sokoban.generator import family_of
from turnwise.envs.text.sokoban.room import Room, rank

LEVELS = list(Sokoban.levels)
CLOSE = ("######", "#@___#", "#_$._#", "#____#", "######")


def placed(*rows: str, **options: object) -> Sokoban:
    """Returns an environment in a drawn position, in the usual letters."""
    room = Room.parse([row.translate(str.maketrans("$*@+", "_._.")) for row in rows])
    inside = "".join(row[1:-1] for row in rows[1:-1])
    boxes = tuple(square for square, letter in enumerate(inside) if letter in "$*")
    player = next(square for square, letter in enumerate(inside) if letter in "@+")
    index = rank(boxes) * room.board.squares + player
    task = Task("\n".join(rows), content="\n".join(rows), start=(room, index, int(room.distances[index])))

    class Placed(Sokoban):
        def new_task(self, rng: np.random.Generator, difficulty: object) -> Task:
            return task

    env = Placed(**{"split": "all", **options})  # type: ignore[arg-type] # test shorthand
    env.reset(seed=0)
    return env


@pytest.mark.parametrize("level", LEVELS)
def test_gymnasiums_checker_finds_nothing(level: str) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        gymnasium_check_env(gym.make("turnwise/Sokoban-v0", difficulty=level).unwrapped)


def test_a_solution_move_by_move() -> None:
    env = placed(*CLOSE)
    assert env.board == "######\n#@___#\n#_$._#\n#____#\n######"
    observation, reward, terminated, truncated, info = env.step("<move>down</move>")
    assert observation == "######\n#____#\n#@$._#\n#____#\n######\n15 turns left."
    assert (reward, terminated, truncated) == (0.0, False, False)
    assert info["feedback"] == "moves to the solution: 1"
    observation, reward, terminated, truncated, info = env.step("<move>right</move>")
    assert observation == "######\n#____#\n#_@*_#\n#____#\n######\nSolved!"
    assert (reward, terminated, truncated) == (1.0, True, False)
    assert info["feedback"] == "moves to the solution: 0 1 of 1 boxes on targets"
    assert info["progress"] == 1.0


def test_dense_rewards_are_half_the_change_of_each_potential() -> None:
    env = placed(*CLOSE, reward="dense")
    steps = [env.step(f"<move>{word}</move>") for word in ("down", "up", "down", "right")]
    assert [step[1] for step in steps] == [0.25, -0.25, 0.25, 1.75]
    assert steps[3][4]["reward_parts"] == {"outcome": 1.0, "boxes": 0.5, "distance": 0.25}
    assert sum(step[1] for step in steps) == env.best_return() == 2.0


def test_a_box_that_leaves_its_target_takes_its_reward_back() -> None:
    env = placed("########", "#_@*$._#", "########", reward="dense")
    assert env.progress() == 0.25  # one of two boxes stored, no solution
    env = placed("#######", "#_____#", "#@*_$_#", "#__.__#", "#######", reward="dense")
    steps = [env.step(f"<move>{word}</move>") for word in ("right", "up", "right", "right", "down", "left")]
    assert steps[0][4]["reward_parts"]["boxes"] == -0.25
    assert math.isclose(sum(step[1] for step in steps), env.progress() - 0.25)


def test_a_spoilt_level_is_told_to_the_trainer_and_not_to_the_agent() -> None:
    env = placed(*CLOSE, reward="dense")
    steps = [env.step(f"<move>{word}</move>") for word in ("down", "down", "right", "up")]  # the box ends at the wall
    observation, _, terminated, _, info = steps[-1]
    assert info["feedback"] == "no solution is left"
    assert info["progress"] == 0.0
    assert "solution" not in observation
    assert not terminated
    assert env.oracle() is None
    assert sum(step[1] for step in steps) == 0.0


def test_a_blocked_move_costs_a_turn_and_says_so() -> None:
    env = placed(*CLOSE)
    observation, _, _, _, info = env.step("<move>up</move>")
    assert observation == "Blocked: up.\n######\n#@___#\n#_$._#\n#____#\n######\n15 turns left."
    assert info["feedback"] == "moves to the solution: 2"


@pytest.mark.parametrize("action", ["", "jump", "<move></move>", "<move>up down</move>", "go up", "up " * 10_000])
def test_a_malformed_action_costs_a_turn_and_is_explained(action: str) -> None:
    env = placed(*CLOSE)
    observation, reward, terminated, truncated, info = env.step(action)
    assert observation.startswith("Write a move as <move>up</move>, or down, left or right.\n######")
    assert (reward, terminated, truncated, info["feedback"]) == (0.0, False, False, "malformed action")
    assert env.player == 0


@pytest.mark.parametrize(
    ("action", "moves"),
    [
        ("<move>up</move>", [0]),
        ("I push. <move> Down,left </move>", [1, 2]),
        ("right", [3]),
        ("<move>up</move><move>down</move>", [1]),
        ("<move>up and away</move>", None),
        ("", None),
    ],
)
def test_moves_are_read_from_the_last_tag_or_a_bare_message(action: str, moves: list[int] | None) -> None:
    assert read_moves(action) == moves


def test_several_moves_in_a_turn_stop_at_the_solution() -> None:
    env = placed(*CLOSE, moves_per_turn=4)
    assert env.oracle() == "<move>down right</move>"
    observation, _, terminated, _, _ = env.step("<move>down right right left</move>")
    assert terminated
    assert observation.endswith("#_@*_#\n#____#\n######\nSolved!")
    env.reset(seed=0)
    assert env.step("<move>up left down</move>")[0].startswith("Blocked: up, left.\n")
    assert "up to 4 of them" in env.step("<move>up up up up up</move>")[0]
    with pytest.raises(InvalidInput, match="not 0"):
        Sokoban(moves_per_turn=0)


@pytest.mark.parametrize("level", LEVELS)
def test_the_oracle_solves_in_the_stated_number_of_moves(level: str) -> None:
    env = Sokoban(difficulty=level, reward="dense")
    for index in range(3):
        _, info = env.reset(seed=0, options={"index": index})
        total, terminated = 0.0, False
        while not terminated:
            action = env.oracle()
            assert action is not None
            _, reward, terminated, truncated, _ = env.step(action)
            assert not truncated
            total += reward
        assert env.turn == info["task"]["optimal_moves"]
        assert total == pytest.approx(2.0)
        assert env.oracle() is None
        low, high = Sokoban.levels[level].shortest, Sokoban.levels[level].longest
        assert low <= env.turn <= high < env.turn_limit


def test_random_moves_hardly_ever_solve() -> None:
    env = Sokoban(difficulty="easy")
    rng = np.random.default_rng(0)
    wins = 0.0
    for index in range(60):
        env.reset(seed=0, options={"index": index})
        over = False
        while not over:
            _, reward, terminated, truncated, _ = env.step(env.random_action(rng))
            wins += reward
            over = terminated or truncated
    assert wins / 60 < 0.3


@pytest.mark.parametrize("level", ["easy", "hard"])
def test_no_room_is_shared_by_the_splits_in_any_orientation(level: str) -> None:
    families: dict[str, set[str]] = {}
    for split in ("train", "test"):
        env = Sokoban(difficulty=level, split=split)  # type: ignore[arg-type] # one of the literals
        families[split] = set()
        for index in range(40):
            env.reset(seed=0, options={"index": index})
            families[split].add(family_of(list(env.room.grid)))
    assert len(families["train"]) > 20
    assert len(families["test"]) > 10
    assert not families["train"] & families["test"]


def test_the_state_is_the_board() -> None:
    env = placed(*CLOSE)
    _, first = env.reset(seed=0)
    keys = [env.step(f"<move>{word}</move>")[4]["state_key"] for word in ("down", "up", "down")]
    assert keys == [keys[0], first["state_key"], keys[0]]
    assert keys[0] != keys[1]


def test_snapshots_hold_the_room_and_can_be_pickled() -> None:
    env = Sokoban(difficulty="hard")
    env.reset(seed=0)
    snapshot = pickle.loads(pickle.dumps(env.snapshot()))
    words = ("up", "right", "down", "left")
    future = [env.step(word) for word in words]
    other = Sokoban()
    other.restore(snapshot)
    assert [other.step(word) for word in words] == future
    assert env.clone().room is env.room
