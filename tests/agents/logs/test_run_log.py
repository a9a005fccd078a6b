"""The record of a run, and how a resumed run continues it."""

from __future__ import annotations

import json
import math
import os
import signal
import subprocess
import sys
import textwrap
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from turnwise.agents.errors import CheckpointError, InvalidInput
from turnwise.agents.logs import RunLog, read_metrics
from turnwise.agents.rollout import read_episodes
from turnwise.agents.types import Episode, Status, Turn

QUIET: dict[str, Any] = {"tensorboard": False, "terminal": False, "curves": False}


def episode(group: str) -> Episode:
    turn = Turn(
        "observation", "action", 0.5, action_ids=np.asarray([1, 2]), logprobs=np.asarray([-0.5, -1], np.float32)
    )
    return Episode(group, "turnwise/Sokoban-v0", 7, (turn,), Status.TERMINATED, 1.0, tags={"level": "easy"})


def test_each_step_is_one_row_and_numbers_json_lacks_are_null(tmp_path: Path) -> None:
    with RunLog(tmp_path / "deep" / "run", **QUIET) as log:
        log.step(0, {"rollout/success": np.float32(0.5)})
        log.step(2, {"rollout/success": math.nan, "kl": math.inf, "count": 3})
    assert (tmp_path / "deep/run/metrics.jsonl").read_text() == (
        '{"step": 0, "rollout/success": 0.5}\n{"step": 2, "rollout/success": null, "kl": null, "count": 3.0}\n'
    )


def test_a_row_is_in_the_file_as_soon_as_the_step_is_logged(tmp_path: Path) -> None:
    log = RunLog(tmp_path, **QUIET)
    log.step(1, {"a": 1})
    assert read_metrics(tmp_path / "metrics.jsonl") == [{"step": 1, "a": 1.0}]
    log.close()
    log.close()


@pytest.mark.parametrize(
    ("step", "metrics", "message"),
    [
        (1, {"a": 1}, "step 1 must come after step 1"),
        (2, {"a": "fast"}, "metric 'a' must be a number, not 'fast'"),
        (2, {"step": 1}, "a metric cannot be called 'step'"),
    ],
)
def test_a_row_that_makes_no_sense_is_refused(tmp_path: Path, step: int, metrics: Any, message: str) -> None:
    with RunLog(tmp_path, **QUIET) as log:
        log.step(1, {})
        with pytest.raises(InvalidInput, match=message):
            log.step(step, metrics)


def test_episodes_are_appended_with_their_step_in_the_tags(tmp_path: Path) -> None:
    with RunLog(tmp_path, **QUIET) as log:
        log.episodes(3, [episode("a"), episode("b")])
        log.episodes(4, [episode("c")])
    found = list(read_episodes(tmp_path / "episodes.jsonl"))
    assert [(one.group, one.tags) for one in found] == [
        ("a", {"level": "easy", "step": 3}),
        ("b", {"level": "easy", "step": 3}),
        ("c", {"level": "easy", "step": 4}),
    ]


def run(folder: Path, steps: range, resume: Any = None) -> dict[str, int]:
    """Logs some steps; returns the state after the first of them."""
    with RunLog(folder, resume=resume, **QUIET) as log:
        states = []
        for step in steps:
            log.step(step, {"value": step / 7})
            log.episodes(step, [episode(f"group {step}")])
            states.append(log.state())
    return dict(states[0])


def test_a_resumed_run_writes_the_same_files_as_an_uninterrupted_one(tmp_path: Path) -> None:
    run(tmp_path / "whole", range(1, 6))
    checkpoint = run(tmp_path / "killed", range(1, 4))
    run(tmp_path / "killed", range(2, 6), resume=json.loads(json.dumps(checkpoint)))
    for name in ("metrics.jsonl", "episodes.jsonl"):
        assert (tmp_path / "killed" / name).read_bytes() == (tmp_path / "whole" / name).read_bytes()


def test_a_line_torn_by_a_kill_is_cut_off_at_resume_and_skipped_by_readers(tmp_path: Path) -> None:
    checkpoint = run(tmp_path, range(1, 2))
    for name in ("metrics.jsonl", "episodes.jsonl"):
        with (tmp_path / name).open("ab") as file:
            file.write(b'{"step": 2, "val')
    assert [row["step"] for row in read_metrics(tmp_path / "metrics.jsonl")] == [1]
    run(tmp_path, range(2, 3), resume=checkpoint)
    assert [row["step"] for row in read_metrics(tmp_path / "metrics.jsonl")] == [1, 2]
    assert [one.group for one in read_episodes(tmp_path / "episodes.jsonl")] == ["group 1", "group 2"]


