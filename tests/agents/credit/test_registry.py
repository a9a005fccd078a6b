"""Estimators by name."""

import dataclasses
import typing

import pytest

from turnwise.agents.credit import ESTIMATORS, Estimator, GiGPO, TurnReturn, make
from turnwise.agents.errors import ConfigError, InvalidInput


def test_the_registry_holds_the_estimators_by_their_names():
    assert list(ESTIMATORS) == [
        "grpo",
        "dr_grpo",
        "rloo",
        "reinforce_pp",
        "reinforce_pp_baseline",
        "max_rl",
        "opo",
        "turn_return",
        "mt_grpo",
        "gigpo",
        "hgpo",
        "graph_credit",
        "gated_return",
        "turn_gae",
        "igpo",
        "prime",
        "dual_granularity",
        "semi_online",
        "per_reward",
        "drpo",
        "spo_tree",
        "tree_grpo",
        "truncated_step",
    ]


@pytest.mark.parametrize("name", sorted(ESTIMATORS))
def test_an_estimator_is_a_frozen_dataclass_that_a_configuration_can_tell_apart(name):
    estimator = make(name)
    assert isinstance(estimator, Estimator)
    assert dataclasses.is_dataclass(estimator)
    assert estimator == make(name)
    assert typing.get_args(typing.get_type_hints(type(estimator))["name"]) == (name,)
    with pytest.raises(dataclasses.FrozenInstanceError):
        estimator.name = "other"


def test_defaults_are_those_of_the_papers():
    assert make("turn_return") == TurnReturn(gamma=0.9)
    assert make("gigpo") == GiGPO(weight=1.0, gamma=0.95, normalization="mean")
    assert (make("hgpo").alpha, make("hgpo").history, make("prime").beta) == (1.0, 2, 0.05)
    assert (make("turn_gae").lam, make("semi_online").gamma, make("mt_grpo").weight) == (0.95, 0.5, 1.0)


def test_make_takes_hyper_parameters():
    assert make("gigpo", weight=0.5, gamma=1.0) == GiGPO(weight=0.5, gamma=1.0)


@pytest.mark.parametrize("spelling", ["GiGPO", "gigpo", "gi_gpo", "GI-GPO"])
def test_make_knows_a_name_in_any_spelling(spelling):
    assert make(spelling) == GiGPO()


def test_an_unknown_name_suggests_the_nearest_one():
    with pytest.raises(ConfigError, match="unknown estimator 'gipo'; did you mean 'gigpo'"):
        make("gipo")


def test_an_unknown_name_unlike_any_other_lists_all():
    with pytest.raises(ConfigError, match="unknown estimator 'zzzz'; known: grpo, dr_grpo"):
        make("zzzz")


def test_an_unknown_hyper_parameter_suggests_the_nearest_one():
    with pytest.raises(ConfigError, match="estimator 'gigpo' has no hyper-parameter 'gama'; did you mean 'gamma'"):
        make("gigpo", gama=1.0)


def test_an_estimator_without_hyper_parameters_says_so():
    with pytest.raises(ConfigError, match="estimator 'grpo' has no hyper-parameter 'gamma'; known: none"):
        make("grpo", gamma=1.0)


def test_a_value_out_of_range_is_refused():
    with pytest.raises(InvalidInput, match="gamma is 2"):
        make("gigpo", gamma=2)
