"""Warm start: the loss of the demonstrations' own tokens, falling, resumable."""

import numpy as np
import pytest
import torch

from turnwise.agents.errors import CheckpointError, ConfigError, InvalidInput
from turnwise.agents.learner import (
    ForwardOptions,
    Learner,
    LearnerConfig,
    OptimizerConfig,
    SupervisedConfig,
    SupervisedTrainer,
    cross_entropy,
)
from turnwise.agents.types import TokenSequence


def make_learner(make_model, max_tokens=1000, learning_rate=1e-2):
    options = LearnerConfig(ForwardOptions(max_tokens=max_tokens), OptimizerConfig(learning_rate=learning_rate))
    return Learner(make_model(dtype=torch.float32), options)


def weights_of(learner):
    return [parameter.detach().clone() for parameter in learner.model.parameters()]


def test_the_loss_is_the_mean_cross_entropy_of_action_tokens(make_model, make_sequences, padded_logprobs):
    sequences = make_sequences()
    expected = -torch.cat(padded_logprobs(make_model(), sequences)).mean().item()
    for max_tokens in (1, 25, 1000):
        learner = make_learner(make_model, max_tokens)
        assert cross_entropy(learner, sequences) == pytest.approx(expected, rel=1e-5)
        assert learner.imitate(sequences)["loss"] == pytest.approx(expected, rel=1e-5)


def test_demonstrations_are_learnt(make_model, make_sequences):
    sequences = make_sequences(count=12)
    learner = make_learner(make_model)
    before = cross_entropy(learner, sequences)
    history = list(SupervisedTrainer(learner, sequences, SupervisedConfig(epochs=30, batch_size=6)).run())
    assert len(history) == 60
    assert history[-1]["epoch"] == 30
    assert cross_entropy(learner, sequences) < 0.2 * before


def test_tokens_that_were_not_sampled_are_not_learnt(make_model):
    # Only the observation differs in what follows it, and it is the last token: nothing may depend on it.
    turn = np.array([-1, 0, 0, -1], np.int32)
    runs = []
    for last in (3, 9):
        learner = make_learner(make_model)
        learner.imitate([TokenSequence(np.array([5, 6, 7, last]), turn, np.zeros(4, np.float32), 0)])
        runs.append(weights_of(learner))
    assert all(torch.equal(a, b) for a, b in zip(*runs, strict=True))


def test_an_epoch_uses_every_demonstration_once_and_shuffles_by_seed(make_model, make_sequences, monkeypatch):
    sequences = make_sequences(count=10)

    def orders(seed):
        trainer = SupervisedTrainer(
            make_learner(make_model), sequences, SupervisedConfig(epochs=2, batch_size=4, seed=seed)
        )
        seen = []
        monkeypatch.setattr(trainer.learner, "imitate", lambda part: seen.append([id(s) for s in part]) or {})
        list(trainer.run())
        assert [len(part) for part in seen] == [4, 4, 2] * 2
        return [[name for part in seen[start : start + 3] for name in part] for start in (0, 3)]

    first, second = orders(seed=0)
    assert sorted(first) == sorted(second) == sorted(id(s) for s in sequences)
    assert first != second
    assert orders(seed=0) == [first, second]
    assert orders(seed=1)[0] != first


def test_a_resumed_warm_start_continues_bit_for_bit(make_model, make_sequences):
    sequences = make_sequences(count=9)
    options = SupervisedConfig(epochs=3, batch_size=4, seed=5)
    straight = SupervisedTrainer(make_learner(make_model), sequences, options)
    history = list(straight.run())

    first = SupervisedTrainer(make_learner(make_model), sequences, options)
    steps = first.run()
    for _ in range(4):
        next(steps)
    second = SupervisedTrainer(first.learner, sequences, options)
    second.load_state_dict(first.state_dict())
    assert list(second.run()) == history[4:]
    assert all(torch.equal(a, b) for a, b in zip(weights_of(straight.learner), weights_of(second.learner), strict=True))


def test_a_state_of_other_demonstrations_is_refused(make_model, make_sequences):
    learner = make_learner(make_model)
    state = SupervisedTrainer(learner, make_sequences(seed=1)).state_dict()
    with pytest.raises(CheckpointError, match="used other demonstrations"):
        SupervisedTrainer(learner, make_sequences(seed=2)).load_state_dict(state)


def test_demonstrations_without_action_tokens_are_refused(make_model):
    silent = TokenSequence(np.arange(3), np.full(3, -1, np.int32), np.zeros(3, np.float32), 0)
    learner = make_learner(make_model)
    with pytest.raises(InvalidInput, match=r"without action tokens: \[0\] of 1"):
        SupervisedTrainer(learner, [silent])
    with pytest.raises(InvalidInput, match="no demonstrations"):
        SupervisedTrainer(learner, [])
    with pytest.raises(InvalidInput, match="nothing to measure"):
        cross_entropy(learner, [silent])


@pytest.mark.parametrize("options", [{"epochs": 0}, {"batch_size": 0}])
def test_bad_configurations_are_refused(options):
    with pytest.raises(ConfigError, match="both must be at least 1"):
        SupervisedConfig(**options)
