"""Each policy loss against literal numbers, hand-derived gradients, and naive formulas."""

import math

import pytest
import torch

from turnwise.agents.errors import InvalidInput
from turnwise.agents.losses import CISPO, DAPO, GSPO, LOSSES, ActionTokens, DrGRPO, PPOClip, make

LOG2 = math.log(2)
ALL = sorted(LOSSES)


@pytest.mark.parametrize("name", ALL)
def test_gradient_at_ratio_one_is_minus_the_advantage(name, make_tokens, gradient):
    # d/dlogpi of -rho A at rho = 1 is -A; for GSPO's token form too, and for CISPO's -sg(1) A log pi.
    tokens = make_tokens([0.0, 0.0, 0.0], [1.5, -2.0, 0.0])
    assert gradient(make(name), tokens) == pytest.approx([-1.5, 2.0, 0.0])


@pytest.mark.parametrize("name", ALL)
def test_descending_the_loss_raises_good_tokens_and_lowers_bad_ones(name, make_tokens, gradient):
    tokens = make_tokens([1e-4, -1e-4], [1.0, -1.0])
    good, bad = gradient(make(name), tokens)
    assert good < 0 < bad


@pytest.mark.parametrize("loss", [PPOClip(0.2, 0.2), DrGRPO(10, 0.2, 0.2)])
def test_clipped_surrogate_takes_literal_values(loss, make_tokens, gradient):
    # ratio 2, 2, 1/2, 1/2 against A = 1, -1, 1, -1
    tokens = make_tokens([LOG2, LOG2, -LOG2, -LOG2], [1.0, -1.0, 1.0, -1.0])
    out = loss(tokens)
    assert out.values.tolist() == pytest.approx([-1.2, 2.0, -0.5, 0.8])
    assert out.ratio.tolist() == pytest.approx([2, 2, 0.5, 0.5])
    assert out.clipped.tolist() == [True, False, False, True]
    assert gradient(loss, tokens) == pytest.approx([0.0, 2.0, -0.5, 0.0])


def test_dapo_clips_higher_above_than_below(make_tokens):
    out = DAPO()(make_tokens([math.log(1.25), math.log(1.3), math.log(0.79)], [1.0, 1.0, -1.0]))
    assert out.values.tolist() == pytest.approx([-1.25, -1.28, 0.8])
    assert out.clipped.tolist() == [False, True, True]


def test_gspo_uses_the_geometric_mean_ratio_of_the_sequence(make_tokens):
    # Sequence 0: mean log-ratio (0.3 - 0.1) / 2 = 0.1; sequence 1: 0.2.
    tokens = make_tokens([0.3, -0.1, 0.2], [1.0, 1.0, -1.0], sequence=[0, 0, 1])
    out = GSPO(clip_low=0.15, clip_high=0.15)(tokens)
    assert out.ratio.tolist() == pytest.approx([math.exp(0.1), math.exp(0.1), math.exp(0.2)])
    assert out.values.tolist() == pytest.approx([-math.exp(0.1), -math.exp(0.1), math.exp(0.2)])
    assert out.clipped.tolist() == [False, False, False]


def test_gspo_clips_whole_sequences(make_tokens, gradient):
    tokens = make_tokens([0.5, -0.1, 0.0], [1.0, 1.0, 1.0], sequence=[0, 0, 1])
    loss = GSPO(clip_low=0.1, clip_high=0.1)
    assert loss(tokens).clipped.tolist() == [True, True, False]
    assert gradient(loss, tokens) == pytest.approx([0.0, 0.0, -1.0])


def test_gspo_with_one_advantage_per_sequence_has_the_gradient_of_the_sequence_form(make_tokens):
    tokens = make_tokens([0.02, -0.05, 0.03, 0.01, 0.04], [0.7, 0.7, 0.7, -1.3, -1.3], sequence=[0, 0, 0, 1, 1])
    loss = GSPO(clip_low=0.2, clip_high=0.2)
    weights = loss.weights(tokens.sequence, tokens.sequence)
    (token_form,) = torch.autograd.grad((weights * loss(tokens).values).sum(), tokens.logprobs)
    total = torch.zeros((), dtype=torch.float64)
    for index, advantage in ((0, 0.7), (1, -1.3)):
        mine = tokens.sequence == index
        ratio = (tokens.logprobs - tokens.old_logprobs)[mine].mean().exp()
        total = total - torch.minimum(ratio * advantage, ratio.clamp(0.8, 1.2) * advantage) / 2
    (sequence_form,) = torch.autograd.grad(total, tokens.logprobs)
    assert torch.allclose(token_form, sequence_form, rtol=1e-12)


def test_gspo_keeps_the_credit_of_each_turn(make_tokens, gradient):
    # The sequence form would give both tokens the mean advantage 0, and so no gradient at all.
    tokens = make_tokens([0.0, 0.0], [1.0, -1.0], sequence=[0, 0])
    assert gradient(GSPO(), tokens) == pytest.approx([-1.0, 1.0])


