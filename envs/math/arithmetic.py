"""`turnwise/Arithmetic-v0`: compute an expression over several turns with a calculator for single operations."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar, Unpack

import numpy as np

from turnwise.envs.core import TurnEnv
from turnwise.envs.math.expression import (
    OPERATORS,
    Tree,
    apply,
    canonical,
    check_request,
    evaluate,
    generate,
    leaves,
    reduced,
    reducible,
    size,
    write,
)
from turnwise.envs.parse import MALFORMED, last_tag
from turnwise.envs.types import EnvOptions, Level, Reply, Task
from turnwise.verifiers.base import verifier
from turnwise.verifiers.types import Verdict

_NUMBER = r"\(?\s*([-−]?\d{1,30})\s*\)?"
_OPERATION = re.compile(rf"{_NUMBER}\s*([-+*/×÷−x])\s*{_NUMBER}\s*=?")
_ANSWER = re.compile(r"[-+−]?(?:\d{1,30}|\d{1,3}(?:,\d{3}){1,9})")
_ASCII = str.maketrans("×÷−x", "*/-*")
_MAX_CALL = 1000
"""Characters of the longest tool call that is parsed; a sensible one has less than 100."""


@dataclass(frozen=True)
class ArithmeticLevel(Level):
    """A level of `Arithmetic`.

    Attributes:
        operations: How many operators an expression has.
        digits: Numbers have at most this many digits.
        operators: Which operators occur.
    """

    operations: int
    digits: int
    operators: str


def turns_for(operations: int) -> int:
    """Returns the turn limit: every operation and the answer once, and one slip per operation."""
    return 2 * operations + 1


def level(operations: int, digits: int, operators: str) -> ArithmeticLevel:
    """Returns a level with the turn limit that goes with its length."""
    return ArithmeticLevel(turns_for(operations), operations, digits, operators)


def read_answer(action: str) -> int | None:
    """Returns the integer in the action's last `<answer>` tag, or the whole message if it is one; else None."""
    tag = last_tag(action, "answer", "calc", "tool_call")
    if tag is not None and tag[0] != "answer":
        return None
    text = (action if tag is None else tag[1]).strip()
    return int(text.replace(",", "").translate(_ASCII)) if _ANSWER.fullmatch(text) else None


def read_operation(action: str) -> tuple[str, int, int] | str | None:
    """Returns the operation that an action asks the calculator for, as `(operator, left, right)`.

    It stands in the last `<calc>` tag, in the last `<tool_call>` tag as JSON, or is the whole message. Returns a
    sentence saying what is wrong with a tool call that cannot be read, and None where there is no operation.
    """
    tag = last_tag(action, "answer", "calc", "tool_call")
    name, text = ("", action) if tag is None else tag
    if name == "answer":
        return None
    if len(text) > _MAX_CALL:
        return f"A calculation has at most {_MAX_CALL} characters." if tag else None
    if name == "tool_call":
        text, problem = expression_of_call(text)
        if problem:
            return problem
    match = _OPERATION.fullmatch(text.strip())
    if match is None:
        return "The calculator takes one operation on two whole numbers, like 12*7." if tag else None
    left, operator, right = (part.translate(_ASCII) for part in match.groups())
    return operator, int(left), int(right)


def expression_of_call(text: str) -> tuple[str, str]:
    """Returns the `expression` argument of a JSON tool call and "", or "" and what is wrong with the call."""
    try:
        call = json.loads(text)
    except (ValueError, RecursionError):
        return "", "A tool call is one JSON object."
    if not isinstance(call, dict) or call.get("name") != "calculator":
        return "", 'The only tool is {"name": "calculator"}.'
    arguments = call.get("arguments")
    expression = arguments.get("expression") if isinstance(arguments, dict) else None
    if not isinstance(expression, str):
        return "", 'The calculator needs {"arguments": {"expression": "12*7"}}.'
    return expression, ""


@verifier
def right_answer(response: str, reference: int) -> Verdict:
    """Scores 1 for a final answer that equals the expression's value, else 0."""
    answer = read_answer(response)
    return Verdict(float(answer == reference), evidence=f"the answer is {answer}, the value {reference}")


