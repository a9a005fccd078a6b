"""Batches from concurrent requests: when to start one, where its results go, and how it all ends."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any, Generic, TypeVar

from turnwise.agents.errors import EngineError, InvalidInput

Request = TypeVar("Request")
Result = TypeVar("Result")


@dataclass(eq=False)
class Ticket(Generic[Request, Result]):
    """A request that waits, and the future that its caller awaits."""

    request: Request
    future: asyncio.Future[Result]
    arrived: float  # event loop time, seconds


class Batcher(Generic[Request, Result]):
    """Gathers requests of concurrent coroutines into batches, which one worker thread computes in order.

    With `max_wait=None`, a *wave* starts when all episodes in flight wait: what is computed together then depends on
    the requests alone and not on timing. With a `max_wait`, a batch also starts when `full` requests are there or the
    oldest has waited that long, so that slow environments do not hold up the others.

    Nothing waits for an episode that is gone: whenever `expect` lowers the number in flight, the rest may start.

    Args:
        plan: Cuts a wave into batches; called with the requests by arrival.
        compute: Computes a batch in the worker thread; returns one result per request. It should end soon with any
            exception once the event that it is given is set.
        full: With a `max_wait`, the number of requests that need not wait for more.
        max_wait: The most seconds that a request waits for others; None waits for all episodes in flight.
    """

    def __init__(
        self,
        plan: Callable[[Sequence[Request]], Sequence[Sequence[Request]]],
        compute: Callable[[Sequence[Request], threading.Event], Sequence[Result]],
        *,
        full: int,
        max_wait: float | None = None,
    ) -> None:
        self._plan = plan
        self._compute = compute
        self._full = full
        self._max_wait = max_wait
        self.active = 0
        """Episodes in flight."""
        self._queue: list[Ticket[Request, Result]] = []
        self._serving: asyncio.Task[None] | None = None
        self._timer: asyncio.TimerHandle | None = None
        self._stop = threading.Event()
        self._executor: ThreadPoolExecutor | None = None
        self._closed = False

    @property
    def serving(self) -> bool:
        """Whether a batch is being computed."""
        return self._serving is not None and not self._serving.done()

    async def submit(self, request: Request) -> Result:
        """Computes one request, together with others.

        Raises:
            EngineError: The computation failed (its exception is the cause), or the engine was closed.
        """
        if self._closed:
            raise EngineError("the engine is closed")
        loop = asyncio.get_running_loop()
        ticket: Ticket[Request, Result] = Ticket(request, loop.create_future(), loop.time())
        self._queue.append(ticket)
        # Checked after every coroutine that is ready now has run, so that requests made together start together.
        loop.call_soon(self._check)
        return await ticket.future

    def expect(self, change: int) -> None:
        """Adds `change` to the number of episodes in flight.

        Raises:
            InvalidInput: The number would become negative.
        """
        if self.active + change < 0:
            raise InvalidInput(f"expect({change!r}) with {self.active} episodes in flight: more ended than began")
        self.active += change
        if self._queue:
            loop = self._queue[0].future.get_loop()
            if not loop.is_closed():
                loop.call_soon(self._check)  # not now: who is about to ask in this tick shall be in the batch

    async def aclose(self) -> None:
        """Fails what waits, ends what is being computed and frees the worker thread; idempotent."""
        self._closed = True
        self._stop.set()
        self._cancel_timer()
        for ticket in self._queue:
            fail(ticket, EngineError("the engine was closed while this request waited"))
        self._queue.clear()
        if self._executor is not None:
            await asyncio.to_thread(self._executor.shutdown)
        if self._serving is not None and self._serving.get_loop() is asyncio.get_running_loop():
            await asyncio.wait([self._serving])

    def _check(self) -> None:
        """Starts a wave if it is time to."""
        # Callers that were cancelled no longer wait; nor do those whose event loop ended under them.
        self._queue = [ticket for ticket in self._queue if not ticket.future.done() and _alive(ticket)]
        self._cancel_timer()
        if self._closed or self.serving or not self._queue:
            return
        loop = asyncio.get_running_loop()
        if self._ready(loop.time()):
            self._serving = loop.create_task(self._serve())
        elif self._max_wait is not None:
            self._timer = loop.call_at(self._queue[0].arrived + self._max_wait, self._check)

    def _ready(self, now: float) -> bool:
        if self._max_wait is None:
            return len(self._queue) >= self.active
        if 0 < self.active <= len(self._queue):
            return True
        # The clock's resolution is subtracted, since a timer may fire that much early.
        return len(self._queue) >= self._full or now - self._queue[0].arrived >= self._max_wait - 1e-3

    def _take(self) -> list[Ticket[Request, Result]]:
        size = len(self._queue) if self._max_wait is None else self._full
        wave, self._queue = self._queue[:size], self._queue[size:]
        return wave

    async def _serve(self) -> None:
        """Computes one wave, batch by batch; each batch's callers go on while the next is computed."""
        wave = self._take()
        loop = asyncio.get_running_loop()
        self._stop = stop = threading.Event()
        try:
            for batch in self._batches(wave):
                await self._serve_batch(loop, batch, stop)
        except asyncio.CancelledError:
            stop.set()
            for ticket in wave:
                ticket.future.cancel()
            raise
        finally:
            loop.call_soon(self._check)

    def _batches(self, wave: list[Ticket[Request, Result]]) -> list[list[Ticket[Request, Result]]]:
        tickets = {id(ticket.request): ticket for ticket in wave}
        try:
            plan = self._plan([ticket.request for ticket in wave])
        except Exception as error:  # noqa: BLE001 - whatever it is, those who wait must hear of it
            for ticket in wave:
                fail(ticket, as_engine_error(error))
            return []
        return [[tickets[id(request)] for request in batch] for batch in plan]

    async def _serve_batch(
        self, loop: asyncio.AbstractEventLoop, batch: list[Ticket[Request, Result]], stop: threading.Event
    ) -> None:
        batch = [ticket for ticket in batch if not ticket.future.done()]
        if not batch:
            return
        if self._closed:
            for ticket in batch:
                fail(ticket, EngineError("the engine was closed while this request waited"))
            return
        self._executor = self._executor or ThreadPoolExecutor(1, thread_name_prefix="turnwise-engine")
        requests = [ticket.request for ticket in batch]
        try:
            results = await loop.run_in_executor(self._executor, self._compute, requests, stop)
            for ticket, result in zip(batch, results, strict=True):
                if not ticket.future.done():
                    ticket.future.set_result(result)
        except Exception as error:  # noqa: BLE001 - as above
            for ticket in batch:
                fail(ticket, as_engine_error(error))

    def _cancel_timer(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None


def _alive(ticket: Ticket[Any, Any]) -> bool:
    return ticket.future.get_loop() is asyncio.get_running_loop()


def fail(ticket: Ticket[Any, Any], error: EngineError) -> None:
    """Gives a waiting caller an error, unless it was cancelled."""
    if not ticket.future.done():
        ticket.future.set_exception(error)


def as_engine_error(error: Exception) -> EngineError:
    """Returns an `EngineError` of its own for one of several callers, with `error` as its cause."""
    if isinstance(error, EngineError):
        copy = type(error)(*error.args)
        copy.__cause__ = error.__cause__
        return copy
    wrapped = EngineError(f"generation failed: {type(error).__name__}: {error}")
    wrapped.__cause__ = error
    return wrapped
