"""Optimizer steps: exact gradients, the policies that ratios refer to, determinism, and what is left alone."""

import logging
import math

import numpy as np
import pytest
import torch

from turnwise.agents.errors import ConfigError, InvalidInput
from turnwise.agents.learner import ForwardOptions, Learner, LearnerConfig, OptimizerConfig, TrainBatch
from turnwise.agents.losses import (
    LOSSES,
    ActionTokens,
    EntropyBonus,
    ImportanceCorrection,
    KLPenalty,
    Objective,
    PPOClip,
    make,
)
from turnwise.agents.types import TokenSequence


def config(max_tokens=1000, learning_rate=1e-2, **options):
    return LearnerConfig(
        forward=ForwardOptions(max_tokens=max_tokens, chunk_elements=500),
        optimizer=OptimizerConfig(learning_rate=learning_rate, max_gradient_norm=math.inf),
        **options,
    )


@pytest.fixture
def batch(make_sequences):
    """Six sequences of three episodes, with random advantages of their turns."""
    draw = np.random.default_rng(8)
    return TrainBatch.from_turns(make_sequences(), [draw.normal(size=2) for _ in range(3)])


def shifted(batch, scale=0.1):
    """Log-probabilities near those of the engine, as if of another policy."""
    draw = np.random.default_rng(9)
    return tuple(s.logprobs + draw.normal(scale=scale, size=len(s.ids)) * s.mask for s in batch.sequences)


def weights_of(model):
    return [parameter.detach().clone() for parameter in model.parameters()]


def gradients(learner, act):
    """Gradients that reach the optimizer while `act` runs; no step is taken."""
    seen = []

    def record():
        seen.extend(parameter.grad.clone() for parameter in learner.model.parameters())
        return {"skipped": 0.0}

    learner.optimizer.step = record
    act()
    return seen


@pytest.mark.parametrize("name", sorted(LOSSES))
def test_the_gradient_is_that_of_the_whole_padded_batch_whatever_the_token_budget(
    name, batch, make_model, padded_logprobs
):
    batch = TrainBatch(batch.sequences, batch.advantages, shifted(batch, 0.1), shifted(batch, 0.5))
    objective = Objective(make(name), ImportanceCorrection("sequence"), KLPenalty(0.3, "k3"))
    model = make_model()
    flat = torch.cat(padded_logprobs(model, batch.sequences))
    masks = [sequence.mask for sequence in batch.sequences]

    def column(arrays):
        return torch.from_numpy(np.concatenate([a[m] for a, m in zip(arrays, masks, strict=True)])).double()

    counts = torch.tensor([int(mask.sum()) for mask in masks])
    sequence = torch.repeat_interleave(counts)
    episode = torch.tensor([s.episode for s in batch.sequences])[sequence]
    tokens = ActionTokens(
        flat,
        column(batch.old_logprobs),
        column(batch.advantages),
        objective.policy.weights(sequence, episode),
        sequence,
        column([s.logprobs for s in batch.sequences]),
        column(batch.reference_logprobs),
    )
    expected = torch.autograd.grad(objective(tokens).loss, list(model.parameters()))
    for max_tokens in (1, 22, 1000):
        learner = Learner(make_model(), config(max_tokens))
        ours = gradients(learner, lambda learner=learner: learner.step(batch, objective))
        assert all(torch.allclose(a, b, rtol=1e-8, atol=1e-11) for a, b in zip(ours, expected, strict=True))


def test_the_entropy_bonus_reaches_the_weights(batch, make_model):
    learner = Learner(make_model(), config())
    plain = gradients(learner, lambda: learner.step(batch, Objective()))
    bonus = gradients(learner, lambda: learner.step(batch, Objective(entropy=EntropyBonus(0.1))))
    assert not any(torch.equal(a, b) for a, b in zip(plain, bonus, strict=True))


