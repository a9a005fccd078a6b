"""What a configuration's dataclasses say about themselves: keys, types, defaults, docstrings. Standard library only."""

from __future__ import annotations

import ast
import dataclasses
import enum
import functools
import inspect
import itertools
import textwrap
import types
import typing
from collections.abc import Iterator, Mapping
from pathlib import PurePath
from typing import Any, TypeGuard

from turnwise.agents.errors import ConfigError


@dataclasses.dataclass(frozen=True)
class Key:
    """One setting of a configuration.

    Attributes:
        name: Its dotted name.
        type: Its type, as a person reads it.
        default: Its default as plain data; `dataclasses.MISSING` where the key is required.
        doc: The docstring under the field, on one line.
        when: The choice under which the key exists, such as "credit.name=gigpo"; "" where it always does.
        section: Whether the key is a section (its value is a dataclass, whose own keys follow).
    """

    name: str
    type: str
    default: Any
    doc: str
    when: str = ""
    section: bool = False


def keys(cls: type) -> list[Key]:
    """Returns every key of a configuration class in the order of its fields, sections before their own keys.

    Raises:
        ConfigError: The dataclasses of a union cannot be told apart.
    """
    return _keys(cls, {}, "", "")


def _keys(cls: type, defaults: Mapping[str, Any], prefix: str, when: str) -> list[Key]:
    """As `keys`, for a section whose field gives it `defaults` that go before those of its class."""
    found = []
    docs = field_docs(cls)
    for field, annotation in fields_of(cls):
        name = prefix + field.name
        arms = section_arms(annotation)
        default = defaults.get(field.name, default_of(field))
        found.append(Key(name, type_name(annotation), default, docs.get(field.name, ""), when, bool(arms)))
        tag = choice_field(arms)
        for arm in arms:
            chosen = f"{name}.{tag}={choice_value(arm, tag)}" if tag else when
            fits = isinstance(default, Mapping) and (tag is None or default.get(tag) == choice_value(arm, tag))
            found += _keys(arm, default if fits else {}, f"{name}.", chosen)
    return found


def fields_of(cls: type) -> Iterator[tuple[dataclasses.Field[Any], Any]]:
    """Yields each field that the constructor takes, with its resolved annotation."""
    hints = typing.get_type_hints(cls, include_extras=True)
    for field in dataclasses.fields(cls):
        if field.init:
            yield field, hints[field.name]


@functools.cache
def field_types(cls: type) -> Mapping[str, Any]:
    """Returns the resolved annotation of each field by name."""
    return {field.name: annotation for field, annotation in fields_of(cls)}


def members(annotation: Any) -> tuple[Any, ...]:
    """Returns the alternatives that an annotation admits: itself, or the members of its union."""
    origin = typing.get_origin(annotation)
    if origin is typing.Annotated:
        return members(typing.get_args(annotation)[0])
    if origin in (typing.Union, types.UnionType):
        return tuple(arm for member in typing.get_args(annotation) for arm in members(member))
    return (annotation,)


def section_arms(annotation: Any) -> tuple[type, ...]:
    """Returns the dataclasses among an annotation's alternatives; empty for a plain value."""
    return tuple(arm for arm in members(annotation) if _is_section(arm))


def choice_field(arms: tuple[type, ...]) -> str | None:
    """Returns the field that tells the dataclasses of a union apart; None where there is nothing to choose.

    Raises:
        ConfigError: The dataclasses share no field of type `Literal` with differing values.
    """
    if len(arms) < 2:
        return None
    hints = [field_types(arm) for arm in arms]
    for name in hints[0]:
        kinds = {repr(kind): typing.get_origin(kind) for kind in (types_.get(name) for types_ in hints)}
        if len(kinds) == len(arms) and set(kinds.values()) == {typing.Literal}:
            return name
    names = " | ".join(arm.__name__ for arm in arms)
    raise ConfigError(f"{names}: give each a field of one name and its own Literal type, that tells them apart")


def choice_value(arm: type, tag: str) -> Any:
    """Returns the value of the field `tag` that chooses `arm`."""
    return typing.get_args(field_types(arm)[tag])[0]


