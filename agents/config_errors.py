"""What is wrong with a configuration, in words: the key, its value, what was expected, the nearest valid name."""

from __future__ import annotations

import dataclasses
import difflib
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from turnwise.agents.config_schema import choice_field, chosen_arms, field_types, keys, section_arms, type_name


def explain(cls: type, data: Mapping[str, Any], errors: Iterable[Mapping[str, Any]]) -> str:
    """Returns one sentence for each key at fault.

    Args:
        cls: The configuration's class.
        data: The whole configuration as nested plain data.
        errors: pydantic's errors, whose `loc` begins with the field that holds the configuration.
    """
    sentences = [_explain_one(cls, data, error["loc"][1:], error) for error in errors]
    return "; ".join(dict.fromkeys(sentence for sentence in sentences if sentence))


def suggestion(cls: type, name: str, data: Any = None) -> str:
    """Returns "; did you mean KEY?" for the valid key nearest to `name`; else the names that stand where it stood.

    Args:
        cls: The configuration's class.
        name: The dotted name that nobody knows.
        data: The configuration's data: choices made in it leave out the keys of what was not chosen.
    """
    names = [key.name for key in keys(cls) if _applies(key.when, data)]
    elsewhere = [key.when for key in keys(cls) if key.name == name and key.name not in names]
    if elsewhere:
        return f"; it exists with {elsewhere[0]}"
    section, _, last = name.rpartition(".")
    beside = [other for other in names if other.rpartition(".")[0] == section]
    candidates = [other for other in names if not name.startswith(f"{other}.")]  # its sections are no better answer
    nearest = difflib.get_close_matches(name, candidates, 1, 0.8)
    nearest = nearest or [other for other in names if other.rpartition(".")[2] == last]
    nearest = nearest or difflib.get_close_matches(name, beside, 1, 0.5 + 0.5 * (len(section) + 1) / (len(name) + 1))
    if nearest:
        return f"; did you mean {nearest[0]}?"
    return f"; the keys there are {', '.join(beside)}" if beside else ""


def _explain_one(cls: type, data: Any, location: Sequence[Any], error: Mapping[str, Any]) -> str:
    """Follows an error's location through the sections to the key at fault; "" for an arm of a union not chosen."""
    root, root_data = cls, data
    path: list[str] = []
    annotation: Any = cls
    while location and (name := location[0]) in field_types(cls):
        path.append(name)
        location = location[1:]
        annotation = field_types(cls)[name]
        data = data.get(name, dataclasses.MISSING) if isinstance(data, Mapping) else data
        arms = section_arms(annotation)
        if not arms:
            break
        tag = choice_field(arms)
        if tag is not None and isinstance(data, Mapping):
            chosen = chosen_arms(arms, data)
            if len(chosen) > 1:
                values = type_name(_joined_choices(arms, tag))
                return _wrong_type(".".join([*path, tag]), values, data.get(tag, dataclasses.MISSING))
            if location and location[0] in {arm.__name__ for arm in arms}:
                if location[0] != chosen[0].__name__:
                    return ""
                location = location[1:]
            arms = chosen
        cls = arms[0]
    return _sentence(root, root_data, ".".join(path), annotation, data, location, error)


def _sentence(
    root: type, root_data: Any, name: str, annotation: Any, value: Any, rest: Sequence[Any], error: Mapping[str, Any]
) -> str:
    kind = error["type"]
    if kind == "unexpected_keyword_argument" and len(rest) == 1 and section_arms(annotation):
        unknown = ".".join(filter(None, [name, str(rest[0])]))
        return f"{unknown}: unknown key{suggestion(root, unknown, root_data)}"
    if kind == "unexpected_keyword_argument":  # in a dataclass inside a list or a dict
        return f"{'.'.join([name, *map(str, rest)])}: unknown key"
    if kind == "missing" and not rest:
        return f"{name}: required, and has no default (expected {type_name(annotation)})"
    if kind == "value_error" and not rest:
        reason = str(error.get("ctx", {}).get("error", error["msg"]))
        return f"{name}: {reason}" if name and not reason.startswith(name) else reason
    if kind in _SHAPE or kind.endswith(("_type", "_parsing")):
        return _wrong_type(name, type_name(annotation), value)
    inside = f" (at {'.'.join(map(str, rest))})" if rest else ""
    reason = error["msg"][:1].lower() + error["msg"][1:]
    return f"{name}: {reason}{inside}, got {value!r}"


# Errors of shape that pydantic does not name "..._type": the type itself says it better.
_SHAPE = {"missing", "literal_error", "too_short", "too_long", "int_from_float", "enum", "finite_number"}


def _wrong_type(name: str, expected: str, value: Any) -> str:
    got = "" if value is dataclasses.MISSING else f", got {value!r}"
    return f"{name}: expected {expected}{got}"


def _joined_choices(arms: tuple[type, ...], tag: str) -> Any:
    joined = field_types(arms[0])[tag]
    for arm in arms[1:]:
        joined |= field_types(arm)[tag]
    return joined


def _applies(when: str, data: Any) -> bool:
    """Whether a key that exists under a choice (`section.tag=value`) exists in this data."""
    name, _, value = when.partition("=")
    for part in filter(None, name.split(".")):
        data = data.get(part) if isinstance(data, Mapping) else None
    return not when or data is None or str(data) == value
