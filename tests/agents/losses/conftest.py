"""Small batches for the loss tests."""

from __future__ import annotations

import pytest
import torch

from turnwise.agents.losses import ActionTokens


def _tokens(log_ratio, advantages, *, weights=None, sequence=None, logprob=-1.0, **columns):
    ratio = torch.tensor(log_ratio, dtype=torch.float64)
    old = torch.full_like(ratio, logprob)
    return ActionTokens(
        logprobs=(old + ratio).requires_grad_(),
        old_logprobs=old,
        advantages=torch.tensor(advantages, dtype=torch.float64),
        weights=torch.ones_like(ratio) if weights is None else torch.tensor(weights, dtype=torch.float64),
        sequence=torch.zeros(len(ratio), dtype=torch.int64) if sequence is None else torch.tensor(sequence),
        **{name: torch.tensor(value, dtype=torch.float64) for name, value in columns.items()},
    )


def _gradient(loss, tokens):
    (grad,) = torch.autograd.grad(loss(tokens).values.sum(), tokens.logprobs)
    return grad.tolist()


@pytest.fixture
def make_tokens():
    """Makes tokens from log-ratios and advantages; float64, old log-probability -1, gradient on the new ones."""
    return _tokens


@pytest.fixture
def gradient():
    """Gradient of the plain sum of token losses with respect to the log-probabilities."""
    return _gradient
