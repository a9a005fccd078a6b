"""The demonstration at a fraction of its size: it goes the whole way and writes what it promises."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest

from turnwise.agents.cli import main
from turnwise.agents.commands.demo import report
from turnwise.agents.demo import Demo, demo_config, run_demo
from turnwise.agents.errors import ConfigError
from turnwise.agents.learner import SupervisedConfig
from turnwise.agents.train_config import EvaluationConfig


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("demo") / "run"


@pytest.fixture(scope="module")
def demo(folder: Path) -> Demo:
    config = demo_config(folder, seed=3, steps=1)
    start = replace(config.warm_start, episodes=32, imitation=SupervisedConfig(batch_size=8))
    small = replace(
        config,
        tasks=replace(config.tasks, groups=2, group_size=2),
        warm_start=start,
        evaluation=EvaluationConfig(episodes=8),
    )
    return run_demo(small, folder, terminal=False)


def test_the_summary_holds_what_the_evaluations_measured(demo: Demo, folder: Path) -> None:
    summary = json.loads((folder / "summary.json").read_text())
    assert summary == demo.summary
    assert summary["success_warm_start"] == demo.before.success.value
    assert summary["success_trained"] == demo.after.success.value
    assert summary["success_trained_95"] == [demo.after.success.low, demo.after.success.high]
    assert summary["gain"] == pytest.approx(demo.after.success.value - demo.before.success.value)
    assert summary["episodes"] == 4
    assert summary["held_out_tasks"] == 8
    assert summary["tokens_per_second"] > 0
    assert summary["wall_seconds"] > 0


def test_both_evaluations_are_of_the_same_held_out_tasks(demo: Demo) -> None:
    assert [task.seed for task in demo.before.tasks] == [task.seed for task in demo.after.tasks]
    assert demo.before.split == demo.after.split == "test"


def test_the_report_names_both_successes_and_where_everything_is(demo: Demo, folder: Path) -> None:
    text = report(demo.summary, folder)
    assert f"after the warm start  {demo.before.success.value:.3f}" in text
    assert f"turnwise view {folder}" in text


def test_its_episodes_can_be_viewed_and_its_model_evaluated(demo: Demo, folder: Path, tmp_path: Path) -> None:
    page = tmp_path / "page.html"
    assert main(["view", str(folder), "-o", str(page)]) == 0
    assert "turnwise/Arithmetic-v0" in page.read_text(encoding="utf-8")
    assert main(["eval", "turnwise/Arithmetic-v0", "--policy", str(folder), "-n", "2", "--max-tokens", "8"]) == 0


def test_an_earlier_run_is_not_written_over(demo: Demo, folder: Path) -> None:
    with pytest.raises(ConfigError, match="is not empty"):
        run_demo(demo_config(folder), folder, terminal=False)


def test_the_demonstration_of_the_readme_is_the_one_that_is_configured() -> None:
    config = demo_config(Path("runs/demo"))
    assert config.tasks.env == "turnwise/Arithmetic-v0"
    assert config.evaluation.episodes >= 256
    assert 0 < config.warm_start.noise < 1
