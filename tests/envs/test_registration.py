from __future__ import annotations

import subprocess
import sys
import warnings
from importlib.metadata import EntryPoint
from types import ModuleType
from typing import Any

import gymnasium as gym
import pytest
from gymnasium.envs.registration import EnvSpec

import turnwise.envs
from turnwise.envs import PluginWarning, TurnEnv, list_envs, register_all
from turnwise.envs.registration import ENVIRONMENTS, describe, load_plugins


@pytest.fixture
def plugin_module() -> Any:
    """A module that plug-ins can name; what it registers is removed afterwards."""
    module = ModuleType("acme_environments")
    module.register = lambda: gym.register("acme/Thing-v0", "turnwise.envs.text.guess_number:GuessNumber")
    module.broken = lambda: 1 / 0
    sys.modules["acme_environments"] = module
    yield module
    del sys.modules["acme_environments"]
    gym.registry.pop("acme/Thing-v0", None)


def plugin(name: str, value: str) -> EntryPoint:
    return EntryPoint(name, value, "turnwise.envs")


def test_gymnasium_finds_our_environments_by_module_and_id_without_an_import() -> None:
    code = (
        "import gymnasium as gym\n"
        "env = gym.make('turnwise.envs:turnwise/GuessNumber-v0', difficulty='medium')\n"
        "print(env.reset(seed=0)[0])"
    )
    reply = subprocess.run([sys.executable, "-W", "error", "-c", code], capture_output=True, text=True, check=False)
    assert reply.stdout.strip() == "I think of a number. It is between 1 and 64. 7 guesses left.", reply.stderr


@pytest.mark.parametrize("env_id", sorted(ENVIRONMENTS))
def test_specs_survive_json_and_rebuild_the_environment(env_id: str) -> None:
    env = gym.make(env_id, difficulty=2, split="test", reward="dense")
    assert env.spec is not None
    again = EnvSpec.from_json(env.spec.to_json()).make()
    assert again.reset(seed=3) == env.reset(seed=3)
    assert again.unwrapped.reward == "dense"  # type: ignore[attr-defined] # a TurnEnv
    assert isinstance(env.spec.entry_point, str)


def test_registering_again_changes_nothing() -> None:
    before = {env_id: gym.spec(env_id) for env_id in ENVIRONMENTS}
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        register_all()
        gym.register_envs(turnwise.envs)
    assert {env_id: gym.spec(env_id) for env_id in ENVIRONMENTS} == before


def test_a_plugin_registers_through_a_function_and_is_listed(plugin_module: ModuleType) -> None:
    load_plugins([plugin("acme", "acme_environments:register")])
    assert gym.make("acme/Thing-v0").reset(seed=0)[0].startswith("I think")
    assert "acme/Thing-v0" in {entry.id for entry in list_envs()}


def test_a_broken_plugin_warns_with_its_name_and_leaves_the_others_alone(plugin_module: ModuleType) -> None:
    with pytest.warns(PluginWarning) as caught:
        load_plugins(
            [
                plugin("bad", "acme_environments:broken"),
                plugin("gone", "no_such_module_of_acme"),
                plugin("good", "acme_environments:register"),
            ]
        )
    messages = [str(warning.message) for warning in caught]
    assert len(messages) == 2
    assert "'bad' (acme_environments:broken)" in messages[0]
    assert "ZeroDivisionError" in messages[0]
    assert "'gone'" in messages[1]
    assert "acme/Thing-v0" in gym.registry


def test_the_list_tells_what_a_user_needs_to_choose() -> None:
    entries = {entry.id: entry for entry in list_envs()}
    assert set(ENVIRONMENTS) <= set(entries)
    guess = entries["turnwise/GuessNumber-v0"]
    assert guess.levels == {"easy": 5, "medium": 7, "hard": 9, "expert": 11, "extreme": 20}
    assert guess.actions == "<guess>N</guess>"
    assert guess.summary
    assert guess.error is None


def test_the_list_describes_foreign_and_broken_environments_too() -> None:
    class Foreign(gym.Env[str, str]):
        """An environment of somebody else."""

    assert describe(EnvSpec("x/Foreign-v0", entry_point=Foreign)).summary == "An environment of somebody else."
    broken = describe(EnvSpec("x/Broken-v0", entry_point="no_such_module_of_acme:Env"))
    assert broken.error is not None
    assert "ModuleNotFoundError" in broken.error


@pytest.mark.parametrize("env_id", sorted(ENVIRONMENTS))
def test_ids_follow_the_convention(env_id: str) -> None:
    spec = gym.spec(env_id)
    creator = gym.make(env_id).unwrapped
    assert isinstance(creator, TurnEnv)
    assert (spec.namespace, spec.name, spec.version) == ("turnwise", type(creator).__name__, type(creator).version)
