import asyncio
import random
import threading

import pytest

from turnwise.agents.engines.batching import Batcher
from turnwise.agents.errors import EngineError, InvalidInput, PromptTooLong


class Request:
    def __init__(self, name):
        self.name = name


class Recorder:
    """Computes names in upper case and remembers what was computed together."""

    def __init__(self, batch_size=100):
        self.batches = []
        self.batch_size = batch_size

    def plan(self, requests):
        ordered = sorted(requests, key=lambda request: request.name)
        return [ordered[first : first + self.batch_size] for first in range(0, len(ordered), self.batch_size)]

    def compute(self, requests, stopped):
        self.batches.append("".join(request.name for request in requests))
        return [request.name.upper() for request in requests]

    def batcher(self, **options):
        return Batcher(self.plan, self.compute, **({"full": self.batch_size} | options))


def run(main):
    """Runs a coroutine, but not for long: a test that hangs shall say so."""

    async def bounded():
        return await asyncio.wait_for(main(), 20)

    return asyncio.run(bounded())


def test_a_wave_starts_when_all_episodes_in_flight_wait_and_not_before():
    recorder = Recorder()

    async def main():
        batcher = recorder.batcher()
        batcher.expect(3)
        early = [asyncio.create_task(batcher.submit(Request(name))) for name in "ab"]
        for _ in range(5):
            await asyncio.sleep(0)
        assert recorder.batches == []
        assert await batcher.submit(Request("c")) == "C"
        assert [await task for task in early] == ["A", "B"]
        await batcher.aclose()

    run(main)
    assert recorder.batches == ["abc"]


def test_batches_do_not_depend_on_the_order_of_arrival():
    compositions = set()
    for order in ("abcde", "edcba", "cadeb"):
        recorder = Recorder(batch_size=2)

        async def main(recorder=recorder, order=order):
            batcher = recorder.batcher()
            batcher.expect(5)
            results = await asyncio.gather(*(batcher.submit(Request(name)) for name in order))
            assert results == [name.upper() for name in order]
            await batcher.aclose()

        run(main)
        compositions.add(tuple(recorder.batches))
    assert compositions == {("ab", "cd", "e")}


def test_without_expectations_requests_made_together_start_together():
    recorder = Recorder()

    async def main():
        batcher = recorder.batcher()
        await asyncio.gather(*(batcher.submit(Request(name)) for name in "abc"))
        await batcher.aclose()

    run(main)
    assert recorder.batches == ["abc"]


def test_callers_of_an_early_batch_go_on_while_the_next_one_is_computed():
    recorder = Recorder(batch_size=1)
    gate = threading.Event()

    def compute(requests, stopped):
        if requests[0].name == "b":
            assert gate.wait(10)
        return recorder.compute(requests, stopped)

    async def main():
        batcher = Batcher(recorder.plan, compute, full=1)
        batcher.expect(2)
        second = asyncio.create_task(batcher.submit(Request("b")))
        assert await batcher.submit(Request("a")) == "A"  # the event loop is alive while b is computed
        assert not second.done()
        gate.set()
        assert await second == "B"
        await batcher.aclose()

    run(main)


def test_the_rest_starts_when_an_episode_ends_without_asking():
    recorder = Recorder()

    async def main():
        batcher = recorder.batcher()
        batcher.expect(3)
        waiting = [asyncio.create_task(batcher.submit(Request(name))) for name in "ab"]
        await asyncio.sleep(0.01)
        assert recorder.batches == []
        batcher.expect(-1)
        assert await asyncio.gather(*waiting) == ["A", "B"]
        await batcher.aclose()

    run(main)
    assert recorder.batches == ["ab"]


def test_the_rest_starts_when_a_waiting_caller_is_cancelled_and_its_episode_ends():
    recorder = Recorder()

    async def main():
        batcher = recorder.batcher()
        batcher.expect(3)
        first, second = (asyncio.create_task(batcher.submit(Request(name))) for name in "ab")
        await asyncio.sleep(0.01)
        first.cancel()
        batcher.expect(-1)
        await asyncio.sleep(0.01)
        assert recorder.batches == []  # one of the two that are left has not asked yet
        assert await asyncio.gather(second, batcher.submit(Request("c"))) == ["B", "C"]
        await batcher.aclose()

    run(main)
    assert recorder.batches == ["bc"]


def test_with_a_longest_wait_a_slow_episode_does_not_hold_up_the_others():
    recorder = Recorder()

    async def main():
        batcher = recorder.batcher(max_wait=0.02)
        batcher.expect(3)
        assert await asyncio.gather(*(batcher.submit(Request(name)) for name in "ab")) == ["A", "B"]
        await batcher.aclose()

    run(main)
    assert recorder.batches == ["ab"]


def test_with_a_longest_wait_a_full_batch_starts_at_once_and_the_oldest_go_first():
    recorder = Recorder(batch_size=2)

    async def main():
        batcher = recorder.batcher(max_wait=1000.0)
        batcher.expect(4)
        tasks = [asyncio.create_task(batcher.submit(Request(name))) for name in "cba"]
        assert await tasks[0] == "C"
        assert await tasks[1] == "B"
        assert not tasks[2].done()
        batcher.expect(-3)
        assert await tasks[2] == "A"
        await batcher.aclose()

    run(main)
    assert recorder.batches == ["bc", "a"]


