import numpy as np
import pytest
import torch

from turnwise.agents.engines.base import Sampling
from turnwise.agents.engines.sampling import BLOCK, RowSettings, Uniforms, draw, truncate

PROBABILITIES = torch.tensor([0.1, 0.4, 0.2, 0.3])


def draw_grid(settings, draws=1000, logits=None):
    """Draws with evenly spaced uniform numbers, so that frequencies are exact."""
    logits = PROBABILITIES.log() if logits is None else logits
    rows = RowSettings.of([settings] * draws, len(logits), torch.device("cpu"))
    tokens, logprobs = draw(logits.expand(draws, -1), rows, (np.arange(draws) + 0.5) / draws)
    return torch.bincount(tokens, minlength=len(logits)) / draws, tokens, logprobs


def test_tokens_come_as_often_as_their_probability_says():
    frequencies, _, _ = draw_grid(Sampling())
    torch.testing.assert_close(frequencies, PROBABILITIES, atol=1.1e-3, rtol=0)


def test_log_probabilities_are_those_of_the_drawn_tokens():
    _, tokens, logprobs = draw_grid(Sampling())
    torch.testing.assert_close(logprobs, PROBABILITIES.log()[tokens])


def test_temperature_sharpens_tokens_and_log_probabilities():
    squared = torch.tensor([0.01, 0.16, 0.04, 0.09]) / 0.30
    frequencies, tokens, logprobs = draw_grid(Sampling(temperature=0.5))
    torch.testing.assert_close(frequencies, squared, atol=1.1e-3, rtol=0)
    torch.testing.assert_close(logprobs, squared.log()[tokens])


def test_greedy_takes_the_most_probable_token_with_its_probability_at_temperature_one():
    frequencies, _, logprobs = draw_grid(Sampling(temperature=0.0))
    assert frequencies.tolist() == [0, 1, 0, 0]
    torch.testing.assert_close(logprobs, torch.full((1000,), 0.4).log())


@pytest.mark.parametrize(
    ("settings", "expected"),
    [
        (Sampling(top_k=1), [0, 1, 0, 0]),
        (Sampling(top_k=2), [0, 4 / 7, 0, 3 / 7]),
        (Sampling(top_k=9), [0.1, 0.4, 0.2, 0.3]),
        (Sampling(top_p=0.4), [0, 1, 0, 0]),
        (Sampling(top_p=0.41), [0, 4 / 7, 0, 3 / 7]),
        (Sampling(top_p=0.75), [0, 4 / 9, 2 / 9, 3 / 9]),
        (Sampling(top_k=3, top_p=0.5), [0, 4 / 7, 0, 3 / 7]),  # of 4/9, 3/9, 2/9 two reach a half
        (Sampling(top_k=2, top_p=0.5), [0, 1, 0, 0]),  # of 4/7, 3/7 the first does
    ],
)
def test_truncation_keeps_the_named_tokens_and_leaves_log_probabilities_alone(settings, expected):
    frequencies, tokens, logprobs = draw_grid(settings)
    torch.testing.assert_close(frequencies, torch.tensor(expected, dtype=torch.float32), atol=1.1e-3, rtol=0)
    torch.testing.assert_close(logprobs, PROBABILITIES.log()[tokens])


def test_equally_probable_tokens_are_cut_at_exactly_k():
    kept = truncate(torch.full((1, 6), 1 / 6), torch.tensor([[4]]), torch.tensor([[1.0]]))
    assert (kept > 0).sum() == 4


def test_each_row_has_settings_of_its_own():
    rows = [Sampling(temperature=0.0), Sampling(top_k=1), Sampling(), Sampling(temperature=2.0)]
    settings = RowSettings.of(rows, 4, torch.device("cpu"))
    tokens, logprobs = draw(PROBABILITIES.log().expand(4, -1), settings, np.full(4, 0.05))
    assert tokens.tolist() == [1, 1, 0, 0]
    root = PROBABILITIES.sqrt() / PROBABILITIES.sqrt().sum()
    torch.testing.assert_close(logprobs.exp(), torch.tensor([0.4, 0.4, 0.1, root[0]]))
    kept = settings.select(torch.tensor([3, 1]))
    tokens, _ = draw(PROBABILITIES.log().expand(2, -1), kept, np.full(2, 0.05))
    assert tokens.tolist() == [0, 1]


def test_impossible_tokens_are_never_drawn_not_even_at_the_ends_of_the_unit_interval():
    logits = torch.tensor([-torch.inf, 0.0, -torch.inf, 0.0, -torch.inf]).expand(2, -1)
    rows = RowSettings.of([Sampling()] * 2, 5, torch.device("cpu"))
    tokens, logprobs = draw(logits, rows, np.array([0.0, 1 - 2**-53]))
    assert tokens.tolist() == [1, 3]
    torch.testing.assert_close(logprobs.exp(), torch.tensor([0.5, 0.5]))


def test_rare_tokens_of_a_large_vocabulary_are_reachable():
    logits = torch.zeros(150_000)
    logits[0] = 30.0  # every other token has a probability of 1e-13, below what float32 sums can hold
    rows = RowSettings.of([Sampling()], len(logits), torch.device("cpu"))
    tokens, _ = draw(logits[None], rows, np.array([1 - 1e-9]))
    assert tokens.item() > 0


def test_a_stream_depends_on_its_seed_alone():
    alone = Uniforms([7])
    among = Uniforms([3, 7, 2**62])
    for step in (0, 1, BLOCK - 1, BLOCK, 3 * BLOCK + 5):
        assert alone.at(step, np.array([0]))[0] == among.at(step, np.array([2, 1]))[1]


def test_streams_of_different_seeds_and_steps_differ():
    uniforms = Uniforms(range(50))
    first = uniforms.at(0, np.arange(50))
    second = uniforms.at(1, np.arange(50))
    numbers = np.concatenate((first, second))
    assert len(set(numbers)) == 100
    assert ((numbers >= 0) & (numbers < 1)).all()
