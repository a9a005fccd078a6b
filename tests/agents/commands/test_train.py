"""`turnwise train` and `turnwise demo` from the command line."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from turnwise.agents.cli import main
from turnwise.agents.commands.demo import _make_way
from turnwise.agents.tokens.tiny import make_model, make_tokenizer

SMALL = [
    "steps=1",
    "tasks.groups=1",
    "tasks.group_size=2",
    "tasks.difficulties=[easy]",
    "evaluation.episodes=2",
    "sampling.max_tokens=6",
    "model.device=cpu",
]
EXAMPLE = str(Path(__file__).resolve().parents[3] / "examples" / "guess_number.yaml")


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("model")
    tokenizer = make_tokenizer(["I think of a number. It is between 1 and 16. <guess>8</guess>"] * 4, 320)
    make_model(tokenizer, layers=1, width=16, heads=2).save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    return folder


def steps(folder: Path) -> list[int]:
    return [json.loads(line)["step"] for line in (folder / "metrics.jsonl").read_text().splitlines()]


def test_a_run_is_trained_with_words_and_options_in_any_order_and_goes_on_with_resume(
    model: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = tmp_path / "run"
    assert main(["train", EXAMPLE, "--output", str(folder), "--quiet", f"model.path={model}", *SMALL]) == 0
    assert steps(folder) == [0, 1]
    assert f"the model is in {folder / 'model'}" in capsys.readouterr().out
    assert main(["train", "--resume", str(folder), "steps=2", "--quiet"]) == 0
    assert steps(folder) == [0, 1, 2]


def test_the_keys_are_listed_with_what_they_mean(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["train", "--keys"]) == 0
    assert "tasks.groups = 16  [int]\n      Tasks per step." in capsys.readouterr().out


@pytest.mark.parametrize(
    ("words", "message"),
    [
        ([EXAMPLE], "give either --output FOLDER"),
        (["--output", "a", "--resume", "b"], "give either --output FOLDER"),
        (["--resume", "nowhere"], "no run was begun there"),
        (["--output", "a", "taskss.groups=2"], "did you mean tasks"),
        (["--output", "a", "steps=many"], "steps"),
    ],
)
def test_what_cannot_be_used_is_one_line_that_names_it(
    words: list[str], message: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["train", *words]) == 2
    error = capsys.readouterr().err
    assert message in error
    assert error.count("\n") == 1


def test_a_resumed_run_takes_no_other_file(model: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "config.yaml").write_text("steps: 1\n")
    assert main(["train", "--resume", str(tmp_path), EXAMPLE]) == 2
    assert "has its configuration already" in capsys.readouterr().err


def test_an_earlier_demonstration_is_kept_under_another_name(tmp_path: Path) -> None:
    folder = tmp_path / "demo"
    for content in ("first", "second"):
        folder.mkdir()
        (folder / "summary.json").write_text(content)
        _make_way(folder)
    assert not folder.exists()
    assert (tmp_path / "demo.1" / "summary.json").read_text() == "first"
    assert (tmp_path / "demo.2" / "summary.json").read_text() == "second"


def test_a_demonstration_that_cannot_run_moves_nothing(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "summary.json").write_text("kept")
    assert main(["demo", "--steps", "0", "--output", str(tmp_path)]) == 2
    assert "steps=0 must be at least 1" in capsys.readouterr().err
    assert (tmp_path / "summary.json").read_text() == "kept"
