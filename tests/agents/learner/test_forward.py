"""Log-probabilities of sequences, and the models that are refused because theirs would be wrong."""

import numpy as np
import pytest
import torch
from transformers import Qwen3ForCausalLM

from turnwise.agents.errors import ConfigError, InvalidInput
from turnwise.agents.learner import ForwardOptions, sequence_logprobs
from turnwise.agents.learner.forward import check_model, resolve_precision


def test_logprobs_have_the_shape_of_the_sequence_and_are_zero_elsewhere(make_model, make_sequences, padded_logprobs):
    model, sequences = make_model(), make_sequences()
    ours = sequence_logprobs(model, sequences, ForwardOptions(max_tokens=20))
    theirs = padded_logprobs(model, sequences)
    for sequence, mine, reference in zip(sequences, ours, theirs, strict=True):
        assert mine.dtype == np.float32
        assert mine.shape == sequence.ids.shape
        assert not mine[~sequence.mask].any()
        assert np.allclose(mine[sequence.mask], reference.detach().numpy(), rtol=1e-6)


def test_the_token_budget_does_not_change_the_result(make_model, make_sequences):
    model, sequences = make_model(), make_sequences()
    whole = sequence_logprobs(model, sequences, ForwardOptions(max_tokens=10_000))
    parts = sequence_logprobs(model, sequences, ForwardOptions(max_tokens=1))
    assert all(np.allclose(a, b, rtol=1e-6) for a, b in zip(whole, parts, strict=True))


@pytest.mark.parametrize("training", [True, False])
def test_the_model_keeps_its_mode(training, make_model, make_sequences):
    model = make_model().train(training)
    sequence_logprobs(model, make_sequences(), ForwardOptions())
    assert model.training is training


def test_bfloat16_is_close_to_float32(make_model, make_sequences):
    model, sequences = make_model(dtype=torch.float32), make_sequences()
    for parameter in model.parameters():
        parameter.data.mul_(0.5)
    narrow = np.concatenate(sequence_logprobs(model, sequences, ForwardOptions(precision="bfloat16")))
    wide = np.concatenate(sequence_logprobs(model, sequences, ForwardOptions(precision="float32")))
    assert not np.array_equal(narrow, wide)
    assert np.abs(narrow - wide).max() < 0.1


def test_a_reference_model_may_be_in_half_precision(make_model, make_sequences):
    sequences = make_sequences()
    narrow = sequence_logprobs(make_model(dtype=torch.bfloat16), sequences, ForwardOptions())
    assert all(np.isfinite(values).all() for values in narrow)


def test_tokens_of_another_vocabulary_are_refused(make_model, make_sequences):
    with pytest.raises(InvalidInput, match=r"token id \d+ is outside the model's vocabulary of 53"):
        sequence_logprobs(make_model(), make_sequences(vocabulary=90), ForwardOptions())


def test_auto_precision_is_bfloat16_on_cuda_only():
    assert resolve_precision("auto", torch.device("cuda")) == "bfloat16"
    assert resolve_precision("auto", torch.device("cpu")) == "float32"
    assert resolve_precision("float32", torch.device("cuda")) == "float32"


@pytest.mark.parametrize("kind", ["qwen3", "qwen2", "qwen2-sliding", "llama"])
def test_supported_models_pass_the_check(kind, make_model):
    check_model(make_model(kind, dtype=torch.float32))


@pytest.mark.parametrize(
    ("name", "value"), [("final_logit_softcapping", 30.0), ("logit_scale", 0.06), ("logits_scaling", 8.0)]
)
def test_models_that_change_their_logits_are_refused_by_name(name, value, make_model):
    model = make_model()
    setattr(model.config, name, value)
    with pytest.raises(ConfigError, match=f"{name}={value}, which changes the logits"):
        check_model(model)


class Doubled(Qwen3ForCausalLM):
    """Changes its logits in a way that no configuration field tells."""

    def forward(self, *args, **kwargs):
        out = super().forward(*args, **kwargs)
        out.logits = out.logits * 2
        return out


def test_models_that_change_their_logits_unannounced_are_found_out(make_model):
    model = Doubled(make_model().config).double().eval()
    model.load_state_dict(make_model().state_dict())
    with pytest.raises(ConfigError, match="differ from its own forward pass"):
        check_model(model)


def test_rotary_embeddings_that_couple_sequences_are_refused(make_model):
    model = make_model()
    model.config.rope_parameters = {"rope_type": "dynamic", "rope_theta": 1e4, "factor": 2.0}
    with pytest.raises(ConfigError, match="'dynamic', which depend on the longest sequence"):
        check_model(model)


def test_a_head_that_is_not_linear_is_refused(make_model):
    model = make_model("llama")
    model.set_output_embeddings(torch.nn.Sequential(torch.nn.Linear(16, 53)))
    with pytest.raises(ConfigError, match="head of LlamaForCausalLM is Sequential"):
        check_model(model)


def test_a_model_whose_layers_do_not_all_pack_is_refused(make_model):
    model = make_model()
    model.base_model.layers[1].self_attn = _Skip()
    with pytest.raises(ConfigError, match=r"has layers without packed attention \(1 of 2 used it\)"):
        check_model(model)


class _Skip(torch.nn.Module):
    """Stands for a layer that mixes tokens in another way, as recurrent ones do."""

    def forward(self, hidden_states, **_):
        return hidden_states, None
