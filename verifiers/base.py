"""The verifier interface, and the decorator that makes a verifier of a function.

A verifier states only its difference. It overrides one of

- `_verify(sample)`: judges one sample (most verifiers);
- `_averify(sample)`: the same where the work waits on something (judges, sandboxes);
- `_verify_group(samples)`: judges the samples of one prompt against each other (tournaments, majority vote);
- `_verify_turns(sample)`: judges each turn of a process.

and the public methods (`verify`, `averify`, `verify_group`, `averify_group`, `verify_turns`, `__call__`) follow from it.
Composition (`0.2 * a + 0.8 * b`, `a >> b`, `a & b`, ...) lives in `turnwise.verifiers.compose`.
"""

from __future__ import annotations

import asyncio
import copy
import functools
import inspect
import re
from collections.abc import Callable, Coroutine, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from typing import Any, Self, TypeVar, overload

from turnwise.verifiers.errors import Abstain, InvalidInput, VerifierError, VerifierTimeout
from turnwise.verifiers.types import Message, Sample, Verdict

T = TypeVar("T")


class Verifier:
    """Judges samples. Stateless unless its documentation says otherwise, so that threads can share one.

    Inside the underscored methods a subclass raises `VerifierError`, `VerifierTimeout` or `Abstain` when it cannot decide. The
    public methods turn these, and any unexpected exception, into an undecided verdict: one bad sample never stops a
    run. `InvalidInput` is the caller's mistake (a reference of the wrong type, say) and is raised.
    """

    _name: str | None = None

    @property
    def name(self) -> str:
        """The key of this verifier's verdict in a composition's `parts`: its class name in snake case unless `named`."""
        return self._name if self._name is not None else snake_case(type(self).__name__)

    def named(self, name: str) -> Self:
        """Returns a copy under another name, so that two verifiers of one class can stand in one composition."""
        clone = copy.copy(self)
        clone._name = name
        return clone

    def __call__(self, response: str | Sequence[Message], reference: Any = None, **fields: Any) -> Verdict:
        """Judges one response: `verify(Sample(response, reference, **fields))`.

        Raises:
            InvalidInput: A field that `Sample` does not have, or a value that this verifier cannot use.
        """
        try:
            sample = Sample(response, reference, **fields)
        except TypeError as error:
            raise InvalidInput(f"{sorted(fields)!r}: the fields of a sample are prompt, state and turns") from error
        return self.verify(sample)

    def verify(self, sample: Sample) -> Verdict:
        """Judges one sample; never raises because of what the agent wrote."""
        try:
            return self._verify(sample)
        except Exception as error:  # noqa: BLE001 - a verdict must come of every response; the cause is kept in it
            return verdict_of(error)

    async def averify(self, sample: Sample) -> Verdict:
        """Judges one sample without blocking the event loop longer than the verifier's own computation takes."""
        try:
            return await self._averify(sample)
        except Exception as error:  # noqa: BLE001 - as in `verify`
            return verdict_of(error)

    def verify_group(self, samples: Sequence[Sample]) -> list[Verdict]:
        """Judges the samples of one prompt; one verdict per sample, in order."""
        try:
            return self._verify_group(samples)
        except Exception as error:  # noqa: BLE001 - as in `verify`
            return [verdict_of(error) for _ in samples]

    async def averify_group(self, samples: Sequence[Sample]) -> list[Verdict]:
        """Asynchronous `verify_group`."""
        try:
            return await self._averify_group(samples)
        except Exception as error:  # noqa: BLE001 - as in `verify`
            return [verdict_of(error) for _ in samples]

    def verify_turns(self, sample: Sample) -> list[Verdict]:
        """Judges each of `sample.turns`; one verdict per turn, in order."""
        try:
            return self._verify_turns(sample)
        except Exception as error:  # noqa: BLE001 - as in `verify`
            return [verdict_of(error) for _ in sample.turns]

    # What subclasses override: the defaults are in terms of each other.

    def _verify(self, sample: Sample) -> Verdict:
        if self._overrides("_averify"):
            return run_coroutine(self._averify(sample))
        if self._overrides("_verify_group"):
            return self._verify_group([sample])[0]
        if self._overrides("_averify_group"):
            return run_coroutine(self._averify_group([sample]))[0]
        raise NotImplementedError(f"{type(self).__name__} must override _verify, _averify or _verify_group")

    async def _averify(self, sample: Sample) -> Verdict:
        if self._overrides("_averify_group"):
            return (await self._averify_group([sample]))[0]
        return self._verify(sample)

    def _verify_group(self, samples: Sequence[Sample]) -> list[Verdict]:
        if self._overrides("_averify_group") or (self._overrides("_averify") and not self._overrides("_verify")):
            return run_coroutine(self._averify_group(samples))
        return [self.verify(sample) for sample in samples]

    async def _averify_group(self, samples: Sequence[Sample]) -> list[Verdict]:
        if self._overrides("_verify_group"):
            return self._verify_group(samples)
        return list(await asyncio.gather(*(self.averify(sample) for sample in samples)))

    def _verify_turns(self, sample: Sample) -> list[Verdict]:
        """Judges every turn as a response of its own, in the context of the turns before it."""
        turns = sample.turns
        return [
            self.verify(replace(sample, response=as_response(turn), turns=turns[:position]))
            for position, turn in enumerate(turns)
        ]

    def _overrides(self, method: str) -> bool:
        return getattr(type(self), method) is not getattr(Verifier, method)


