"""Random states survive JSON, and generators must be those that were saved."""

import json
import random

import numpy as np
import pytest
import torch

from turnwise.agents.errors import CheckpointError
from turnwise.agents.learner.random_state import capture, restore


def draw(generators):
    numbers = [random.random(), random.gauss(0, 1), np.random.rand(), np.random.randn(), torch.rand(()).item()]
    for generator in generators.values():
        if isinstance(generator, torch.Generator):
            numbers.append(torch.rand((), generator=generator).item())
        else:
            numbers += [generator.normal(), generator.integers(1 << 40), generator.random(dtype=np.float32)]
    return numbers


def make(seed):
    return {
        "pcg": np.random.default_rng(seed),
        "philox": np.random.Generator(np.random.Philox(seed)),
        "twister": np.random.Generator(np.random.MT19937(seed)),
        "torch": torch.Generator().manual_seed(seed),
    }


def test_every_state_survives_a_round_trip_through_json():
    generators = make(1)
    draw(generators)  # an odd number of normals, so that a cached second one must survive too
    saved = json.loads(json.dumps(capture(generators)))
    expected = [draw(generators) for _ in range(3)]
    others = make(2)
    restore(saved, others)
    assert [draw(others) for _ in range(3)] == expected


def test_generators_of_other_names_are_refused():
    with pytest.raises(CheckpointError, match=r"holds random generators \['a'\], but \['b'\] were given"):
        restore(capture({"a": np.random.default_rng(0)}), {"b": np.random.default_rng(0)})


def test_generators_of_another_kind_are_refused():
    saved = capture({"a": np.random.default_rng(0)})
    with pytest.raises(CheckpointError, match="was one of numpy, now it is a Generator"):
        restore(saved, {"a": torch.Generator()})
    with pytest.raises(CheckpointError, match="was a PCG64, now it is a Philox"):
        restore(saved, {"a": np.random.Generator(np.random.Philox(0))})
