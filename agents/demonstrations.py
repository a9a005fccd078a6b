"""Oracle demonstrations with adjustable noise, and the token sequences that a warm start imitates."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import gymnasium as gym
import numpy as np

from turnwise.agents.errors import InvalidInput
from turnwise.agents.policies.base import Action, Policy, Session
from turnwise.agents.rollout import Job, Rollout, RolloutConfig
from turnwise.agents.types import Episode


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