def verdict_of(error: Exception) -> Verdict:
    """Returns the undecided verdict that an exception inside a verifier stands for; re-raises `InvalidInput`."""
    if isinstance(error, InvalidInput | NotImplementedError):
        raise error
    if isinstance(error, Abstain):
        return Verdict.undecided(str(error) or "abstained", "abstain")
    if isinstance(error, VerifierTimeout | TimeoutError):
        return Verdict.undecided(str(error) or "the verifier's deadline passed", "timeout")
    if isinstance(error, VerifierError):
        return Verdict.undecided(str(error))
    return Verdict.undecided(f"{type(error).__name__}: {error}")


def as_response(turn: Any) -> str | Sequence[Message]:
    """Returns a turn (text, a chat message, or an object with an `action`) as what `Sample.response` takes."""
    if isinstance(turn, str):
        return turn
    if isinstance(turn, dict):
        return [turn]
    action = getattr(turn, "action", None)
    if isinstance(action, str):
        return action
    raise InvalidInput(f"a turn must be text, a chat message or have an `action`, not {turn!r}")


def run_coroutine(coroutine: Coroutine[Any, Any, T]) -> T:
    """Runs a coroutine to its end from synchronous code, also inside a running event loop (then in a thread of its own)."""
    try:
        asyncio.get_running_loop()
    except RuntimeError:
        return asyncio.run(coroutine)
    with ThreadPoolExecutor(max_workers=1) as pool:
        return pool.submit(asyncio.run, coroutine).result()


def snake_case(name: str) -> str:
    """Returns a class name in snake case: `ToolCalls` -> `tool_calls`, `JSONSchema` -> `json_schema`."""
    return re.sub(r"(?<=[a-z0-9])(?=[A-Z])|(?<=[A-Z])(?=[A-Z][a-z])", "_", name).lower()


class FunctionVerifier(Verifier):
    """A verifier made of a function; see `verifier`.

    Args:
        function: Takes the sample, or `response` text and optionally `reference`, and returns a Verdict, a bool or a number.
    """

    def __init__(self, function: Callable[..., Any]) -> None:
        self.function = function
        self._name = getattr(function, "__name__", "function")
        parameters = list(inspect.signature(function).parameters.values())
        self._takes_sample = bool(parameters) and (
            parameters[0].name == "sample" or parameters[0].annotation in (Sample, "Sample")
        )
        self._takes_reference = len(parameters) >= 2
        self._is_async = inspect.iscoroutinefunction(function)
        functools.update_wrapper(self, function)

    def _arguments(self, sample: Sample) -> tuple[Any, ...]:
        if self._takes_sample:
            return (sample,)
        return (sample.text, sample.reference) if self._takes_reference else (sample.text,)

    def _verify(self, sample: Sample) -> Verdict:
        if self._is_async:
            return run_coroutine(self._averify(sample))
        return as_verdict(self.function(*self._arguments(sample)))

    async def _averify(self, sample: Sample) -> Verdict:
        result = self.function(*self._arguments(sample))
        return as_verdict(await result if self._is_async else result)


def as_verdict(value: Any) -> Verdict:
    """Returns a Verdict for what a plain function gave: a Verdict, a bool, a number, or None (abstains)."""
    if isinstance(value, Verdict):
        return value
    if value is None:
        return Verdict.undecided("the function returned None", "abstain")
    try:
        score = float(value)
    except (TypeError, ValueError) as error:
        raise VerifierError(f"a verifier function must return a Verdict, bool, number or None, not {value!r}") from error
    if score != score:
        return Verdict.undecided("the function returned NaN", "abstain")
    return Verdict(score)


@overload
def verifier(function: Callable[..., Any]) -> FunctionVerifier: ...
@overload
def verifier(*, name: str) -> Callable[[Callable[..., Any]], FunctionVerifier]: ...
def verifier(function: Callable[..., Any] | None = None, *, name: str | None = None) -> Any:
    """Makes a verifier of a plain function, synchronous or not.

    The function takes `response` (text), or `response, reference`, or a `sample`; it returns a Verdict, a bool or a number.

        @verifier
        def short(response: str) -> bool:
            return len(response) < 100

    Args:
        function: The function to wrap.
        name: The name of the verifier; the function's own by default.
    """
    if function is None:
        return lambda wrapped: FunctionVerifier(wrapped).named(name or wrapped.__name__)
    return FunctionVerifier(function)
