"""The verifier interface, and the decorator that makes a verifier of a function.

A verifier states only its difference. It overrides one of

- `_verify(sample)`: judges one sample (most verifiers);
- `_averify(sample)`: the same where the work waits on something (judges, sandboxes);
- `_verify_group(samples)`: judges the samples of one prompt against each other (tournaments, majority vote);
- `_verify_turns(sample)`: judges each turn of a process;

or the asynchronous twin of the last two, and the public methods (`verify`, `verify_group`, `verify_turns`, their forms
with an `a` in front, and `__call__`) follow from it. The operators (`0.2 * a + 0.8 * b`, `a >> b`, `a & b`, ...) build
the compositions of `turnwise.verifiers.compose`.
"""

from __future__ import annotations

import asyncio
import copy
import functools
import inspect
import re
import sys
from collections.abc import Callable, Coroutine, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from types import MappingProxyType
from typing import Any, Self, SupportsIndex, TypeVar, overload

from turnwise.verifiers.errors import Abstain, InvalidInput, VerifierError, VerifierTimeout
from turnwise.verifiers.types import Message, Sample, Verdict

T = TypeVar("T")


class Verifier:
    """Judges samples. Stateless unless its documentation says otherwise, so that threads can share one.

    Inside the underscored methods a subclass raises `VerifierError`, `VerifierTimeout` or `Abstain` when it cannot
    decide. The public methods turn these, and any unexpected exception, into an undecided verdict: one bad sample never
    stops a run. `InvalidInput` is the caller's mistake (a reference of the wrong type, say) and is raised.
    """

    components: Mapping[str, Verifier] = MappingProxyType({})
    """The verifiers that this one is composed of, by their key in `Verdict.parts`; empty unless it is a composition."""

    _name: str | None = None

    # Makes NumPy's scalars (`np.float32(0.2) * verifier`) leave the operation to `__rmul__` instead of broadcasting.
    __array_ufunc__ = None

    @property
    def name(self) -> str:
        """The key of its verdict in a composition's `parts`: the class name in snake case unless `named`."""
        return self._name if self._name is not None else snake_case(type(self).__name__)

    def named(self, name: str) -> Self:
        """Returns a copy under another name, so that two verifiers of one class can stand in one composition.

        Raises:
            InvalidInput: The name is empty or holds a slash, which separates the names in `Verdict.flat`.
        """
        if not name or "/" in name:
            raise InvalidInput(f"{name!r} cannot name a verifier: give a non-empty name without slashes")
        clone = copy.copy(self)
        object.__setattr__(clone, "_name", name)  # works for frozen dataclasses too
        return clone

    def walk(self) -> Iterator[tuple[str, Verifier]]:
        """Yields every component below this verifier with its path, depth first: the keys of `Verdict.flat`."""
        for name, component in self.components.items():
            yield name, component
            for path, descendant in component.walk():
                yield f"{name}/{path}", descendant

    def __repr__(self) -> str:
        """Returns the call that makes this verifier, leaving out arguments that have their default value."""
        suffix = f".named({self._name!r})" if self._name is not None else ""
        return f"{type(self).__name__}({', '.join(constructor_arguments(self))}){suffix}"

    def __bool__(self) -> bool:
        """Raises: `a and b` would silently be `b`."""
        raise InvalidInput("a verifier has no truth value: write `a & b`, `a | b` or `a >> b`, or compare with None")

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

    async def averify_turns(self, sample: Sample) -> list[Verdict]:
        """Asynchronous `verify_turns`."""
        try:
            return await self._averify_turns(sample)
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
        if self._overrides("_verify_turns") or self._overrides("_averify_turns"):
            return mean_of_turns(self.verify_turns(sample))
        raise NotImplementedError(f"{type(self).__name__} must override one of _verify, _averify, _verify_group, ...")

    async def _averify(self, sample: Sample) -> Verdict:
        if self._overrides("_averify_group"):
            return (await self._averify_group([sample]))[0]
        if self._overrides("_averify_turns") and not self._overrides("_verify"):
            return mean_of_turns(await self.averify_turns(sample))
        return self._verify(sample)

    def _verify_group(self, samples: Sequence[Sample]) -> list[Verdict]:
        if self._overrides("_averify_group") or self._waits():
            return run_coroutine(self._averify_group(samples))
        return [self.verify(sample) for sample in samples]

    async def _averify_group(self, samples: Sequence[Sample]) -> list[Verdict]:
        if self._overrides("_verify_group"):
            return self._verify_group(samples)
        return list(await asyncio.gather(*(self.averify(sample) for sample in samples)))

    def _verify_turns(self, sample: Sample) -> list[Verdict]:
        """Judges every turn as a response of its own, in the context of the turns before it."""
        if self._overrides("_averify_turns") or self._waits():
            return run_coroutine(self._averify_turns(sample))
        return [self.verify(turn) for turn in turn_samples(sample)]

    async def _averify_turns(self, sample: Sample) -> list[Verdict]:
        if self._overrides("_verify_turns"):
            return self._verify_turns(sample)
        return list(await asyncio.gather(*(self.averify(turn) for turn in turn_samples(sample))))

    def _overrides(self, method: str) -> bool:
        return getattr(type(self), method) is not getattr(Verifier, method)

    def _waits(self) -> bool:
        """Whether this verifier's work is a coroutine, so that many samples are better judged side by side."""
        return self._overrides("_averify") and not self._overrides("_verify")

    # The operators. Imported where they are used: the compositions that they build are verifiers themselves.

    def __add__(self, other: Verifier | float) -> Verifier:
        from turnwise.verifiers.compose.operators import add

        return add(self, other)

    def __radd__(self, other: float) -> Verifier:
        from turnwise.verifiers.compose.operators import add

        return add(other, self)

    def __sub__(self, other: Verifier | float) -> Verifier:
        from turnwise.verifiers.compose.operators import subtract

        return subtract(self, other)

    def __rsub__(self, other: float) -> Verifier:
        from turnwise.verifiers.compose.operators import subtract

        return subtract(other, self)

    def __neg__(self) -> Verifier:
        return -1 * self

    def __mul__(self, other: Verifier | float) -> Verifier:
        from turnwise.verifiers.compose.operators import multiply

        return multiply(self, other)

    def __rmul__(self, other: float) -> Verifier:
        from turnwise.verifiers.compose.operators import multiply

        return multiply(other, self)

    def __truediv__(self, other: float) -> Verifier:
        from turnwise.verifiers.compose.operators import divide

        return divide(self, other)

    def __rshift__(self, other: Verifier) -> Verifier:
        from turnwise.verifiers.compose.operators import gate

        return gate(self, other)

    def __and__(self, other: Verifier) -> Verifier:
        from turnwise.verifiers.compose.operators import minimum

        return minimum(self, other)

    def __or__(self, other: Verifier) -> Verifier:
        from turnwise.verifiers.compose.operators import maximum

        return maximum(self, other)


