from __future__ import annotations

import math
import warnings

import gymnasium as gym
import numpy as np
import pytest
from gymnasium.utils.env_checker import check_env as gymnasium_check_env

from turnwise.envs.text.guess_number import GuessNumber, read_guess, right_guess

LEVELS = list(GuessNumber.levels)


def started(secret: int, **options: object) -> GuessNumber:
    """Returns an environment whose secret number is known."""
    env = GuessNumber(**{"difficulty": "medium", "split": "all", **options})  # type: ignore[arg-type] # test shorthand
    seed = 0
    env.reset(seed=seed)
    while env.secret != secret:
        seed += 1
        env.reset(seed=seed)
    return env


@pytest.mark.parametrize("level", LEVELS)
def test_gymnasiums_checker_finds_nothing(level: str) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        gymnasium_check_env(gym.make("turnwise/GuessNumber-v0", difficulty=level, max_turns=20).unwrapped)


def test_observations_narrow_the_range_and_count_the_guesses() -> None:
    env = started(38)
    assert env.step("<guess>37</guess>")[0] == "37 is too low. It is between 38 and 64. 6 guesses left."
    assert env.step("<guess>50</guess>")[0] == "50 is too high. It is between 38 and 49. 5 guesses left."
    assert env.step("<guess>5</guess>")[0] == "5 is too low. It is between 38 and 49. 4 guesses left."
    assert env.step("hm")[0] == (
        "I read no guess: write a whole number N as <guess>N</guess>. It is between 38 and 49. 3 guesses left."
    )
    env.step("1")
    assert env.step("99")[0].endswith("1 guess left.")
    observation, reward, terminated, truncated, info = env.step("38")
    assert (observation, reward, terminated, truncated) == ("38 is right!", 1.0, True, False)
    assert info["progress"] == 1.0
    assert info["feedback"] == "the last guess is 38, the number 38"


def test_without_the_range_the_agent_has_to_remember() -> None:
    env = started(38, show_range=False)
    assert env.step("37")[0] == "37 is too low. 6 guesses left."
    assert env.step("?")[0] == "I read no guess: write a whole number N as <guess>N</guess>. 5 guesses left."


def test_turn_rewards_are_the_bits_gained_over_the_bits_there_were() -> None:
    env = started(38, reward="dense")
    rewards = [env.step(guess)[1] for guess in ("32", "48", "48", "38")]
    # 64 candidates -> 32 -> 15 -> 15 -> found; log2(64) = 6 bits in all
    expected = [1 / 6, (5 - math.log2(15)) / 6, 0.0, math.log2(15) / 6 + 1.0]
    assert rewards == pytest.approx(expected)
    assert sum(rewards) == pytest.approx(2.0)


@pytest.mark.parametrize("level", LEVELS)
def test_bisection_always_succeeds_and_the_limit_is_its_worst_case(level: str) -> None:
    highest = GuessNumber.levels[level].highest
    assert GuessNumber.levels[level].max_turns == math.floor(math.log2(highest)) + 1
    env = GuessNumber(difficulty=level, reward="dense", split="all")
    needed = []
    for index in range(64):
        env.reset(seed=1, options={"index": index})
        total, done = 0.0, False
        while not done:
            action = env.oracle()
            assert action is not None
            _, reward, terminated, truncated, _ = env.step(action)
            total += reward
            done = terminated or truncated
        assert terminated
        assert total == pytest.approx(2.0)
        assert env.oracle() is None
        needed.append(env.turn)
    assert max(needed) >= env.turn_limit - 2


@pytest.mark.parametrize("level", LEVELS)
def test_random_guessing_mostly_fails(level: str) -> None:
    env = GuessNumber(difficulty=level, split="all")
    rng = np.random.default_rng(0)
    wins = 0.0
    for index in range(300):
        env.reset(seed=2, options={"index": index})
        done = False
        while not done:
            _, reward, terminated, truncated, _ = env.step(env.random_action(rng))
            done = terminated or truncated
        wins += reward
    n, guesses = GuessNumber.levels[level].highest, env.turn_limit
    chance = 1 - (1 - 1 / n) ** guesses
    assert abs(wins / 300 - chance) < 4 * math.sqrt(chance / 300) + 0.01
    assert chance < 0.3


@pytest.mark.parametrize("level", ["easy", "medium", "hard", "expert"])
def test_both_splits_of_every_level_hold_secrets_and_together_hold_all(level: str) -> None:
    highest = GuessNumber.levels[level].highest
    sides = [GuessNumber.split_of(f"{secret} of {highest}") for secret in range(1, highest + 1)]
    assert sides.count("test") >= 5
    assert 0.1 < sides.count("test") / highest < 0.4
    env = GuessNumber(difficulty=level, split="test")
    seen = set()
    for index in range(200):
        env.reset(seed=0, options={"index": index})
        seen.add(env.secret)
    assert seen <= {secret for secret, side in enumerate(sides, start=1) if side == "test"}
    assert len(seen) > 4


def test_the_state_is_what_is_known_and_not_the_secret() -> None:
    keys = []
    for secret in (40, 41):
        env = started(secret)
        keys.append([env.step(guess)[4]["state_key"] for guess in ("32", "48", "x")])
    assert keys[0] == keys[1]
    assert len(set(keys[0])) == 2
    # Another way to the same knowledge is the same state; knowing that 40 is right is another than having it left over.
    env = started(40)
    other = [env.step(guess)[4]["state_key"] for guess in ("48", "32")]
    assert other[-1] == keys[0][1]
    env = started(40)
    left_over = [env.step(guess)[4]["state_key"] for guess in ("39", "41")][-1]
    assert env.step("40")[4]["state_key"] != left_over


@pytest.mark.parametrize(
    ("action", "guess"),
    [
        ("<guess>17</guess>", 17),
        ("<think>maybe <guess>3</guess>?</think> <guess> +4 </guess>", 4),
        ("17", 17),
        (" -2\n", -2),
        ("<guess>5<guess>6</guess>", 6),
        ("", None),
        ("seventeen", None),
        ("I say 17", None),
        ("<guess>1.5</guess>", None),
        ("<guess>17", None),
        ("17</guess><guess>", None),
        ("<guess>" + "9" * 19 + "</guess>", None),
    ],
)
def test_a_guess_is_read_from_the_last_tag_or_a_bare_number(action: str, guess: int | None) -> None:
    assert read_guess(action) == guess


def test_the_verifier_scores_the_guess_against_the_secret() -> None:
    assert right_guess("<guess>7</guess>", 7).score == 1.0
    assert right_guess("<guess>8</guess>", 7).score == 0.0
    assert right_guess("seven", 7).evidence == "the last guess is None, the number 7"


def test_a_megabyte_of_tags_is_read_in_linear_time() -> None:  # a quadratic reader would meet the test's time-out
    for action in ("<guess>" * 140_000, "<guess>" + " " * 1_000_000 + "</guess>", "</guess>" * 120_000):
        assert read_guess(action) is None