def test_an_exception_reaches_every_caller_of_its_batch_with_its_cause_and_the_next_batch_works():
    recorder = Recorder()
    broken = [True]

    def compute(requests, stopped):
        if broken[0]:
            raise RuntimeError("no such luck")
        return recorder.compute(requests, stopped)

    async def main():
        batcher = Batcher(recorder.plan, compute, full=10)
        results = await asyncio.gather(*(batcher.submit(Request(name)) for name in "ab"), return_exceptions=True)
        assert [type(result) for result in results] == [EngineError, EngineError]
        assert results[0] is not results[1]
        assert "no such luck" in str(results[0])
        assert isinstance(results[0].__cause__, RuntimeError)
        broken[0] = False
        assert await batcher.submit(Request("c")) == "C"
        await batcher.aclose()

    run(main)


def test_an_engine_error_keeps_its_type():
    def compute(requests, stopped):
        raise PromptTooLong("so long")

    async def main():
        batcher = Batcher(lambda requests: [requests], compute, full=10)
        with pytest.raises(PromptTooLong, match="so long"):
            await batcher.submit(Request("a"))
        await batcher.aclose()

    run(main)


def test_a_plan_that_fails_is_told_to_those_who_wait():
    def plan(requests):
        raise ValueError("cannot plan")

    async def main():
        batcher = Batcher(plan, Recorder().compute, full=10)
        with pytest.raises(EngineError, match="cannot plan"):
            await batcher.submit(Request("a"))
        await batcher.aclose()

    run(main)


def test_a_computation_that_loses_results_is_an_error_and_not_a_hang():
    async def main():
        batcher = Batcher(lambda requests: [requests], lambda requests, stopped: [], full=10)
        with pytest.raises(EngineError):
            await batcher.submit(Request("a"))
        await batcher.aclose()

    run(main)


def test_closing_fails_what_waits_ends_what_runs_and_can_be_repeated():
    started = threading.Event()

    def compute(requests, stopped):
        started.set()
        assert stopped.wait(10)
        raise EngineError("stopped in the middle")

    async def main():
        batcher = Batcher(lambda requests: [requests], compute, full=10)
        running = asyncio.create_task(batcher.submit(Request("a")))
        assert await asyncio.to_thread(started.wait, 10)
        assert batcher.serving
        waiting = asyncio.create_task(batcher.submit(Request("b")))
        await asyncio.sleep(0)
        await batcher.aclose()
        with pytest.raises(EngineError, match="stopped in the middle"):
            await running
        with pytest.raises(EngineError, match="closed while this request waited"):
            await waiting
        await batcher.aclose()
        with pytest.raises(EngineError, match="closed"):
            await batcher.submit(Request("c"))

    run(main)


def test_it_works_on_one_event_loop_after_the_other():
    recorder = Recorder()
    batcher = recorder.batcher()

    async def abandon():
        batcher.expect(2)
        task = asyncio.create_task(batcher.submit(Request("x")))
        await asyncio.sleep(0)
        batcher.expect(-1)
        task.cancel()
        batcher.expect(-1)

    async def use():
        assert await batcher.submit(Request("a")) == "A"

    run(abandon)
    run(use)
    run(use)
    run(batcher.aclose)
    assert recorder.batches == ["a", "a"]


def test_more_ends_than_beginnings_are_refused():
    batcher = Recorder().batcher()
    batcher.expect(2)
    with pytest.raises(InvalidInput, match="more ended than began"):
        batcher.expect(-3)
    assert batcher.active == 2


@pytest.mark.parametrize("max_wait", [None, 0.001])
def test_any_mixture_of_slow_failing_and_cancelled_episodes_comes_to_its_end(max_wait):
    recorder = Recorder(batch_size=5)
    rng = random.Random(0)

    async def episode(batcher, name):
        answers = []
        try:
            for turn in range(rng.randrange(1, 6)):
                for _ in range(rng.randrange(4)):
                    await asyncio.sleep(0)
                if rng.random() < 0.1:
                    raise ZeroDivisionError
                answers.append((turn, await batcher.submit(Request(f"{name}{turn}"))))
        finally:
            batcher.expect(-1)
        return answers

    async def main():
        batcher = recorder.batcher(max_wait=max_wait)
        batcher.expect(60)
        tasks = [asyncio.create_task(episode(batcher, f"e{number}t")) for number in range(60)]
        for task in rng.sample(tasks, 8):
            await asyncio.sleep(0.001)
            task.cancel()
        results = await asyncio.gather(*tasks, return_exceptions=True)
        await batcher.aclose()
        return batcher, results

    batcher, results = run(main)
    assert batcher.active == 0
    finished = [(number, answers) for number, answers in enumerate(results) if isinstance(answers, list)]
    assert len(finished) > 20
    for number, answers in finished:
        assert answers == [(turn, f"E{number}T{turn}") for turn in range(len(answers))]
    kinds = {type(result) for result in results}
    assert kinds <= {list, ZeroDivisionError, asyncio.CancelledError}


def test_an_event_loop_that_ends_in_the_middle_of_a_batch_leaves_a_usable_batcher():
    recorder = Recorder()
    began, ended = threading.Event(), threading.Event()

    def compute(requests, stopped):
        if requests[0].name == "a":
            began.set()
            assert stopped.wait(10)
            ended.set()
            raise EngineError("stopped")
        return recorder.compute(requests, stopped)

    batcher = Batcher(recorder.plan, compute, full=10)

    async def leave():
        task = asyncio.create_task(batcher.submit(Request("a")))
        assert await asyncio.to_thread(began.wait, 10)
        return task  # never awaited: the event loop cancels it

    async def use():
        assert await batcher.submit(Request("b")) == "B"
        await batcher.aclose()

    assert run(leave).cancelled()
    assert ended.wait(10)
    run(use)
