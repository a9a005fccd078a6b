"""What every composition shares: named components, and the order in which they are asked.

A composition states only its difference: `_combine`, when it needs all its components, or `_plan`, when it asks some
only after it has seen others. A plan is a generator that yields the names to ask next, is sent their verdicts, and
returns the verdict of the composition. One plan serves a single sample, a group, the turns of an episode, and the
asynchronous form of each: the drivers below advance the plans of all samples in lockstep, so that a component sees
the whole group (or the part of it that is still open) at once, and independent components are awaited side by side.
"""

from __future__ import annotations

import asyncio
import math
from collections.abc import Callable, Coroutine, Generator, Iterable, Sequence
from dataclasses import replace
from typing import Any, TypeAlias

from turnwise.verifiers.base import Verifier, turn_samples, verdict_of
from turnwise.verifiers.errors import InvalidInput, VerifierError
from turnwise.verifiers.types import Sample, Status, Verdict

Parts: TypeAlias = dict[str, Verdict]
"""The verdicts of the components that were asked, by name."""

Plan: TypeAlias = Generator[Sequence[str], Parts, Verdict]
"""Yields the names of the components to ask next, receives their verdicts, returns the composition's verdict."""

Ask: TypeAlias = "Callable[[Verifier, list[Run]], list[Verdict]]"
AskAsync: TypeAlias = "Callable[[Verifier, list[Run]], Coroutine[Any, Any, list[Verdict]]]"


class Composition(Verifier):
    """A verifier made of verifiers.

    Unless its documentation says otherwise, a composition is undecided as soon as a component that it asked is
    undecided; its error then names the component. `Verdict.parts` holds the verdict of every component that was asked.

    Args:
        components: The verifiers, in order. Their names become unique by a suffix: `math`, `math_2`, `math_3`.

    Raises:
        InvalidInput: There is none, or one is not a verifier.
    """

    def __init__(self, *components: Verifier) -> None:
        self.components = unique_names(components, type(self).__name__)

    @property
    def verifier(self) -> Verifier:
        """The first component: the only one of a composition that wraps a single verifier."""
        return next(iter(self.components.values()))

    def __repr__(self) -> str:
        """Returns the expression that makes this composition."""
        expression = self._expression()
        if expression is None:
            return super().__repr__()
        return expression if self._name is None else f"({expression}).named({self._name!r})"

    def _expression(self) -> str | None:
        """Returns the composition written with operators, or None where it is written as a call."""
        return None

    # What subclasses override: one of these two.

    def _combine(self, parts: Parts, sample: Sample) -> Verdict:
        """Returns the composition's verdict, given the decided verdicts of all its components."""
        raise NotImplementedError(f"{type(self).__name__} must override _combine or _plan")

    def _plan(self, sample: Sample) -> Plan:
        parts = yield tuple(self.components)
        return undecided_verdict(parts) or self._combine(parts, sample)

    def _view(self, sample: Sample) -> Sample:
        """Returns what the components are shown of a sample: all of it, unless a composition narrows it."""
        return sample

    # The six forms of one plan.

    def _verify(self, sample: Sample) -> Verdict:
        return self._drive([sample], ask_each)[0]

    async def _averify(self, sample: Sample) -> Verdict:
        return (await self._adrive([sample], ask_each_async))[0]

    def _verify_group(self, samples: Sequence[Sample]) -> list[Verdict]:
        return self._drive(samples, ask_group)

    async def _averify_group(self, samples: Sequence[Sample]) -> list[Verdict]:
        return await self._adrive(samples, ask_group_async)

    def _verify_turns(self, sample: Sample) -> list[Verdict]:
        def ask_turns(component: Verifier, runs: list[Run]) -> list[Verdict]:
            return pick(component.verify_turns(sample), runs, len(sample.turns))

        return self._drive(turn_samples(sample), ask_turns)

    async def _averify_turns(self, sample: Sample) -> list[Verdict]:
        async def ask_turns(component: Verifier, runs: list[Run]) -> list[Verdict]:
            return pick(await component.averify_turns(sample), runs, len(sample.turns))

        return await self._adrive(turn_samples(sample), ask_turns)

    def _drive(self, samples: Sequence[Sample], ask: Ask) -> list[Verdict]:
        runs = [Run(self._plan(sample), self._view(sample), index) for index, sample in enumerate(samples)]
        while any(run.verdict is None for run in runs):
            for name, waiting in requests(runs).items():
                deliver(name, waiting, ask(self.components[name], waiting))
            advance(runs)
        return [run.result() for run in runs]

    async def _adrive(self, samples: Sequence[Sample], ask: AskAsync) -> list[Verdict]:
        runs = [Run(self._plan(sample), self._view(sample), index) for index, sample in enumerate(samples)]
        while any(run.verdict is None for run in runs):
            asked = requests(runs)
            answers = await asyncio.gather(*(ask(self.components[name], waiting) for name, waiting in asked.items()))
            for (name, waiting), verdicts in zip(asked.items(), answers, strict=True):
                deliver(name, waiting, verdicts)
            advance(runs)
        return [run.result() for run in runs]


