"""Draws tokens for many rows at once; each row has its own settings and its own stream of random numbers."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray

from turnwise.agents.engines.base import Sampling

BLOCK = 64
"""Random numbers that a stream draws at a time; how many does not change them."""


class Uniforms:
    """One stream of uniform numbers per row, keyed by the row's seed alone.

    Each is a Philox counter-based generator (Salmon et al., 2011), so that a row's draws do not depend on what other
    rows there are, how many, or in which order they draw.

    Args:
        seeds: One non-negative seed per row.
    """

    def __init__(self, seeds: Sequence[int]) -> None:
        self._streams = [np.random.Generator(np.random.Philox(seed)) for seed in seeds]
        self._blocks = np.zeros((len(seeds), 0))
        self._first = 0

    def at(self, step: int, rows: NDArray[np.int64]) -> NDArray[np.float64]:
        """Returns the step-th number of some rows' streams; steps must not decrease.

        Args:
            step: Which number, from 0.
            rows: Row indices; int64 [rows].

        Returns:
            Numbers in [0, 1); float64 [rows].
        """
        while step >= self._first + self._blocks.shape[1]:
            self._first += self._blocks.shape[1]
            self._blocks = np.stack([stream.random(BLOCK) for stream in self._streams])
        column: NDArray[np.float64] = self._blocks[rows, step - self._first]
        return column


@dataclass(frozen=True, slots=True)
class RowSettings:
    """The `Sampling` of each row, as tensors.

    Attributes:
        greedy: Whether the most probable token is taken; bool [rows].
        temperature: What divides the logits, 1 where greedy; float32 [rows, 1].
        top_k: How many tokens are kept, the vocabulary's size for all; int64 [rows, 1].
        top_p: The nucleus' probability; float32 [rows, 1].
        truncates: Whether any row keeps less than all tokens.
    """

    greedy: torch.Tensor
    temperature: torch.Tensor
    top_k: torch.Tensor
    top_p: torch.Tensor
    truncates: bool

    @classmethod
    def of(cls, rows: Sequence[Sampling], vocabulary: int, device: torch.device) -> RowSettings:
        """Returns the settings of rows, for logits of `vocabulary` tokens on `device`."""
        greedy = [row.temperature == 0 for row in rows]
        return cls(
            greedy=torch.tensor(greedy, device=device),
            temperature=torch.tensor([[row.temperature or 1.0] for row in rows], device=device),
            top_k=torch.tensor([[min(row.top_k, vocabulary) or vocabulary] for row in rows], device=device),
            top_p=torch.tensor([[row.top_p] for row in rows], device=device),
            truncates=any(
                not is_greedy and (0 < row.top_k < vocabulary or row.top_p < 1)
                for is_greedy, row in zip(greedy, rows, strict=True)
            ),
        )

    def select(self, rows: torch.Tensor) -> RowSettings:
        """Returns the settings of some rows; int64 [rows]."""
        return RowSettings(
            self.greedy[rows], self.temperature[rows], self.top_k[rows], self.top_p[rows], self.truncates
        )


def draw(
    logits: torch.Tensor, settings: RowSettings, uniforms: NDArray[np.float64]
) -> tuple[torch.Tensor, torch.Tensor]:
    """Draws one token per row.

    The token is where the cumulative distribution, in the order of the vocabulary, passes the row's uniform number:
    unlike a race of exponentials this takes one random number a row, and unlike a sorted order it cannot be swapped by
    rounding.

    Args:
        logits: float [rows, vocabulary].
        settings: How each row chooses.
        uniforms: Numbers in [0, 1); float64 [rows].

    Returns:
        The tokens, int64 [rows], and their log-probabilities under the tempered, untruncated distribution,
        float32 [rows].
    """
    logits = logits.float() / settings.temperature
    probabilities = logits.softmax(-1)
    kept = truncate(probabilities, settings.top_k, settings.top_p) if settings.truncates else probabilities
    # float32 would round the tails of large vocabularies away; Apple's GPUs know nothing else.
    cumulative = kept.cumsum(-1, dtype=torch.float32 if logits.device.type == "mps" else torch.float64)
    targets = torch.as_tensor(uniforms, device=logits.device).to(cumulative.dtype)[:, None] * cumulative[:, -1:]
    sampled = torch.searchsorted(cumulative, targets, right=True).squeeze(-1).clamp(max=logits.shape[-1] - 1)
    tokens = torch.where(settings.greedy, logits.argmax(-1), sampled)
    chosen = logits.gather(-1, tokens[:, None]).squeeze(-1)
    return tokens, chosen - logits.logsumexp(-1)


def truncate(probabilities: torch.Tensor, top_k: torch.Tensor, top_p: torch.Tensor) -> torch.Tensor:
    """Returns the probabilities with zeros outside each row's k most probable tokens and its nucleus among these.

    The nucleus (Holtzman et al., 2020) is the smallest set of most probable tokens whose probability, renormalised
    over the k, reaches `top_p`.

    Args:
        probabilities: float32 [rows, vocabulary].
        top_k: int64 [rows, 1].
        top_p: float32 [rows, 1].
    """
    ordered, order = probabilities.sort(dim=-1, descending=True, stable=True)
    rank = torch.arange(probabilities.shape[-1], device=probabilities.device)
    ordered = torch.where(rank < top_k, ordered, 0.0)
    before = ordered.cumsum(-1) - ordered
    ordered = torch.where(before < top_p * ordered.sum(-1, keepdim=True), ordered, 0.0)
    return torch.zeros_like(probabilities).scatter(-1, order, ordered)
