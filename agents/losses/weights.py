"""How token losses become one number: weights that make a loss a plain sum.

A mean over what happens to be in a micro-batch is not the mean over the step, so a loss that averages inside
micro-batches depends on how they were cut. Weights computed once for the whole step make the loss a sum, and a sum has
the same gradient however it is split.
"""

from __future__ import annotations

from typing import Literal, get_args

import torch
from torch import Tensor

from turnwise.agents.errors import InvalidInput

Aggregation = Literal["token", "sequence", "episode", "constant"]
"""How tokens share the loss.

`token`: every token of the step counts the same (DAPO). `sequence`: every sequence counts the same, and its tokens
share its part. `episode`: the same for episodes, which differ from sequences where an episode was forked into several;
this is GRPO's mean over outputs. `constant`: every token counts one over (episodes times a constant length) (Dr.GRPO).
"""


def token_weights(how: Aggregation, sequence: Tensor, episode: Tensor, *, length: float | None = None) -> Tensor:
    """Weight of each action token of one optimizer step.

    `token`: 1 / n. `sequence`: 1 / (sequences * tokens of its sequence). `episode`: 1 / (episodes * tokens of its
    episode). `constant`: 1 / (episodes * length).

    Args:
        how: The aggregation.
        sequence: Sequence of each token; int64 [n].
        episode: Episode of each token; int64 [n].
        length: The constant length; with `constant` only.

    Returns:
        float64 [n]; sums to 1 except with `constant`.

    Raises:
        InvalidInput: `how` is unknown, or `length` is missing, not positive, or given without `constant`.
    """
    if (how == "constant") != (length is not None) or (length is not None and not length > 0):
        raise InvalidInput(
            f"length is {length!r} with aggregation {how!r}: 'constant' needs a positive one, others none"
        )
    ones = torch.ones(len(sequence), dtype=torch.float64, device=sequence.device)
    if len(sequence) == 0:
        return ones
    if how == "token":
        return ones / len(sequence)
    if how == "constant" and length is not None:
        return ones / (len(torch.unique(episode)) * length)
    if how in ("sequence", "episode"):
        _, position, counts = torch.unique(
            sequence if how == "sequence" else episode, return_inverse=True, return_counts=True
        )
        weights: Tensor = ones / (len(counts) * counts[position])
        return weights
    raise InvalidInput(f"unknown aggregation {how!r}; choose one of {', '.join(get_args(Aggregation))}")