def constructor_arguments(verifier: Verifier) -> list[str]:
    """Returns the arguments of the call that would make this verifier, as text.

    Every parameter of a verifier's constructor is kept in the attribute of its name; a parameter like `*components` in
    an iterable, or in a mapping whose values count.
    """
    arguments = []
    for parameter in inspect.signature(type(verifier).__init__).parameters.values():
        if parameter.name == "self" or not hasattr(verifier, parameter.name):
            continue
        value = getattr(verifier, parameter.name)
        if parameter.kind is parameter.VAR_POSITIONAL:
            arguments += [repr(item) for item in (value.values() if isinstance(value, Mapping) else value)]
        elif parameter.default is parameter.empty and parameter.kind is not parameter.KEYWORD_ONLY:
            arguments.append(repr(value))
        elif type(value) is not type(parameter.default) or value != parameter.default:
            arguments.append(f"{parameter.name}={value!r}")
    return arguments


def mean_of_turns(verdicts: Sequence[Verdict]) -> Verdict:
    """Returns the verdict on a whole process that is only judged turn by turn: the mean; undecided if a turn is."""
    parts = {f"turn_{number}": verdict for number, verdict in enumerate(verdicts, start=1)}
    if not verdicts:
        return Verdict.undecided("there are no turns to judge", "abstain")
    for name, verdict in parts.items():
        if not verdict.decided:
            return replace(verdict, parts=parts, error=f"{name}: {verdict.error}")
    return Verdict(sum(verdict.score for verdict in verdicts) / len(verdicts), parts, f"mean of {len(verdicts)} turns")


