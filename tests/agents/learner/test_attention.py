"""Packed attention against the padded path, and what it must leave alone."""

import numpy as np
import pytest
import torch
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

from turnwise.agents.errors import ConfigError
from turnwise.agents.learner import ForwardOptions, attention, pack_sequences
from turnwise.agents.learner.attention import IMPLEMENTATION, Packing, packed_attention, packed_forward
from turnwise.agents.learner.forward import recompute_activations, row_logprobs
from turnwise.agents.types import TokenSequence

KINDS = ["qwen3", "qwen2", "qwen2-sliding", "llama"]


def packed(model, sequences, options):
    """Log-probabilities of each sequence's action tokens, with gradient."""
    outs = [None] * len(sequences)
    with packed_attention(model):
        for row in pack_sequences(sequences, options.max_tokens):
            logprobs, _ = row_logprobs(model, row, options)
            for index, part in zip(row.sequences, logprobs.split(row.actions), strict=True):
                outs[index] = part
    return outs


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("budget", [1, 25, 1000])
def test_logprobs_and_gradients_equal_the_padded_path(kind, budget, make_model, make_sequences, padded_logprobs):
    model, sequences = make_model(kind), make_sequences()
    ours = torch.cat(packed(model, sequences, ForwardOptions(budget, temperature=0.8, chunk_elements=200)))
    theirs = torch.cat(padded_logprobs(model, sequences, temperature=0.8))
    assert torch.allclose(ours, theirs, rtol=1e-10, atol=1e-12)
    up = torch.linspace(-1, 1, len(ours), dtype=torch.float64)
    parameters = dict(model.named_parameters())
    fast = torch.autograd.grad((up * ours).sum(), list(parameters.values()))
    slow = torch.autograd.grad((up * theirs).sum(), list(parameters.values()))
    for name, a, b in zip(parameters, fast, slow, strict=True):
        assert torch.allclose(a, b, rtol=1e-8, atol=1e-10), name


@pytest.mark.parametrize("kind", KINDS)
def test_float32_equals_the_padded_path(kind, make_model, make_sequences, padded_logprobs):
    model, sequences = make_model(kind, dtype=torch.float32), make_sequences(seed=4)
    ours = torch.cat(packed(model, sequences, ForwardOptions()))
    assert torch.allclose(ours, torch.cat(padded_logprobs(model, sequences)), atol=3e-5)


@pytest.mark.parametrize("kind", KINDS)
def test_no_sequence_sees_another(kind, make_model, make_sequences):
    model, sequences = make_model(kind), make_sequences(count=5, seed=2)
    before = packed(model, sequences, ForwardOptions(1000))
    changed = sequences[2]
    other = TokenSequence((changed.ids + 7) % 53, changed.turn, changed.logprobs, changed.episode)
    after = packed(model, [*sequences[:2], other, *sequences[3:]], ForwardOptions(1000))
    assert not torch.equal(before[2], after[2])
    assert all(torch.equal(before[index], after[index]) for index in (0, 1, 3, 4))


def test_sequences_of_equal_length_are_attended_to_as_one_batch(make_model, padded_logprobs):
    model = make_model("llama")
    turn = np.array([-1, -1, 0, 0, 0], np.int32)
    sequences = [TokenSequence(np.arange(5) * k % 53, turn, np.zeros(5, np.float32), k) for k in range(1, 5)]
    (row,) = pack_sequences(sequences, 1000)
    assert list(Packing(row.lengths, torch.device("cpu")).groups()) == [(0, 4, 4)]
    ours = torch.cat(packed(model, sequences, ForwardOptions()))
    assert torch.allclose(ours, torch.cat(padded_logprobs(model, sequences)), rtol=1e-10)


def test_inside_the_block_ordinary_calls_are_those_of_sdpa(make_model):
    model = make_model("qwen3", dtype=torch.float32)
    ids = torch.arange(24).reshape(3, 8)
    mask = torch.ones_like(ids)
    mask[1, :3] = 0
    mask[2, :6] = 0
    options = {"attention_mask": mask, "max_new_tokens": 4, "do_sample": False, "pad_token_id": 0}
    logits, generated = model(ids, attention_mask=mask).logits, model.generate(ids, **options)
    with packed_attention(model):
        assert model.config._attn_implementation == IMPLEMENTATION
        assert torch.equal(model(ids, attention_mask=mask).logits, logits)
        assert torch.equal(model.generate(ids, **options), generated)


@pytest.mark.parametrize("implementation", ["sdpa", "eager"])
def test_after_the_block_the_model_attends_as_before(implementation, make_model):
    model = make_model()
    model.set_attn_implementation(implementation)
    with pytest.raises(KeyError, match="stop"), packed_attention(model):
        raise KeyError("stop")
    assert model.config._attn_implementation == implementation


class Largest(TorchDispatchMode):
    def __init__(self):
        super().__init__()
        self.elements = 0

    def __torch_dispatch__(self, func, types, args=(), kwargs=None):
        out = func(*args, **(kwargs or {}))
        self.elements = max([self.elements, *(x.numel() for x in tree_leaves(out) if isinstance(x, torch.Tensor))])
        return out


@pytest.mark.parametrize("kind", ["qwen3", "qwen2-sliding"])
def test_no_mask_of_row_by_row_is_ever_built(kind, make_model, make_sequences):
    model, sequences = make_model(kind), make_sequences(count=60)
    (row,) = pack_sequences(sequences, 10_000)
    with packed_attention(model), Largest() as largest:
        logprobs, _ = row_logprobs(model, row, ForwardOptions(chunk_elements=53))
        logprobs.sum().backward()
    assert largest.elements < len(row.input_ids) ** 2 / 8


