"""Losses by name."""

import pytest

from turnwise.agents.errors import ConfigError
from turnwise.agents.losses import DAPO, LOSSES, make


def test_every_loss_is_registered_under_its_own_name():
    assert sorted(LOSSES) == ["cispo", "dapo", "dr_grpo", "gspo", "ppo"]
    assert all(make(name).name == name for name in LOSSES)


def test_hyper_parameters_reach_the_loss():
    assert make("dapo", clip_high=0.5) == DAPO(clip_low=0.2, clip_high=0.5)


def test_unknown_name_suggests_the_nearest():
    with pytest.raises(ConfigError, match=r"unknown loss 'dapoo'; did you mean 'dapo'\? known: ppo, dapo"):
        make("dapoo")


def test_unknown_hyper_parameter_suggests_the_nearest():
    with pytest.raises(ConfigError, match=r"'ppo' has no hyper-parameter 'cliphigh'; did you mean 'clip_high'\?"):
        make("ppo", cliphigh=0.3)


def test_what_defines_a_loss_is_not_a_hyper_parameter():
    with pytest.raises(ConfigError, match="'dr_grpo' has no hyper-parameter 'aggregation'"):
        make("dr_grpo", aggregation="token")
