"""Oracle demonstrations with adjustable noise, and the token sequences that a warm start imitates."""

from __future__ import annotations

import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import Any

import gymnasium as gym
import numpy as np

from turnwise.agents.engines.base import Completion, Engine, Sampling
from turnwise.agents.errors import InvalidInput
from turnwise.agents.policies.base import Action, Policy, Session
from turnwise.agents.policies.engine import EnginePolicy
from turnwise.agents.rollout import Job, Rollout, RolloutConfig
from turnwise.agents.tokens import merge
from turnwise.agents.tokens.template import Template
from turnwise.agents.types import Episode, Status, TokenSequence, Turn
from turnwise.verifiers.base import run_coroutine


class NoisyOracle(Policy):
    """Plays the environment's own expert, and in some turns a random action instead.

    Noise makes a warm start imperfect on purpose, and shows states that the expert alone would never come to, with what
    it does there. Where the expert knows no way any more, the action is random too.

    Args:
        noise: The chance of a random action in each turn.

    Raises:
        InvalidInput: `noise` is not a probability.
    """

    def __init__(self, noise: float = 0.0) -> None:
        if not 0.0 <= noise <= 1.0:
            raise InvalidInput(f"noise={noise!r} must lie between 0 and 1")
        self.noise = noise

    def start(self, *, seed: int, env: gym.Env[str, str] | None = None) -> Session:
        """Begins an episode.

        Raises:
            InvalidInput: There is no environment, or it has no oracle.
        """
        unwrapped: Any = None if env is None else env.unwrapped
        for method in ("oracle", "random_action"):
            if not callable(getattr(unwrapped, method, None)):
                raise InvalidInput(f"{unwrapped!r} has no {method}(), which demonstrations are made with")
        return _NoisyOracleSession(unwrapped, self.noise, np.random.default_rng(seed))


class _NoisyOracleSession(Session):
    def __init__(self, env: Any, noise: float, rng: np.random.Generator) -> None:
        self._env = env
        self._noise = noise
        self._rng = rng

    async def act(self, observation: str, info: Mapping[str, Any]) -> Action:
        random = self._rng.random() < self._noise
        try:
            text = None if random else self._env.oracle()
            return Action(self._env.random_action(self._rng) if text is None else text)
        except NotImplementedError as error:
            raise InvalidInput(f"demonstrations cannot be made: {error}") from error


def demonstrate(
    env: str | Callable[[], gym.Env[Any, Any]],
    jobs: Sequence[Job],
    noise: float = 0.0,
    *,
    config: RolloutConfig | None = None,
    env_kwargs: Mapping[str, Any] | None = None,
) -> list[Episode]:
    """Plays demonstrations; the episodes hold texts and no tokens.

    Args:
        env: Makes an environment with an oracle (`TurnEnv`), or the id of a registered one.
        jobs: What to play.
        noise: The chance of a random action in each turn.
        config: How episodes are run.
        env_kwargs: What `gym.make` gets besides the id.

    Returns:
        One episode per job, in order, unsuccessful and failed ones included.

    Raises:
        InvalidInput: An argument cannot be used, the environment has no oracle, or an event loop is running.
    """
    with Rollout(env, NoisyOracle(noise), config, env_kwargs=env_kwargs) as rollout:
        return rollout.run_sync(jobs)


def demonstration_sequences(
    episodes: Sequence[Episode],
    tokenizer: Any,
    *,
    instructions: str | None = None,
    template_options: Mapping[str, Any] | None = None,
) -> list[TokenSequence]:
    """Returns the token sequences that imitating episodes trains on.

    Each episode is told again to an `EnginePolicy` whose engine "samples" what was demonstrated, and then the end of
    turn. So the contexts are, token by token, those in which a rollout would sample the same actions.

    Args:
        episodes: Episodes of texts; their tokens, if they have any, are not used. Failed ones are left out.
        tokenizer: The tokenizer of the model that shall imitate them, with a chat template.
        instructions: The system message in place of the environment's; as in `EnginePolicy`.
        template_options: Further variables of the chat template; as in `EnginePolicy`.

    Returns:
        Sequences whose `episode` is the position in `episodes`: one for each, or several where the template forks.
        `turn` marks the tokens of actions, their ends of turn included. There was no engine, so `logprobs` are 0.

    Raises:
        InvalidInput: The tokenizer has no chat template, or no token that ends a turn.
    """
    engine = _Replay(tokenizer)
    policy = EnginePolicy(engine, tokenizer, instructions=instructions, template_options=template_options)

    async def sequences() -> list[TokenSequence]:
        return [
            sequence
            for position, episode in enumerate(episodes)
            if episode.status is not Status.FAILED
            for sequence in merge(await _retold(episode, policy, engine), episode=position)
        ]

    return run_coroutine(sequences())


class _Replay(Engine):
    """An engine that says what it is told to.

    Attributes:
        text: What it says next.
    """

    def __init__(self, tokenizer: Any) -> None:
        self.text = ""
        self._template = Template(tokenizer)
        end = self._template.end_id if self._template.end_id is not None else tokenizer.eos_token_id
        if end is None:
            raise InvalidInput("the tokenizer has no token that ends a turn; set tokenizer.eos_token")
        self._end = np.array([end], np.int64)

    @property
    def context_length(self) -> int:
        return sys.maxsize

    async def generate(self, prompt_ids: Sequence[int], sampling: Sampling, *, seed: int) -> Completion:
        ids = np.concatenate((self._template.encode_behind(self.text), self._end))
        return Completion(ids, np.zeros(len(ids), np.float32), self.text, "stop")


async def _retold(episode: Episode, policy: EnginePolicy, engine: _Replay) -> list[Turn]:
    """Returns the turns with the tokens that they would have in a rollout."""
    session = policy.start(seed=0)
    info: dict[str, Any] = {"instructions": episode.instructions, "tools": list(episode.tools)}
    turns = []
    for turn in episode.turns:
        engine.text = turn.action
        action = await session.act(turn.observation, info)
        turns.append(
            replace(turn, prompt_ids=action.prompt_ids, action_ids=action.action_ids, logprobs=action.logprobs)
        )
        info = {}
    return turns
