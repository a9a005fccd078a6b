import pytest
import torch
from transformers import GPT2Config, MistralConfig, Qwen3Config
from transformers.cache_utils import DynamicLayer

from turnwise.agents.engines import kv


def states(rows, heads, columns, size, seed):
    generator = torch.Generator().manual_seed(seed)
    return torch.randn(rows, heads, columns, size, generator=generator)


def test_a_buffered_layer_holds_what_the_layer_of_transformers_holds():
    buffered = kv.BufferedLayer([torch.full((3, 4, 2, 5), torch.nan), torch.full((3, 4, 2, 6), torch.nan)])
    plain = DynamicLayer()
    for step, columns in enumerate([4, 1, 1, 70, 1]):
        keys, values = states(3, 2, columns, 5, step), states(3, 2, columns, 6, step + 50)
        mine, slow = buffered.update(keys, values), plain.update(keys, values)
        assert torch.equal(mine[0], slow[0])
        assert torch.equal(mine[1], slow[1])
        assert buffered.get_seq_length() == plain.get_seq_length()
        assert buffered.get_mask_sizes(1) == plain.get_mask_sizes(1)
    order = torch.tensor([2, 0])
    buffered.reorder_cache(order)
    plain.reorder_cache(order)
    keys, values = states(2, 2, 1, 5, 99), states(2, 2, 1, 6, 98)
    assert torch.equal(buffered.update(keys, values)[1], plain.update(keys, values)[1])


def test_a_buffer_with_room_is_written_in_place():
    buffers = [torch.zeros(1, 8, 1, 2), torch.zeros(1, 8, 1, 2)]
    layer = kv.BufferedLayer(buffers)
    for _ in range(8):
        layer.update(torch.ones(1, 1, 1, 2), torch.ones(1, 1, 1, 2))
    assert layer.buffers[0].data_ptr() == buffers[0].data_ptr()
    assert buffers[0].sum() == 16
    layer.update(torch.ones(1, 1, 1, 2), torch.ones(1, 1, 1, 2))
    assert layer.buffers[0].shape[1] >= 9 + kv.LEAST_ROOM


@pytest.mark.parametrize(
    ("config", "full"),
    [
        (Qwen3Config(num_hidden_layers=2), True),
        (GPT2Config(n_layer=2), True),
        (MistralConfig(num_hidden_layers=2, sliding_window=8), False),
        (object(), False),
    ],
)
def test_only_models_that_attend_to_everything_get_buffers(config, full):
    assert kv.only_full_attention(config) == full


def test_memory_that_was_given_back_is_used_again():
    pool = kv.Pool()
    like = torch.zeros(0, 0, 2, 4)
    first = pool.take(like, (3, 5, 2, 4))
    pool.give([[first]])
    second = pool.take(like, (2, 6, 2, 4))
    assert second.shape == (2, 6, 2, 4)
    assert second.data_ptr() == first.data_ptr()
    assert pool.take(like, (2, 6, 2, 4)).data_ptr() != first.data_ptr()


def test_memory_of_another_kind_or_much_too_large_is_not_used():
    pool = kv.Pool()
    large = torch.zeros(10, 10, 2, 4)
    pool.give([[large]])
    assert pool.take(large, (1, 1, 2, 4)).data_ptr() != large.data_ptr()
    assert pool.take(large.double(), (10, 10, 2, 4)).dtype == torch.float64
    assert pool.take(large, (10, 10, 2, 4)).data_ptr() == large.data_ptr()


def test_no_more_than_twice_the_largest_batch_is_kept():
    pool = kv.Pool()
    for _ in range(10):
        pool.give([[torch.zeros(10, 10, 2, 4)]])
    assert sum(flat.nbytes for flat in pool._free) == 2 * 10 * 10 * 2 * 4 * 4
    pool.clear()
    assert pool._free == []
