from __future__ import annotations

import threading
from typing import Any

import gymnasium as gym
import pytest

from turnwise.envs import Batch, InvalidInput
from turnwise.envs.text.guess_number import GuessNumber

GUESS = "turnwise/GuessNumber-v0"


class Delicate(GuessNumber):
    """Raises at the action "boom", and at every reset with options {"difficulty": "expert"}."""

    made = 0
    closed = 0

    def __init__(self, **options: Any) -> None:
        type(self).made += 1
        super().__init__(**options)

    def reset(self, *, seed: int | None = None, options: dict[str, Any] | None = None) -> Any:
        if options:
            raise OSError("no such server")
        return super().reset(seed=seed, options=options)

    def respond(self, action: str) -> Any:
        if action == "boom":
            raise ConnectionError("the connection was lost")
        return super().respond(action)

    def close(self) -> None:
        type(self).closed += 1


@pytest.fixture(params=[0, 3], ids=["sync", "threads"])
def threads(request: pytest.FixtureRequest) -> int:
    return int(request.param)


def test_any_subset_can_be_stepped_and_keeps_the_callers_order(threads: int) -> None:
    singles = [gym.make(GUESS, difficulty="medium") for _ in range(4)]
    starts = [env.reset(seed=seed) for seed, env in zip((5, 6, 7, 5), singles, strict=True)]
    with Batch(GUESS, 4, threads=threads, difficulty="medium") as batch:
        moments = batch.reset(seeds=[5, 6, 7, 5])
        assert [(moment.observation, moment.info) for moment in moments.values()] == starts
        assert list(batch.reset([2, 0], seeds=[7, 5])) == [2, 0]
        moments = batch.step({3: "20", 1: "30"})
        assert list(moments) == [3, 1]
        for slot, action in ((3, "20"), (1, "30")):
            observation, reward, terminated, truncated, info = singles[slot].step(action)
            moment = moments[slot]
            assert (moment.observation, moment.reward, moment.terminated, moment.truncated, moment.info) == (
                observation,
                reward,
                terminated,
                truncated,
                info,
            )
        assert batch.moments[0] is not None
        assert batch.moments[0].info["turn"] == 0.0
        assert batch.step({}) == {}


def test_the_end_of_an_episode_stays_until_its_slot_is_reset() -> None:
    with Batch(GUESS, 2, max_turns=2) as batch:
        batch.reset(seeds=[1, 2])
        batch.step({0: "x"})
        batch.step({0: "x", 1: "x"})
        assert batch.running == (1,)
        batch.step({1: "x"})
        assert batch.running == ()
        for moment in batch.moments:
            assert moment is not None
            assert moment.truncated
            assert moment.info["turn"] == 2.0
            assert moment.observation.endswith("No guesses left.")
        batch.reset([1])
        assert batch.running == (1,)
        assert batch.moments[0] is not None
        assert batch.moments[0].truncated


def test_an_environment_that_raises_fails_its_own_slot_only(threads: int) -> None:
    with Batch(Delicate, 3, threads=threads) as batch:
        batch.reset(seeds=[1, 1, 1])
        before = batch.moments[1]
        assert before is not None
        moments = batch.step({0: "8", 1: "boom", 2: "8"})
        failed = moments[1]
        assert isinstance(failed.error, ConnectionError)
        assert (failed.observation, failed.info, failed.reward) == (before.observation, before.info, 0.0)
        assert not failed.running
        assert moments[0] == moments[2]
        assert moments[0].error is None
        assert batch.running == (0, 2)
        with pytest.raises(InvalidInput, match=r"slots \[1\]"):
            batch.step({1: "8"})


def test_a_failed_slot_gets_a_fresh_environment_at_its_reset() -> None:
    Delicate.made = Delicate.closed = 0
    with Batch(Delicate, 2) as batch:
        batch.reset(seeds=[1, 1])
        broken = batch.envs[0]
        batch.step({0: "boom"})
        assert batch.reset([0], seeds=[1])[0].error is None
        assert batch.envs[0] is not broken
        assert (Delicate.made, Delicate.closed) == (3, 1)
        assert batch.step({0: "8"})[0] == batch.step({1: "8"})[1]
    assert Delicate.closed == 3


def test_a_reset_that_raises_fails_the_slot_too() -> None:
    with Batch(Delicate, 1) as batch:
        (moment,) = batch.reset(options={"difficulty": "expert"}).values()
        assert isinstance(moment.error, OSError)
        assert moment.observation == ""
        assert batch.reset()[0].running


def test_a_bad_call_moves_no_environment() -> None:
    with Batch(GUESS, 2) as batch:
        batch.reset([0], seeds=[1])
        for actions, message in (({0: "1", 1: "1"}, r"slots \[1\]"), ({0: "1", 7: "1"}, r"no slots \[7\]")):
            with pytest.raises(InvalidInput, match=message):
                batch.step(actions)
        assert batch.moments[0] is not None
        assert batch.moments[0].info["turn"] == 0.0
        with pytest.raises(InvalidInput, match="only once"):
            batch.reset([0, 0])
        with pytest.raises(InvalidInput, match="1 seeds for 2 slots"):
            batch.reset(seeds=[1])


def test_everything_is_closed_even_when_closing_raises() -> None:
    closed = []

    class Stubborn(GuessNumber):
        def close(self) -> None:
            closed.append(self)
            if len(closed) == 1:
                raise OSError("stuck")

    batch = Batch(Stubborn, 3)
    with pytest.raises(ExceptionGroup, match="closing") as caught:
        batch.close()
    assert len(closed) == 3
    assert str(caught.value.exceptions[0]) == "stuck"
    batch.close()
    assert len(closed) == 3
    with pytest.raises(InvalidInput, match="closed"):
        batch.reset()


def test_environments_made_before_one_that_cannot_be_made_are_closed() -> None:
    Delicate.made = Delicate.closed = 0

    def make() -> Delicate:
        if Delicate.made == 2:
            raise OSError("out of ports")
        return Delicate()

    with pytest.raises(OSError, match="out of ports"):
        Batch(make, 4)
    assert Delicate.closed == 2


def test_threads_run_environments_at_the_same_time() -> None:
    meeting = threading.Barrier(3, timeout=20)  # passes only if three steps wait in it together

    class Meets(GuessNumber):
        def respond(self, action: str) -> Any:
            meeting.wait()
            return super().respond(action)

    with Batch(Meets, 3, threads=3) as batch:
        batch.reset(seeds=[1, 2, 3])
        moments = batch.step({0: "1", 1: "2", 2: "3"})
    assert [moment.error for moment in moments.values()] == [None] * 3


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"make": GUESS, "size": 0}, "not 0"),
        ({"make": GUESS, "size": 1, "threads": -1}, "not -1"),
        ({"make": GuessNumber, "size": 1, "difficulty": 2}, r"\['difficulty'\] need an id"),
    ],
)
def test_bad_arguments_are_named(arguments: dict[str, Any], message: str) -> None:
    with pytest.raises(InvalidInput, match=message):
        Batch(**arguments)
