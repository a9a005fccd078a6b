"""The learner: packed sequences, chunked log-probabilities, optimizer steps, warm start, checkpoints."""

from __future__ import annotations

from turnwise.agents.errors import MissingExtra

try:
    import torch as _torch  # noqa: F401  (says which extra is missing before the modules below fail on it)
    import transformers as _transformers  # noqa: F401  (likewise)
except ImportError as error:
    raise MissingExtra(error.name or "torch", "train") from error

from turnwise.agents.learner.batch import TrainBatch
from turnwise.agents.learner.checkpoint import Checkpoints, Restored
from turnwise.agents.learner.forward import ForwardOptions, sequence_logprobs
from turnwise.agents.learner.head import token_logprobs
from turnwise.agents.learner.learner import Learner, LearnerConfig
from turnwise.agents.learner.optimizer import OptimizerConfig, ScheduleConfig
from turnwise.agents.learner.packing import PackedRow, pack, pack_sequences
from turnwise.agents.learner.supervised import SupervisedConfig, SupervisedTrainer, cross_entropy

__all__ = [
    "Checkpoints",
    "ForwardOptions",
    "Learner",
    "LearnerConfig",
    "OptimizerConfig",
    "PackedRow",
    "Restored",
    "ScheduleConfig",
    "SupervisedConfig",
    "SupervisedTrainer",
    "TrainBatch",
    "cross_entropy",
    "pack",
    "pack_sequences",
    "sequence_logprobs",
    "token_logprobs",
]
