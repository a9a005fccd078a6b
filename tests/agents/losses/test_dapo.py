"""DAPO's two helpers, which act before the loss."""

import pytest

from turnwise.agents.errors import InvalidInput
from turnwise.agents.losses import informative_groups, overlong_penalty


@pytest.mark.parametrize(
    ("length", "penalty"), [(0, 0.0), (80, 0.0), (81, -0.05), (90, -0.5), (100, -1.0), (130, -1.0)]
)
def test_overlong_penalty_falls_linearly_inside_the_buffer(length, penalty):
    assert overlong_penalty(length, longest=100, buffer=20) == pytest.approx(penalty)


@pytest.mark.parametrize("buffer", [0, 101])
def test_overlong_penalty_refuses_a_buffer_outside_the_limit(buffer):
    with pytest.raises(InvalidInput, match="between 1 and longest"):
        overlong_penalty(5, longest=100, buffer=buffer)


def test_only_groups_with_different_outcomes_are_informative():
    outcomes = [1.0, 0.0, 1.0, 1.0, 0.0, 0.5]
    groups = ["mixed", "mixed", "solved", "solved", "lone", "mixed"]
    assert informative_groups(outcomes, groups).tolist() == [True, True, False, False, False, True]


def test_informative_groups_needs_a_group_for_each_outcome():
    with pytest.raises(InvalidInput, match="2 outcomes but 1 groups"):
        informative_groups([1.0, 0.0], ["a"])
