"""AdamW over a model's trainable parameters, its learning-rate schedule, and the guard of its steps."""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import Any, Literal

import torch
from torch import nn

from turnwise.agents.errors import ConfigError


@dataclass(frozen=True)
class ScheduleConfig:
    """The learning rate over optimizer steps, as a factor of its peak."""

    kind: Literal["constant", "linear", "cosine"] = "constant"
    """What follows the warm-up: the peak held, or a fall to `final` at `total_steps`, straight or along a cosine."""
    warmup_steps: int = 0
    """Steps of linear growth; step i of them uses (i + 1) / warmup_steps of the peak."""
    total_steps: int = 0
    """Where a linear or cosine schedule ends, warm-up included; the rate stays at `final` after it."""
    final: float = 0.0
    """The factor at the end of a linear or cosine schedule."""

    def __post_init__(self) -> None:
        if self.kind not in ("constant", "linear", "cosine"):
            raise ConfigError(f"unknown schedule kind {self.kind!r}; choose one of constant, linear, cosine")
        if self.warmup_steps < 0 or not 0 <= self.final <= 1:
            raise ConfigError(
                f"warmup_steps is {self.warmup_steps!r} and final {self.final!r}; they must be at least 0, and final "
                "at most 1"
            )
        if self.kind != "constant" and self.total_steps <= self.warmup_steps:
            raise ConfigError(
                f"total_steps is {self.total_steps!r}; a {self.kind} schedule needs more than warmup_steps, which is "
                f"{self.warmup_steps!r}"
            )

    def factor(self, step: int) -> float:
        """The factor for a step, from 0."""
        if step < self.warmup_steps:
            return (step + 1) / self.warmup_steps
        if self.kind == "constant":
            return 1.0
        done = min(1.0, (step - self.warmup_steps) / (self.total_steps - self.warmup_steps))
        left = 1.0 - done if self.kind == "linear" else (1.0 + math.cos(math.pi * done)) / 2
        return self.final + (1.0 - self.final) * left


@dataclass(frozen=True)
class OptimizerConfig:
    """AdamW (arXiv 1711.05101) and what limits its steps."""

    learning_rate: float = 1e-6
    """Peak learning rate."""
    weight_decay: float = 0.0
    """Decoupled weight decay of matrices; norms, biases and embeddings have none."""
    betas: tuple[float, float] = (0.9, 0.999)
    """Decay rates of the running means of the gradient and of its square."""
    epsilon: float = 1e-8
    """Added to the denominator."""
    max_gradient_norm: float = 1.0
    """Longer gradients are scaled down to this norm; inf never scales."""
    schedule: ScheduleConfig = field(default_factory=ScheduleConfig)
    """The learning rate over steps."""

    def __post_init__(self) -> None:
        if not self.learning_rate > 0 or not self.max_gradient_norm > 0 or not self.weight_decay >= 0:
            raise ConfigError(
                f"learning_rate is {self.learning_rate!r}, max_gradient_norm {self.max_gradient_norm!r} and "
                f"weight_decay {self.weight_decay!r}; the first two must be positive, the last at least 0"
            )


class Optimizer:
    """Steps a model's trainable parameters, unless their gradient is not finite.

    Attributes:
        steps: How many steps were asked for; the schedule's clock.
        skipped: How many of them were skipped because the gradient was not finite.
    """

    def __init__(self, model: nn.Module, config: OptimizerConfig) -> None:
        self.config = config
        groups = parameter_groups(model, config.weight_decay)
        self._parameters = [parameter for group in groups for parameter in group["params"]]
        if not self._parameters:
            raise ConfigError("no parameter of the model requires a gradient: there is nothing to train")
        self._adamw = torch.optim.AdamW(
            groups, lr=config.learning_rate, betas=config.betas, eps=config.epsilon, fused=True
        )
        self.steps = 0
        self.skipped = 0

    def zero_gradients(self) -> None:
        """Frees the gradients."""
        self._adamw.zero_grad(set_to_none=True)

    def step(self) -> dict[str, float]:
        """Applies the accumulated gradients and frees them.

        Returns:
            gradient_norm: Before clipping; not finite when the step was skipped.
            learning_rate: The rate of this step.
            skipped: 1 when the step was skipped, else 0.
        """
        norm = float(nn.utils.clip_grad_norm_(self._parameters, self.config.max_gradient_norm))
        rate = self.config.learning_rate * self.config.schedule.factor(self.steps)
        finite = math.isfinite(norm)
        if finite:
            for group in self._adamw.param_groups:
                group["lr"] = rate
            self._adamw.step()
        self.steps += 1
        self.skipped += not finite
        self.zero_gradients()
        return {"gradient_norm": norm, "learning_rate": rate, "skipped": float(not finite)}

    def state_dict(self) -> dict[str, Any]:
        """Everything that the following steps depend on."""
        return {"adamw": self._adamw.state_dict(), "steps": self.steps, "skipped": self.skipped}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Continues from a state; raises `ValueError` where the parameters differ."""
        self._adamw.load_state_dict(state["adamw"])
        self.steps = int(state["steps"])
        self.skipped = int(state["skipped"])


def parameter_groups(model: nn.Module, weight_decay: float) -> list[dict[str, Any]]:
    """Two groups for AdamW: matrices with weight decay; norms, biases and embeddings (a tied head too) without.

    Args:
        model: The model; parameters that need no gradient are left out.
        weight_decay: The decay of the first group.
    """
    embeddings = {
        id(parameter)
        for module in model.modules()
        if isinstance(module, nn.Embedding)
        for parameter in module.parameters(recurse=False)
    }
    trained = [parameter for parameter in model.parameters() if parameter.requires_grad]
    decays = [parameter.ndim >= 2 and id(parameter) not in embeddings for parameter in trained]
    return [
        {"params": [p for p, decay in zip(trained, decays, strict=True) if decay], "weight_decay": weight_decay},
        {"params": [p for p, decay in zip(trained, decays, strict=True) if not decay], "weight_decay": 0.0},
    ]