def test_a_run_killed_in_the_middle_of_a_step_leaves_every_finished_row(tmp_path: Path) -> None:
    program = f"""
        import os, signal
        from turnwise.agents.logs import RunLog
        log = RunLog({str(tmp_path)!r}, tensorboard=False, terminal=False, curves=False)
        log.step(1, {{"a": 1}})
        log.step(2, {{"a": 2}})
        os.kill(os.getpid(), signal.SIGKILL)
    """
    killed = subprocess.run([sys.executable, "-c", textwrap.dedent(program)], check=False)
    assert killed.returncode == -signal.SIGKILL
    assert read_metrics(tmp_path / "metrics.jsonl") == [{"step": 1, "a": 1.0}, {"step": 2, "a": 2.0}]


def test_an_empty_state_begins_anew_and_no_state_refuses_to_mix_two_runs(tmp_path: Path) -> None:
    run(tmp_path, range(1, 4))
    with pytest.raises(CheckpointError, match="already holds the record of a run; resume that run, or choose another"):
        RunLog(tmp_path, **QUIET)
    run(tmp_path, range(1, 2), resume={})
    assert [row["step"] for row in read_metrics(tmp_path / "metrics.jsonl")] == [1]


def test_a_file_shorter_than_its_checkpoint_is_refused(tmp_path: Path) -> None:
    checkpoint = run(tmp_path, range(1, 3))
    os.truncate(tmp_path / "episodes.jsonl", 5)
    with pytest.raises(CheckpointError, match=r"episodes\.jsonl has 5 bytes, but its checkpoint was made when it had"):
        RunLog(tmp_path, resume=checkpoint, **QUIET)


def test_a_broken_row_in_the_middle_names_its_line(tmp_path: Path) -> None:
    path = tmp_path / "metrics.jsonl"
    path.write_text('{"step": 1}\nnonsense\n{"step": 2}\n')
    with pytest.raises(InvalidInput, match=r"metrics\.jsonl, line 2: not a row of metrics: b'nonsense'"):
        read_metrics(path)


def scalars(folder: Path) -> dict[str, list[tuple[int, float]]]:
    """Reads event files as TensorBoard does, purged steps left out."""
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    accumulator = EventAccumulator(str(folder))
    accumulator.Reload()
    return {
        tag: [(event.step, event.value) for event in accumulator.Scalars(tag)] for tag in accumulator.Tags()["scalars"]
    }


def test_tensorboard_gets_the_finite_numbers_and_hides_what_a_killed_run_wrote(tmp_path: Path) -> None:
    with RunLog(tmp_path, tensorboard=True, terminal=False, curves=False) as log:
        log.step(1, {"rollout/success": 0.25, "kl": math.nan})
        checkpoint = log.state()
        log.step(2, {"rollout/success": 0.5})
        log.step(3, {"rollout/success": 0.75})
    with RunLog(tmp_path, tensorboard=True, terminal=False, curves=False, resume=checkpoint) as log:
        log.step(2, {"rollout/success": 1.0})
    assert scalars(tmp_path / "tensorboard") == {"rollout/success": [(1, 0.25), (2, 1.0)]}


def test_closing_draws_the_learning_curves(tmp_path: Path) -> None:
    with RunLog(tmp_path, tensorboard=False, terminal=False) as log:
        log.step(1, {"success": 0.5})
        log.step(2, {"success": 0.75})
    assert (tmp_path / "curves.png").read_bytes().startswith(b"\x89PNG")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["curves.png", "metrics.jsonl"]


def test_an_error_inside_the_run_still_closes_the_log(tmp_path: Path) -> None:
    def fail() -> None:
        with RunLog(tmp_path, tensorboard=False, terminal=False) as log:
            log.step(1, {"success": 0.5})
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        fail()
    assert (tmp_path / "curves.png").exists()


def test_without_a_terminal_progress_is_one_plain_line_a_step(
    tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    with RunLog(tmp_path, tensorboard=False, curves=False, total_steps=2) as log:
        log.step(1, {"rollout/success": 0.5, "rollout/tokens_per_second": 1234.5, "eval/success": 0.1})
        log.message("checkpoint saved")
        log.step(2, {"rollout/success": 0.75, "learner/kl": 1.24e-5})
    captured = capfd.readouterr()
    assert captured.out == ""
    lines = captured.err.splitlines()
    assert lines[0].startswith("step 1/2  success 0.500  tokens/s 1,234  ETA ")
    assert lines[1] == "checkpoint saved"
    assert lines[2] == "step 2/2  success 0.750  KL 1.2e-05  ETA 0s"
