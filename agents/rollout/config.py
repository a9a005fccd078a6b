"""What a rollout can be told."""

from __future__ import annotations

from dataclasses import dataclass

from turnwise.agents.errors import ConfigError


@dataclass(frozen=True)
class RolloutConfig:
    """How episodes are run. Deadlines are in seconds; `float("inf")` means none."""

    seed: int = 0
    """The run's seed: every episode's sampling seed is derived of it (`turnwise.agents.rollout.jobs.sampling_seed`)."""
    concurrency: int = 32
    """The most episodes in flight; each has an environment and a thread of its own."""
    max_turns: int | None = None
    """Truncates episodes after this many turns; by default only the environment's own limit does."""
    retries: int = 1
    """How often an episode that failed is tried again before it is recorded as failed."""
    reset_timeout: float = 120.0
    """Deadline of making an environment, and of each `reset`."""
    step_timeout: float = 60.0
    """Deadline of each `step`."""
    close_timeout: float = 10.0
    """How long a `close` may take before it is left to itself."""
    max_abandoned: int = 64
    """The most environments that may hang in threads which cannot be ended; one more stops the rollout."""
    stall_timeout: float = 900.0
    """Stops the rollout when no episode has moved for this long, the policy's generation included."""

    def __post_init__(self) -> None:
        """Checks the values.

        Raises:
            ConfigError: A value is out of its range.
        """
        for name in ("concurrency", "max_turns"):
            value = getattr(self, name)
            if value is not None and value < 1:
                raise ConfigError(f"{name}={value!r} must be at least 1")
        for name in ("retries", "max_abandoned"):
            if getattr(self, name) < 0:
                raise ConfigError(f"{name}={getattr(self, name)!r} must not be negative")
        for name in ("reset_timeout", "step_timeout", "close_timeout", "stall_timeout"):
            if not getattr(self, name) > 0:
                raise ConfigError(f"{name}={getattr(self, name)!r} must be a positive number of seconds")
        slowest = max(self.reset_timeout, self.step_timeout)
        if self.stall_timeout <= slowest < float("inf"):
            raise ConfigError(
                f"stall_timeout={self.stall_timeout!r} must exceed the deadlines of reset and step ({slowest!r} s), "
                "or an environment that may still answer counts as a stall"
            )
