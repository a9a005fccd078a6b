from __future__ import annotations

import json
import warnings

import gymnasium as gym
import jsonschema
import numpy as np
import pytest
from gymnasium.utils.env_checker import check_env as gymnasium_check_env

from turnwise.envs import InvalidInput, Task
from turnwise.envs.math.arithmetic import Arithmetic, read_answer, read_operation, right_answer
from turnwise.envs.math.expression import Tree, canonical, evaluate, size, write

LEVELS = list(Arithmetic.levels)


class Fixed(Arithmetic):
    """Arithmetic with a known expression, 5+3*(9-2) = 26."""

    def new_task(self, rng: np.random.Generator, difficulty: object) -> Task:
        tree: Tree = ("+", 5, ("*", 3, ("-", 9, 2)))
        return Task(f"Compute {write(tree)}.", evaluate(tree), canonical(tree), start=(tree, "+-*"))


def fixed(**options: object) -> Arithmetic:
    env = Fixed(**{"difficulty": "medium", "split": "all", **options})  # type: ignore[arg-type] # test shorthand
    env.reset(seed=0)
    return env


@pytest.mark.parametrize("level", LEVELS)
def test_gymnasiums_checker_finds_nothing(level: str) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        gymnasium_check_env(gym.make("turnwise/Arithmetic-v0", difficulty=level).unwrapped)


def test_a_calculation_of_the_expression_replaces_it_by_its_value() -> None:
    env = fixed()
    assert env.step("<calc>9-2</calc>")[0] == "9-2 = 7. Left: 5+3*7. 6 turns left."
    assert env.step("<calc>7*3</calc>")[0] == "7*3 = 21. Left: 5+21. 5 turns left."
    assert env.step("<calc>5+21</calc>")[0] == "5+21 = 26. Left: 26. 4 turns left."
    observation, reward, terminated, truncated, info = env.step("<answer>26</answer>")
    assert (observation, reward, terminated, truncated) == ("Right!", 1.0, True, False)
    assert info["feedback"] == "the answer is 26, the value 26"


def test_other_calculations_are_answered_and_change_nothing() -> None:
    env = fixed()
    observation, _, _, _, info = env.step("<calc>5+3</calc>")  # 5+3 stands there, but binds less than the product
    assert observation == "5+3 = 8. Left: 5+3*(9-2). 6 turns left."
    assert info["feedback"] == "not an operation of the expression"
    assert info["progress"] == 0.0
    assert env.step("<calc>7/2</calc>")[0] == "7/2 is not a whole number. Left: 5+3*(9-2). 5 turns left."
    assert env.step("<calc>7/0</calc>")[0].startswith("7/0 is not a whole number.")


def test_without_the_rest_shown_the_agent_has_to_keep_it() -> None:
    env = fixed(show_left=False)
    assert env.step("9-2")[0] == "9-2 = 7. 6 turns left."


def test_dense_rewards_are_the_share_of_steps_done_and_sum_to_two() -> None:
    env = fixed(reward="dense")
    actions = ["<calc>9-2</calc>", "<calc>1+1</calc>", "<calc>3*7</calc>", "<calc>5+21</calc>", "<answer>26</answer>"]
    assert [env.step(action)[1] for action in actions] == [0.25, 0.0, 0.25, 0.25, 1.25]


def test_the_answer_alone_completes_the_progress_and_a_wrong_one_keeps_it() -> None:
    env = fixed(reward="dense")
    assert env.step("<answer>26</answer>")[1] == 2.0
    env = fixed(reward="dense")
    env.step("<calc>9-2</calc>")
    observation, reward, terminated, _, info = env.step("<answer>27</answer>")
    assert (observation, reward, terminated, info["progress"]) == ("Wrong.", 0.0, True, 0.25)


def test_states_are_equal_when_the_rest_of_the_expression_is() -> None:
    def keys(*actions: str) -> list[str]:
        env = fixed()
        return [env.step(action)[4]["state_key"] for action in actions]

    assert keys("<calc>9-2</calc>")[-1] == keys("nonsense", "<calc>8*8</calc>", "<calc>9-2</calc>")[-1]
    assert len(set(keys("<calc>9-2</calc>", "<calc>3*7</calc>", "<calc>5+21</calc>", "<answer>26</answer>"))) == 4


@pytest.mark.parametrize("level", LEVELS)
def test_the_oracle_solves_every_level_within_the_limit(level: str) -> None:
    env = Arithmetic(difficulty=level, reward="dense")
    for index in range(20):
        env.reset(seed=0, options={"index": index})
        total, over = 0.0, False
        while not over:
            action = env.oracle()
            assert action is not None
            _, reward, terminated, truncated, _ = env.step(action)
            total += reward
            over = terminated or truncated
        assert env.oracle() is None
        assert total == pytest.approx(2.0)
        assert env.turn == Arithmetic.levels[level].operations + 1