def test_a_step_makes_good_turns_likelier_and_bad_ones_less(make_model, make_sequences):
    sequences = make_sequences(count=2)
    good, bad = (TokenSequence(s.ids, s.turn, s.logprobs, index) for index, s in enumerate(sequences))
    batch = TrainBatch.from_turns([good, bad], [np.ones(2), -np.ones(2)])
    learner = Learner(make_model(), config(learning_rate=1e-3))
    before = [values.sum() for values in learner.logprobs(batch.sequences)]
    learner.step(batch, Objective())
    after = [values.sum() for values in learner.logprobs(batch.sequences)]
    assert after[0] > before[0]
    assert after[1] < before[1]


def test_without_old_logprobs_the_ratio_is_one(batch, make_model):
    metrics = Learner(make_model(), config()).step(batch, Objective())
    assert metrics["ratio_mean"] == metrics["ratio_max"] == 1.0
    assert metrics["approx_kl"] == metrics["clip_fraction"] == 0.0


def test_metrics_describe_the_step(batch, make_model):
    metrics = Learner(make_model(), config(max_tokens=25)).step(batch, Objective(correction=ImportanceCorrection()))
    actions = sum(int(s.mask.sum()) for s in batch.sequences)
    inputs = sum(int(np.flatnonzero(s.mask)[-1]) for s in batch.sequences)
    assert metrics["action_tokens"] == actions
    assert metrics["tokens"] == inputs
    assert metrics["micro_batches"] >= inputs / 25
    assert metrics["skipped_total"] == metrics["skipped"] == 0
    assert metrics["loss"] == pytest.approx(metrics["policy_loss"])
    assert 0 < metrics["entropy"] < math.log(53)
    assert 0 < metrics["importance_ess"] <= 1
    assert all(isinstance(value, float) and math.isfinite(value) for value in metrics.values())


def test_one_step_updates_need_no_pass_for_old_logprobs(batch, make_model, monkeypatch):
    learner = Learner(make_model(), config())
    asked = []
    original = learner.logprobs
    monkeypatch.setattr(learner, "logprobs", lambda sequences: asked.append(len(sequences)) or original(sequences))
    learner.update(batch, Objective())
    learner.update(batch, Objective(), epochs=2)
    assert sum(asked) == 0
    learner.update(batch, Objective(), minibatches=3, rng=np.random.default_rng(0))
    assert sum(asked) == 4  # all but the first minibatch, once


def test_every_step_of_an_update_refers_to_the_policy_that_it_started_from(batch, make_model):
    options = {"epochs": 2, "minibatches": 3}
    lazy = Learner(make_model(), config())
    lazy_metrics = lazy.update(batch, Objective(), rng=np.random.default_rng(3), **options)
    eager = Learner(make_model(), config())
    known = batch.with_old_logprobs(eager.logprobs(batch.sequences))
    eager_metrics = eager.update(known, Objective(), rng=np.random.default_rng(3), **options)
    assert len(lazy_metrics) == 6
    assert [m["ratio_mean"] for m in lazy_metrics] == pytest.approx([m["ratio_mean"] for m in eager_metrics], rel=1e-6)
    assert lazy_metrics[-1]["ratio_max"] > 1.01
    for a, b in zip(weights_of(lazy.model), weights_of(eager.model), strict=True):
        assert torch.allclose(a, b, atol=1e-6)


def test_several_minibatches_need_a_generator(batch, make_model):
    with pytest.raises(InvalidInput, match="minibatches is 2: give a random generator"):
        Learner(make_model(), config()).update(batch, Objective(), minibatches=2)


def test_the_same_steps_give_the_same_weights_bit_for_bit(batch, make_model):
    runs = []
    for _ in range(2):
        learner = Learner(make_model(dtype=torch.float32), config(max_tokens=25))
        learner.update(batch, Objective(), epochs=2, minibatches=2, rng=np.random.default_rng(0))
        runs.append(weights_of(learner.model))
    assert all(torch.equal(a, b) for a, b in zip(*runs, strict=True))


def test_gradient_checkpointing_gives_the_same_steps(batch, make_model):
    runs = []
    for checkpointing in (False, True):
        learner = Learner(make_model(), config(gradient_checkpointing=checkpointing))
        learner.step(batch, Objective())
        runs.append(weights_of(learner.model))
        assert not learner.model.training
    assert all(torch.equal(a, b) for a, b in zip(*runs, strict=True))


