import subprocess
import sys
from importlib.metadata import EntryPoint

import pytest

from turnwise.agents import engines
from turnwise.agents.engines import Engine, ServerEngine, TransformersEngine, engine_class, engine_names, registry
from turnwise.agents.errors import ConfigError, MissingExtra


class Plugin(Engine):
    context_length = 1

    async def generate(self, prompt_ids, sampling, *, seed):
        raise NotImplementedError


@pytest.fixture
def plugins(monkeypatch):
    points = [
        EntryPoint("mine", f"{__name__}:Plugin", registry.GROUP),
        EntryPoint("no-engine", "builtins:int", registry.GROUP),
    ]
    monkeypatch.setitem(sys.modules, __name__, sys.modules.get(__name__) or __import__("types").ModuleType(__name__))
    monkeypatch.setattr(sys.modules[__name__], "Plugin", Plugin, raising=False)
    monkeypatch.setattr(registry, "entry_points", lambda group: points if group == registry.GROUP else [])


def test_our_engines_have_names():
    assert engine_class("transformers") is TransformersEngine
    assert engine_class("server") is ServerEngine
    assert {"transformers", "server"} <= set(engine_names())


def test_a_plug_in_is_found_by_its_entry_point(plugins):
    assert engine_class("mine") is Plugin
    assert engine_names() == ["mine", "no-engine", "server", "transformers"]


def test_an_unknown_name_gets_the_nearest_one(plugins):
    with pytest.raises(ConfigError, match="did you mean 'transformers'"):
        engine_class("transformer")
    with pytest.raises(ConfigError, match="known: mine, no-engine, server, transformers"):
        engine_class("zzz")


def test_a_plug_in_that_is_no_engine_is_refused(plugins):
    with pytest.raises(ConfigError, match="no subclass"):
        engine_class("no-engine")


def test_a_missing_dependency_names_the_extra(monkeypatch):
    monkeypatch.delitem(sys.modules, "turnwise.agents.engines.transformers_engine")
    monkeypatch.setitem(sys.modules, "torch", None)
    with pytest.raises(MissingExtra, match=r"turnwise\[train\]"):
        engine_class("transformers")


def test_an_unknown_attribute_is_an_attribute_error():
    with pytest.raises(AttributeError, match="NoEngine"):
        _ = engines.NoEngine


def test_importing_the_package_loads_neither_torch_nor_a_client():
    code = (
        "import sys, turnwise.agents.engines, turnwise.agents.policies, turnwise.agents.tokens; "
        "print([name for name in ('torch', 'transformers', 'openai') if name in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
