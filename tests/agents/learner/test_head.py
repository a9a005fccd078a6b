"""Chunked log-probabilities against full logits: values, gradients, and the memory that they must not use."""

import pytest
import torch
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

from turnwise.agents.errors import InvalidInput
from turnwise.agents.learner import head, token_logprobs

TOKENS, WIDTH, VOCABULARY = 7, 5, 11


def inputs(dtype=torch.float64, bias=True):
    draw = torch.Generator().manual_seed(1)
    hidden = torch.randn(TOKENS, WIDTH, generator=draw, dtype=dtype, requires_grad=True)
    weight = torch.randn(VOCABULARY, WIDTH, generator=draw, dtype=dtype, requires_grad=True)
    offset = torch.randn(VOCABULARY, generator=draw, dtype=dtype, requires_grad=True) if bias else None
    targets = torch.randint(0, VOCABULARY, (TOKENS,), generator=draw)
    return hidden, weight, offset, targets


def naive(hidden, weight, bias, targets, temperature):
    logits = hidden @ weight.t() if bias is None else hidden @ weight.t() + bias
    logprobs = torch.log_softmax(logits / temperature, -1)
    return logprobs.gather(1, targets[:, None])[:, 0], -(logprobs.exp() * logprobs).sum(-1)


@pytest.mark.parametrize("chunk", [1, 2 * VOCABULARY, 3 * VOCABULARY, 1000])
@pytest.mark.parametrize("temperature", [1.0, 0.6])
@pytest.mark.parametrize("bias", [True, False])
def test_values_and_gradients_equal_the_naive_ones(chunk, temperature, bias):
    hidden, weight, offset, targets = inputs(bias=bias)
    leaves = [leaf for leaf in (hidden, weight, offset) if leaf is not None]
    up = torch.linspace(-1, 2, TOKENS, dtype=torch.float64)
    fast = token_logprobs(hidden, weight, targets, bias=offset, temperature=temperature, chunk_elements=chunk)
    slow = naive(hidden, weight, offset, targets, temperature)
    for ours, theirs in zip(fast, slow, strict=True):
        assert torch.allclose(ours, theirs, rtol=1e-12)
    ours = torch.autograd.grad((up * fast[0] + up.flip(0) * fast[1]).sum(), leaves)
    theirs = torch.autograd.grad((up * slow[0] + up.flip(0) * slow[1]).sum(), leaves)
    assert all(torch.allclose(a, b, rtol=1e-11, atol=1e-14) for a, b in zip(ours, theirs, strict=True))


def test_gradients_pass_gradcheck():
    hidden, weight, offset, targets = inputs()

    def run(h, w, b):
        return token_logprobs(h, w, targets, bias=b, temperature=0.7, chunk_elements=3 * VOCABULARY)

    assert torch.autograd.gradcheck(run, (hidden, weight, offset))


@pytest.mark.parametrize("which", [0, 1])
def test_either_output_may_be_used_alone(which):
    hidden, weight, _, targets = inputs(bias=False)
    fast = token_logprobs(hidden, weight, targets)[which].sum()
    slow = naive(hidden, weight, None, targets, 1.0)[which].sum()
    for ours, theirs in zip(
        torch.autograd.grad(fast, [hidden, weight]), torch.autograd.grad(slow, [hidden, weight]), strict=True
    ):
        assert torch.allclose(ours, theirs, rtol=1e-11, atol=1e-14)


def test_a_frozen_head_gets_no_gradient():
    hidden, weight, _, targets = inputs(bias=False)
    token_logprobs(hidden, weight.detach(), targets)[0].sum().backward()
    assert hidden.grad is not None
    assert weight.grad is None


def test_a_tied_matrix_gets_the_gradients_of_both_its_uses():
    _, weight, _, targets = inputs(bias=False)
    fast = token_logprobs(weight[targets] * 2, weight, targets, chunk_elements=VOCABULARY)[0].sum()
    slow = naive(weight[targets] * 2, weight, None, targets, 1.0)[0].sum()
    (ours,), (theirs,) = torch.autograd.grad(fast, weight), torch.autograd.grad(slow, weight)
    assert torch.allclose(ours, theirs, rtol=1e-11)


