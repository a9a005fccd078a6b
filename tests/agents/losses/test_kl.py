"""KL estimators: literal values, and what their gradients are in expectation."""

import math

import pytest
import torch

from turnwise.agents.errors import InvalidInput
from turnwise.agents.losses import KLPenalty, kl_estimate

LOGITS = torch.tensor([0.3, -0.5, 1.0, 0.1], dtype=torch.float64)
REFERENCE = torch.log_softmax(torch.tensor([-0.4, 0.6, 0.2, -1.0], dtype=torch.float64), 0)


def expectation(estimator):
    """E over tokens of the policy: the estimate's value, and the gradient that descending it would follow."""
    logits = LOGITS.clone().requires_grad_()
    logprobs = torch.log_softmax(logits, 0)
    estimate = kl_estimate(estimator, logprobs, REFERENCE)
    average = (logprobs.exp().detach() * estimate).sum()  # sampling has no gradient
    return average.item(), torch.autograd.grad(average, logits)[0]


def exact(forward):
    logits = LOGITS.clone().requires_grad_()
    logprobs = torch.log_softmax(logits, 0)
    if forward:
        divergence = (REFERENCE.exp() * (REFERENCE - logprobs)).sum()
    else:
        divergence = (logprobs.exp() * (logprobs - REFERENCE)).sum()
    return divergence.item(), torch.autograd.grad(divergence, logits)[0]


def test_estimates_take_literal_values():
    logprobs, reference = torch.tensor([-1.0, -2.0]), torch.tensor([-1.5, -1.0])  # x = 0.5, -1
    assert kl_estimate("k1", logprobs, reference).tolist() == pytest.approx([0.5, -1.0])
    assert kl_estimate("k2", logprobs, reference).tolist() == pytest.approx([0.125, 0.5])
    expected = [math.exp(-0.5) - 1 + 0.5, math.e - 1 - 1]
    assert kl_estimate("k3", logprobs, reference).tolist() == pytest.approx(expected)


@pytest.mark.parametrize("estimator", ["k1", "k3"])
def test_k1_and_k3_are_unbiased_values(estimator):
    assert expectation(estimator)[0] == pytest.approx(exact(forward=False)[0], rel=1e-12)


def test_k2_is_a_biased_value():
    assert expectation("k2")[0] != pytest.approx(exact(forward=False)[0], rel=1e-2)


def test_k1_in_the_loss_has_zero_gradient_in_expectation():
    assert torch.allclose(expectation("k1")[1], torch.zeros(4, dtype=torch.float64), atol=1e-15)


def test_k2_in_the_loss_has_the_gradient_of_the_reverse_kl():
    assert torch.allclose(expectation("k2")[1], exact(forward=False)[1], rtol=1e-12)


def test_k3_in_the_loss_has_the_gradient_of_the_forward_kl():
    assert torch.allclose(expectation("k3")[1], exact(forward=True)[1], rtol=1e-12)
    assert not torch.allclose(expectation("k3")[1], exact(forward=False)[1], rtol=1e-2)


def test_k3_of_enormous_differences_stays_finite():
    logprobs = torch.tensor([-1000.0, 0.0], requires_grad=True)
    estimate = kl_estimate("k3", logprobs, torch.tensor([0.0, -1000.0]))
    (grad,) = torch.autograd.grad(estimate.sum(), logprobs)
    assert torch.isfinite(estimate).all()
    assert torch.isfinite(grad).all()


def test_penalty_needs_reference_logprobs(make_tokens):
    with pytest.raises(InvalidInput, match="needs reference_logprobs"):
        KLPenalty()(make_tokens([0.0], [1.0]))


@pytest.mark.parametrize("options", [{"estimator": "k4"}, {"coefficient": -0.1}])
def test_penalty_refuses_bad_hyper_parameters(options):
    with pytest.raises(InvalidInput, match=r"choose one of k1, k2, k3|at least 0"):
        KLPenalty(**options)


def test_unknown_estimator_is_refused():
    with pytest.raises(InvalidInput, match="choose one of k1, k2, k3"):
        kl_estimate("k9", LOGITS, REFERENCE)