def chosen_arms(arms: tuple[type, ...], data: Any) -> tuple[type, ...]:
    """Returns the one dataclass of a union that `data` chooses; all of them where it chooses none of them."""
    tag = choice_field(arms)
    if tag is None or not isinstance(data, Mapping):
        return arms
    chosen = tuple(arm for arm in arms if data.get(tag) == choice_value(arm, tag))
    return chosen or arms


def annotations_at(cls: type, name: str) -> tuple[Any, ...]:
    """Returns what the field with a dotted name admits: the members of its annotation; empty for an unknown name."""
    arms: tuple[type, ...] = (cls,)
    found: tuple[Any, ...] = ()
    for part in name.split("."):
        found = tuple(member for arm in arms if part in field_types(arm) for member in members(field_types(arm)[part]))
        arms = tuple(member for member in found if _is_section(member))
    return found


def sections_at(cls: type, name: str) -> tuple[type, ...]:
    """Returns the dataclasses among `annotations_at`."""
    return tuple(member for member in annotations_at(cls, name) if _is_section(member))


def _is_section(annotation: Any) -> TypeGuard[type]:
    return isinstance(annotation, type) and dataclasses.is_dataclass(annotation)


def default_of(field: dataclasses.Field[Any]) -> Any:
    """Returns a field's default as plain data; `dataclasses.MISSING` where it has none."""
    if field.default is not dataclasses.MISSING:
        return data_of(field.default)
    if field.default_factory is not dataclasses.MISSING:
        return data_of(field.default_factory())
    return dataclasses.MISSING


def default_data(cls: type) -> dict[str, Any]:
    """Returns the defaults of a configuration class as nested plain data, without its required keys."""
    defaults = {}
    for field, annotation in fields_of(cls):
        arms = section_arms(annotation)
        value = default_of(field)
        if value is not dataclasses.MISSING:
            defaults[field.name] = value
        elif len(arms) == 1 and len(members(annotation)) == 1:
            defaults[field.name] = default_data(arms[0])
    return defaults


def data_of(value: Any) -> Any:
    """Returns a configuration, or a value in one, as what YAML and JSON can hold."""
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        return {field.name: data_of(getattr(value, field.name)) for field in dataclasses.fields(value) if field.init}
    if isinstance(value, Mapping):
        return {data_of(key): data_of(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [data_of(item) for item in value]
    if isinstance(value, enum.Enum):
        return value.value
    return str(value) if isinstance(value, PurePath) else value


def type_name(annotation: Any) -> str:
    """Returns an annotation as a person reads it: `float | null`, `tuple[float, float]`, `"a" | "b"`."""
    if annotation is type(None):
        return "null"
    if annotation is Any:
        return "anything"
    if annotation is Ellipsis:
        return "..."
    origin, arguments = typing.get_origin(annotation), typing.get_args(annotation)
    if origin is typing.Annotated:
        return type_name(arguments[0])
    if origin is typing.Literal:
        return " | ".join("null" if value is None else repr(value) for value in arguments)
    if origin in (typing.Union, types.UnionType):
        return " | ".join(type_name(member) for member in arguments)
    name = getattr(origin or annotation, "__name__", str(annotation))
    return f"{name}[{', '.join(type_name(argument) for argument in arguments)}]" if arguments else name


@functools.cache
def field_docs(cls: type) -> Mapping[str, str]:
    """Returns the docstring under each field of a dataclass and its bases by name, each on one line."""
    docs: dict[str, str] = {}
    for base in reversed(cls.__mro__[:-1]):
        try:
            tree = ast.parse(textwrap.dedent(inspect.getsource(base)))
        except (OSError, TypeError, SyntaxError):  # no source at hand (a class made at run time): no docstrings either
            continue
        body = tree.body[0].body if tree.body and isinstance(tree.body[0], ast.ClassDef) else []
        for field, text in itertools.pairwise(body):
            if (
                isinstance(field, ast.AnnAssign)
                and isinstance(field.target, ast.Name)
                and isinstance(text, ast.Expr)
                and isinstance(text.value, ast.Constant)
                and isinstance(text.value.value, str)
            ):
                docs[field.target.id] = " ".join(text.value.value.split())
    return docs
