from __future__ import annotations

import doctest
import re
from pathlib import Path
from typing import Any

import gymnasium as gym
import numpy as np
import pytest

from turnwise.envs import TurnEnv, check_env, list_envs

PAGE = Path(__file__).resolve().parents[2] / "docs" / "environments.md"
TEXT = PAGE.read_text(encoding="utf-8")


def example() -> dict[str, Any]:
    """Runs the page's own environment and returns what it defines."""
    (code,) = [block for block in re.findall(r"```python\n(.*?)```", TEXT, re.DOTALL) if not block.startswith(">>>")]
    names: dict[str, Any] = {"__name__": "example"}
    exec(code, names)
    return names


def test_every_example_of_the_page_gives_what_it_says() -> None:
    runner = doctest.DocTestRunner(verbose=False)
    test = doctest.DocTestParser().get_doctest(TEXT, example(), "environments.md", str(PAGE), 0)
    complaints: list[str] = []
    runner.run(test, out=complaints.append)
    assert test.examples
    assert not complaints, "".join(complaints)


def test_the_pages_own_environment_passes_the_checker_at_every_level() -> None:
    lock = example()["Lock"]
    for level in lock.levels:
        check_env(lambda level=level: lock(difficulty=level)).raise_for_failures()


def rows() -> list[tuple[str, str, int, float, float]]:
    """Returns the measured table: id, level, turn limit, oracle's turns, random success."""
    table = TEXT.split("<!-- measured -->")[1].split("<!-- end -->")[0].strip().splitlines()[2:]
    found = []
    env_id = ""
    for line in table:
        name, level, _, limit, turns, success = (cell.strip() for cell in line.strip("|").split("|"))
        env_id = name.strip("`") or env_id
        found.append((env_id, level, int(limit), float(turns), float(success)))
    return found


def test_the_table_lists_every_level_of_every_environment() -> None:
    listed = [(entry.id, level, turns) for entry in list_envs() for level, turns in entry.levels.items()]
    assert sorted((env_id, level, limit) for env_id, level, limit, _, _ in rows()) == sorted(listed)


@pytest.mark.parametrize(("env_id", "level", "limit", "turns", "success"), rows())
def test_the_table_says_what_is_measured(env_id: str, level: str, limit: int, turns: float, success: float) -> None:
    env = gym.make(env_id, difficulty=level, split="all").unwrapped
    assert isinstance(env, TurnEnv)
    rng = np.random.default_rng(1)
    tasks = 60
    oracle_turns, wins = [], []
    for index in range(tasks):
        for policy in ("oracle", "random"):
            env.reset(seed=321, options={"index": index})
            over, info = False, {}
            while not over:
                action = env.oracle() if policy == "oracle" else env.random_action(rng)
                assert action is not None
                _, _, terminated, truncated, info = env.step(action)
                over = terminated or truncated
            if policy == "oracle":
                assert info["success"] == 1.0
                oracle_turns.append(env.turn)
            else:
                wins.append(info["success"])
    # Other tasks than the page's: four standard errors, and the rounding of the page.
    assert abs(np.mean(oracle_turns) - turns) < 4 * np.std(oracle_turns) / tasks**0.5 + 0.3
    assert abs(np.mean(wins) - success) < 4 * (max(success, 0.01) / tasks) ** 0.5 + 0.01
