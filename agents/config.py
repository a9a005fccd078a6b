"""Configurations: nested dataclasses from YAML files and `key=value` overrides, checked, and written back as YAML.

A configuration is any dataclass, frozen or not, whose fields are plain values, other such dataclasses (a *section*), or
containers of them; it lives beside the component that it configures and needs nothing from here. One docstring stands
under each field:

    @dataclass(frozen=True)
    class LearnerConfig:
        lr: float = 1e-5
        '''Peak learning rate.'''

    @dataclass(frozen=True)
    class Config:
        learner: LearnerConfig = field(default_factory=LearnerConfig)
        '''How the model is updated.'''

    config = load(Config, files=["run.yaml"], overrides=["learner.lr=1e-4"])

Later files and overrides win. A mapping changes the keys of a section that it names; it replaces a plain `dict` whole,
of which `kwargs.size=3` sets one entry. A field that holds one of several dataclasses (`GRPO | GiGPO`) tells them apart
by a field of one name and of its own `Literal` type in each (`name: Literal["grpo"] = "grpo"`); choosing another starts
from its defaults.

Types are checked strictly by pydantic, which takes the dataclasses as they are: 1.0 is not an int, "3" is not a number,
yes is not a bool. Scalars follow YAML 1.2: 1e-4 is a number, and 010 and 1:30 are not octal or base 60.
"""

from __future__ import annotations

import copy
import dataclasses
import json
import os
import textwrap
from collections.abc import Iterable
from typing import Any, TypeVar

from turnwise.agents.config_errors import explain, suggestion
from turnwise.agents.config_schema import (
    Key,
    annotations_at,
    choice_field,
    chosen_arms,
    data_of,
    default_data,
    field_docs,
    keys,
    sections_at,
)
from turnwise.agents.errors import ConfigError, MissingExtra

try:
    import pydantic

    from turnwise.agents import config_yaml
except ImportError as error:
    raise MissingExtra(error.name or "pydantic", "train") from error

__all__ = ["Key", "describe", "dump", "keys", "load"]

C = TypeVar("C")


class _Partial(dict[str, Any]):
    """A mapping that came of dotted keys: where it meets a plain `dict` it sets entries instead of replacing it."""


def load(cls: type[C], files: Iterable[str | os.PathLike[str]] = (), overrides: Iterable[str] = ()) -> C:
    """Returns a configuration: the defaults of `cls`, changed by each file in turn and then by the overrides.

    Args:
        cls: The dataclass to make.
        files: YAML files, whose mappings nest as the sections do; dotted keys are read as well.
        overrides: Strings `dotted.key=value`, the value in YAML. A text needs no quotes where only text fits.

    Raises:
        ConfigError: A file cannot be read, a key is unknown, a required one is missing, or a value has the wrong type;
            the message names every such key, its value, and what was expected or the nearest valid name.
    """
    keys(cls)  # refuses, before anything else, a class whose choices cannot be told apart
    data = default_data(cls)
    for file in files:
        data = _merged(data, config_yaml.read_file(file), (cls,))
    data = _merged(data, dict(_parse_override(cls, text) for text in overrides), (cls,))
    model = pydantic.create_model(
        cls.__name__, __config__=pydantic.ConfigDict(extra="forbid", strict=True), config=(cls, ...)
    )
    try:
        # By way of JSON, whose strict mode takes a list for a tuple and a string for a path, and nothing looser.
        return model.model_validate_json(json.dumps({"config": data})).config  # type: ignore[attr-defined,no-any-return]  # the field is made above
    except pydantic.ValidationError as error:
        raise ConfigError(explain(cls, data, error.errors(include_url=False))) from error
    except TypeError as error:
        raise ConfigError(f"{cls.__name__}: a value is not plain data: {error}") from error


def dump(config: Any) -> str:
    """Returns a configuration as YAML text, each key under its docstring; `load` of that text gives an equal one."""
    return "".join(f"{line}\n" for line in _dump_lines(config))


def describe(cls: type) -> str:
    """Returns a help text: every key with its type, its default and its docstring."""
    lines = []
    when = ""
    plain_first = sorted(keys(cls), key=lambda key: key.section or "." in key.name)
    for key in plain_first:
        if key.section:
            lines += ["", f"{key.name}: {key.doc or key.type}"]
            continue
        if key.when != when:
            when = key.when
            lines += ["", f"  with {when}"] if when else []
        default = "(required)" if key.default is dataclasses.MISSING else f"= {config_yaml.inline(key.default)}"
        lines.append(f"  {key.name} {default}  [{key.type}]")
        lines += textwrap.wrap(key.doc, 100, initial_indent="      ", subsequent_indent="      ")
    return "\n".join(lines).strip("\n") + "\n"


def _dump_lines(config: Any) -> Iterable[str]:
    docs = field_docs(config.__class__)
    for field in dataclasses.fields(config):
        if not field.init:
            continue
        value = getattr(config, field.name)
        if field.name in docs:
            yield f"# {docs[field.name]}"
        if dataclasses.is_dataclass(value) and dataclasses.fields(value):
            yield f"{field.name}:"
            yield from (f"  {line}" for line in _dump_lines(value))
        else:
            yield f"{field.name}: {config_yaml.inline(data_of(value))}"


def _parse_override(cls: type, text: str) -> tuple[str, Any]:
    name, equals, value = text.partition("=")
    name = name.strip()
    if not equals or not name:
        raise ConfigError(f"{text!r}: an override reads key=value{suggestion(cls, name)}")
    parsed = config_yaml.parse(value, name)
    accepted = annotations_at(cls, name)
    if str in accepted and type(parsed) not in accepted and not isinstance(parsed, str | dict | list):
        parsed = value.strip()  # name=123: only text fits, so that it needs no quotes
    return name, parsed


def _merged(base: dict[str, Any], patch: dict[str, Any], arms: tuple[type, ...]) -> dict[str, Any]:
    """Returns the data of a section (of a plain mapping when there are no `arms`) with the changes of `patch`.

    A key that no field has is kept, for the check to find and name.
    """
    patch = _nested(patch) if arms else patch
    tag = choice_field(arms)
    if tag is not None and patch.get(tag, base.get(tag)) != base.get(tag) and len(chosen_arms(arms, patch)) == 1:
        base = default_data(chosen_arms(arms, patch)[0])
    arms = chosen_arms(arms, {**base, **patch})
    merged = copy.copy(base)  # of its own class: what came of dotted keys stays so
    for name, value in patch.items():
        inner = tuple(section for arm in arms for section in sections_at(arm, name))
        if isinstance(value, dict) and (inner or isinstance(value, _Partial)):
            old = merged.get(name)
            merged[name] = _merged(old if isinstance(old, dict) else type(value)(), value, inner)
        else:
            merged[name] = value
    return merged


def _nested(patch: dict[str, Any]) -> dict[str, Any]:
    """Returns a section's changes with each dotted key as a mapping in a mapping."""
    nested: dict[str, Any] = {}
    for key, value in patch.items():
        name, dot, rest = str(key).partition(".")
        before = nested.get(name)
        if dot:
            nested[name] = copy.copy(before) if isinstance(before, dict) else _Partial()
            nested[name][rest] = value
        else:
            nested[name] = {**before, **value} if isinstance(before, dict) and isinstance(value, dict) else value
    return nested
