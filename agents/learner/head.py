"""Log-probabilities of chosen tokens from hidden states, without the matrix of logits.

The language-model head and the log-softmax run over a few tokens at a time; the backward pass computes the logits of
each chunk again. Memory is one chunk of logits instead of tokens times vocabulary.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable

from turnwise.agents.errors import InvalidInput

CHUNK_ELEMENTS_CPU = 2**22
"""16 MiB of float32: measured fastest where larger chunks fall out of the caches."""
CHUNK_ELEMENTS_ACCELERATOR = 2**26
"""256 MiB of float32: matrix products of hundreds of rows even with the largest vocabularies."""


def token_logprobs(
    hidden: Tensor,
    weight: Tensor,
    targets: Tensor,
    *,
    bias: Tensor | None = None,
    temperature: float = 1.0,
    chunk_elements: int | None = None,
    compute_dtype: torch.dtype | None = None,
) -> tuple[Tensor, Tensor]:
    """Log-probability of each target, and the entropy of the distribution that it was drawn from.

    Differentiable once, in `hidden`, `weight` and `bias`. Logits are accumulated in float32 (float64 for float64
    inputs), also where the matrices are multiplied in half precision.

    Args:
        hidden: States that predict the targets; [n, width].
        weight: The head; [vocabulary, width].
        targets: Token ids; int64 [n].
        bias: The head's bias; [vocabulary], or None.
        temperature: Divides the logits.
        chunk_elements: The most logits alive at once, at least one token's; None chooses by device.
        compute_dtype: What the matrices are multiplied in; by default the dtype of `hidden`.

    Returns:
        Log-probabilities and entropies in nats; each [n], float32 (float64 for float64).

    Raises:
        InvalidInput: The temperature is not positive.
    """
    if not temperature > 0:
        raise InvalidInput(f"temperature is {temperature!r}; log-probabilities of a greedy policy do not exist")
    if chunk_elements is None:
        chunk_elements = CHUNK_ELEMENTS_CPU if hidden.device.type == "cpu" else CHUNK_ELEMENTS_ACCELERATOR
    rows = max(1, chunk_elements // weight.shape[0])
    logprobs, entropy = _TokenLogprobs.apply(  # type: ignore[no-untyped-call]  # torch leaves `apply` untyped
        hidden, weight, bias, targets, temperature, rows, compute_dtype or hidden.dtype
    )
    return logprobs, entropy


class _TokenLogprobs(torch.autograd.Function):
    @staticmethod
    def forward(
        ctx: Any,
        hidden: Tensor,
        weight: Tensor,
        bias: Tensor | None,
        targets: Tensor,
        temperature: float,
        rows: int,
        dtype: torch.dtype,
    ) -> tuple[Tensor, Tensor]:
        head = _Head(hidden.detach(), weight.detach(), bias, temperature, rows, dtype)
        logprobs = torch.empty(len(hidden), dtype=head.accumulator, device=hidden.device)
        entropy = torch.empty_like(logprobs)
        normaliser = torch.empty_like(logprobs)
        for span in head.spans():
            logits = head.logits(span)
            peak = logits.amax(1)
            picked = logits.gather(1, targets[span, None])[:, 0]
            shifted = logits.sub_(peak[:, None])
            weights = shifted.exp()
            total = weights.sum(1)
            normaliser[span] = peak + total.log()
            logprobs[span] = picked - normaliser[span]
            # H = -sum p log p with log p = shifted - log total.
            entropy[span] = total.log() - weights.mul_(shifted).sum(1) / total
        ctx.save_for_backward(hidden, weight, bias, targets, normaliser, entropy)
        ctx.options = (temperature, rows, dtype)
        ctx.set_materialize_grads(False)
        return logprobs, entropy

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, grad_logprobs: Tensor | None, grad_entropy: Tensor | None) -> tuple[Tensor | None, ...]:
        hidden, weight, bias, targets, normaliser, entropy = ctx.saved_tensors
        temperature, rows, dtype = ctx.options
        head = _Head(hidden, weight, bias, temperature, rows, dtype)
        if grad_logprobs is None:
            grad_logprobs = torch.zeros_like(normaliser)
        need_hidden, need_weight, need_bias = ctx.needs_input_grad[:3]
        grad_hidden = torch.empty_like(hidden) if need_hidden else None
        grad_weight = torch.zeros_like(weight, dtype=head.accumulator) if need_weight else None
        grad_bias = torch.zeros_like(bias, dtype=head.accumulator) if need_bias else None
        for span in head.spans():
            logits = head.logits(span).sub_(normaliser[span, None])
            up = grad_logprobs[span, None]
            if grad_entropy is None:
                grad = logits.exp_().mul_(-up)
            else:  # dH/dz_j = -p_j (log p_j + H)
                probabilities = logits.exp()
                factor = logits.add_(entropy[span, None]).mul_(grad_entropy[span, None]).add_(up)
                grad = probabilities.mul_(factor).neg_()
            grad[torch.arange(len(grad), device=grad.device), targets[span]] += up[:, 0]
            if temperature != 1.0:
                grad.div_(temperature)
            if grad_bias is not None:
                grad_bias += grad.sum(0)
            head.accumulate(span, grad, grad_hidden, grad_weight)
        return (
            grad_hidden,
            None if grad_weight is None else grad_weight.to(weight.dtype),
            None if grad_bias is None else grad_bias.to(bias.dtype),
            *[None] * 4,
        )


class _Head:
    """The head's matrices in the dtype in which they are multiplied, and the logits of one chunk at a time."""

    def __init__(
        self, hidden: Tensor, weight: Tensor, bias: Tensor | None, temperature: float, rows: int, dtype: torch.dtype
    ) -> None:
        self.accumulator = torch.float64 if dtype == torch.float64 else torch.float32
        # Half precision with float32 results: CUDA's matrix product does both; elsewhere float32 does it all.
        self.mixed = dtype != self.accumulator and hidden.is_cuda and "dtype" in torch.ops.aten.mm.overloads()
        self.dtype = dtype if self.mixed else self.accumulator
        # Rounded to `dtype` first, so that the result does not depend on which of the two it is.
        self.hidden = hidden.to(dtype).to(self.dtype)
        self.weight = weight.to(dtype).to(self.dtype)
        self.bias = bias
        self.temperature = temperature
        self.rows = rows

    def spans(self) -> Iterator[slice]:
        """Cuts the tokens into chunks."""
        for start in range(0, len(self.hidden), self.rows):
            yield slice(start, min(start + self.rows, len(self.hidden)))

    def logits(self, span: slice) -> Tensor:
        """Logits of one chunk; [rows, vocabulary], free to be overwritten."""
        logits = self._product(self.hidden[span], self.weight.t())
        if self.bias is not None:
            logits += self.bias
        return logits.div_(self.temperature) if self.temperature != 1.0 else logits

    def accumulate(self, span: slice, grad: Tensor, grad_hidden: Tensor | None, grad_weight: Tensor | None) -> None:
        """Adds the gradient of one chunk of logits to those of hidden states and weight."""
        narrow = grad.to(self.dtype)
        if grad_hidden is not None:
            grad_hidden[span] = self._product(narrow, self.weight)
        if grad_weight is not None and self.mixed:
            grad_weight += self._product(narrow.t(), self.hidden[span])
        elif grad_weight is not None:
            with torch.autocast(narrow.device.type, enabled=False):
                grad_weight.addmm_(narrow.t(), self.hidden[span])

    def _product(self, left: Tensor, right: Tensor) -> Tensor:
        with torch.autocast(left.device.type, enabled=False):
            return torch.mm(left, right, out_dtype=self.accumulator) if self.mixed else torch.mm(left, right)
