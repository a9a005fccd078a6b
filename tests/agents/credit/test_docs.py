"""The page on credit assignment: its examples run, and its numbers are the measured ones."""

import contextlib
import importlib.util
import io
import re
from pathlib import Path

import pytest

from turnwise.agents.credit import ESTIMATORS

ROOT = Path(__file__).resolve().parents[3]
PAGE = (ROOT / "docs" / "credit.md").read_text(encoding="utf-8")


@pytest.fixture(scope="module")
def script():
    spec = importlib.util.spec_from_file_location("credit_bias", ROOT / "benchmarks" / "credit_bias.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture(scope="module")
def measured(script):
    """(angle, scale, noise) at groups of three of each estimator and each mistake, as they are printed."""
    found = {}
    for name, _, bias in script.rows():
        at_three = bias(3)
        found[name.strip("*")] = (
            f"{script.degrees(at_three):.1f}°",
            f"{at_three.scale:.3f}",
            f"{at_three.noise:.2f}",
        )
    return found


def test_the_page_names_every_estimator_once():
    assert re.findall(r"^\| `(\w+)` \|", PAGE, re.MULTILINE) == list(ESTIMATORS)


def test_the_numbers_on_the_page_are_the_measured_ones(measured):
    rows = re.findall(r"^\| `(\w+)` \|.*\| ([\d.]+°), ([\d.]+), ([\d.]+) \|$", PAGE, re.MULTILINE)
    assert {name: tuple(numbers) for name, *numbers in rows} == {name: measured[name] for name in ESTIMATORS}
    mistakes = re.findall(r"^\| ([a-z ,]+) \| ([\d.]+°) \|$", PAGE, re.MULTILINE)
    assert dict(mistakes) == {name: angle for name, (angle, *_) in measured.items() if name not in ESTIMATORS}


def test_the_committed_results_are_the_measured_ones(measured):
    committed = (ROOT / "benchmarks" / "results" / "credit_bias.md").read_text(encoding="utf-8")
    row = r"^\| [`*]([\w ,]+)[`*] \| [^|]+ \| ([\d.]+) \| ([\d.]+) \| [\d.]+ \| ([\d.]+°) \|"
    found = re.findall(row, committed, re.MULTILINE)
    assert {name: (angle, scale, noise) for name, scale, noise, angle in found} == measured


def examples():
    """The examples of the page that state their output."""
    return re.findall(r"```python\n((?:(?!```).)*)```\n\n```text\n(.*?)```", PAGE, re.DOTALL)


@pytest.mark.parametrize(("code", "output"), examples(), ids=["another trainer", "an estimator of your own"])
def test_an_example_prints_what_the_page_says(code, output):
    printed = io.StringIO()
    with contextlib.redirect_stdout(printed):
        exec(compile(code, "docs/credit.md", "exec"), {})
    numbers = r"\d+\.\d+(?:e-\d+)?"
    said, got = re.findall(numbers, output), re.findall(numbers, printed.getvalue())
    assert [float(number) for number in got] == pytest.approx([float(number) for number in said], abs=1e-9)
    assert re.sub(numbers, "#", printed.getvalue()) == re.sub(numbers, "#", output)