def test_cispo_bounds_the_weight_and_keeps_every_gradient(make_tokens, gradient):
    tokens = make_tokens([math.log(8), -LOG2], [1.0, -1.0])
    out = CISPO()(tokens)
    assert gradient(CISPO(), tokens) == pytest.approx([-5.0, 0.5])
    assert out.values.tolist() == pytest.approx([-5.0 * (-1 + math.log(8)), 0.5 * (-1 - LOG2)])
    assert out.clipped.tolist() == [True, False]
    assert CISPO(lowest=0.8, highest=1.5)(tokens).clipped.tolist() == [True, True]


@pytest.mark.parametrize("name", ALL)
def test_equals_a_naive_loop_on_random_tokens(name):
    draw = torch.Generator().manual_seed(3)
    n = 40
    sequence = torch.sort(torch.randint(0, 6, (n,), generator=draw)).values
    old = -torch.rand(n, generator=draw, dtype=torch.float64)
    new = (old + 0.3 * torch.randn(n, generator=draw, dtype=torch.float64)).requires_grad_()
    advantages = torch.randn(n, generator=draw, dtype=torch.float64)
    loss = make(name)
    weights = loss.weights(sequence, sequence)
    fast = (weights * loss(ActionTokens(new, old, advantages, weights, sequence)).values).sum()
    slow = sum(weights[i] * _naive(name, i, new, old, advantages, sequence) for i in range(n))
    assert fast.item() == pytest.approx(slow.item(), rel=1e-12)
    (fast_grad,) = torch.autograd.grad(fast, new)
    (slow_grad,) = torch.autograd.grad(slow, new)
    assert torch.allclose(fast_grad, slow_grad, rtol=1e-10, atol=1e-14)


def _naive(name, i, new, old, advantages, sequence):
    """The papers' formulas, one token at a time."""
    ratio = torch.exp(new[i] - old[i])
    advantage = advantages[i]
    if name == "cispo":
        return -min(ratio.item(), 5.0) * advantage * new[i]
    low, high = {"ppo": (0.8, 1.2), "dapo": (0.8, 1.28), "dr_grpo": (0.8, 1.2), "gspo": (1 - 3e-4, 1 + 4e-4)}[name]
    if name == "gspo":
        members = [j for j in range(len(new)) if sequence[j] == sequence[i]]
        mean = sum((new[j] - old[j]).item() for j in members) / len(members)
        ratio = math.exp(mean) * new[i].exp() / new[i].exp().detach()
    bounded = torch.clamp(ratio, low, high)
    return -torch.min(ratio * advantage, bounded * advantage)


@pytest.mark.parametrize("name", ALL)
def test_gradient_does_not_depend_on_how_a_step_is_cut_into_micro_batches(name):
    draw = torch.Generator().manual_seed(5)
    lengths = [3, 1, 4, 1, 5, 2]
    sequence = torch.repeat_interleave(torch.arange(6), torch.tensor(lengths))
    episode = torch.tensor([0, 0, 1, 2, 2, 3])[sequence]
    n = len(sequence)
    old = -torch.rand(n, generator=draw, dtype=torch.float64)
    new = (old + 0.1 * torch.randn(n, generator=draw, dtype=torch.float64)).requires_grad_()
    advantages = torch.randn(n, generator=draw, dtype=torch.float64)
    loss = make(name)
    weights = loss.weights(sequence, episode)

    def grad(parts):
        total = torch.zeros(n, dtype=torch.float64)
        for part in parts:
            index = torch.cat([torch.nonzero(sequence == s)[:, 0] for s in part])
            local = torch.unique_consecutive(sequence[index], return_inverse=True)[1]
            tokens = ActionTokens(new[index], old[index], advantages[index], weights[index], local)
            total += torch.autograd.grad((tokens.weights * loss(tokens).values).sum(), new)[0]
        return total

    whole = grad([[0, 1, 2, 3, 4, 5]])
    for parts in ([[0], [1], [2], [3], [4], [5]], [[5, 0], [3, 1, 4], [2]], [[4, 2], [0, 1, 3, 5]]):
        assert torch.allclose(grad(parts), whole, rtol=1e-12, atol=1e-15)


@pytest.mark.parametrize("name", ALL)
def test_enormous_log_ratios_stay_finite(name, make_tokens, gradient):
    tokens = make_tokens([500.0, -500.0], [-1.0, 1.0], sequence=[0, 1])
    assert all(math.isfinite(value) for value in gradient(make(name), tokens))


def test_columns_of_unequal_length_are_refused(make_tokens):
    with pytest.raises(InvalidInput, match=r"advantages has shape \(1,\), but logprobs has \(2,\)"):
        make_tokens([0.0, 0.0], [1.0])


@pytest.mark.parametrize(
    "make_bad",
    [
        lambda: PPOClip(clip_low=1.5),
        lambda: PPOClip(clip_high=-0.1),
        lambda: DAPO(clip_low=float("nan")),
        lambda: GSPO(clip_low=-1e-3),
        lambda: DrGRPO(length=0),
        lambda: CISPO(lowest=2.0),
        lambda: CISPO(highest=0.5),
    ],
)
def test_hyper_parameters_out_of_range_are_refused(make_bad):
    with pytest.raises(InvalidInput, match="must"):
        make_bad()
