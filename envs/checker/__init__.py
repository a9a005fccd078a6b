"""Checks environments for language agents: a superset of `gymnasium.utils.env_checker.check_env`.

    from turnwise.envs import check_env
    print(check_env("turnwise/GuessNumber-v0", difficulty="hard"))

In a test: `check_env(MyEnv).raise_for_failures()`. Environments that are no `TurnEnv` are welcome; checks that need a
snapshot, an oracle or a split are then skipped, with the reason.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from typing import Any

import gymnasium as gym
from gymnasium.envs.registration import EnvSpec

from turnwise.envs.checker import contract, determinism, tasks
from turnwise.envs.checker.report import CheckReport, CheckResult, Failed, Skipped
from turnwise.envs.checker.subject import Subject, subject_of
from turnwise.envs.errors import InvalidInput

__all__ = ["CHECKS", "CheckReport", "CheckResult", "check_env"]

CHECKS: Mapping[str, Callable[[Subject], str]] = {
    "gymnasium": contract.check_gymnasium,
    "types": contract.check_types,
    "info": contract.check_info,
    "seeds": determinism.check_seeds,
    "threads": determinism.check_threads,
    "history": determinism.check_history,
    "snapshot": determinism.check_snapshot,
    "state_key": tasks.check_state_key,
    "limit": contract.check_limit,
    "hostile": contract.check_hostile,
    "oracle": tasks.check_oracle,
    "random": tasks.check_random,
    "near_misses": tasks.check_near_misses,
    "dense": tasks.check_dense,
    "leak": tasks.check_leak,
    "splits": tasks.check_splits,
    "streams": tasks.check_streams,
    "vector": contract.check_vector,
    "spec": contract.check_spec,
    "close": contract.check_close,
}
"""The checks by name; the first line of each one's documentation is what it promises."""


def check_env(
    env: str | EnvSpec | gym.Env[Any, Any] | Callable[[], gym.Env[Any, Any]],
    *,
    episodes: int = 16,
    random_success: float = 0.5,
    skip: Collection[str] = (),
    **options: Any,
) -> CheckReport:
    """Runs every check on an environment.

    Args:
        env: An id, a spec, an instance, or a function (a class, say) that makes one.
        episodes: How many tasks each check looks at.
        random_success: The highest success rate that random actions may have.
        skip: Names of checks that do not apply; the report says that they were skipped.
        options: Constructor arguments, for an id or spec.

    Returns:
        The report; `report.ok`, `print(report)`, `report.raise_for_failures()`.

    Raises:
        InvalidInput: There is no such check, `episodes` is not positive, or `env` is none of the above.
    """
    unknown = sorted(set(skip) - set(CHECKS))
    if unknown:
        raise InvalidInput(f"no checks called {unknown}; there are {sorted(CHECKS)}")
    if episodes < 1:
        raise InvalidInput(f"episodes must be positive, not {episodes!r}")
    subject = subject_of(env, episodes, random_success, options)
    return CheckReport(subject.name, tuple(run(name, subject, name in skip) for name in CHECKS))


def run(name: str, subject: Subject, skip: bool) -> CheckResult:
    """Runs one check; whatever it raises becomes its result."""
    if skip:
        return CheckResult(name, "skip", "by the caller's wish")
    try:
        return CheckResult(name, "pass", CHECKS[name](subject))
    except Skipped as reason:
        return CheckResult(name, "skip", str(reason))
    except Failed as reason:
        return CheckResult(name, "fail", str(reason))
    except Exception as error:  # noqa: BLE001 - an environment that raises has failed the check
        return CheckResult(name, "fail", f"raised {type(error).__name__}: {error}")
