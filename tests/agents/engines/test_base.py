import pytest

from turnwise.agents.engines.base import Engine, Sampling
from turnwise.agents.errors import InvalidInput


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("temperature", -0.1),
        ("temperature", float("nan")),
        ("temperature", float("inf")),
        ("top_p", 0.0),
        ("top_p", 1.1),
        ("top_k", -1),
        ("max_tokens", 0),
        ("stop", ("",)),
        ("stop", "</answer>"),
    ],
)
def test_a_sampling_setting_out_of_range_is_refused_by_name(name, value):
    with pytest.raises(InvalidInput, match=name):
        Sampling(**{name: value})


def test_an_engine_that_does_not_batch_may_ignore_what_is_expected_of_it():
    class Silent(Engine):
        context_length = 8

        async def generate(self, prompt_ids, sampling, *, seed):
            raise NotImplementedError

    engine = Silent()
    engine.expect(3)
    engine.update_weights(object())
    assert engine.metrics() == {}
