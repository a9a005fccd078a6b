"""The schedule's literal values, weight decay where it belongs, and steps that must not be taken."""

import math

import pytest
import torch

from turnwise.agents.errors import ConfigError
from turnwise.agents.learner import OptimizerConfig, ScheduleConfig
from turnwise.agents.learner.optimizer import Optimizer, parameter_groups


@pytest.mark.parametrize(
    ("schedule", "factors"),
    [
        (ScheduleConfig(), [1, 1, 1, 1, 1, 1, 1]),
        (ScheduleConfig(warmup_steps=4), [0.25, 0.5, 0.75, 1, 1, 1, 1]),
        (ScheduleConfig("linear", total_steps=4), [1, 0.75, 0.5, 0.25, 0, 0, 0]),
        (ScheduleConfig("linear", 2, 6, final=0.2), [0.5, 1, 1, 0.8, 0.6, 0.4, 0.2]),
        (ScheduleConfig("cosine", 1, 5), [1, 1, (1 + math.sqrt(0.5)) / 2, 0.5, (1 - math.sqrt(0.5)) / 2, 0, 0]),
        (ScheduleConfig("cosine", 0, 2, final=0.5), [1, 0.75, 0.5, 0.5, 0.5, 0.5, 0.5]),
    ],
)
def test_schedule_takes_literal_values(schedule, factors):
    assert [schedule.factor(step) for step in range(7)] == pytest.approx(factors)


@pytest.mark.parametrize(
    "options",
    [
        {"kind": "step"},
        {"kind": "linear"},
        {"kind": "cosine", "warmup_steps": 5, "total_steps": 5},
        {"warmup_steps": -1},
        {"final": 1.5},
    ],
)
def test_bad_schedules_are_refused(options):
    with pytest.raises(ConfigError):
        ScheduleConfig(**options)


@pytest.mark.parametrize("options", [{"learning_rate": 0.0}, {"max_gradient_norm": -1.0}, {"weight_decay": -0.1}])
def test_bad_optimizers_are_refused(options):
    with pytest.raises(ConfigError, match="must be positive"):
        OptimizerConfig(**options)


@pytest.mark.parametrize("kind", ["qwen3", "qwen2"])
def test_weight_decay_spares_norms_biases_embeddings_and_a_tied_head(kind, make_model):
    model = make_model(kind)
    decayed, spared = parameter_groups(model, 0.1)
    names = {id(parameter): name for name, parameter in model.named_parameters()}
    assert decayed["weight_decay"] == 0.1
    assert spared["weight_decay"] == 0.0
    assert all("proj.weight" in names[id(p)] or "lm_head" in names[id(p)] for p in decayed["params"])
    assert all(
        "norm" in names[id(p)] or "bias" in names[id(p)] or "embed_tokens" in names[id(p)] for p in spared["params"]
    )
    assert len(decayed["params"]) + len(spared["params"]) == len(names)


def linear():
    model = torch.nn.Linear(2, 1, dtype=torch.float64)
    torch.nn.init.constant_(model.weight, 1.0)
    torch.nn.init.constant_(model.bias, 0.0)
    return model


def test_the_first_step_moves_each_weight_by_the_learning_rate_of_the_schedule():
    model = linear()
    optimizer = Optimizer(model, OptimizerConfig(learning_rate=0.4, schedule=ScheduleConfig(warmup_steps=4)))
    (model.weight * torch.tensor([[3.0, -0.5]])).sum().backward()
    metrics = optimizer.step()
    # AdamW's first step is the sign of the gradient, whatever its size; 1/4 of the peak rate.
    assert model.weight.tolist() == [pytest.approx([0.9, 1.1])]
    assert metrics["learning_rate"] == pytest.approx(0.1)
    assert metrics["gradient_norm"] == pytest.approx(math.sqrt(9.25))
    assert model.weight.grad is None


def test_gradients_are_scaled_to_the_norm():
    model = linear()
    optimizer = Optimizer(model, OptimizerConfig(learning_rate=0.1, max_gradient_norm=0.5))
    (model.weight * torch.tensor([[3.0, -4.0]])).sum().backward()
    assert optimizer.step()["gradient_norm"] == pytest.approx(5.0)
    # The running mean of the clipped gradient, (1 - 0.9) * [0.3, -0.4].
    mean = optimizer.state_dict()["adamw"]["state"][0]["exp_avg"]
    assert mean.tolist() == [pytest.approx([0.03, -0.04], rel=1e-4)]


@pytest.mark.parametrize("poison", [float("nan"), float("inf")])
def test_a_gradient_that_is_not_finite_is_not_applied(poison):
    model = linear()
    optimizer = Optimizer(model, OptimizerConfig(learning_rate=0.1))
    (model.weight * poison).sum().backward()
    metrics = optimizer.step()
    assert metrics["skipped"] == 1
    assert not math.isfinite(metrics["gradient_norm"])
    assert model.weight.tolist() == [[1.0, 1.0]]
    assert (optimizer.steps, optimizer.skipped) == (1, 1)
    assert optimizer.state_dict()["adamw"]["state"] == {}
    model.weight.sum().backward()
    assert optimizer.step()["skipped"] == 0


def test_frozen_parameters_are_left_alone():
    model = linear()
    model.bias.requires_grad_(False)
    optimizer = Optimizer(model, OptimizerConfig(learning_rate=0.1, weight_decay=0.5))
    model(torch.ones(1, 2, dtype=torch.float64)).sum().backward()
    optimizer.step()
    assert model.bias.tolist() == [0.0]


def test_a_model_without_trainable_parameters_is_refused():
    with pytest.raises(ConfigError, match="nothing to train"):
        Optimizer(linear().requires_grad_(False), OptimizerConfig())
