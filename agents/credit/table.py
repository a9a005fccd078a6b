"""The turn table: what credit assignment needs to know of a batch of episodes, one row per turn."""

from __future__ import annotations

from collections.abc import Hashable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Literal, Self

import numpy as np
from numpy.typing import ArrayLike

from turnwise.agents.credit import columns as check
from turnwise.agents.credit.segments import Bools, Floats, Ints, codes, dense, sums
from turnwise.agents.errors import InvalidInput
from turnwise.agents.types import Episode, Status


@dataclass(frozen=True, eq=False, kw_only=True)
class TurnTable:
    """The turns of a batch of episodes in order: episode by episode, oldest turn first.

    Make one with `from_episodes`, or with `from_columns` inside another trainer. Every column is checked on
    construction.

    Attributes:
        episode: Index of the episode of each turn, non-decreasing from 0; int64 [turns].
        reward: r_t: what the environment paid for the turn; float64 [turns].
        group: Prompt group of each episode, 0, 1, ...: episodes of one group attempted the same task; int64 [episodes].
        outcome: R_e: what the episode is judged by. The sum of its turns' rewards unless it was given apart (success,
            for example), which is what `outcome_apart` says; float64 [episodes].
        outcome_apart: Whether the outcome was given apart from the turn rewards.
        terminated: Whether the environment reached an end of its own; bool [episodes].
        truncated: Whether a limit ended the episode; bool [episodes].
        failed: Whether the infrastructure failed: the turns keep their rows, get advantage 0, and enter no baseline;
            bool [episodes]. Every episode is exactly one of terminated, truncated and failed.
        state_key: Code of the state in which the action was chosen, equal for equal states, -1 where it is unknown;
            int64 [turns], or None.
        next_state_key: Code of the state after the action, in the same code; int64 [turns], or None.
        action_tokens: How many tokens the policy sampled; int64 [turns], or None.
        progress: The environment's progress after the action, NaN where it does not know; float64 [turns], or None.
        parts: Components of the reward by name; float64 [turns] each.
        columns: Further numbers per turn by name (values, process rewards, ...); float64 [turns] each.
        episode_columns: Further numbers per episode by name; float64 [episodes] each.

    Raises:
        InvalidInput: A column has the wrong length or type, holds NaN or infinity in an episode that did not fail, or
            the rows are not in order; the message names the column and the remedy.
    """

    episode: Ints
    reward: Floats
    group: Ints
    outcome: Floats
    outcome_apart: bool
    terminated: Bools
    truncated: Bools
    failed: Bools
    state_key: Ints | None = None
    next_state_key: Ints | None = None
    action_tokens: Ints | None = None
    progress: Floats | None = None
    parts: Mapping[str, Floats] = field(default_factory=dict)
    columns: Mapping[str, Floats] = field(default_factory=dict)
    episode_columns: Mapping[str, Floats] = field(default_factory=dict)

    def __post_init__(self) -> None:
        turns, episodes = len(np.atleast_1d(self.reward)), len(np.atleast_1d(self.group))
        checked = {
            "episode": check.integers("episode", self.episode, turns, "turn"),
            "reward": check.floats("reward", self.reward, turns, "turn"),
            "group": check.integers("group", self.group, episodes, "episode"),
            "outcome": check.floats("outcome", self.outcome, episodes, "episode"),
            "terminated": check.flags("terminated", self.terminated, episodes),
            "truncated": check.flags("truncated", self.truncated, episodes),
            "failed": check.flags("failed", self.failed, episodes),
            "parts": {name: check.floats(f"parts[{name!r}]", part, turns, "turn") for name, part in self.parts.items()},
            "columns": {
                name: check.floats(f"columns[{name!r}]", column, turns, "turn") for name, column in self.columns.items()
            },
            "episode_columns": {
                name: check.floats(f"episode_columns[{name!r}]", column, episodes, "episode")
                for name, column in self.episode_columns.items()
            },
        }
        for name in ("state_key", "next_state_key", "action_tokens"):
            if getattr(self, name) is not None:
                checked[name] = check.integers(name, getattr(self, name), turns, "turn")
        if self.progress is not None:
            checked["progress"] = check.floats("progress", self.progress, turns, "turn")
        for name, column in checked.items():
            object.__setattr__(self, name, column)
        object.__setattr__(self, "group", dense(self.group))
        check.order(self.episode, episodes)
        check.endings(self.terminated, self.truncated, self.failed)
        self._check_numbers()

    def _check_numbers(self) -> None:
        """Everything that enters a baseline must be a number; what a failed episode left behind may be anything."""
        rows = ~self.failed[self.episode]
        for name, column in [("reward", self.reward), *self.parts.items(), *self.columns.items()]:
            check.finite(name, column, rows, "turn")
        for name, column in [("outcome", self.outcome), *self.episode_columns.items()]:
            check.finite(name, column, ~self.failed, "episode")
        if self.action_tokens is not None and (self.action_tokens < 0).any():
            raise InvalidInput(f"action_tokens holds {self.action_tokens.min()}; a turn samples 0 tokens or more")

    # How to make one.

    @classmethod
    def from_columns(
        cls,
        *,
        episode: Sequence[Hashable] | Ints,
        group: Sequence[Hashable] | Ints,
        reward: ArrayLike,
        outcome: ArrayLike | None = None,
        truncated: ArrayLike | None = None,
        failed: ArrayLike | None = None,
        state_key: Sequence[Hashable] | Ints | None = None,
        next_state_key: Sequence[Hashable] | Ints | None = None,
        action_tokens: ArrayLike | None = None,
        progress: ArrayLike | None = None,
        parts: Mapping[str, ArrayLike] | None = None,
        columns: Mapping[str, ArrayLike] | None = None,
        episode_columns: Mapping[str, ArrayLike] | None = None,
    ) -> Self:
        """Makes a table of what another trainer has at hand: one entry per turn, episodes named by any hashable id.

        Args:
            episode: Id of each turn's episode, the turns of one episode adjacent and in order; [turns].
            group: Id of each turn's prompt group, constant within an episode; [turns].
            reward: Reward of each turn; [turns].
            outcome: Outcome of each episode, in the order in which the episodes appear; the sum of its turns' rewards
                by default; [episodes].
            truncated: Which episodes a limit ended; none by default; [episodes].
            failed: Which episodes the infrastructure lost; none by default; the others terminated; [episodes].
            state_key: State in which each action was chosen, None or "" where it is unknown; [turns].
            next_state_key: State after each action, likewise; [turns].
            action_tokens: Sampled tokens of each turn; [turns].
            progress: Progress after each turn, NaN where unknown; [turns].
            parts: Components of the reward; [turns] each.
            columns: Further numbers per turn; [turns] each.
            episode_columns: Further numbers per episode; [episodes] each.

        Raises:
            InvalidInput: As the class says; or `group` changes within an episode; or its turns are apart.
        """
        episodes, groups = codes(check.ids(episode))[0], codes(check.ids(group))[0]
        check.same_length("group", groups, episodes)
        check.adjacent(episodes, check.ids(episode))
        count = int(episodes.max(initial=-1)) + 1
        starts = np.searchsorted(episodes, np.arange(count))
        if (moved := np.flatnonzero(groups != groups[starts][episodes])).size:
            raise InvalidInput(f"episode {check.ids(episode)[moved[0]]!r} is in two groups; an episode has one task")
        rewards = check.floats("reward", reward, len(episodes), "turn")
        lost = check.flags("failed", np.zeros(count, np.bool_) if failed is None else failed, count)
        cut = check.flags("truncated", np.zeros(count, np.bool_) if truncated is None else truncated, count)
        keys, next_keys = check.state_codes(state_key, next_state_key)
        return cls(
            episode=episodes,
            reward=rewards,
            group=groups[starts],
            outcome=sums(rewards, episodes, count) if outcome is None else check.as_floats("outcome", outcome),
            outcome_apart=outcome is not None,
            terminated=~(cut | lost),
            truncated=cut,
            failed=lost,
            state_key=keys,
            next_state_key=next_keys,
            action_tokens=None if action_tokens is None else np.asarray(action_tokens),
            progress=None if progress is None else check.as_floats("progress", progress),
            parts={name: check.as_floats(name, part) for name, part in (parts or {}).items()},
            columns={name: check.as_floats(name, column) for name, column in (columns or {}).items()},
            episode_columns={name: check.as_floats(name, column) for name, column in (episode_columns or {}).items()},
        )

    @classmethod
    def from_episodes(cls, episodes: Sequence[Episode], outcome: Literal["reward", "success"] = "reward") -> Self:
        """Makes a table of what a rollout returned; a failed episode keeps its rows.

        `columns["logprob"]` is the log-probability of each turn's action under the engine that sampled it, and a reward
        component that a turn does not mention counts as 0 there.

        Args:
            episodes: The episodes of a batch, in any order; those with one `group` are compared with each other.
            outcome: What an episode is judged by: "reward", the sum of its turns' rewards, or "success".

        Raises:
            InvalidInput: A reward or a success is NaN in an episode that did not fail, or `outcome` is another word.
        """
        if outcome not in ("reward", "success"):
            raise InvalidInput(f"outcome is {outcome!r}; it must be 'reward' or 'success'")
        turns = [turn for episode in episodes for turn in episode.turns]
        index = np.repeat(np.arange(len(episodes)), np.array([len(episode.turns) for episode in episodes], np.int64))
        reward = np.array([turn.reward for turn in turns], np.float64)
        keys, next_keys = check.state_codes([turn.state_key for turn in turns], [turn.next_state_key for turn in turns])
        success = np.array([episode.success for episode in episodes], np.float64)
        names = sorted({name for turn in turns for name in turn.reward_parts})
        return cls(
            episode=index,
            reward=reward,
            group=codes(episode.group for episode in episodes)[0],
            outcome=sums(reward, index, len(episodes)) if outcome == "reward" else success,
            outcome_apart=outcome == "success",
            terminated=np.array([episode.status == Status.TERMINATED for episode in episodes], np.bool_),
            truncated=np.array([episode.status == Status.TRUNCATED for episode in episodes], np.bool_),
            failed=np.array([episode.status == Status.FAILED for episode in episodes], np.bool_),
            state_key=keys,
            next_state_key=next_keys,
            action_tokens=np.array([len(turn.action_ids) for turn in turns], np.int64),
            progress=np.array([turn.progress for turn in turns], np.float64),
            parts={name: np.array([turn.reward_parts.get(name, 0.0) for turn in turns], np.float64) for name in names},
            columns={"logprob": np.array([np.sum(turn.logprobs, dtype=np.float64) for turn in turns], np.float64)},
        )

    def select(self, keep: Iterable[bool] | Bools) -> Self:
        """Returns the table of some of the episodes, in the same order.

        Args:
            keep: Which episodes to keep; bool [episodes].
        """
        kept = check.flags("keep", np.asarray(keep), self.episodes)
        rows = kept[self.episode]

        def of_turns(column: Ints | None) -> Ints | None:
            return None if column is None else column[rows]

        return type(self)(
            episode=(np.cumsum(kept) - 1)[self.episode[rows]],
            reward=self.reward[rows],
            group=self.group[kept],
            outcome=self.outcome[kept],
            outcome_apart=self.outcome_apart,
            terminated=self.terminated[kept],
            truncated=self.truncated[kept],
            failed=self.failed[kept],
            state_key=of_turns(self.state_key),
            next_state_key=of_turns(self.next_state_key),
            action_tokens=of_turns(self.action_tokens),
            progress=None if self.progress is None else self.progress[rows],
            parts={name: part[rows] for name, part in self.parts.items()},
            columns={name: column[rows] for name, column in self.columns.items()},
            episode_columns={name: column[kept] for name, column in self.episode_columns.items()},
        )

    # What it knows.

    @property
    def turns(self) -> int:
        """How many turns there are: the length of every column of turns, and of every advantage."""
        return len(self.reward)

    @property
    def episodes(self) -> int:
        """How many episodes there are, those without turns and the failed ones among them."""
        return len(self.group)

    @property
    def groups(self) -> int:
        """How many prompt groups there are."""
        return int(self.group.max(initial=-1)) + 1

    @cached_property
    def lengths(self) -> Ints:
        """How many turns each episode has; int64 [episodes]."""
        return np.bincount(self.episode, minlength=self.episodes)

    @cached_property
    def turn(self) -> Ints:
        """Index of each turn within its episode, from 0; int64 [turns]."""
        return np.arange(self.turns) - (np.cumsum(self.lengths) - self.lengths)[self.episode]

    @cached_property
    def last(self) -> Bools:
        """Which turns are the last of their episode; bool [turns]."""
        return np.equal(self.turn, self.lengths[self.episode] - 1)

    @property
    def turn_group(self) -> Ints:
        """Prompt group of each turn; int64 [turns]."""
        return self.group[self.episode]

    def per_turn(self, values: Floats) -> Floats:
        """Returns a column of episodes as one of turns: every turn gets its episode's value; float64 [turns]."""
        return values[self.episode]

    def per_episode(self, values: Floats) -> Floats:
        """Returns the sum of a column of turns over each episode; float64 [episodes]."""
        return sums(values, self.episode, self.episodes)

    def by_episode(self, values: Floats) -> list[Floats]:
        """Returns a column of turns as one array per episode, empty for one without turns; float64 [turns] each."""
        return np.split(values, np.cumsum(self.lengths)[:-1]) if self.episodes else []

    # What an estimator asks for.

    def column(self, name: str, user: str) -> Floats:
        """Returns `columns[name]`; float64 [turns].

        Raises:
            InvalidInput: There is none; the message says that `user` needs it.
        """
        return check.wanted(self.columns, name, user, "columns", "turn")

    def episode_column(self, name: str, user: str) -> Floats:
        """Returns `episode_columns[name]`; float64 [episodes].

        Raises:
            InvalidInput: There is none; the message says that `user` needs it.
        """
        return check.wanted(self.episode_columns, name, user, "episode_columns", "episode")

    def state_group(self, user: str) -> Ints:
        """Returns an index of {prompt group, state}: equal for turns taken in the same state of the same task.

        A turn whose state is unknown has an index of its own, for nothing is known to be in the same state; int64
        [turns].

        Raises:
            InvalidInput: The table has no state keys; the message says that `user` needs them.
        """
        return check.state_groups(check.present(self.state_key, "state_key", user), self.turn_group)

    def tokens(self, user: str) -> Ints:
        """Returns `action_tokens`; int64 [turns].

        Raises:
            InvalidInput: The table has none; the message says that `user` needs them.
        """
        return check.present(self.action_tokens, "action_tokens", user)
