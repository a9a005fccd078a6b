"""What a training run can be told: the sections of its components, and the few choices that belong to the run."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import Literal

from turnwise.agents.credit import AnyEstimator, GiGPO
from turnwise.agents.engines.base import Sampling
from turnwise.agents.errors import ConfigError
from turnwise.agents.learner import LearnerConfig, OptimizerConfig, SupervisedConfig
from turnwise.agents.losses import DAPO, EntropyBonus, ImportanceCorrection, KLPenalty, Objective
from turnwise.agents.losses.registry import AnyLoss
from turnwise.agents.model import ModelConfig
from turnwise.agents.rollout import RolloutConfig
from turnwise.agents.seeding import derive_seed
from turnwise.agents.tasks import TaskConfig


@dataclass(frozen=True)
class EngineConfig:
    """What generates the rollouts' tokens; it shares the learner's parameters."""

    max_batch_size: int = 256
    """The most episodes that are decoded together."""
    max_wait: float | None = None
    """Seconds after which a batch starts without the episodes whose environments are still busy; empty waits for
    all, which makes runs repeatable."""
    context_length: int | None = None
    """The most tokens of an episode; by default the model's own limit."""


@dataclass(frozen=True)
class CreditConfig:
    """Which estimator assigns credit to turns."""

    estimator: AnyEstimator = field(default_factory=GiGPO)
    """The estimator, chosen by its name."""
    outcome: Literal["reward", "success"] = "reward"
    """What an episode is judged by: the sum of its rewards, or its success."""


@dataclass(frozen=True)
class ObjectiveConfig:
    """What an optimizer step minimises."""

    policy: AnyLoss = field(default_factory=DAPO)
    """The policy loss, chosen by its name."""
    correction: ImportanceCorrection | None = field(default_factory=ImportanceCorrection)
    """Importance weights against the mismatch of engine and learner; empty for none."""
    kl: KLPenalty | None = None
    """Penalty of the divergence from the policy that training began with; empty for none."""
    entropy: EntropyBonus | None = None
    """Entropy bonus; empty for none."""

    def build(self) -> Objective:
        """Returns the objective."""
        return Objective(self.policy, self.correction, self.kl, self.entropy)


@dataclass(frozen=True)
class WarmStartConfig:
    """Imitation of demonstrations before reinforcement learning, so that a model made from scratch can begin."""

    episodes: int = 0
    """Demonstrations; 0 skips the warm start."""
    noise: float = 0.0
    """The chance that a demonstrated action is a random one instead of the oracle's."""
    imitation: SupervisedConfig = field(default_factory=SupervisedConfig)
    """How they are imitated."""
    optimizer: OptimizerConfig = field(default_factory=lambda: OptimizerConfig(learning_rate=1e-3))
    """How gradients become steps; a fresh optimizer begins with the reinforcement learning."""

    def __post_init__(self) -> None:
        """Checks the numbers.

        Raises:
            ConfigError: A number is out of its range.
        """
        if self.episodes < 0 or not 0.0 <= self.noise <= 1.0:
            raise ConfigError(
                f"warm_start.episodes={self.episodes!r} and warm_start.noise={self.noise!r}: "
                "the first must not be negative, the second must lie in [0, 1]"
            )


@dataclass(frozen=True)
class EvaluationConfig:
    """How the policy is evaluated on tasks of the test split."""

    every: int = 0
    """Steps between evaluations; 0 evaluates before the first step and after the last only."""
    episodes: int = 256
    """Held-out tasks, one attempt at each."""
    temperature: float = 1.0
    """Temperature of the evaluated policy; 0 is greedy."""


@dataclass(frozen=True)
class CheckpointConfig:
    """What is kept to resume from."""

    every: int = 10
    """Steps between checkpoints; the last step is always saved."""
    keep: int = 2
    """How many of the newest are kept."""


@dataclass(frozen=True)
class TrainConfig:
    """A training run."""

    steps: int = 100
    """Optimization steps: each rolls out, assigns credit and learns."""
    seed: int = 0
    """Every random draw of the run follows from it."""
    tasks: TaskConfig = field(default_factory=TaskConfig)
    """What the agent is trained on."""
    model: ModelConfig = field(default_factory=ModelConfig)
    """The model that is trained."""
    engine: EngineConfig = field(default_factory=EngineConfig)
    """What generates tokens."""
    sampling: Sampling = field(default_factory=Sampling)
    """How actions are sampled."""
    rollout: RolloutConfig = field(default_factory=RolloutConfig)
    """How episodes are run."""
    credit: CreditConfig = field(default_factory=CreditConfig)
    """How credit is assigned to turns."""
    objective: ObjectiveConfig = field(default_factory=ObjectiveConfig)
    """What is minimised."""
    learner: LearnerConfig = field(default_factory=LearnerConfig)
    """How the model is updated."""
    epochs: int = 1
    """How often each episode is learned from."""
    minibatches: int = 1
    """Optimizer steps per epoch; one keeps every step on-policy."""
    warm_start: WarmStartConfig = field(default_factory=WarmStartConfig)
    """Imitation of demonstrations before the first step."""
    evaluation: EvaluationConfig = field(default_factory=EvaluationConfig)
    """How progress is measured on held-out tasks."""
    checkpoints: CheckpointConfig = field(default_factory=CheckpointConfig)
    """What is kept to resume from."""
    keep_episodes: int = 16
    """Episodes of each step that episodes.jsonl keeps for the viewer; whole groups come first."""

    def __post_init__(self) -> None:
        """Checks what no section can check alone.

        Raises:
            ConfigError: A number is out of range, or two sections contradict each other.
        """
        for name in ("steps", "epochs", "minibatches"):
            if getattr(self, name) < 1:
                raise ConfigError(f"{name}={getattr(self, name)!r} must be at least 1")
        if self.keep_episodes < 0:
            raise ConfigError(f"keep_episodes={self.keep_episodes!r} must not be negative")
        if self.checkpoints.every < 1:
            raise ConfigError(f"checkpoints.every={self.checkpoints.every!r} must be at least 1")
        if self.sampling.temperature <= 0:
            raise ConfigError(
                f"sampling.temperature={self.sampling.temperature!r}: greedy actions teach nothing; use 1.0"
            )
        if self.learner.forward.temperature != self.sampling.temperature:
            raise ConfigError(
                f"learner.forward.temperature={self.learner.forward.temperature!r} differs from "
                f"sampling.temperature={self.sampling.temperature!r}: the learner would train another policy than the "
                "one that acted; give both the same value"
            )

    @property
    def rollout_config(self) -> RolloutConfig:
        """The rollout's section with a seed that follows from the run's."""
        return replace(self.rollout, seed=derive_seed(self.seed, "rollout", self.rollout.seed))