def test_gradient_checkpointing_recomputes_with_the_same_packing(make_model, make_sequences):
    sequences = make_sequences()
    grads = []
    for checkpointing in (False, True):
        model = make_model()
        if checkpointing:
            recompute_activations(model)
            model.train()
        with packed_attention(model):
            (row,) = pack_sequences(sequences, 1000)
            row_logprobs(model, row, ForwardOptions())[0].sum().backward()
        grads.append([parameter.grad for parameter in model.parameters()])
    assert all(torch.equal(a, b) for a, b in zip(*grads, strict=True))


def slow_varlen(query, key, value, starts, key_starts, longest, key_longest, *, scale, window_size, enable_gqa):
    """What the variable-length kernel computes, one query at a time; [tokens, heads, channels] like its own."""
    assert starts.dtype == torch.int32
    assert torch.equal(starts, key_starts)
    assert longest == key_longest == int(starts.diff().max())
    assert enable_gqa == (key.shape[1] != query.shape[1])
    left, right = window_size
    assert right == 0
    key, value = (x.repeat_interleave(query.shape[1] // x.shape[1], 1) for x in (key, value))
    out = torch.empty_like(query)
    for start, end in zip(starts[:-1].tolist(), starts[1:].tolist(), strict=True):
        for t in range(start, end):
            first = start if left < 0 else max(start, t - left)
            scores = torch.einsum("hc,shc->hs", query[t], key[first : t + 1]) * scale
            out[t] = torch.einsum("hs,shc->hc", scores.softmax(-1), value[first : t + 1])
    return out


@pytest.mark.parametrize("kind", KINDS)
def test_the_kernel_is_called_as_its_documentation_says(kind, monkeypatch, make_model, make_sequences):
    model, sequences = make_model(kind), make_sequences()
    expected = torch.cat(packed(model, sequences, ForwardOptions()))
    calls = []
    monkeypatch.setattr(attention, "use_varlen", lambda query: True)
    monkeypatch.setattr(attention, "varlen_kernel", lambda: lambda *a, **k: calls.append(1) or slow_varlen(*a, **k))
    assert torch.allclose(torch.cat(packed(model, sequences, ForwardOptions())), expected, rtol=1e-10)
    assert len(calls) == 2  # one for each layer


def test_the_installed_kernel_has_the_options_that_are_used():
    pytest.importorskip("torch.nn.attention.varlen", reason="torch has no variable-length attention")
    kernel = attention.varlen_kernel()
    if kernel is None:
        pytest.skip("this torch's variable-length attention lacks scale, window_size or enable_gqa")
    tensor = torch.zeros(4, 2, 8, dtype=torch.bfloat16, device="meta")
    starts = torch.zeros(2, dtype=torch.int32, device="meta")
    out = kernel(tensor, tensor, tensor, starts, starts, 4, 4, scale=0.1, window_size=(-1, 0), enable_gqa=False)
    assert out.shape == (4, 2, 8)


def test_on_a_cpu_the_kernel_is_not_used():
    assert not attention.use_varlen(torch.zeros(1, 2, 4, 8, dtype=torch.bfloat16))


def test_under_autocast_queries_are_cast_like_those_of_sdpa(make_model):
    query = torch.zeros(1, 2, 4, 8)
    with torch.autocast("cpu", torch.bfloat16):
        out, _ = attention._attention(torch.nn.Module(), query, query, query, None, turnwise_packing=_packing(4))
    assert out.dtype == torch.bfloat16


def _packing(*lengths):
    return Packing(lengths, torch.device("cpu"))


@pytest.mark.parametrize("option", [{"softcap": 30.0}, {"s_aux": torch.zeros(2)}, {"dropout": 0.1}])
def test_attention_that_it_cannot_compute_is_refused(option):
    query = torch.zeros(1, 2, 4, 8)
    with pytest.raises(ConfigError, match=r"does not support|need it to be 0"):
        attention._attention(torch.nn.Module(), query, query, query, None, turnwise_packing=_packing(4), **option)


def test_a_model_that_drops_the_packing_is_refused(make_model):
    model = make_model()
    with (
        packed_attention(model),
        packed_forward(_packing(2, 2)),
        pytest.raises(ConfigError, match="was not told where the packed sequences begin"),
    ):
        model.base_model(input_ids=torch.arange(4)[None])  # without the keyword arguments


@pytest.mark.gpu
@pytest.mark.parametrize("kind", ["qwen3", "qwen2-sliding", "llama"])
@pytest.mark.parametrize("precision", ["float32", "bfloat16"])
def test_cuda_equals_the_cpu(kind, precision, make_model, make_sequences):
    # 8 channels a head, the least that the kernel takes.
    shape = {"hidden_size": 32, "head_dim": 8} if kind == "qwen3" else {"hidden_size": 32}
    model, sequences = make_model(kind, dtype=torch.float32, **shape), make_sequences(count=12)
    expected = torch.cat(packed(model, sequences, ForwardOptions()))
    weight = torch.linspace(-1, 1, len(expected))
    expected_grad = torch.autograd.grad((weight * expected).sum(), model.get_input_embeddings().weight)[0]
    model.cuda()
    ours = torch.cat(packed(model, sequences, ForwardOptions(precision=precision)))
    grad = torch.autograd.grad((weight.cuda() * ours).sum(), model.get_input_embeddings().weight)[0]
    tolerance = 1e-3 if precision == "float32" else 0.15
    assert (ours.cpu() - expected).abs().max() < tolerance * expected.abs().max()
    assert (grad.cpu() - expected_grad).norm() < tolerance * expected_grad.norm()
