"""Tiny models of three families, random sequences, and the slow padded path that everything is compared with."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from transformers import LlamaConfig, LlamaForCausalLM, Qwen2Config, Qwen2ForCausalLM, Qwen3Config, Qwen3ForCausalLM

from turnwise.agents.types import TokenSequence

VOCABULARY = 53
SHAPE = {
    "vocab_size": VOCABULARY,
    "hidden_size": 16,
    "intermediate_size": 24,
    "num_hidden_layers": 2,
    "num_attention_heads": 4,
    "num_key_value_heads": 2,
    "max_position_embeddings": 64,
}


def _model(kind="qwen3", *, seed=0, dtype=torch.float64, **changes):
    torch.manual_seed(seed)
    shape = SHAPE | changes
    if kind == "qwen3":
        options = {"head_dim": 4, "tie_word_embeddings": True, "max_window_layers": 2} | shape
        model = Qwen3ForCausalLM(Qwen3Config(**options))
    elif kind == "qwen2":
        model = Qwen2ForCausalLM(Qwen2Config(max_window_layers=2, tie_word_embeddings=False, **shape))
    elif kind == "qwen2-sliding":
        window = {"use_sliding_window": True, "sliding_window": 3, "max_window_layers": 1}
        model = Qwen2ForCausalLM(Qwen2Config(tie_word_embeddings=True, **window, **shape))
    else:
        model = LlamaForCausalLM(LlamaConfig(tie_word_embeddings=False, **shape))
    # Larger than at initialisation, so that attention and head are far from uniform.
    with torch.no_grad():
        for parameter in model.parameters():
            if parameter.ndim > 1:
                parameter.mul_(8.0)
            else:
                parameter.add_(0.1 * torch.randn_like(parameter))
    return model.to(dtype).eval()


def _sequences(count=6, *, seed=0, longest=14, vocabulary=VOCABULARY):
    draw = np.random.default_rng(seed)
    out = []
    for index in range(count):
        length = int(draw.integers(4, longest + 1))
        turn = np.full(length, -1, np.int32)
        first = int(draw.integers(1, length - 2))
        second = int(draw.integers(first + 1, length))
        turn[first:second] = 0
        turn[second + 1 :] = 1 if draw.random() < 0.5 else -1
        logprobs = np.where(turn >= 0, -draw.random(length), 0).astype(np.float32)
        out.append(TokenSequence(draw.integers(0, vocabulary, length), turn, logprobs, index // 2))
    return out


def _padded(model, sequences, temperature=1.0):
    """Right-padded batch, full logits, full log-softmax: log-probabilities of action tokens, a tensor per sequence."""
    longest = max(len(sequence.ids) for sequence in sequences)
    ids = torch.zeros(len(sequences), longest, dtype=torch.int64)
    mask = torch.zeros_like(ids)
    for row, sequence in enumerate(sequences):
        ids[row, : len(sequence.ids)] = torch.from_numpy(sequence.ids)
        mask[row, : len(sequence.ids)] = 1
    logits = model(input_ids=ids, attention_mask=mask, use_cache=False).logits / temperature
    logprobs = torch.log_softmax(logits[:, :-1], -1).gather(-1, ids[:, 1:, None])[..., 0]
    return [logprobs[row][np.flatnonzero(sequence.mask) - 1] for row, sequence in enumerate(sequences)]


@pytest.fixture
def make_model():
    """Makes a tiny model of a family; float64, deterministic, in eval mode."""
    return _model


@pytest.fixture
def make_sequences():
    """Makes random sequences of one or two turns, two sequences per episode."""
    return _sequences


@pytest.fixture
def padded_logprobs():
    """The slow reference: padding and full logits."""
    return _padded
