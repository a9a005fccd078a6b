"""`turnwise eval`."""

from __future__ import annotations

import json
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any, ClassVar

import pytest

from turnwise.agents.cli import main
from turnwise.agents.rollout import read_episodes

ENV = "turnwise/GuessNumber-v0"


def measured(capsys: pytest.CaptureFixture[str], *words: str) -> dict[str, Any]:
    """Runs an evaluation of 8 tasks and returns its JSON."""
    assert main(["eval", ENV, "-n", "8", "--json", *words]) == 0
    return json.loads(capsys.readouterr().out)  # type: ignore[no-any-return]  # what the command printed


def test_the_table_has_a_row_per_level_with_intervals(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["eval", ENV, "--policy", "oracle", "-n", "8", "--level", "easy", "--level", "2"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[0] == f"{ENV}, split test, seed 0: 8 tasks, 1 attempt each"
    assert [line.split()[0] for line in lines[2:6]] == ["difficulty", "easy", "2", "all"]
    assert "1.000 [0.676, 1.000]" in lines[5]  # Wilson's interval of 8 in 8


def test_json_is_the_whole_evaluation(capsys: pytest.CaptureFixture[str]) -> None:
    result = measured(capsys, "--policy", "oracle", "--split", "train", "--seed", "3")
    assert (result["env_id"], result["split"], result["seed"], result["samples"]) == (ENV, "train", 3, 1)
    assert result["overall"]["success"]["value"] == 1.0
    assert len(result["tasks"]) == 8


def test_chance_does_worse_than_the_expert_on_the_same_tasks(capsys: pytest.CaptureFixture[str]) -> None:
    oracle = measured(capsys, "--policy", "oracle", "--level", "hard")
    chance = measured(capsys, "--policy", "random", "--level", "hard")
    assert [task["seed"] for task in oracle["tasks"]] == [task["seed"] for task in chance["tasks"]]
    assert chance["overall"]["success"]["value"] < 0.5


def test_k_decides_the_attempts_and_adds_its_columns(capsys: pytest.CaptureFixture[str]) -> None:
    result = measured(capsys, "--policy", "random", "--k", "1", "4")
    assert result["samples"] == 4
    assert set(result["overall"]["pass_at"]) == {"1", "4"}
    assert measured(capsys, "--policy", "random", "--k", "1", "--samples", "3")["samples"] == 3


def test_all_levels_are_each_evaluated(capsys: pytest.CaptureFixture[str]) -> None:
    result = measured(capsys, "--policy", "oracle", "--level", "all")
    names = [row["name"] for row in result["by_difficulty"]]
    assert names == ["easy", "medium", "hard", "expert", "extreme"]


def test_the_episodes_are_written_in_place_of_earlier_ones(tmp_path: Path) -> None:
    path = tmp_path / "deep" / "episodes.jsonl"
    for seed in ("1", "2"):
        assert main(["eval", ENV, "--policy", "oracle", "-n", "3", "--seed", seed, "--episodes", str(path)]) == 0
    assert len(list(read_episodes(path))) == 3


@pytest.fixture(scope="module")
def run_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of a run that has saved a small model."""
    pytest.importorskip("torch")
    from turnwise.agents.tokens.tiny import make_model, make_tokenizer

    folder = tmp_path_factory.mktemp("run")
    tokenizer = make_tokenizer(["I think of a number.", "<guess>8</guess>"], 300)
    make_model(tokenizer, layers=1, width=32, heads=2).save_pretrained(folder / "model")
    tokenizer.save_pretrained(folder / "model")
    return folder


def test_a_runs_folder_stands_for_its_model_and_its_episodes_have_tokens(
    run_folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = run_folder / "episodes.jsonl"
    measured(capsys, "--policy", str(run_folder), "--max-tokens", "4", "--episodes", str(path))
    turns = [turn for episode in read_episodes(path) for turn in episode.turns]
    assert len(turns) == 40
    assert all(1 <= len(turn.action_ids) <= 4 for turn in turns)
    assert main(["view", str(run_folder)]) == 0
    assert "<|im_start|>".replace("<", "\\u003c").replace(">", "\\u003e") in path.with_suffix(".html").read_text()


class Answers(BaseHTTPRequestHandler):
    """An OpenAI-compatible server that always guesses 8."""

    asked: ClassVar[list[tuple[str, dict[str, Any]]]] = []

    def do_POST(self) -> None:
        body = json.loads(self.rfile.read(int(self.headers["content-length"])))
        self.asked.append((self.headers["authorization"], body))
        choice = {"index": 0, "finish_reason": "stop", "message": {"role": "assistant", "content": "<guess>8</guess>"}}
        reply = json.dumps({"id": "1", "object": "chat.completion", "created": 0, "model": "m", "choices": [choice]})
        self.send_response(200)
        self.send_header("content-type", "application/json")
        self.end_headers()
        self.wfile.write(reply.encode())

    def log_message(self, *arguments: Any) -> None:
        pass


def test_a_servers_address_stands_for_its_model(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    pytest.importorskip("openai")
    monkeypatch.setenv("SOME_KEY", "secret")
    Answers.asked.clear()
    with ThreadingHTTPServer(("127.0.0.1", 0), Answers) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        address = f"http://127.0.0.1:{server.server_port}/v1"
        words = ("--policy", address, "--model", "m", "--key-variable", "SOME_KEY", "--temperature", "0.5")
        result = measured(capsys, *words)
        server.shutdown()
        thread.join()
    assert 0 <= result["overall"]["success"]["value"] < 1
    key, body = Answers.asked[0]
    assert key == "Bearer secret"
    assert (body["model"], body["temperature"]) == ("m", 0.5)
    assert body["messages"][0]["role"] == "system"


@pytest.mark.filterwarnings("ignore")
def test_an_evaluation_of_failures_only_is_status_1(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["eval", "CartPole-v1", "--policy", "random", "-n", "2", "--split", "none"]) == 1
    assert "environment.reset must return text" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["turnwise/Gess-v0", "--policy", "oracle"], "no environment 'turnwise/Gess-v0'"),
        ([ENV], "the following arguments are required: --policy"),
        ([ENV, "--policy", "oracle", "-n", "0"], "n=0 tasks cannot be dealt out"),
        ([ENV, "--policy", "oracle", "--k", "3", "--samples", "2"], "each must lie between 1 and samples=2"),
        ([ENV, "--policy", "oracle", "--level", "absurd"], "difficulty must be one of"),
        ([ENV, "--policy", "oracle", "--model", "x"], "--model and --key-variable are for servers"),
        ([ENV, "--policy", "oracle", "--concurrency", "0"], "concurrency=0 must be at least 1"),
        ([ENV, "--policy", "http://localhost:1/v1"], "--model NAME says which of the server's models is meant"),
        (
            [ENV, "--policy", "http://localhost:1/v1", "--model", "m", "--key-variable", "NO_SUCH_KEY"],
            "there is no environment variable of that name",
        ),
        ([ENV, "--policy", "{folder}"], "holds no model: neither config.json, nor model/, nor a checkpoint"),
    ],
)
def test_what_cannot_be_evaluated_is_one_clear_line(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], words: list[str], message: str
) -> None:
    assert main(["eval", *(word.format(folder=tmp_path) for word in words)]) == 2
    err = capsys.readouterr().err
    assert message in err
    assert err.count("\n") == 1
