import numpy as np
import pytest
import torch

from turnwise.agents.engines.kv import Pool
from turnwise.agents.engines.prefixes import Block, PrefixStore, fill, rolling_hashes


def ids(*tokens):
    return np.array(tokens)


def block(rows, columns, filled=None):
    """A block of one layer, in which every number tells its row and column."""
    numbers = (100.0 * torch.arange(rows)[:, None] + torch.arange(columns))[:, :, None, None].expand(-1, -1, 2, 3)
    filled = np.ones((rows, columns), bool) if filled is None else np.array(filled, bool)
    return Block([[numbers.clone(), -numbers]], filled)


@pytest.fixture
def store():
    return PrefixStore(Pool())


def test_the_longest_prefix_that_leaves_something_to_compute_is_found(store):
    kept = block(4, 4)
    for row, tokens in enumerate([(1, 2), (1, 2, 3), (1, 2, 3, 4), (2, 2, 3)]):
        store.add(ids(*tokens), kept, row, instead_of=None)
    assert store.find(ids(1, 2, 3, 4)).row == 1
    assert store.find(ids(1, 2, 3, 4, 5, 6, 7)).row == 2
    assert store.find(ids(1, 2, 9, 9)).row == 0
    assert store.find(ids(2, 2, 3, 1)).row == 3
    assert (
        store.find(
            ids(
                1,
            )
        )
        is None
    )
    assert store.find(ids(9, 1, 2, 3)) is None


def test_tokens_are_compared_and_not_only_their_hashes(store, monkeypatch):
    monkeypatch.setattr(
        "turnwise.agents.engines.prefixes.rolling_hashes", lambda tokens: np.zeros(len(tokens), np.uint64)
    )
    store.add(ids(1, 2), block(1, 2), 0, instead_of=None)
    assert store.find(ids(3, 4, 5)) is None
    assert store.find(ids(1, 2, 5)) is not None


def test_equal_beginnings_have_equal_hashes_and_others_do_not():
    assert rolling_hashes(ids(5, 6, 7))[1] == rolling_hashes(ids(5, 6, 9))[1]
    seen = {int(rolling_hashes(np.array(tokens))[-1]) for tokens in np.ndindex(5, 5, 5, 5)}
    seen |= {int(rolling_hashes(np.array(tokens))[-1]) for tokens in np.ndindex(5, 5, 5)}
    assert len(seen) == 5**4 + 5**3


def test_a_longer_prefix_replaces_the_one_it_began_with(store):
    store.add(ids(1, 2), block(1, 2), 0, instead_of=None)
    began = store.find(ids(1, 2, 3))
    store.add(ids(1, 2, 3, 4), block(1, 4), 0, instead_of=began)
    assert len(store) == 1
    assert store.find(ids(1, 2, 9)) is None


def test_a_prefix_of_two_conversations_stays_until_both_have_gone_on(store):
    shared = block(2, 2)
    store.add(ids(1, 2), shared, 0, instead_of=None)
    store.add(ids(1, 2), shared, 1, instead_of=None)
    first = store.find(ids(1, 2, 3))
    store.add(ids(1, 2, 3), block(1, 3), 0, instead_of=first)
    second = store.find(ids(1, 2, 4))
    assert second is first
    store.add(ids(1, 2, 4), block(1, 3), 0, instead_of=second)
    assert store.find(ids(1, 2, 5)) is None
    assert len(store) == 2


def test_what_nobody_came_back_to_is_forgotten(store):
    store.add(ids(1, 2), block(1, 2), 0, instead_of=None)
    store.add(ids(5, 6), block(1, 2), 0, instead_of=None)
    for _ in range(4):
        store.find(ids(1, 2, 3))
    store.forget(5)
    assert len(store) == 2
    store.forget(4)
    assert len(store) == 1
    assert store.find(ids(5, 6, 7)) is None
    store.clear()
    assert len(store) == 0


def test_memory_is_given_back_with_the_last_prefix_of_a_block_and_not_before():
    pool = Pool()
    store = PrefixStore(pool)
    kept = block(2, 2)
    store.add(ids(1, 2), kept, 0, instead_of=None)
    store.add(ids(1, 2), kept, 1, instead_of=None)  # the second replaces the first in the same block
    assert pool._free == []
    store.add(ids(3, 4), kept, 0, instead_of=None)
    store.add(ids(3, 4, 5), block(1, 3), 0, instead_of=store.find(ids(3, 4, 5)))
    assert pool._free == []
    store.clear()
    assert len(pool._free) == 4


def test_prefixes_of_several_blocks_are_lined_up_without_their_gaps(store):
    gappy = block(2, 5, filled=[[0, 1, 1, 0, 1], [1, 0, 0, 0, 1]])
    dense = block(3, 2)
    store.add(ids(1, 2, 3), gappy, 0, instead_of=None)
    store.add(ids(4, 5), gappy, 1, instead_of=None)
    store.add(ids(6, 7), dense, 2, instead_of=None)
    found = [store.find(ids(*tokens, 9)) for tokens in ((4, 5), (6, 7), (1, 2, 3))]
    layers = [[torch.full((4, 6, 2, 3), torch.nan), torch.full((4, 6, 2, 3), torch.nan)]]
    filled = fill(layers, [*found, None])
    assert filled.tolist() == [[False, True, True], [False, True, True], [True, True, True], [False] * 3]
    keys = layers[0][0][:, :3, 0, 0]
    assert keys[0, 1:].tolist() == [100, 104]
    assert keys[1, 1:].tolist() == [200, 201]
    assert keys[2].tolist() == [1, 2, 4]
    assert keys[3].tolist() == [0, 0, 0]
    assert not keys.isnan().any()
    assert torch.equal(layers[0][1][:, :3], -layers[0][0][:, :3])
