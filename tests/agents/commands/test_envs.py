"""`turnwise envs`."""

from __future__ import annotations

import json

import gymnasium as gym
import pytest

from turnwise.agents.cli import main
from turnwise.envs import registration


def test_the_list_shows_what_each_environment_is(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["envs", "guess"]) == 0
    out = capsys.readouterr().out
    assert out.startswith(
        "turnwise/GuessNumber-v0\n"
        "  find a secret number by 'too low' and 'too high'\n"
        "  action  <guess>N</guess>\n"
        "  levels  easy (5 turns), medium (7 turns), "
    )
    assert "Arithmetic" not in out
    assert "\x1b" not in out


def test_json_is_complete(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["envs", "--json"]) == 0
    entries = {entry["id"]: entry for entry in json.loads(capsys.readouterr().out)}
    assert set(entries) >= set(registration.ENVIRONMENTS)
    assert entries["turnwise/GuessNumber-v0"]["levels"]["easy"] == 5
    assert entries["turnwise/GuessNumber-v0"]["error"] is None


def test_an_environment_that_cannot_be_loaded_says_why(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(gym.registry, "acme/Broken-v0", gym.envs.registration.EnvSpec("acme/Broken-v0", "nowhere:Env"))
    monkeypatch.setattr(registration, "_plugin_ids", {"acme/Broken-v0"})
    assert main(["envs", "broken"]) == 0
    assert (
        "acme/Broken-v0\n  cannot be loaded: ModuleNotFoundError: No module named 'nowhere'\n"
        in capsys.readouterr().out
    )


def test_a_name_that_nothing_has_is_an_error(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["envs", "zzz"]) == 1
    assert capsys.readouterr().out == "no environment has 'zzz' in its id\n"