def turn_samples(sample: Sample) -> list[Sample]:
    """Returns one sample per turn: the turn as response, the turns before it as `turns`."""
    turns = sample.turns
    return [replace(sample, response=as_response(turn), turns=turns[:position]) for position, turn in enumerate(turns)]


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
    if isinstance(turn, Mapping):
        return [turn]
    action = getattr(turn, "action", None)
    if isinstance(action, str):
        return action
    raise InvalidInput(f"a turn must be text, a chat message or have an `action`, not {turn!r}")


def run_coroutine(coroutine: Coroutine[Any, Any, T]) -> T:
    """Runs a coroutine to its end from synchronous code, also inside a running loop (then in a thread of its own)."""
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
        function: Takes the sample, or `response` text and optionally `reference`; returns a Verdict, a bool or a
            number.
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

    def __repr__(self) -> str:
        """Returns the function's name, followed by `.named(...)` where the verifier has another one."""
        original = getattr(self.function, "__name__", "function")
        return original if self._name == original else f"{original}.named({self._name!r})"

    def __copy__(self) -> Self:
        clone = type(self).__new__(type(self))
        clone.__dict__.update(self.__dict__)
        return clone

    def __reduce_ex__(self, protocol: SupportsIndex) -> Any:
        """Pickles a decorated function by its place in its module, since there its name means the verifier."""
        module, path = getattr(self.function, "__module__", ""), getattr(self.function, "__qualname__", "")
        found = find_global(module, path)
        if isinstance(found, FunctionVerifier) and found.function is self.function:
            return restore_function_verifier, (module, path, self.name)
        return super().__reduce_ex__(protocol)

    def _waits(self) -> bool:
        return self._is_async

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


def find_global(module: str, path: str) -> Any:
    """Returns what a module holds under a dotted path, or None."""
    found: Any = sys.modules.get(module)
    for name in path.split("."):
        found = getattr(found, name, None)
    return found


def restore_function_verifier(module: str, path: str, name: str) -> FunctionVerifier:
    """Returns the decorated function of that place under that name; what unpickling calls."""
    __import__(module)
    found: FunctionVerifier = find_global(module, path)
    return found if found.name == name else found.named(name)


def as_verdict(value: Any) -> Verdict:
    """Returns a Verdict for what a plain function gave: a Verdict, a bool, a number, or None (abstains)."""
    if isinstance(value, Verdict):
        return value
    if value is None:
        return Verdict.undecided("the function returned None", "abstain")
    try:
        score = float(value)
    except (TypeError, ValueError) as error:
        raise VerifierError(f"a verifier must return a Verdict, a bool, a number or None, not {value!r}") from error
    if score != score:
        return Verdict.undecided("the function returned NaN", "abstain")
    return Verdict(score)


@overload
def verifier(function: Callable[..., Any]) -> FunctionVerifier: ...
@overload
def verifier(*, name: str) -> Callable[[Callable[..., Any]], FunctionVerifier]: ...
def verifier(function: Callable[..., Any] | None = None, *, name: str | None = None) -> Any:
    """Makes a verifier of a plain function, synchronous or not.

    The function takes `response` (text), or `response, reference`, or a `sample`; it returns a Verdict, a bool, a
    number, or None to abstain.

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
