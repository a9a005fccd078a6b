"""The bias of estimators for rollout trees, by enumeration of all trees."""

import pytest

from turnwise.agents.credit import Ladder, SPOTree, TreeGRPO
from turnwise.agents.credit.forks import forests, measure_forked

SHORT = Ladder(horizon=2)


def test_every_forest_is_enumerated():
    # A first turn submits, or moves to one of two places, after each of which 3 x 3 second turns may follow.
    assert len(forests(SHORT)) == (1 + 2 * 9) ** 2
    assert sum(chance for chance, *_ in forests(SHORT)) == pytest.approx(1.0, abs=1e-12)


def test_leaves_of_one_tree_share_their_first_turn():
    for _, table, _, weight in forests(SHORT):
        first = table.columns["node"][table.turn == 0]
        assert first.tolist() == table.episode_columns["tree"].tolist()
        assert weight[table.turn == 0].sum() == pytest.approx(1.0)


def test_spo_tree_is_exact_where_every_turn_of_the_tree_counts_once():
    bias = measure_forked(SPOTree(), SHORT)
    assert bias.cosine == pytest.approx(1.0, abs=1e-10)
    assert bias.scale == pytest.approx(1 / 2, abs=1e-10)


@pytest.mark.parametrize(
    ("estimator", "weigh", "cosine", "scale"),
    [
        (SPOTree(), "leaves", 0.998695, 0.562289),
        (SPOTree(normalize=True), "turns", 0.978334, 2.016316),
        (TreeGRPO(), "turns", 0.865822, 2.323761),
        (TreeGRPO(), "leaves", 0.849899, 2.684531),
    ],
    ids=str,
)
def test_a_biased_use_of_trees_has_its_known_bias(estimator, weigh, cosine, scale):
    bias = measure_forked(estimator, weigh=weigh)
    assert bias.cosine == pytest.approx(cosine, abs=2e-6)
    assert bias.scale == pytest.approx(scale, abs=2e-6)