@pytest.mark.parametrize("level", LEVELS)
def test_random_actions_are_well_formed_and_hardly_ever_solve(level: str) -> None:
    env = Arithmetic(difficulty=level, split="all")
    rng = np.random.default_rng(0)
    wins = 0.0
    for index in range(60):
        env.reset(seed=0, options={"index": index})
        over = False
        while not over:
            action = env.random_action(rng)
            assert (read_answer(action) is None) != (read_operation(action) is None)
            assert not isinstance(read_operation(action), str)
            _, reward, terminated, truncated, _ = env.step(action)
            wins += reward
            over = terminated or truncated
    assert wins / 60 < 0.2


def test_length_and_digits_can_be_chosen_freely() -> None:
    env = Arithmetic(operations=40, digits=1, difficulty="hard")
    _, info = env.reset(seed=0)
    tree, _ = env.task.start
    assert size(tree) == 40
    assert info["task"]["operations"] == 40.0
    assert env.turn_limit == 81
    assert Arithmetic(operations=40, max_turns=5).reset(seed=0)[1]["task"]["max_turns"] == 5.0
    for bad in ({"operations": 201}, {"operations": 0}, {"digits": 10}):
        with pytest.raises(InvalidInput, match=f"not {next(iter(bad.values()))}"):
            Arithmetic(**bad)  # type: ignore[arg-type] # test shorthand


def test_reordered_sums_stay_in_one_split() -> None:
    left: Tree = ("+", ("*", 12, 34), 5)
    right: Tree = ("+", 5, ("*", 34, 12))
    assert canonical(left) == canonical(right)
    assert Arithmetic.split_of(canonical(left)) == Arithmetic.split_of(canonical(right))


@pytest.mark.parametrize(
    ("action", "operation"),
    [
        ("<calc>12*7</calc>", ("*", 12, 7)),
        ("<calc> 12 × (-7) = </calc>", ("*", 12, -7)),
        ("<calc>−3 − 4</calc>", ("-", -3, 4)),
        ("12+7", ("+", 12, 7)),
        ("think <calc>1+1</calc> no <calc>2+2</calc>", ("+", 2, 2)),
        ('<tool_call>{"name": "calculator", "arguments": {"expression": "8/2"}}</tool_call>', ("/", 8, 2)),
        ("<calc>1+2</calc><answer>3</answer>", None),
        ("I would compute 12*7", None),
        ("", None),
    ],
)
def test_an_operation_is_read_from_tag_tool_call_or_bare(action: str, operation: object) -> None:
    assert read_operation(action) == operation


@pytest.mark.parametrize(
    ("action", "complaint"),
    [
        ("<calc>1+2+3</calc>", "one operation on two whole numbers"),
        ("<calc>__import__('os')</calc>", "one operation on two whole numbers"),
        ("<calc>2**99</calc>", "one operation on two whole numbers"),
        ("<calc>" + "9" * 31 + "+1</calc>", "one operation on two whole numbers"),
        ("<calc>" + "1+" * 10_000 + "</calc>", "at most 1000 characters"),
        ("<tool_call>{</tool_call>", "one JSON object"),
        ("<tool_call>" + "[" * 999 + "</tool_call>", "one JSON object"),
        ("<tool_call>[1]</tool_call>", "The only tool"),
        ('<tool_call>{"name": "python", "arguments": {}}</tool_call>', "The only tool"),
        ('<tool_call>{"name": "calculator", "arguments": {"expr": "1+1"}}</tool_call>', "needs"),
        ('<tool_call>{"name": "calculator", "arguments": "1+1"}</tool_call>', "needs"),
        ("<answer>26.0</answer>", "or the result as <answer>N</answer>"),
        ("no idea", "or the result as <answer>N</answer>"),
    ],
)
def test_a_malformed_action_costs_a_turn_and_is_explained(action: str, complaint: str) -> None:
    env = fixed()
    observation, reward, terminated, truncated, info = env.step(action)
    assert complaint in observation
    assert observation.endswith("Left: 5+3*(9-2). 6 turns left.")
    assert (reward, terminated, truncated, info["feedback"]) == (0.0, False, False, "malformed action")


@pytest.mark.parametrize(
    ("action", "answer"),
    [
        ("<answer>26</answer>", 26),
        ("<answer> -1,234,567 </answer>", -1234567),
        ("<answer>−5</answer>", -5),
        ("26", 26),
        ("<answer>1</answer> or <answer>2</answer>", 2),
        ("<answer>26</answer><calc>1+1</calc>", None),
        ("<answer>12,34</answer>", None),
        ("<answer>26 apples</answer>", None),
        ("The answer is 26", None),
    ],
)
def test_an_answer_is_an_integer_in_the_last_tag_or_bare(action: str, answer: int | None) -> None:
    assert read_answer(action) == answer


def test_the_verifier_tells_near_misses_apart() -> None:
    assert right_answer("<answer>26</answer>", 26).score == 1.0
    for near in ("25", "27", "62", "-26", "260"):
        assert right_answer(f"<answer>{near}</answer>", 26).score == 0.0


def test_the_tool_schema_accepts_what_the_environment_accepts() -> None:
    _, info = fixed().reset(seed=0)
    (tool,) = info["tools"]
    json.dumps(tool)
    jsonschema.Draft202012Validator.check_schema(tool["function"]["parameters"])
    jsonschema.validate({"expression": "12*7"}, tool["function"]["parameters"])
    assert tool["function"]["name"] == "calculator"
