"""Every random state that a run depends on, as JSON-able data."""

from __future__ import annotations

import base64
import logging
import random
from collections.abc import Mapping
from typing import Any

import numpy as np
import torch

from turnwise.agents.errors import CheckpointError

logger = logging.getLogger(__name__)

Generators = Mapping[str, np.random.Generator | torch.Generator]
"""Generators that a run passes around, by a name of its own choice."""


def capture(generators: Generators | None = None) -> dict[str, Any]:
    """The global states of Python, NumPy (legacy) and torch (CPU and every CUDA device), and of `generators`."""
    return {
        "python": random.getstate(),
        "numpy": _encode(np.random.get_state(legacy=False)),
        "torch": _text(torch.get_rng_state()),
        "cuda": [_text(state) for state in torch.cuda.get_rng_state_all()] if torch.cuda.is_available() else [],
        "generators": {name: _generator_state(generator) for name, generator in (generators or {}).items()},
    }


def restore(state: Mapping[str, Any], generators: Generators | None = None) -> None:
    """Puts back what `capture` took, after a round trip through JSON or without one.

    Raises:
        CheckpointError: The generators have other names or kinds than those that were captured.
    """
    given, saved = generators or {}, state["generators"]
    if set(given) != set(saved):
        raise CheckpointError(
            f"the checkpoint holds random generators {sorted(saved)}, but {sorted(given)} were given: "
            "pass generators of the same names"
        )
    for name, generator in given.items():
        _restore_generator(name, generator, saved[name])
    version, internal, gauss = state["python"]
    random.setstate((version, tuple(internal), gauss))
    np.random.set_state(_decode(state["numpy"]))
    torch.set_rng_state(_tensor(state["torch"]))
    devices = torch.cuda.device_count() if torch.cuda.is_available() else 0
    if devices == len(state["cuda"]):
        for device, text in enumerate(state["cuda"]):
            torch.cuda.set_rng_state(_tensor(text), device)
    else:
        logger.warning(
            "the checkpoint has random states of %d CUDA devices, this machine has %d: sampling there will not "
            "continue identically",
            len(state["cuda"]),
            devices,
        )


def _generator_state(generator: np.random.Generator | torch.Generator) -> dict[str, Any]:
    if isinstance(generator, torch.Generator):
        return {"torch": _text(generator.get_state())}
    return {"numpy": _encode(generator.bit_generator.state)}


def _restore_generator(name: str, generator: np.random.Generator | torch.Generator, state: Mapping[str, Any]) -> None:
    if isinstance(generator, torch.Generator) and "torch" in state:
        generator.set_state(_tensor(state["torch"]))
    elif isinstance(generator, np.random.Generator) and "numpy" in state:
        decoded = _decode(state["numpy"])
        if decoded["bit_generator"] != generator.bit_generator.state["bit_generator"]:
            raise CheckpointError(
                f"random generator {name!r} was a {decoded['bit_generator']}, now it is a "
                f"{generator.bit_generator.state['bit_generator']}: make it as the saved run did"
            )
        generator.bit_generator.state = decoded
    else:
        raise CheckpointError(
            f"random generator {name!r} was one of {next(iter(state))}, now it is a {type(generator).__name__}: make "
            "it as the saved run did"
        )


def _encode(value: Any) -> Any:
    if isinstance(value, np.ndarray):
        return {"array": value.tolist(), "dtype": str(value.dtype)}
    if isinstance(value, Mapping):
        return {key: _encode(item) for key, item in value.items()}
    return value.item() if isinstance(value, np.generic) else value


def _decode(value: Any) -> Any:
    if isinstance(value, Mapping):
        if set(value) == {"array", "dtype"}:
            return np.array(value["array"], dtype=value["dtype"])
        return {key: _decode(item) for key, item in value.items()}
    return value


def _text(state: torch.Tensor) -> str:
    return base64.b64encode(state.cpu().numpy().tobytes()).decode("ascii")


def _tensor(text: str) -> torch.Tensor:
    return torch.frombuffer(bytearray(base64.b64decode(text)), dtype=torch.uint8)
