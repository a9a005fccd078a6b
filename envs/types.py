"""What environments are made of: levels, tasks, replies and snapshots. All frozen."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal, TypeAlias, TypedDict

Split: TypeAlias = Literal["train", "test", "all"]
"""Which tasks come up. `train` and `test` share no instance, whatever the seeds; `all` is both."""

RewardMode: TypeAlias = Literal["sparse", "dense"]
"""`sparse` pays the outcome at the end of the episode; `dense` pays it and every turn's other parts as well."""


class EnvOptions(TypedDict, total=False):
    """The constructor arguments that every `TurnEnv` takes; `TurnEnv` explains them."""

    difficulty: int | str
    split: Split
    reward: RewardMode
    max_turns: int | None
    render_mode: str | None


@dataclass(frozen=True)
class Level:
    """One difficulty level. Environments subclass it with what their generator needs.

    Attributes:
        max_turns: The turn limit of the level's episodes.
    """

    max_turns: int


@dataclass(frozen=True)
class Task:
    """One instance of an environment's problem. Environments treat it, and all it holds, as immutable.

    Attributes:
        prompt: The first observation.
        reference: What the verifier compares with; None where the state alone decides.
        content: The canonical text of the instance: two tasks are the same instance exactly when it is equal. The split
            follows from it. By default it is made of `prompt` and `reference`.
        family: The canonical text of what must not be shared by two splits, where that is more than the instance: a
            room, a database, a site. By default the content.
        start: What the environment begins from, if prompt and reference do not say it all.
        data: Further facts for `info["task"]`: floats and texts, so that vector environments can batch them.
    """

    prompt: str
    reference: Any = None
    content: str = ""
    family: str = ""
    start: Any = None
    data: Mapping[str, float | str] = field(default_factory=dict)

    @property
    def reference_text(self) -> str:
        """The reference as text: itself where it is text, JSON otherwise, "" where there is none."""
        if self.reference is None:
            return ""
        if isinstance(self.reference, str):
            return self.reference
        return json.dumps(self.reference, sort_keys=True, default=repr)

    @property
    def canonical(self) -> str:
        """The canonical text of the instance."""
        return self.content or json.dumps([self.prompt, self.reference_text])


@dataclass(frozen=True, slots=True)
class Reply:
    """What an environment answers to one action.

    Attributes:
        observation: What the agent reads next.
        done: Whether the task has come to an end of its own.
        parts: The dense reward of this turn by component. None means the default: the change of `progress()`.
        feedback: Evidence for people and trainers that the agent does not see.
    """

    observation: str
    done: bool = False
    parts: Mapping[str, float] | None = None
    feedback: str = ""


@dataclass(frozen=True)
class Snapshot:
    """The whole state of an environment in the middle of an episode, its random generator included.

    A snapshot is independent of the environment it came from, can be restored any number of times, and can be pickled
    where the environment's state can.

    Attributes:
        kind: The class of the environment, as `module:name`.
        values: Its attributes.
    """

    kind: str
    values: Mapping[str, Any]
