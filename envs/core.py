"""`TurnEnv`: what every environment for language agents shares."""

from __future__ import annotations

import copy
import math
from collections.abc import Mapping
from hashlib import blake2b
from typing import Any, ClassVar, Self, cast, get_args

import gymnasium as gym
import numpy as np

from turnwise.envs.errors import EpisodeOver, InvalidInput, SplitExhausted, VerdictMissing
from turnwise.envs.parse import changed_numbers
from turnwise.envs.spaces import TextSpace
from turnwise.envs.types import EnvOptions, Level, Reply, RewardMode, Snapshot, Split, Task
from turnwise.verifiers.base import Verifier
from turnwise.verifiers.types import Sample

MAX_DRAWS = 1000
"""Draws from the task generator before a split counts as empty."""

_NOT_COPIED = frozenset({"action_space", "observation_space", "spec"})


class TurnEnv(gym.Env[str, str]):
    """An environment whose observations and actions are texts, one action a turn.

    A subclass states its difference: `levels`, `verifier`, `new_task` and `respond`, and usually `start`, `progress`,
    `state`, `oracle` and `random_action`. Everything else is here: seeding, splits, the turn limit, rewards, info,
    snapshots. All episode state lives in attributes of the instance, so that `snapshot` finds it.

    Rewards. The verifier judges the last action of an episode; its score is the *outcome*. A sparse environment pays
    it at the end and nothing before. A dense one pays every turn's other parts too; by default that is the change of
    `progress()`, a potential (Ng, Harada and Russell, 1999), so that the dense parts of an episode sum to its final
    progress minus its initial one.

    Tasks. The k-th task after `reset(seed=s)` depends on (class, version, split, difficulty, s, k) only: neither on
    how the episodes before it went nor on other seeds. The generator draws until the hash of the instance's content
    falls into the split, so that `train` and `test` share no instance.

    Args:
        difficulty: A level's name, or its number from 1 (easiest) on.
        split: "train", "test" or "all".
        reward: "sparse" or "dense".
        max_turns: The turn limit; by default the level's. Reaching it truncates the episode, except that a limit of
            one turn makes the single turn the whole task, which then terminates.
        render_mode: "ansi" or None.

    Attributes:
        task: The current task.
        level: The current task's level.
        turn: How many turns the episode has had.
        history: The episode's actions, oldest first.

    Raises:
        InvalidInput: An argument has none of the allowed values.
    """

    metadata = {"render_modes": ["ansi"], "render_fps": 4}  # noqa: RUF012 - gymnasium declares it on instances

    version: ClassVar[int] = 0
    """The number after `-v` in the environment's id."""
    summary: ClassVar[str] = ""
    """What the environment is, in one sentence."""
    action_format: ClassVar[str] = "text"
    """What an action looks like, for listings."""
    levels: ClassVar[Mapping[str, Level]] = {"default": Level(max_turns=10)}
    """The difficulty levels by name, easiest first."""
    verifier: ClassVar[Verifier]
    """Judges the last action of an episode."""
    dense_parts: ClassVar[tuple[str, ...]] = ("progress",)
    """The names of the parts that dense rewards have beside `outcome`."""
    test_fraction: ClassVar[float] = 0.2
    """The share of all instances that belongs to the test split."""

    action_space: TextSpace
    observation_space: TextSpace
    task: Task
    level: Level

    def __init__(
        self,
        *,
        difficulty: int | str = 1,
        split: Split = "train",
        reward: RewardMode = "sparse",
        max_turns: int | None = None,
        render_mode: str | None = None,
    ) -> None:
        if reward not in get_args(RewardMode):
            raise InvalidInput(f"reward must be one of {get_args(RewardMode)}, not {reward!r}")
        if max_turns is not None and (not isinstance(max_turns, int) or max_turns < 1):
            raise InvalidInput(f"max_turns must be a positive integer or None, not {max_turns!r}")
        if render_mode not in (None, *self.metadata["render_modes"]):
            raise InvalidInput(
                f"render_mode must be None or one of {self.metadata['render_modes']}, not {render_mode!r}"
            )
        self.difficulty = self.level_name(difficulty)
        self.split = check_split(split)
        self.reward = reward
        self.max_turns = max_turns
        self.render_mode = render_mode
        self.action_space = TextSpace()
        self.observation_space = TextSpace()
        self.turn = 0
        self.turn_limit = 0
        self.history: list[str] = []
        self._level_name = self.difficulty
        self._index = -1
        self._running = False
        self._observation = ""
        self._part_names = ("outcome", *self.dense_parts)
        self._progress: float | None = None
        self._first_progress: float | None = None

    # What a subclass states.

    def new_task(self, rng: np.random.Generator, difficulty: Any) -> Task:
        """Draws a task. All randomness comes from `rng`.

        Args:
            rng: The environment's generator, seeded for this task.
            difficulty: The value of the level in `levels`.
        """
        raise NotImplementedError(f"{type(self).__name__} must define new_task")

    def start(self, task: Task) -> str:
        """Sets the episode's state up for `task` and returns the first observation, by default the task's prompt."""
        return task.prompt

    def respond(self, action: str) -> Reply:
        """Applies one action to the state. Whatever the action is, it gets a reply: a malformed one is explained.

        `turn` counts this action already. Randomness comes from `self.np_random`.
        """
        raise NotImplementedError(f"{type(self).__name__} must define respond")

    def progress(self) -> float | None:
        """Returns how far the task is solved, in [0, 1], or None (the default) where the environment cannot know."""
        return None

    def state(self) -> str:
        """Returns the canonical text of the state: equal exactly where the same futures lie ahead, whatever led there.

        The default is the whole history. What is counted (turns) and what the agent cannot know (a secret) stay out.
        """
        return "\x1f".join((self.task.canonical, *self.history))

    def judged_state(self) -> Mapping[str, Any]:
        """Returns what the verifier finds in `Sample.state`."""
        return {}

    def instructions(self) -> str:
        """Returns the system prompt that explains the environment and the form of an action."""
        return ""

    def tools(self) -> list[dict[str, Any]]:
        """Returns JSON schemas of the tools that the agent may call, in the form that chat templates take."""
        return []

    def oracle(self) -> str | None:
        """Returns an expert's action for the current state, or None where no action can solve the task any more.

        The expert uses only what an agent could know, so that its actions can be imitated.
        """
        raise NotImplementedError(f"{type(self).__name__} has no oracle")

    def random_action(self, rng: np.random.Generator) -> str:
        """Returns a well-formed action drawn at random: what noisy demonstrations and random baselines are made of."""
        raise NotImplementedError(f"{type(self).__name__} has no random action")

    def near_misses(self) -> list[str]:
        """Returns actions close to the oracle's next one that must not solve the task, for the checker.

        By default the oracle's action with its last number changed.
        """
        action = self.oracle()
        return [] if action is None else changed_numbers(action)

    def dense_total(self) -> float | None:
        """Returns what the dense parts of the episode so far must sum to; None where the environment does not say.

        By default final progress minus initial progress.
        """
        if self._progress is None or self._first_progress is None:
            return None
        return self._progress - self._first_progress

    def best_return(self) -> float:
        """Returns the most that an episode of the task can pay: 1, and when dense the progress still to make."""
        if self.reward == "sparse" or self._first_progress is None:
            return 1.0
        return 2.0 - self._first_progress

    # What gymnasium asks for.

    def reset(self, *, seed: int | None = None, options: dict[str, Any] | None = None) -> tuple[str, dict[str, Any]]:
        """Begins the next episode.

        Args:
            seed: Begins the stream of tasks anew; without it the stream goes on.
            options: For this episode only: `difficulty` and `split`, in place of the constructor's; and `index`, the
                number of the task in the seed's stream, from which the stream goes on.

        Returns:
            The first observation, and the info: see `step`; on reset also `tools`, `instructions` and `task`.

        Raises:
            InvalidInput: An unknown option, or a value that it cannot have.
            SplitExhausted: The level has no task, or hardly any, in the split.
        """
        super().reset(seed=seed)
        self._index = 0 if seed is not None else self._index + 1
        difficulty, split = self._take_options(options)
        self._level_name, self.level = difficulty, self.levels[difficulty]
        identity = self._begin_stream(difficulty, split)
        self.task, content = self._draw_task(self.level, split)
        self.turn = 0
        self.turn_limit = self.max_turns or self.level.max_turns
        self.history = []
        self._running = True
        self._observation = self.start(self.task)
        self._progress = self._first_progress = self.progress()
        info = self._info(0.0, dict.fromkeys(self._part_names, 0.0), "")
        info["tools"] = self.tools()
        info["instructions"] = self.instructions()
        info["task"] = {
            "id": identity,
            "env": f"{type(self).__name__}-v{self.version}",
            "split": split,
            "difficulty": difficulty,
            "level": float(list(self.levels).index(difficulty) + 1),
            "seed": str(self._np_random_seed),
            "index": float(self._index),
            "content": content,
            "reference": self.task.reference_text,
            "max_turns": float(self.turn_limit),
            **self.task.data,
        }
        return self._observation, info

    def step(self, action: str) -> tuple[str, float, bool, bool, dict[str, Any]]:
        """Takes one turn.

        Args:
            action: What the agent wrote, unparsed.

        Returns:
            Observation, reward, terminated, truncated, and the info: `turn`, `reward_parts` (by name, whatever the
            reward mode), `success` (the outcome; 0 before the end), `state_key` (hash of `state()`), `progress` (where
            the environment knows it) and `feedback`.

        Raises:
            EpisodeOver: No episode is running.
            InvalidInput: The action is not text.
            VerdictMissing: The verifier could not decide the episode.
        """
        if not self._running:
            raise EpisodeOver("no episode is running: call reset() first")
        if not isinstance(action, str):
            raise InvalidInput(f"an action is text, not {type(action).__name__}: {action!r}")
        self.turn += 1
        self.history.append(action)
        reply = self.respond(action) if len(action) <= self.action_space.max_length else self._too_long(action)
        at_limit = self.turn >= self.turn_limit
        terminated = reply.done or (at_limit and self.turn_limit == 1)
        truncated = at_limit and not terminated
        parts = dict.fromkeys(self._part_names, 0.0)
        before, self._progress = self._progress, self.progress()
        if reply.parts is not None:
            parts.update(reply.parts)
        elif before is not None and self._progress is not None:
            parts["progress"] = self._progress - before
        feedback = reply.feedback
        success = 0.0
        if terminated or truncated:
            self._running = False
            success, evidence = self._judge(action)
            parts["outcome"] = success
            feedback = f"{feedback} {evidence}" if feedback and evidence else feedback or evidence
        reward = sum(parts.values()) if self.reward == "dense" else parts["outcome"]
        self._observation = reply.observation
        return reply.observation, reward, terminated, truncated, self._info(success, parts, feedback)

    def render(self) -> str | None:
        """Returns the current moment of the episode as text, or None without a render mode."""
        if self.render_mode is None:
            return None
        title = f"{type(self).__name__}-v{self.version}, {self._level_name}"
        lines = [f"{title}: turn {self.turn} of {self.turn_limit}"]
        if self.history:
            lines.append(f"> {self.history[-1]}")
        return "\n".join([*lines, self._observation])

    # Snapshots.

    def snapshot(self) -> Snapshot:
        """Returns the whole state, the random generator included, to come back to with `restore`."""
        return Snapshot(self._kind(), self._copied(vars(self)))

    def restore(self, snapshot: Snapshot) -> None:
        """Goes back to a snapshot, taken from this or another instance of the class; futures are then equal.

        Raises:
            InvalidInput: The snapshot is of another class.
        """
        if snapshot.kind != self._kind():
            raise InvalidInput(f"a snapshot of {snapshot.kind} cannot be restored into {self._kind()}")
        kept = {name: value for name, value in vars(self).items() if name in _NOT_COPIED}
        self.__dict__.clear()
        self.__dict__.update(kept | self._copied(snapshot.values))

    def clone(self) -> Self:
        """Returns an independent environment in the same state."""
        twin = object.__new__(type(self))
        twin.spec = self.spec
        twin.action_space = copy.deepcopy(self.action_space)
        twin.observation_space = copy.deepcopy(self.observation_space)
        twin.restore(self.snapshot())
        return twin

    def _copied(self, values: Mapping[str, Any]) -> dict[str, Any]:
        """Returns a deep copy of attributes that shares the task, which is immutable."""
        copied = {name: value for name, value in values.items() if name not in _NOT_COPIED}
        task = values.get("task")
        memo = {} if task is None else {id(task): task, id(task.start): task.start}
        return copy.deepcopy(copied, memo)

    def _kind(self) -> str:
        return f"{type(self).__module__}:{type(self).__qualname__}"

    # Tasks.

    @classmethod
    def level_name(cls, difficulty: int | str) -> str:
        """Returns the name of a level given by name or by number.

        Raises:
            InvalidInput: There is no such level.
        """
        names = list(cls.levels)
        if isinstance(difficulty, str) and difficulty in cls.levels:
            return difficulty
        if isinstance(difficulty, int) and not isinstance(difficulty, bool) and 1 <= difficulty <= len(names):
            return names[difficulty - 1]
        raise InvalidInput(f"difficulty must be one of {names} or a number from 1 to {len(names)}, not {difficulty!r}")

    @classmethod
    def split_of(cls, content: str) -> str:
        """Returns the split, "train" or "test", of instances with this canonical content (or family if any)."""
        return cls._side(content_digest(cls.__name__, content))

    @classmethod
    def _side(cls, digest: str) -> str:
        return "test" if int(digest[:8], 16) < cls.test_fraction * 2**32 else "train"

    def _take_options(self, options: dict[str, Any] | None) -> tuple[str, Split]:
        """Returns the episode's level and split, and moves the stream to the wanted index."""
        if not options:
            return self.difficulty, self.split
        unknown = sorted(set(options) - {"difficulty", "split", "index"})
        if unknown:
            raise InvalidInput(f"unknown reset options {unknown}: there are difficulty, split and index")
        index = options.get("index")
        if index is not None:
            if not isinstance(index, int | np.integer) or isinstance(index, bool) or index < 0:
                raise InvalidInput(f"index must be an integer from 0 on, not {index!r}")
            self._index = int(index)
        return self.level_name(options.get("difficulty", self.difficulty)), check_split(
            options.get("split", self.split)
        )

    def _begin_stream(self, difficulty: str, split: Split) -> str:
        """Puts the random generator to the beginning of the current task and returns the task's identity.

        The state of the generator is a hash of the identity: neighbouring seeds and indices have nothing in common.
        """
        if self.np_random_seed == -1:  # somebody assigned a generator of their own: take a seed from it
            self._np_random_seed = int(self.np_random.integers(2**63))
            self._index = 0
        seed = self.np_random_seed
        identity = f"{type(self).__name__}-v{self.version}|{split}|{difficulty}|{seed}|{self._index}"
        digest = blake2b(identity.encode(), digest_size=32).digest()
        if not isinstance(self.np_random.bit_generator, np.random.PCG64):
            self._np_random = np.random.Generator(np.random.PCG64(0))
        self.np_random.bit_generator.state = {
            "bit_generator": "PCG64",
            "state": {
                "state": int.from_bytes(digest[:16], "little"),
                "inc": int.from_bytes(digest[16:], "little") | 1,  # PCG's increment is odd
            },
            "has_uint32": 0,
            "uinteger": 0,
        }
        return digest[:8].hex()

    def _draw_task(self, level: Level, split: Split) -> tuple[Task, str]:
        """Draws tasks until one belongs to the split; returns it and its content hash."""
        for _ in range(MAX_DRAWS):
            task = self.new_task(self.np_random, level)
            content = content_digest(type(self).__name__, task.canonical)
            family = content_digest(type(self).__name__, task.family) if task.family else content
            if split == "all" or self._side(family) == split:
                return task, content
        raise SplitExhausted(
            f"none of {MAX_DRAWS} tasks drawn from {level!r} belongs to the {split!r} split: the level's task space "
            f"is too small; choose a harder level or split='all'"
        )

    # Parts of a step.

    def _info(self, success: float, parts: dict[str, float], feedback: str) -> dict[str, Any]:
        """Returns the info of the current moment; numbers are floats, since vector environments fix the types."""
        info = {
            "turn": float(self.turn),
            "reward_parts": parts,
            "success": success,
            "state_key": blake2b(self.state().encode("utf-8", "surrogatepass"), digest_size=8).hexdigest(),
            "feedback": feedback,
        }
        if self._progress is not None:
            info["progress"] = self._progress
        return info

    def _judge(self, action: str) -> tuple[float, str]:
        """Returns the outcome and its evidence."""
        verdict = self.verifier.verify(
            Sample(action, self.task.reference, self.task.prompt, self.judged_state(), tuple(self.history))
        )
        if math.isnan(verdict.score):
            raise VerdictMissing(f"{type(self).__name__}: {verdict.status}: {verdict.error}")
        return verdict.score, verdict.evidence

    def _too_long(self, action: str) -> Reply:
        limit = self.action_space.max_length
        return Reply(f"Your message has {len(action)} characters; at most {limit} are read. Please write less.")


def check_split(split: Any) -> Split:
    """Returns `split` if it is one.

    Raises:
        InvalidInput: It is not.
    """
    if split not in get_args(Split):
        raise InvalidInput(f"split must be one of {get_args(Split)}, not {split!r}")
    return cast(Split, split)


def content_digest(name: str, content: str) -> str:
    """Returns the hash of an instance's canonical content, 32 hexadecimal digits.

    The version is left out: a later version of an environment never trains on an earlier one's test tasks.
    """
    return blake2b(f"{name}\n{content}".encode("utf-8", "surrogatepass"), digest_size=16).hexdigest()


__all__ = ["MAX_DRAWS", "EnvOptions", "TurnEnv", "check_split", "content_digest"]
