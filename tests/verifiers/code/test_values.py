from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from turnwise.verifiers.code.harness import decode, encode
from turnwise.verifiers.code.values import equal, shown

SCALARS = st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text() | st.binary()
HASHABLE = st.recursive(SCALARS, lambda inner: st.tuples(inner, inner) | st.frozensets(inner, max_size=3), max_leaves=5)
VALUES = st.recursive(
    SCALARS | st.complex_numbers(allow_nan=False),
    lambda inner: st.lists(inner, max_size=4) | st.tuples(inner) | st.dictionaries(HASHABLE, inner, max_size=4),
    max_leaves=15,
)


@given(VALUES)
def test_a_value_survives_the_journey(value: Any) -> None:
    assert decode(encode(value)) == value
    assert equal(encode(value), encode(value))
    assert equal(encode(value), encode(value), tolerance=0.0)


@given(VALUES, VALUES)
def test_values_that_python_tells_apart_are_not_equal(left: Any, right: Any) -> None:
    if left != right:
        assert not equal(encode(left), encode(right))


@pytest.mark.parametrize(
    ("got", "expected"),
    [(1, True), (0, False), (2, 2.0), ((1,), [1]), ({1}, frozenset({1})), ({1: 1}, {True: 1}), ([1, True], [1, 1]),
     (b"a", "a"), (b"a", bytearray(b"a")), (1j, 1.0), ("1", 1), (None, False), ([], {}), (float("nan"), 1.0)],
)  # fmt: skip
def test_equality_is_by_exact_type(got: Any, expected: Any) -> None:
    assert not equal(encode(got), encode(expected))


@pytest.mark.parametrize(
    ("got", "expected", "tolerance", "same"),
    [
        (1.0, 1.05, 0.1, True),
        (1.0, 1.25, 0.1, False),
        (1000.0, 1050.0, 0.1, True),
        (2, 2.0, 0.0, True),
        (True, 1, 0.5, False),
        ([1.0, {"x": 2.0}], [1.01, {"x": 2.01}], 0.1, True),
        ([1.0], [1.0, 1.0], 0.1, False),
        ({"x": 1.0}, {"y": 1.0}, 0.1, False),
        (float("nan"), float("nan"), 0.1, True),
        (float("nan"), 1.0, 0.1, False),
        (float("inf"), 1e308, 0.1, False),
        (10**400, 1.0, 0.1, False),
        ((1.0,), [1.0], 0.1, False),
        ("1.0", "1.01", 0.1, False),
    ],
)
def test_tolerance_is_for_numbers_alone(got: Any, expected: Any, tolerance: float, same: bool) -> None:
    assert equal(encode(got), encode(expected), tolerance) is same


def test_any_order_is_for_the_top_alone_and_counts_repetitions() -> None:
    def alike(got: Any, expected: Any) -> bool:
        return equal(encode(got), encode(expected), any_order=True)

    assert alike([3, 1, 2], [1, 2, 3])
    assert not alike([1, 1, 2], [1, 2, 2])
    assert not alike([[2, 1]], [[1, 2]])
    assert not alike((1, 2), [2, 1])
    assert not alike([1, True], [1, 1])


def test_long_values_are_shortened_and_strange_ones_are_named() -> None:
    assert shown(encode([1, (2,)])) == "[1, (2,)]"
    assert len(shown(encode("x" * 10_000))) == 203
    assert shown(encode(object())) == "an object of type object"
    assert shown({"nonsense": 1}) == "{'nonsense': 1}"
