"""Engine/learner importance correction."""

import math

import pytest
import torch

from turnwise.agents.errors import InvalidInput
from turnwise.agents.losses import ImportanceCorrection

LOG = math.log


@pytest.fixture
def tokens(make_tokens):
    """Two sequences; pi_old / pi_engine is 4, 1, 0.25 | 0.5, 3."""
    ratios = [4.0, 1.0, 0.25, 0.5, 3.0]
    engine = [-1.0 - LOG(ratio) for ratio in ratios]
    return make_tokens([0.0] * 5, [1.0] * 5, sequence=[0, 0, 0, 1, 1], engine_logprobs=engine)


def test_token_weights_are_truncated_at_the_bounds(tokens):
    weight, raw = ImportanceCorrection(level="token", highest=2.0)(tokens)
    assert raw.tolist() == pytest.approx([4.0, 1.0, 0.25, 0.5, 3.0])
    assert weight.tolist() == pytest.approx([2.0, 1.0, 0.25, 0.5, 2.0])
    bounded, _ = ImportanceCorrection(level="token", lowest=0.5, highest=2.0)(tokens)
    assert bounded.tolist() == pytest.approx([2.0, 1.0, 0.5, 0.5, 2.0])


def test_masking_drops_tokens_outside_the_bounds(tokens):
    weight, _ = ImportanceCorrection(level="token", how="mask", lowest=0.4, highest=3.5)(tokens)
    assert weight.tolist() == pytest.approx([0.0, 1.0, 0.0, 0.5, 3.0])


def test_sequence_weights_are_geometric_means(tokens):
    weight, _ = ImportanceCorrection(level="sequence")(tokens)
    assert weight.tolist() == pytest.approx([1.0] * 3 + [math.sqrt(1.5)] * 2)


def test_masking_drops_whole_sequences(tokens):
    weight, _ = ImportanceCorrection(level="sequence", how="mask", highest=1.1)(tokens)
    assert weight.tolist() == pytest.approx([1.0, 1.0, 1.0, 0.0, 0.0])


def test_sequence_weight_does_not_shrink_with_length(make_tokens):
    # The same per-token gap in an episode a hundred times longer: a product would fall to e^-50.
    for length in (10, 1000):
        long = make_tokens([0.0] * length, [1.0] * length, engine_logprobs=[-0.95] * length)
        weight, _ = ImportanceCorrection(level="sequence")(long)
        assert weight[0].item() == pytest.approx(math.exp(-0.05))


def test_weights_carry_no_gradient(tokens):
    weight, raw = ImportanceCorrection()(tokens)
    assert not weight.requires_grad
    assert not raw.requires_grad


def test_weighting_recovers_the_expectation_under_the_learner():
    # Enumerated: sum over x of pi_engine(x) * c(x) * f(x) = sum of pi_old(x) * f(x) when nothing is truncated.
    from turnwise.agents.losses import ActionTokens

    engine = torch.log_softmax(torch.tensor([0.1, 0.9, -0.3], dtype=torch.float64), 0)
    old = torch.log_softmax(torch.tensor([0.0, 1.0, -0.2], dtype=torch.float64), 0)
    values = torch.tensor([3.0, -1.0, 2.0], dtype=torch.float64)
    sequence = torch.arange(3)
    tokens = ActionTokens(old, old, values, values, sequence, engine_logprobs=engine)
    weight, _ = ImportanceCorrection(highest=2.0)(tokens)
    assert (engine.exp() * weight * values).sum().item() == pytest.approx((old.exp() * values).sum().item())


def test_missing_or_unknown_engine_logprobs_are_refused(make_tokens):
    with pytest.raises(InvalidInput, match="needs a finite engine log-probability"):
        ImportanceCorrection()(make_tokens([0.0], [1.0]))
    with pytest.raises(InvalidInput, match="needs a finite engine log-probability"):
        ImportanceCorrection()(make_tokens([0.0], [1.0], engine_logprobs=[float("nan")]))


@pytest.mark.parametrize("options", [{"level": "turn"}, {"how": "drop"}, {"lowest": 1.5}, {"highest": 0.9}])
def test_bad_hyper_parameters_are_refused(options):
    with pytest.raises(InvalidInput, match=r"choose one of|must satisfy"):
        ImportanceCorrection(**options)