class Run:
    """The plan of one sample on its way: what it waits for, or the verdict that it came to.

    Args:
        plan: The plan.
        sample: What the components are shown of the sample.
        index: The sample's place among those that are judged together.
    """

    def __init__(self, plan: Plan, sample: Sample, index: int) -> None:
        self.plan, self.sample, self.index = plan, sample, index
        self.request: Sequence[str] = ()
        self.received: Parts = {}
        self.seen: Parts = {}
        self.verdict: Verdict | None = None
        self._resume(lambda: next(plan))

    def advance(self) -> None:
        """Sends the plan what it asked for."""
        received, self.received = {name: self.received[name] for name in self.request}, {}
        self.seen |= received
        self._resume(lambda: self.plan.send(received))

    def result(self) -> Verdict:
        """Returns the verdict of a plan that has ended."""
        assert self.verdict is not None, "the driver runs every plan to its end"
        return self.verdict

    def _resume(self, step: Callable[[], Sequence[str]]) -> None:
        try:
            self.request = step()
        except StopIteration as stop:
            self.verdict = stop.value
        except Exception as error:  # noqa: BLE001 - one sample's failure must not undo the verdicts of its group
            self.verdict = replace(verdict_of(error), parts=self.seen)


def requests(runs: Iterable[Run]) -> dict[str, list[Run]]:
    """Returns the runs that wait for each component."""
    asked: dict[str, list[Run]] = {}
    for run in runs:
        if run.verdict is None:
            for name in run.request:
                asked.setdefault(name, []).append(run)
    return asked


def deliver(name: str, runs: list[Run], verdicts: Sequence[Verdict]) -> None:
    """Hands each run the verdict of the component that it waited for.

    Raises:
        VerifierError: The component returned another number of verdicts than it was asked for.
    """
    if len(verdicts) != len(runs):
        raise VerifierError(f"{name} returned {len(verdicts)} verdicts for {len(runs)} samples")
    for run, verdict in zip(runs, verdicts, strict=True):
        run.received[name] = verdict


def advance(runs: Iterable[Run]) -> None:
    """Advances every run that has not ended."""
    for run in runs:
        if run.verdict is None:
            run.advance()


def ask_each(component: Verifier, runs: list[Run]) -> list[Verdict]:
    """Asks for every sample by itself."""
    return [component.verify(run.sample) for run in runs]


async def ask_each_async(component: Verifier, runs: list[Run]) -> list[Verdict]:
    """Asks for every sample by itself, side by side."""
    return list(await asyncio.gather(*(component.averify(run.sample) for run in runs)))


def ask_group(component: Verifier, runs: list[Run]) -> list[Verdict]:
    """Asks for all samples as one group."""
    return component.verify_group([run.sample for run in runs])


async def ask_group_async(component: Verifier, runs: list[Run]) -> list[Verdict]:
    """Asks for all samples as one group, asynchronously."""
    return await component.averify_group([run.sample for run in runs])


def pick(verdicts: Sequence[Verdict], runs: list[Run], turns: int) -> list[Verdict]:
    """Returns the verdicts of the turns that are waited for, out of those of all turns."""
    if len(verdicts) != turns:
        raise VerifierError(f"{len(verdicts)} verdicts were returned for {turns} turns")
    return [verdicts[run.index] for run in runs]


def unique_names(components: Sequence[Verifier], owner: str) -> dict[str, Verifier]:
    """Returns the components by name, telling equal names apart by a suffix; see `Composition` for what is raised."""
    if not components:
        raise InvalidInput(f"{owner} needs at least one verifier")
    for component in components:
        if not isinstance(component, Verifier):
            raise InvalidInput(f"{owner} is composed of verifiers, not {component!r}; make one with @verifier")
    taken = {component.name for component in components}
    named: dict[str, Verifier] = {}
    for component in components:
        name, number = component.name, 2
        while name in named or (number > 2 and name in taken):
            name, number = f"{component.name}_{number}", number + 1
        named[name] = component
    return named


def undecided_verdict(parts: Parts, unheeded: Sequence[str] = ()) -> Verdict | None:
    """Returns the undecided verdict that undecided parts amount to, or None when all are decided.

    Its status is the worst of theirs: an error before a timeout before an abstention.

    Args:
        parts: The verdicts of the components; all of them become the parts of the verdict.
        unheeded: The names of those that may be undecided.
    """
    undecided = {name: part for name, part in parts.items() if not part.decided and name not in unheeded}
    if not undecided:
        return None
    statuses = {part.status for part in undecided.values()}
    order: tuple[Status, ...] = ("error", "timeout", "abstain")
    status = next(status for status in order if status in statuses)
    reasons = "; ".join(f"{name}: {part.error}" for name, part in undecided.items())
    return Verdict(math.nan, parts, error=reasons, status=status)


def decided_verdict(score: float, parts: Parts, evidence: str) -> Verdict:
    """Returns a decided verdict, or an undecided one if the score is not finite: no reward can be made of that."""
    if not math.isfinite(score):
        return Verdict.undecided(
            f"the scores of {', '.join(parts)} combine to {score}, not a finite reward", parts=parts
        )
    return Verdict(score, parts, evidence)


def scored(name: str, verdict: Verdict) -> str:
    """Returns a component with its score, for evidence: `math (0.5)`."""
    return f"{name} ({verdict.score:g})"


def operand(verifier: Verifier) -> str:
    """Returns a verifier as the operand of an operator: in parentheses if it is itself an expression with operators."""
    infix = isinstance(verifier, Composition) and verifier._name is None and verifier._expression() is not None
    return f"({verifier!r})" if infix else repr(verifier)
