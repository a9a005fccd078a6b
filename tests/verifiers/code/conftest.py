"""The corpora of hacks and of honest programs as parameters, so that test modules need not import one another."""

from __future__ import annotations

import importlib.util
from pathlib import Path
from types import ModuleType

import pytest


def corpus() -> ModuleType:
    spec = importlib.util.spec_from_file_location("turnwise_test_hacks", Path(__file__).with_name("hacks.py"))
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    hacks = corpus()
    if "hack" in metafunc.fixturenames:
        metafunc.parametrize("hack", hacks.HACKS.values(), ids=hacks.HACKS)
    if "honest" in metafunc.fixturenames:
        metafunc.parametrize("honest", hacks.HONEST.values(), ids=hacks.HONEST)
