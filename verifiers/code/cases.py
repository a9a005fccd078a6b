"""Tests as data: calls of a function, or texts for standard input; our own form, LiveCodeBench's and APPS'."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from turnwise.verifiers.code.values import expected_tree
from turnwise.verifiers.errors import InvalidInput

CALL_FIELDS = {"args", "kwargs", "expected", "tolerance", "any_order"}
STREAM_FIELDS = {"stdin", "stdout", "tolerance"}


@dataclass(frozen=True)
class CallCase:
    """One call of the solution's function.

    Attributes:
        args: Trees of the positional arguments.
        kwargs: Trees of the named ones.
        expected: Tree of what it must return.
        tolerance: None for exact equality, or how far numbers may lie apart, absolutely or relatively.
        any_order: Whether the order of the returned list does not count.
        tuples_as_lists: Whether a tuple counts as the list that JSON would make of it.
        entry_point: The function, where the tests name it themselves.
        alternatives: Trees that are accepted as well.
    """

    args: tuple[Any, ...]
    kwargs: Mapping[str, Any]
    expected: Any
    tolerance: float | None = None
    any_order: bool = False
    tuples_as_lists: bool = False
    entry_point: str | None = None
    alternatives: tuple[Any, ...] = ()


@dataclass(frozen=True)
class StreamCase:
    """One run of the solution as a program.

    Attributes:
        stdin: What it reads.
        stdout: What it must print, up to white space at the end of lines and of the text.
        tolerance: None, or how far words that are numbers may lie apart.
    """

    stdin: str
    stdout: str
    tolerance: float | None = None


def cases_of(reference: Any) -> list[CallCase | StreamCase]:
    """Returns the tests that a reference states.

    It is a list of tests, each `{"args": [...], "expected": ...}` (also `kwargs`, `tolerance`, `any_order`), or
    `{"stdin": ..., "stdout": ...}` (also `tolerance`), or LiveCodeBench's `{"input", "output", "testtype"}`; or APPS'
    one object `{"inputs": [...], "outputs": [...], "fn_name": ...}`; or either as JSON text.

    Raises:
        InvalidInput: It states no test, or one that cannot be understood.
    """
    if isinstance(reference, str):
        try:
            reference = json.loads(reference)
        except ValueError as error:
            raise InvalidInput(f"reference={reference[:100]!r}: the tests are neither a list nor JSON") from error
    if isinstance(reference, Mapping) and {"inputs", "outputs"} <= reference.keys():
        return _apps(reference)
    if not isinstance(reference, Sequence) or not reference:
        raise InvalidInput(f"reference={reference!r}: give a list of at least one test")
    return [_case(test, number) for number, test in enumerate(reference)]


def _case(test: Any, number: int) -> CallCase | StreamCase:
    if isinstance(test, CallCase | StreamCase):
        return test
    if not isinstance(test, Mapping):
        raise InvalidInput(f"test {number}: {test!r} is not an object with args and expected, or stdin and stdout")
    if "testtype" in test:
        return _livecodebench(test, number)
    fields = set(test)
    tolerance = _tolerance(test.get("tolerance"), number)
    if "expected" in fields and fields <= CALL_FIELDS:
        args, kwargs, any_order = test.get("args", []), test.get("kwargs", {}), test.get("any_order", False)
        if not isinstance(args, list | tuple) or not isinstance(kwargs, Mapping) or not isinstance(any_order, bool):
            raise InvalidInput(
                f"test {number}: args is a list, kwargs an object, any_order true or false; got {test!r}"
            )
        if any_order and tolerance is not None:
            raise InvalidInput(f"test {number}: any_order and tolerance do not go together; sort the expected list")
        return CallCase(
            tuple(expected_tree(value, f"test {number}: args") for value in args),
            {str(name): expected_tree(value, f"test {number}: {name}") for name, value in kwargs.items()},
            expected_tree(test["expected"], f"test {number}: expected"),
            tolerance,
            any_order,
        )
    if {"stdin", "stdout"} <= fields <= STREAM_FIELDS and all(
        isinstance(test[name], str) for name in ("stdin", "stdout")
    ):
        return StreamCase(test["stdin"], test["stdout"], tolerance)
    raise InvalidInput(
        f"test {number} has the fields {sorted(map(str, fields))}: "
        "give expected with args and kwargs, or stdin and stdout"
    )


def _livecodebench(test: Mapping[str, Any], number: int) -> CallCase | StreamCase:
    """Reads a test of LiveCodeBench: the arguments of a functional one are JSON values, one per line."""
    try:
        given, output = str(test["input"]), str(test["output"])
        if test["testtype"] == "stdin":
            return StreamCase(given, output)
        if test["testtype"] == "functional":
            args = tuple(expected_tree(json.loads(line), "input") for line in given.split("\n") if line.strip())
            return CallCase(args, {}, expected_tree(json.loads(output), "output"), tuples_as_lists=True)
    except (KeyError, ValueError) as error:
        raise InvalidInput(f"test {number}: {test!r} is not a test of LiveCodeBench") from error
    raise InvalidInput(f"test {number}: testtype={test['testtype']!r} is neither stdin nor functional")


def _apps(reference: Mapping[str, Any]) -> list[CallCase | StreamCase]:
    """Reads the tests of an APPS problem: calls where it names a function, else texts or lists of lines.

    Many of its expected values are wrapped in a list of one, so that its own checker accepts the first element too.
    """
    inputs, outputs, function = reference["inputs"], reference["outputs"], reference.get("fn_name")
    if not isinstance(inputs, list) or not isinstance(outputs, list) or len(inputs) != len(outputs) or not inputs:
        raise InvalidInput("inputs and outputs: give two lists of the same length, with at least one test")
    if function is None:
        return [StreamCase(_joined(given), _joined(output)) for given, output in zip(inputs, outputs, strict=True)]
    cases: list[CallCase | StreamCase] = []
    for number, (given, output) in enumerate(zip(inputs, outputs, strict=True)):
        if not isinstance(given, list):
            raise InvalidInput(f"test {number}: the input of a call is the list of its arguments, not {given!r}")
        args = tuple(expected_tree(value, "inputs") for value in given)
        expected = expected_tree(output, "outputs")
        first = (expected_tree(output[0], "outputs"),) if isinstance(output, list) and len(output) == 1 else ()
        cases.append(CallCase(args, {}, expected, tuples_as_lists=True, entry_point=str(function), alternatives=first))
    return cases


def _joined(text: Any) -> str:
    return "\n".join(map(str, text)) if isinstance(text, list) else str(text)


def _tolerance(value: Any, number: int) -> float | None:
    if value is None:
        return None
    if isinstance(value, bool) or not isinstance(value, int | float) or not math.isfinite(value) or value < 0:
        raise InvalidInput(f"test {number}: tolerance={value!r}: give a number of at least 0")
    return float(value)
