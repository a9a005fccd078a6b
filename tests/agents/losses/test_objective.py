"""The composed objective and its metrics."""

import math

import pytest
import torch

from turnwise.agents.errors import InvalidInput
from turnwise.agents.losses import (
    EntropyBonus,
    ImportanceCorrection,
    KLPenalty,
    Objective,
    PPOClip,
    effective_sample_size,
    summarise,
)

LOG2 = math.log(2)


@pytest.fixture
def tokens(make_tokens):
    """Two tokens: ratios 2 and 1, engine ratios 1 and 4, entropies 0.5 and 1.5."""
    return make_tokens(
        [LOG2, 0.0],
        [1.0, -3.0],
        weights=[0.25, 0.75],
        engine_logprobs=[-1.0, -1.0 - math.log(4)],
        reference_logprobs=[-1.0, -1.5],
        entropy=[0.5, 1.5],
    )


def test_loss_is_the_weighted_sum_of_all_terms(tokens):
    objective = Objective(PPOClip(), ImportanceCorrection(highest=2.0), KLPenalty(0.1, "k2"), EntropyBonus(0.01))
    # policy: -1.2 and 3, corrected by 1 and 2; k2: LOG2^2/2 and 0.125; entropy 0.5 and 1.5
    first = -1.2 + 0.1 * LOG2**2 / 2 - 0.01 * 0.5
    second = 6.0 + 0.1 * 0.125 - 0.01 * 1.5
    assert objective(tokens).loss.item() == pytest.approx(0.25 * first + 0.75 * second)


def test_without_options_the_loss_is_the_policy_loss(tokens):
    assert Objective()(tokens).loss.item() == pytest.approx(0.25 * -1.2 + 0.75 * 3)


def test_correction_leaves_the_kl_penalty_alone(tokens):
    plain = Objective(PPOClip(), None, KLPenalty(1.0, "k3"))(tokens).loss - Objective(PPOClip())(tokens).loss
    correction = ImportanceCorrection()
    corrected = (
        Objective(PPOClip(), correction, KLPenalty(1.0, "k3"))(tokens).loss
        - Objective(PPOClip(), correction)(tokens).loss
    )
    assert plain.item() == pytest.approx(corrected.item())


def test_entropy_bonus_needs_the_entropy(make_tokens):
    with pytest.raises(InvalidInput, match="needs the entropy"):
        Objective(entropy=EntropyBonus())(make_tokens([0.0], [1.0]))


def test_metrics_take_literal_values(tokens):
    objective = Objective(PPOClip(), ImportanceCorrection(highest=2.0), KLPenalty(0.1, "k2"))
    metrics = summarise([objective(tokens).columns])
    assert metrics == pytest.approx(
        {
            "policy_loss": 0.25 * -1.2 + 0.75 * 6,
            "clip_fraction": 0.5,
            "ratio_mean": 1.5,
            "ratio_max": 2.0,
            "approx_kl": (2 - 1 - LOG2) / 2,
            "entropy": 1.0,
            "kl": (LOG2**2 / 2 + 0.125) / 2,
            "importance_ess": 25 / (2 * 17),
            "engine_kl": (4 - 1 - math.log(4)) / 2,
            "engine_gap_max": math.log(4),
            "correction_mean": 1.5,
            "correction_bounded": 0.5,
        }
    )


def test_engine_gap_is_measured_without_a_correction(tokens):
    metrics = summarise([Objective()(tokens).columns])
    assert metrics["importance_ess"] == pytest.approx(25 / 34)
    assert "correction_mean" not in metrics


def test_metrics_of_the_engine_are_left_out_when_it_gave_none(make_tokens):
    metrics = summarise([Objective()(make_tokens([0.0], [1.0])).columns])
    assert sorted(metrics) == ["approx_kl", "clip_fraction", "policy_loss", "ratio_max", "ratio_mean"]


def test_metrics_do_not_depend_on_the_cut(make_tokens):
    numbers = {"engine_logprobs": [-1.1, -0.7, -1.4], "entropy": [0.1, 0.5, 0.9]}
    whole = make_tokens([0.5, -0.3, 0.1], [1.0, -1.0, 2.0], weights=[0.2, 0.3, 0.5], **numbers)
    parts = [
        make_tokens(
            [[0.5, -0.3, 0.1][i]],
            [[1.0, -1.0, 2.0][i]],
            weights=[[0.2, 0.3, 0.5][i]],
            **{name: [values[i]] for name, values in numbers.items()},
        )
        for i in range(3)
    ]
    objective = Objective()
    assert summarise(objective(part).columns for part in parts) == pytest.approx(summarise([objective(whole).columns]))


def test_no_tokens_have_no_metrics(make_tokens):
    assert summarise([]) == {}
    assert summarise([Objective()(make_tokens([], [])).columns]) == {}


def test_effective_sample_size_of_equal_weights_is_one_and_of_one_dominant_weight_one_over_n():
    assert effective_sample_size(torch.full((8,), 0.3)).item() == pytest.approx(1.0)
    assert effective_sample_size(torch.tensor([1.0, 0.0, 0.0, 0.0])).item() == pytest.approx(0.25)
