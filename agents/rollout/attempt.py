"""One try at one episode: the loop of observation, action and reward, and what its end is called."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass, field
from time import perf_counter
from typing import Any

from turnwise.agents.errors import ConfigError, EngineError, InvalidInput, MissingExtra, PromptTooLong, StalledError
from turnwise.agents.policies.base import Action, Policy, Session
from turnwise.agents.rollout.config import RolloutConfig
from turnwise.agents.rollout.contract import Start, Transition
from turnwise.agents.rollout.groups import Groups
from turnwise.agents.rollout.jobs import Job, sampling_seed
from turnwise.agents.rollout.progress import Board
from turnwise.agents.rollout.workers import EnvWorker
from turnwise.agents.types import Episode, Status, Turn

NOT_BEGUN = Start("", {}, state_key="", task={}, instructions="", tools=())


class PolicyError(Exception):
    """The policy could not act; the environment is as good as before."""


class _ContextOverflowError(Exception):
    """The conversation outgrew the context window."""


@dataclass
class Attempt:
    """One try at one job. `play` fills it; what was played before a failure stays in it."""

    job: Job
    number: int
    env_id: str = ""
    start: Start = NOT_BEGUN
    observation: str = ""
    turns: list[Turn] = field(default_factory=list)

    async def play(
        self, worker: EnvWorker, policy: Policy, config: RolloutConfig, board: Board, groups: Groups
    ) -> Episode:
        """Plays the episode to its end.

        Raises:
            EnvironmentFailure: The environment raised, hung, or broke its contract.
            PolicyError: The policy or its engine failed.
            InvalidInput: The caller's mistake, which every other episode would repeat; `MissingExtra`, `ConfigError`
                and `StalledError` are passed on for the same reason.
        """
        job, self.env_id = self.job, worker.env_id
        board.enter(job.name, "environment.reset")
        start = await worker.reset(job.seed, job.options, config.reset_timeout)
        self.start, self.observation = start, start.observation
        groups.enter(job, start)
        session = _begin(policy, sampling_seed(config.seed, job), worker)
        before: Start | Transition = start
        while True:
            board.enter(job.name, "policy.act")
            clock = perf_counter()
            try:
                action = await self._act(session, before.info)
            except _ContextOverflowError as overflow:
                return self.episode(Status.TRUNCATED, note=str(overflow))
            generate = perf_counter() - clock
            groups.check(job)
            board.enter(job.name, "environment.step")
            after = await worker.step(action.text, config.step_timeout)
            self.turns.append(_turn(before, action, after, {"generate": generate, "step": worker.seconds}))
            self.observation = after.observation
            if after.terminated:
                return self.episode(Status.TERMINATED)
            if after.truncated:
                return self.episode(Status.TRUNCATED, note="environment: its own limit")
            if config.max_turns is not None and len(self.turns) >= config.max_turns:
                return self.episode(Status.TRUNCATED, note=f"rollout: max_turns={config.max_turns}")
            before = after

    def episode(self, status: Status, *, error: str | None = None, note: str = "") -> Episode:
        """Returns what was played so far as an episode that ended so."""
        success = self.turns[-1].success if self.turns and status is not Status.FAILED else 0.0
        return Episode(
            group=self.job.group,
            env_id=self.env_id,
            seed=self.job.seed,
            turns=tuple(self.turns),
            status=status,
            success=success,
            error=error,
            final_observation=self.observation,
            task=self.start.task,
            attempt=self.number,
            tags=self.job.tags,
            note=note,
            instructions=self.start.instructions,
            tools=self.start.tools,
        )

    async def _act(self, session: Session, info: Mapping[str, Any]) -> Action:
        try:
            action = await session.act(self.observation, info)
        except PromptTooLong as error:
            raise _ContextOverflowError(f"context: {error}") from error
        except (InvalidInput, MissingExtra, ConfigError, StalledError):
            raise
        except asyncio.CancelledError as error:
            if _being_cancelled():
                raise
            raise PolicyError(f"policy: turn {len(self.turns)}: something that it waited for was cancelled") from error
        except EngineError as error:
            raise PolicyError(f"engine: turn {len(self.turns)}: {type(error).__name__}: {error}") from error
        except Exception as error:
            raise PolicyError(f"policy: turn {len(self.turns)}: {type(error).__name__}: {error}") from error
        if not isinstance(action, Action):
            raise InvalidInput(f"{type(session).__name__}.act must return an Action, not {action!r}")
        return action


def _being_cancelled() -> bool:
    """Whether it is this episode that is cancelled, and not something that its policy waits for."""
    task = asyncio.current_task()
    return task is not None and task.cancelling() > 0


def _begin(policy: Policy, seed: int, worker: EnvWorker) -> Session:
    try:
        return policy.start(seed=seed, env=worker.env)
    except (InvalidInput, MissingExtra, ConfigError, StalledError):
        raise
    except Exception as error:
        raise PolicyError(f"policy: start: {type(error).__name__}: {error}") from error


def _turn(before: Start | Transition, action: Action, after: Transition, seconds: Mapping[str, float]) -> Turn:
    return Turn(
        observation=before.observation,
        action=action.text,
        reward=after.reward,
        prompt_ids=action.prompt_ids,
        action_ids=action.action_ids,
        logprobs=action.logprobs,
        finish=action.finish,
        state_key=before.state_key,
        next_state_key=after.state_key,
        progress=after.progress,
        success=after.success,
        reward_parts=after.reward_parts,
        feedback=after.feedback,
        seconds=seconds,
    )
