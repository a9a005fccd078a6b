"""Seeds are stable, and distinct where their names are."""

from turnwise.agents.rollout import Job, sampling_seed
from turnwise.agents.seeding import derive_seed


def test_a_derived_seed_is_the_same_for_ever():
    assert derive_seed(0, "episode", "12/3", 17, 0) == DERIVED
    assert derive_seed() == EMPTY


def test_derived_seeds_fit_63_bits_and_do_not_collide():
    seeds = {derive_seed(a, b) for a in range(100) for b in range(100)}
    assert len(seeds) == 10_000
    assert all(0 <= seed < 2**63 for seed in seeds)
    assert sum(seed >= 2**62 for seed in seeds) > 4_000


def test_parts_do_not_run_together():
    assert len({derive_seed("a", 1), derive_seed("a1"), derive_seed("a", "1"), derive_seed(1, "a")}) == 4


def test_the_sampling_seed_follows_from_run_group_task_and_repeat():
    assert sampling_seed(0, Job(17, "12/3")) == DERIVED
    others = [(1, Job(17, "12/3")), (0, Job(18, "12/3")), (0, Job(17, "12/4")), (0, Job(17, "12/3", 1))]
    assert len({DERIVED, *(sampling_seed(*other) for other in others)}) == 5
    assert sampling_seed(0, Job(17, "12/3", options={"a": 1}, tags={"b": 2})) == DERIVED


DERIVED = 575636546378470221
EMPTY = 4090036724241674979
