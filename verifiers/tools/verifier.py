"""Tool calls against a reference."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from turnwise.verifiers.base import Verifier
from turnwise.verifiers.errors import InvalidInput
from turnwise.verifiers.tools.assignment import best_alignment, best_assignment
from turnwise.verifiers.tools.calls import MalformedCall, ToolCall
from turnwise.verifiers.tools.parsing import is_message, parse_calls
from turnwise.verifiers.tools.policy import ToolPolicy
from turnwise.verifiers.tools.python_calls import Found
from turnwise.verifiers.tools.references import Expected, Match, possible_answer
from turnwise.verifiers.tools.schemas import read_tools
from turnwise.verifiers.types import Sample, Verdict

MOST_EXPECTED = 200
"""Calls that a reference may hold: the assignment takes cubic time."""


class ToolCalls(Verifier):
    """1 where the calls are those of the reference; else what ToolRL's parts come to, less a penalty for surplus.

    The response is text in any dialect (see `parse_calls`), a list of calls or chat messages; the reference too, or
    BFCL's possible answers, `[{name: {argument: [accepted values]}}]`, with `""` where an argument may be left out.
    An empty reference (`[]`) says that no call is right: 1 without a call, 0 with any.

    ToolRL (arXiv 2504.13958, section 3.3) adds up, for n expected calls with K arguments in all: 1 for the tool names,
    the overlap of parameter names of each call, and 1 for each right value; at most S = 1 + n + K. Of a partial match,

        score = (format + 6 * max(0, R - penalty) / S) / 7,

    its reward in [-3, 4] brought to [0, 1]. R is reached by the assignment of calls to expected calls for which it is
    greatest. `format` is 1 if there is a call, none is malformed, and each obeys its tool's schema (or is an expected
    one). Departures: a name counts for the call it is assigned to; each call beyond the number expected, and each said
    more often than expected, takes away what the largest expected call could bring. Hence no call raises the score
    that is added to at least as many calls as the reference has, and none that only says another one again.

    `parts`: `format`, `names`, `parameters`, `values`, and `surplus` (1 without a penalty), each in [0, 1].

    Args:
        tools: Their JSON Schemas, in OpenAI's form or its inner object; see `read_tools`. None: not known, so that
            types, defaults and hallucinated tools go unchecked.
        policy: What counts as equal.

    Raises:
        InvalidInput: A definition of a tool is malformed. When judging: the reference is no list of calls.
    """

    def __init__(self, tools: Iterable[Mapping[str, Any]] | None = None, *, policy: ToolPolicy | None = None) -> None:
        self.tools = None if tools is None else list(tools)
        self.policy = policy if policy is not None else ToolPolicy()
        self._tools = None if self.tools is None else read_tools(self.tools)

    def _verify(self, sample: Sample) -> Verdict:
        expected = self._expected(sample.reference)
        calls = parse_calls(sample.response, self._tools)
        metrics = {"calls": float(len(calls)), "expected": float(len(expected))}
        if not expected:
            if not calls:
                return Verdict(1.0, evidence="no call was expected, and none was made", metrics=metrics)
            return Verdict(0.0, evidence=f"no call was expected: {calls[0]}", metrics=metrics)
        if not calls:
            evidence = f"no call was made; {expected[0].name!r} was expected"
            return Verdict(0.0, {"format": Verdict(0.0, evidence=evidence)}, evidence, metrics=metrics)
        return self._judged(calls, expected, metrics)

    def _judged(self, calls: Found, expected: list[Expected], metrics: dict[str, float]) -> Verdict:
        matches = self._matches(calls, expected)
        faults = self._faults(calls, {column for (_, column), match in matches.items() if match.full})
        distinct, repeats = self._distinct(calls, expected, matches)
        beyond = max(0, len(calls) - len(expected))
        surplus = beyond + repeats
        most = 1 + len(expected) + sum(len(each.arguments) for each in expected)
        unit = max(1 / len(expected) + 1 + len(each.arguments) for each in expected)
        paired = self._paired(expected, matches, distinct)
        names, parameters, values = totals(paired.values(), len(expected))
        full = not surplus and len(paired) == len(expected) and all(match.full for match in paired.values())
        reached = max(0.0, names + parameters + values - surplus * unit)
        score = 1.0 if full else (float(not faults) + 6 * reached / most) / 7
        arguments = sum(len(each.arguments) for each in expected)
        parts = {
            "format": Verdict(float(not faults), evidence=faults[0] if faults else "every call is well-formed"),
            "names": Verdict(names),
            "parameters": Verdict(parameters / len(expected)),
            "values": Verdict(values / arguments if arguments else names),
            "surplus": Verdict(
                max(0.0, 1.0 - surplus * unit / most), evidence=f"{beyond} calls too many, {repeats} said again"
            ),
        }
        evidence = (
            "every call is as expected" if full else "; ".join(self._differences(calls, expected, paired, faults))
        )
        return Verdict(score, parts, evidence, metrics=metrics | {"surplus": float(surplus)})

    def _matches(self, calls: Found, expected: list[Expected]) -> dict[tuple[int, int], Match]:
        """Returns how far each call is each expected call of its name, by their positions."""
        named: dict[str, list[int]] = {}
        for row, each in enumerate(expected):
            named.setdefault(each.name, []).append(row)
        found = {}
        for column, call in enumerate(calls):
            if isinstance(call, ToolCall):
                for row in named.get(call.name, ()):
                    found[row, column] = expected[row].matched(call, self.policy)
        return found

    def _faults(self, calls: Found, right: set[int]) -> list[str]:
        """Returns what is wrong with the form of the calls; an expected call is right, whatever its schema says."""
        faults = []
        for column, call in enumerate(calls):
            if isinstance(call, MalformedCall):
                faults.append(str(call))
            elif self._tools is not None and column not in right:
                tool = self._tools.get(call.name)
                fault = f"there is no tool {call.name[:60]!r}" if tool is None else tool.fault_of(call)
                faults += [] if fault is None else [fault]
            if len(faults) == 3:
                break
        return faults

    def _distinct(
        self, calls: Found, expected: list[Expected], matches: dict[tuple[int, int], Match]
    ) -> tuple[list[int], int]:
        """Returns the positions of calls that may be assigned, and how many repeat others more often than expected."""
        kept: dict[str, list[int]] = {}
        repeats = 0
        for column, call in enumerate(calls):
            same = kept.setdefault(canonical(call), [])
            wanted = 1
            if same:
                wanted = sum((row, column) in matches and matches[row, column].full for row in range(len(expected)))
            if len(same) < max(1, wanted):
                same.append(column)
            else:
                repeats += 1
        return sorted(column for columns in kept.values() for column in columns), repeats

    def _paired(
        self, expected: list[Expected], matches: dict[tuple[int, int], Match], distinct: list[int]
    ) -> dict[tuple[int, int], Match]:
        """Returns the pairs of the best assignment that have the same name."""
        if len(distinct) >= 2 * len(expected) + 1:
            distinct = distinct[: 2 * len(expected) + 1]  # nothing is left of the score: any assignment explains it
        import numpy as np

        weights = np.zeros((len(expected), len(distinct)))
        for row in range(len(expected)):
            for place, column in enumerate(distinct):
                match = matches.get((row, column))
                if match is not None:
                    weights[row, place] = 1 / len(expected) + match.names + match.right
        assign = best_alignment if self.policy.ordered else best_assignment
        pairs = ((row, distinct[place]) for row, place in assign(weights))
        return {pair: matches[pair] for pair in pairs if pair in matches}

    def _differences(
        self, calls: Found, expected: list[Expected], paired: dict[tuple[int, int], Match], faults: list[str]
    ) -> list[str]:
        """Returns what keeps the calls from being those expected, first things first."""
        differences = list(faults)
        for (row, column), match in sorted(paired.items()):
            call = calls[column]
            if match.full or not isinstance(call, ToolCall):
                continue
            each = expected[row]
            notes = [f"without {name!r}" for name in each.missing(call, self.policy)] + [
                f"with {name[:60]!r} too much" for name in match.extra
            ]
            notes += [
                f"{name}={call.arguments[name]!r:.60} where {list(each.arguments[name])!r:.60} is accepted"
                for name in each.wrong(call, self.policy)
            ]
            differences.append(f"{each.name!r}: {', '.join(notes)}")
        met = {row for row, _ in paired}
        differences += [f"{each.name!r} is not called" for row, each in enumerate(expected) if row not in met]
        spare = [calls[column] for column in range(len(calls)) if column not in {place for _, place in paired}]
        if spare:
            differences.append(f"{len(spare)} calls match none expected, such as {spare[0]}")
        return differences[:6]

    def _expected(self, reference: Any) -> list[Expected]:
        """Returns the calls of a reference.

        Raises:
            InvalidInput: It is none, or holds a malformed call.
        """
        if reference is None:
            raise InvalidInput("reference=None: give the expected calls, [] where no call is right")
        schemas = {name: tool.parameters for name, tool in (self._tools or {}).items()}
        items: Sequence[Any] = reference if isinstance(reference, list | tuple) else [reference]
        if any(isinstance(item, str) or is_message(item) for item in items):
            items = parse_calls(reference, self._tools)
        expected = []
        for item in items:
            if isinstance(item, Mapping) and len(item) == 1 and not {"name", "function"} & set(item):
                expected.append(possible_answer(item, schemas))
                continue
            call = item if isinstance(item, ToolCall | MalformedCall) else parse_calls([item], self._tools)[0]
            if isinstance(call, MalformedCall):
                raise InvalidInput(f"reference: {call}")
            values = {name: (value,) for name, value in call.arguments.items()}
            expected.append(Expected(call.name, values, schemas.get(call.name, {}), choices=False))
        if len(expected) > MOST_EXPECTED:
            raise InvalidInput(f"the reference holds {len(expected)} calls: at most {MOST_EXPECTED} can be compared")
        return expected


def totals(matches: Iterable[Match], expected: int) -> tuple[float, float, float]:
    """Returns ToolRL's r_name, r_param and r_value of assigned calls."""
    found = list(matches)
    return len(found) / expected, sum(match.names for match in found), float(sum(match.right for match in found))


def canonical(call: ToolCall | MalformedCall) -> str:
    """Returns a text that two calls share if they are the same as data."""
    if isinstance(call, MalformedCall):
        return f"malformed {call.text}"
    return f"{call.name} {canonical_value(dict(call.arguments))}"


def canonical_value(value: Any) -> str:
    """Returns a text that two JSON values share if they are equal: 5 and 5.0 do, 1 and true do not."""
    if isinstance(value, dict):
        return "{" + ",".join(f"{key!r}:{canonical_value(item)}" for key, item in sorted(value.items())) + "}"
    if isinstance(value, list):
        return "[" + ",".join(canonical_value(item) for item in value) + "]"
    return repr(int(value)) if isinstance(value, float) and value.is_integer() else repr(value)
