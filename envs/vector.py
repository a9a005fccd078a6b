"""A helper around `gymnasium.make_vec` that passes what environments with text need."""

from __future__ import annotations

from typing import Any, Literal

import gymnasium as gym
from gymnasium.envs.registration import EnvSpec
from gymnasium.vector import AutoresetMode, VectorEnv

from turnwise.verifiers.errors import InvalidInput

_AUTORESET = {
    "same_step": AutoresetMode.SAME_STEP,
    "next_step": AutoresetMode.NEXT_STEP,
    "disabled": AutoresetMode.DISABLED,
}


def make_vec(
    id: str | EnvSpec,
    num_envs: int,
    mode: Literal["sync", "async"] = "sync",
    *,
    autoreset: Literal["same_step", "next_step", "disabled"] = "same_step",
    context: str | None = None,
    **options: Any,
) -> VectorEnv[Any, Any, Any]:
    """Makes a vector environment that keeps the last observation and info of every episode.

    Vector environments step all their episodes together. Episodes of language agents are ragged: `turnwise.envs.Batch`
    steps any subset, and is what rollouts should use.

    Args:
        id: An environment's id or spec.
        num_envs: How many.
        mode: "sync": one after the other, in this process; fastest for environments that compute. "async": each in a
            process of its own; without shared memory, which cannot hold texts.
        autoreset: When a finished episode is followed by the next. "same_step" (default): at once;
            `infos["final_obs"]` and `infos["final_info"]` keep its end. "next_step": by the following step, whose
            action is ignored. "disabled": by `reset` with `options={"reset_mask": ...}`.
        context: For "async", how processes start ("fork", "spawn", "forkserver"); by default the system's way.
        options: For the environment's constructor.

    Raises:
        InvalidInput: `mode` or `autoreset` has none of the allowed values, or `num_envs` is not positive.
    """
    if mode not in ("sync", "async"):
        raise InvalidInput(f"mode must be 'sync' or 'async', not {mode!r}")
    if autoreset not in _AUTORESET:
        raise InvalidInput(f"autoreset must be one of {sorted(_AUTORESET)}, not {autoreset!r}")
    if num_envs < 1:
        raise InvalidInput(f"num_envs must be positive, not {num_envs!r}")
    vector_kwargs: dict[str, Any] = {"autoreset_mode": _AUTORESET[autoreset]}
    if mode == "async":
        vector_kwargs |= {"shared_memory": False, "context": context}
    return gym.make_vec(id, num_envs, mode, vector_kwargs, **options)