def test_parameters_stay_where_an_engine_shares_them(batch, make_model):
    model = make_model()
    places = [parameter.data_ptr() for parameter in model.parameters()]
    Learner(model, config()).step(batch, Objective())
    assert [parameter.data_ptr() for parameter in model.parameters()] == places
    assert model.config._attn_implementation == "sdpa"


def test_dropout_is_switched_off(batch, make_model):
    model = make_model("llama", attention_dropout=0.5)
    model.base_model.embed_tokens = torch.nn.Sequential(model.base_model.embed_tokens, torch.nn.Dropout(0.5))
    learner = Learner(model.train(), config())
    first, second = (learner.logprobs(batch.sequences)[0] for _ in range(2))
    assert np.array_equal(first, second)
    assert learner.step(batch, Objective())["ratio_max"] == 1.0
    assert model.base_model.embed_tokens[1].p == 0.0


def test_bfloat16_trains_float32_master_weights(batch, make_model):
    options = LearnerConfig(forward=ForwardOptions(precision="bfloat16"), optimizer=OptimizerConfig(learning_rate=1e-3))
    learner = Learner(make_model(dtype=torch.float32), options)
    before = weights_of(learner.model)
    metrics = learner.step(batch, Objective())
    assert metrics["ratio_max"] == 1.0
    assert all(parameter.dtype == torch.float32 for parameter in learner.model.parameters())
    assert not any(torch.equal(a, b) for a, b in zip(before, weights_of(learner.model), strict=True))


def test_a_step_with_a_gradient_that_is_not_finite_is_skipped_and_logged(batch, make_model, caplog):
    learner = Learner(make_model(), config())
    handle = learner.model.base_model.norm.weight.register_hook(lambda grad: grad * float("nan"))
    before = weights_of(learner.model)
    with caplog.at_level(logging.WARNING):
        metrics = learner.step(batch, Objective())
    assert metrics["skipped"] == metrics["skipped_total"] == 1
    assert "step 0 skipped: gradient norm nan" in caplog.text
    assert all(torch.equal(a, b) for a, b in zip(before, weights_of(learner.model), strict=True))
    handle.remove()
    assert learner.step(batch, Objective())["skipped"] == 0


def test_engine_logprobs_with_holes_are_left_out_of_the_metrics_and_refused_by_a_correction(batch, make_model):
    first = batch.sequences[0]
    hole = TokenSequence(first.ids, first.turn, np.full_like(first.logprobs, np.nan), first.episode)
    batch = TrainBatch((hole, *batch.sequences[1:]), batch.advantages)
    learner = Learner(make_model(), config(max_tokens=1))
    assert "importance_ess" not in learner.step(batch, Objective())
    with pytest.raises(InvalidInput, match="needs a finite engine log-probability"):
        learner.step(batch, Objective(PPOClip(), ImportanceCorrection()))


def test_a_batch_without_action_tokens_is_refused(make_model):
    silent = TokenSequence(np.arange(3), np.full(3, -1, np.int32), np.zeros(3, np.float32), 0)
    batch = TrainBatch.from_turns([silent], [np.zeros(0)])
    with pytest.raises(InvalidInput, match="none of 1 sequences has an action token"):
        Learner(make_model(), config()).step(batch, Objective())


def test_half_precision_weights_are_refused(make_model):
    with pytest.raises(ConfigError, match=r"load the model with dtype=torch\.float32"):
        Learner(make_model(dtype=torch.bfloat16))


def test_wrapped_and_adapted_models_are_refused(make_model):
    with pytest.raises(ConfigError, match="Sequential is not a plain model of transformers"):
        Learner(torch.nn.Sequential(make_model()))
    model = make_model()
    model._hf_peft_config_loaded = True  # what transformers' add_adapter sets
    with pytest.raises(ConfigError, match="adapters are not supported"):
        Learner(model)