def test_half_precision_accumulates_in_float32():
    hidden, weight, _, targets = inputs(torch.float32, bias=False)
    logprobs, entropy = token_logprobs(hidden, weight, targets, compute_dtype=torch.bfloat16)
    # Rounding the matrices to bfloat16 is all that may differ from float32 arithmetic.
    rounded = [x.detach().bfloat16().float() for x in (hidden, weight)]
    expected, expected_entropy = naive(*rounded, None, targets, 1.0)
    assert logprobs.dtype == entropy.dtype == torch.float32
    assert torch.allclose(logprobs, expected, atol=1e-5)
    assert torch.allclose(entropy, expected_entropy, atol=1e-5)
    logprobs.sum().backward()
    assert hidden.grad.dtype == weight.grad.dtype == torch.float32


def test_half_precision_parameters_get_gradients_in_their_own_dtype():
    hidden, weight, _, targets = inputs(torch.bfloat16, bias=False)
    logprobs, _ = token_logprobs(hidden, weight, targets)
    logprobs.sum().backward()
    assert logprobs.dtype == torch.float32
    assert hidden.grad.dtype == weight.grad.dtype == torch.bfloat16


def test_autocast_around_it_changes_nothing():
    hidden, weight, _, targets = inputs(torch.float32, bias=False)
    plain, _ = token_logprobs(hidden, weight, targets)
    with torch.autocast("cpu", torch.bfloat16):
        cast, _ = token_logprobs(hidden, weight, targets)
        (grad,) = torch.autograd.grad(cast.sum(), hidden)
    assert torch.equal(plain, cast)
    assert torch.equal(grad, torch.autograd.grad(plain.sum(), hidden)[0])


def test_extreme_logits_stay_finite():
    hidden = torch.tensor([[1e4, 0.0]], requires_grad=True)
    weight = torch.tensor([[1.0, 0.0], [-1.0, 0.0], [0.0, 1.0]])
    logprobs, entropy = token_logprobs(hidden, weight, torch.tensor([1]))
    (logprobs + entropy).sum().backward()
    assert logprobs.item() == pytest.approx(-2e4)
    assert entropy.item() == pytest.approx(0.0)
    assert torch.isfinite(hidden.grad).all()


def test_no_tokens_give_no_logprobs_and_zero_gradients():
    _, weight, _, _ = inputs(bias=False)
    hidden = torch.zeros(0, WIDTH, dtype=torch.float64, requires_grad=True)
    logprobs, entropy = token_logprobs(hidden, weight, torch.zeros(0, dtype=torch.int64))
    (logprobs.sum() + entropy.sum()).backward()
    assert logprobs.shape == entropy.shape == (0,)
    assert not weight.grad.any()


class Largest(TorchDispatchMode):
    """Remembers the largest tensor that any operation made."""

    def __init__(self):
        super().__init__()
        self.elements = 0

    def __torch_dispatch__(self, func, types, args=(), kwargs=None):
        out = func(*args, **(kwargs or {}))
        self.elements = max([self.elements, *(x.numel() for x in tree_leaves(out) if isinstance(x, torch.Tensor))])
        return out


def test_the_matrix_of_logits_never_exists():
    tokens, vocabulary = 64, 512
    hidden = torch.randn(tokens, 4, requires_grad=True)
    weight = torch.randn(vocabulary, 4, requires_grad=True)
    targets = torch.randint(0, vocabulary, (tokens,))
    with Largest() as largest:
        logprobs, entropy = token_logprobs(hidden, weight, targets, chunk_elements=8 * vocabulary)
        (logprobs + entropy).sum().backward()
    assert largest.elements == 8 * vocabulary
    with Largest() as control:
        naive(hidden, weight, None, targets, 1.0)
    assert control.elements == tokens * vocabulary


@pytest.mark.parametrize("temperature", [0.0, -1.0, float("nan")])
def test_temperature_must_be_positive(temperature):
    hidden, weight, _, targets = inputs(bias=False)
    with pytest.raises(InvalidInput, match="greedy policy"):
        token_logprobs(hidden, weight, targets, temperature=temperature)


def test_by_default_a_cpu_takes_smaller_chunks_than_an_accelerator(monkeypatch):
    hidden, weight, _, targets = inputs(bias=False)
    monkeypatch.setattr(head, "CHUNK_ELEMENTS_CPU", 6 * VOCABULARY)  # more than the head has
    with Largest() as largest:
        token_logprobs(hidden.detach(), weight.detach(), targets)
    assert largest.elements == 6 * VOCABULARY
    assert head.CHUNK_ELEMENTS_ACCELERATOR > 2**22
