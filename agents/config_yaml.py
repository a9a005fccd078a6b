"""YAML as configurations use it: plain data only, scalars by the rules of YAML 1.2, no key twice."""

from __future__ import annotations

import os
import re
from pathlib import Path
from typing import Any

import yaml

from turnwise.agents.errors import ConfigError

_FLOAT = r"[-+]?(?:[0-9]+\.[0-9]*|\.[0-9]+|[0-9]+(?=[eE]))(?:[eE][-+]?[0-9]+)?|[-+]?\.(?:inf|Inf|INF)|\.(?:nan|NaN|NAN)"
# YAML 1.2's core schema. PyYAML's rules are those of YAML 1.1: 1e-4 is text; yes, 1:30 and 2024-01-01 are not.
_SCALARS = [
    ("tag:yaml.org,2002:bool", r"true|True|TRUE|false|False|FALSE", "tTfF"),
    ("tag:yaml.org,2002:int", r"[-+]?[0-9]+", "-+0123456789"),
    ("tag:yaml.org,2002:float", _FLOAT, "-+.0123456789"),
    ("tag:yaml.org,2002:null", r"~|null|Null|NULL|", ["~", "n", "N", ""]),
]


class _Loader(yaml.SafeLoader):
    yaml_implicit_resolvers = {}  # noqa: RUF012 - PyYAML's own attribute

    def construct_yaml_int(self, node: yaml.ScalarNode) -> int:
        """Reads a decimal integer; PyYAML would read 010 as octal."""
        return int(self.construct_scalar(node))

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Any, Any]:
        """Reads a mapping; PyYAML would let the last of two equal keys win in silence."""
        names = [self.construct_object(key, deep=True) for key, _ in node.value]
        twice = [name for position, name in enumerate(names) if name in names[:position]]
        if twice:
            raise yaml.constructor.ConstructorError(None, None, f"key {twice[0]!r} stands here twice", node.start_mark)
        return super().construct_mapping(node, deep)


class _Dumper(yaml.SafeDumper):
    yaml_implicit_resolvers = {}  # noqa: RUF012 - PyYAML's own attribute


def _represent_text(dumper: yaml.SafeDumper, text: str) -> yaml.ScalarNode:
    """Quotes text of more than one line so that it stands on one."""
    style = '"' if len(text.splitlines()) > 1 or text.endswith(("\n", "\r")) else None
    return dumper.represent_scalar("tag:yaml.org,2002:str", text, style)


for _class in (_Loader, _Dumper):
    for _tag, _pattern, _first in _SCALARS:
        _class.add_implicit_resolver(_tag, re.compile(f"^(?:{_pattern})$"), list(_first))
_Dumper.add_representer(str, _represent_text)
_Loader.add_constructor("tag:yaml.org,2002:int", _Loader.construct_yaml_int)


def parse(text: str, where: str) -> Any:
    """Returns the value of a YAML text.

    Raises:
        ConfigError: It is not YAML; the message begins with `where`.
    """
    try:
        return yaml.load(text, _Loader)
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark
        place = f", line {mark.line + 1}, column {mark.column + 1}" if mark else ""
        raise ConfigError(f"{where}{place}: {error.problem}") from error
    except yaml.YAMLError as error:  # a character that YAML forbids
        raise ConfigError(f"{where}: not YAML: {' '.join(str(error).split())}") from error


def read_file(file: str | os.PathLike[str]) -> dict[str, Any]:
    """Returns the mapping in a YAML file; empty for an empty file.

    Raises:
        ConfigError: The file cannot be read, or holds something other than a mapping.
    """
    try:
        text = Path(file).read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError(f"{os.fspath(file)}: cannot be read: {error}") from error
    data = parse(text, os.fspath(file))
    if not isinstance(data, dict | None):
        raise ConfigError(f"{os.fspath(file)}: a configuration is a mapping of keys to values, not {data!r}")
    return data or {}


def inline(value: Any) -> str:
    """Returns a value as YAML on one line, as it would stand after `key: `."""
    text = yaml.dump(value, Dumper=_Dumper, default_flow_style=True, sort_keys=False, allow_unicode=True, width=10**9)
    return text.removesuffix("\n").removesuffix("\n...")
