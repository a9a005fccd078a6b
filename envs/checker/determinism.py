"""Checks that an episode follows from its seed and actions alone: instances, threads, resets, snapshots."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from threading import Barrier

from turnwise.envs.checker.report import Failed
from turnwise.envs.checker.subject import Recording, Subject, compare, difference, record

_THREADS = 4


def check_seeds(subject: Subject) -> str:
    """The same seed gives the same episode in another instance, type by type; other seeds give other tasks."""
    seen = set()
    script: tuple[object, ...] = ()
    for seed in range(subject.episodes):
        first = record(subject.make(), seed, mix=seed)
        second = record(subject.make(), seed, first.actions)
        found = compare(first, second)
        if found is not None:
            raise Failed(f"seed {seed} gives two different episodes, at {found}; draw only from self.np_random")
        script = script or first.actions  # the same actions for all seeds show whether the tasks differ
        scripted = record(subject.make(), seed, script)
        seen.add(str([scripted.start[0], *(step[:2] for step in scripted.steps)]))
    if len(seen) == 1 and subject.episodes > 1:
        raise Failed(f"{subject.episodes} seeds give one and the same episode; draw the task from self.np_random")
    return f"{subject.episodes} seeds repeat exactly"


def check_threads(subject: Subject) -> str:
    """Instances do not disturb each other, stepped in turns or from threads: no global random state."""
    alone = [record(subject.make(), seed, mix=seed) for seed in range(_THREADS)]
    for seed, together in enumerate(interleaved(subject, alone)):
        found = compare(alone[seed], together)
        if found is not None:
            raise Failed(f"stepped in turns with others, the episode of seed {seed} changes at {found}")
    barrier = Barrier(_THREADS)

    def play(seed: int) -> Recording:
        env = subject.make()
        barrier.wait()  # all at once, so that they overlap
        return record(env, seed, alone[seed].actions)

    with ThreadPoolExecutor(_THREADS) as pool:
        for seed, together in enumerate(pool.map(play, range(_THREADS))):
            found = compare(alone[seed], together)
            if found is not None:
                raise Failed(f"in a thread beside others, the episode of seed {seed} changes at {found}")
    return f"{_THREADS} instances side by side, in turns and in threads, keep apart"


def interleaved(subject: Subject, alone: list[Recording]) -> list[Recording]:
    """Returns the same episodes, played a turn each in rotation."""
    envs = [subject.make() for _ in alone]
    starts = [env.reset(seed=seed) for seed, env in enumerate(envs)]
    steps: list[list[tuple[object, object, object, object, dict[str, object]]]] = [[] for _ in alone]
    for turn in range(max(len(episode.actions) for episode in alone)):
        for env, episode, taken in zip(envs, alone, steps, strict=True):
            if turn < len(episode.actions):
                taken.append(env.step(episode.actions[turn]))
    return [
        Recording(start, episode.actions, tuple(taken))
        for start, episode, taken in zip(starts, alone, steps, strict=True)
    ]


def check_history(subject: Subject) -> str:
    """A reset leaves nothing of earlier episodes, finished or abandoned."""
    fresh = record(subject.make(), 7, mix=7)
    env = subject.make()
    earlier = record(env, 1, mix=1)
    for kind, actions in (("a finished", earlier.actions), ("an abandoned", earlier.actions[:1])):
        record(env, 1, actions)
        found = compare(fresh, record(env, 7, fresh.actions))
        if found is not None:
            raise Failed(f"after {kind} episode, a reset with the same seed differs at {found}; reset all state")
    return "a reset leaves nothing behind"


def check_snapshot(subject: Subject) -> str:
    """A restored snapshot and a clone have the future that the original had, and leave it alone."""
    env = subject.turn_env("snapshot()")
    for seed in range(min(subject.episodes, 4)):
        episode = record(env, seed, mix=seed)
        half = len(episode.actions) // 2
        record(env, seed, episode.actions[:half])
        snapshot = env.snapshot()
        twin = env.clone()
        futures = []
        for name, player in (("the original", env), ("the clone", twin), ("the restored original", env)):
            if name == "the restored original":
                env.restore(snapshot)
            future = [player.step(action) for action in episode.actions[half:]]
            futures.append((name, future, player.reset()))
        for name, future, following in futures:
            expected = list(episode.steps[half:])
            found = difference(expected, future, "steps") or difference(futures[0][2], following, "the next reset")
            if found is not None:
                raise Failed(f"seed {seed}: {name} differs after turn {half}, at {found}")
    return "snapshots and clones have equal futures"
