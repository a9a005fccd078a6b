"""What `--policy` may name: an expert, chance, a model, a server."""

from __future__ import annotations

import os
import sys
from pathlib import Path

import gymnasium as gym

from turnwise.agents.engines.base import Engine, Sampling
from turnwise.agents.errors import InvalidInput
from turnwise.agents.policies.base import Policy, Session


def load_policy(
    name: str, sampling: Sampling, *, model: str | None, key_variable: str | None, concurrency: int
) -> tuple[Policy, Engine | None]:
    """Returns a policy and, where it has one, the engine behind it, which whoever asked closes.

    Args:
        name: "oracle", "random", the address of an OpenAI-compatible server, a run's folder, a model's folder, or a
            model's name on the hub.
        sampling: How a model samples.
        model: Which model of the server.
        key_variable: The environment variable that holds the server's key.
        concurrency: The most requests to a server under way.

    Raises:
        InvalidInput: The arguments do not go together.
        EngineError: The model cannot be loaded.
        MissingExtra: What the policy needs is not installed.
    """
    if name.startswith(("http://", "https://")):
        return _server(name, sampling, model, key_variable, concurrency)
    if model is not None or key_variable is not None:
        raise InvalidInput(f"--model and --key-variable are for servers, but --policy is {name!r}")
    if name == "oracle":
        from turnwise.agents.policies import OraclePolicy

        return OraclePolicy(), None
    if name == "random":
        from turnwise.agents.demonstrations import NoisyOracle

        return NoisyOracle(1.0), None
    return _local(name, sampling)


def _server(
    address: str, sampling: Sampling, model: str | None, key_variable: str | None, concurrency: int
) -> tuple[Policy, Engine]:
    from turnwise.agents.engines import ServerEngine
    from turnwise.agents.policies import ChatPolicy

    if model is None:
        raise InvalidInput(f"{address}: --model NAME says which of the server's models is meant")
    if key_variable is not None and key_variable not in os.environ:
        raise InvalidInput(f"--key-variable {key_variable}: there is no environment variable of that name")
    key = None if key_variable is None else os.environ[key_variable]
    engine = ServerEngine(address, model, api_key=key, max_concurrency=concurrency)
    return ChatPolicy(engine, sampling), engine


def _local(name: str, sampling: Sampling) -> tuple[Policy, Engine]:
    folder = model_folder(name)
    from turnwise.agents.engines import TransformersEngine
    from turnwise.agents.policies import EnginePolicy

    if not sys.stderr.isatty():
        from transformers.utils import logging

        logging.disable_progress_bar()
    engine = TransformersEngine.from_pretrained(folder)
    return EnginePolicy(engine, engine.tokenizer, sampling), engine


def model_folder(name: str) -> str:
    """Returns where a run's model is: the trained one, or that of its latest checkpoint; other names as they are.

    Raises:
        InvalidInput: The name is a folder without a model.
    """
    folder = Path(name)
    if not folder.is_dir() or (folder / "config.json").exists():
        return name
    if (folder / "model" / "config.json").exists():
        return str(folder / "model")
    from turnwise.agents.learner import Checkpoints

    latest = Checkpoints(folder / "checkpoints").latest() if (folder / "checkpoints").is_dir() else None
    if latest is None:
        raise InvalidInput(f"{name} holds no model: neither config.json, nor model/, nor a checkpoint")
    return str(latest / "model")


class Counted(Policy):
    """A policy that shows on standard error how many episodes it has begun.

    Args:
        policy: The policy.
        total: How many episodes there will be.
    """

    def __init__(self, policy: Policy, total: int) -> None:
        self._policy = policy
        self._total = total
        self._begun = 0
        self._shown = sys.stderr.isatty()

    def start(self, *, seed: int, env: gym.Env[str, str] | None = None) -> Session:
        """Begins an episode."""
        self._begun += 1
        if self._shown:
            print(f"\repisode {self._begun} of {self._total}", end="", file=sys.stderr, flush=True)
        return self._policy.start(seed=seed, env=env)

    def expect(self, change: int) -> None:
        """Passes on how many more episodes are in flight."""
        self._policy.expect(change)

    def done(self) -> None:
        """Removes the line."""
        if self._shown:
            print("\r" + " " * 40 + "\r", end="", file=sys.stderr, flush=True)