class Arithmetic(TurnEnv):
    """The agent computes an integer expression with a calculator that knows one operation at a time.

    Expressions are drawn afresh, of any length, as in "Reasoning or Memorization?" (Wu et al., 2025, arXiv 2507.10532),
    so that no model can have seen them. The agent reduces the expression call by call and ends with `<answer>`. A call
    that computes an operation of the expression whose operands are numbers replaces it by its value; any other call is
    answered too and changes nothing. Progress is the share of steps done, operations and answer, of which a right
    answer completes all; dense rewards of a solved episode sum to 2.

    Args:
        operations: How many operators an expression has (1 to 200), in place of the level's; the turn limit follows.
        digits: The most digits of its numbers (1 to 9), in place of the level's.
        show_left: Whether observations repeat what is left of the expression. Then each is self-contained.
        options: See `TurnEnv`.

    Raises:
        InvalidInput: `operations` or `digits` is out of bounds.
    """

    summary = "compute an integer expression with a calculator for single operations"
    action_format = "<calc>12*7</calc> or <answer>84</answer>"
    levels: ClassVar[Mapping[str, ArithmeticLevel]] = {
        "easy": level(2, 1, "+-"),
        "medium": level(3, 2, "+-*"),
        "hard": level(5, 2, "+-*/"),
        "expert": level(8, 3, "+-*/"),
        "extreme": level(16, 4, "+-*/"),
    }
    verifier = right_answer

    def __init__(
        self,
        *,
        operations: int | None = None,
        digits: int | None = None,
        show_left: bool = True,
        **options: Unpack[EnvOptions],
    ) -> None:
        check_request(1 if operations is None else operations, 1 if digits is None else digits, OPERATORS)
        if operations is not None and options.get("max_turns") is None:
            options["max_turns"] = turns_for(operations)
        super().__init__(**options)
        self.operations = operations
        self.digits = digits
        self.show_left = show_left
        self.operators = ""
        self.left: Tree = 0
        self.total = 1
        self.answer: int | None = None

    def new_task(self, rng: np.random.Generator, difficulty: ArithmeticLevel) -> Task:
        """Draws an expression."""
        operations = difficulty.operations if self.operations is None else self.operations
        digits = difficulty.digits if self.digits is None else self.digits
        tree = generate(rng, operations, digits, difficulty.operators)
        return Task(
            prompt=f"Compute {write(tree)}.",
            reference=evaluate(tree),
            content=canonical(tree),
            start=(tree, difficulty.operators),
            data={"operations": float(operations)},
        )

    def start(self, task: Task) -> str:
        """Begins with the whole expression."""
        self.left, self.operators = task.start
        self.total = size(self.left)
        self.answer = None
        return f"{task.prompt} {self._turns_left()}"

    def respond(self, action: str) -> Reply:
        """Runs the calculator, or takes the answer."""
        answer = read_answer(action)
        if answer is not None:
            self.answer = answer
            return Reply("Right!" if answer == self.task.reference else "Wrong.", done=True)
        operation = read_operation(action)
        if operation is None:
            problem = "Write one calculation as <calc>12*7</calc>, or the result as <answer>N</answer>."
            return Reply(self._say(problem), feedback=MALFORMED)
        if isinstance(operation, str):
            return Reply(self._say(operation), feedback=MALFORMED)
        return self._calculate(*operation)

    def progress(self) -> float:
        """Returns the share of operations and answer that are done."""
        if self.answer is not None and self.answer == self.task.reference:
            return 1.0
        return (self.total - size(self.left)) / (self.total + 1)

    def state(self) -> str:
        """Returns what is left of the expression, and the answer once it is given."""
        return write(self.left) + ("" if self.answer is None else f"={self.answer}")

    def instructions(self) -> str:
        """Returns the rules."""
        return (
            "Compute the expression. Each turn write one operation on two numbers as <calc>12*7</calc> and I tell its "
            "value. When one number is left, write it as <answer>N</answer>."
        )

    def tools(self) -> list[dict[str, Any]]:
        """Returns the calculator's schema, for models that call tools by JSON: `<tool_call>{...}</tool_call>`."""
        expression = {"type": "string", "description": "One operation on two whole numbers, like 12*7."}
        parameters = {"type": "object", "properties": {"expression": expression}, "required": ["expression"]}
        description = "Computes one of + - * / on two whole numbers."
        return [
            {
                "type": "function",
                "function": {"name": "calculator", "description": description, "parameters": parameters},
            }
        ]

    def oracle(self) -> str | None:
        """Returns the leftmost of the innermost operations as a calculation, or the answer when a number is left."""
        if self.answer is not None:
            return None
        if isinstance(self.left, int):
            return f"<answer>{self.left}</answer>"
        operator, left, right = next(reducible(self.left))
        return f"<calc>{write((operator, left, right))}</calc>"

    def random_action(self, rng: np.random.Generator) -> str:
        """Returns a random operation on numbers of what is left, or, once in a while, a random answer near one."""
        numbers = leaves(self.left)
        picks = [numbers[index] for index in rng.integers(len(numbers), size=2)]
        if rng.random() * len(numbers) < 1.0:
            return f"<answer>{picks[0] + int(rng.integers(-10, 11))}</answer>"
        operator = self.operators[int(rng.integers(len(self.operators)))]
        return f"<calc>{write((operator, picks[0], picks[1]))}</calc>"

    def _calculate(self, operator: str, left: int, right: int) -> Reply:
        """Answers a calculation, and reduces the expression where it has it."""
        value = apply(operator, left, right)
        text = write((operator, left, right))
        if value is None:
            return Reply(self._say(f"{text} is not a whole number."))
        after = reduced(self.left, operator, left, right)
        if after is None:
            return Reply(self._say(f"{text} = {value}."), feedback="not an operation of the expression")
        self.left = after
        return Reply(self._say(f"{text} = {value}."))

    def _say(self, answer: str) -> str:
        left = f" Left: {write(self.left)}." if self.show_left else ""
        return f"{answer}{left} {self._turns_left()}"

    def _turns_left(self) -> str:
        left = self.turn_limit - self.turn
        return f"{left or 'No'} {'turn' if left == 1 else 'turns'} left."
