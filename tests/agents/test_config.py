"""Configurations: loading, overriding, checking, dumping and describing."""

from __future__ import annotations

import enum
import math
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, Any, Literal

import pydantic
import pytest
from hypothesis import given
from hypothesis import strategies as st

from turnwise.agents.config import describe, dump, keys, load
from turnwise.agents.errors import ConfigError, InvalidInput


class Device(enum.Enum):
    CPU = "cpu"
    CUDA = "cuda"


@dataclass(frozen=True, slots=True)
class Optimizer:
    lr: float = 1e-5
    """Peak learning rate."""
    betas: tuple[float, float] = (0.9, 0.99)
    """Decay of AdamW's moments,
    first and second."""
    clip: float | None = None
    schedule: Literal["constant", "cosine"] = "constant"
    workers: Annotated[int, pydantic.Field(gt=0)] = 1

    def __post_init__(self) -> None:
        if self.lr < 0:
            raise InvalidInput(f"lr must not be negative, not {self.lr!r}")


@dataclass(frozen=True)
class GRPO:
    name: Literal["grpo"] = "grpo"
    std: bool = True
    """Divide by the group's standard deviation."""


@dataclass(frozen=True)
class GiGPO:
    name: Literal["gigpo"] = "gigpo"
    omega: float = 1.0
    """Weight of the turn-level advantage."""
    gamma: float = 0.95


@dataclass(frozen=True)
class Config:
    learner: Optimizer = field(default_factory=lambda: Optimizer(lr=3e-4))
    """How the model is updated."""
    credit: GRPO | GiGPO = field(default_factory=lambda: GiGPO(gamma=0.5))
    """How rewards become advantages."""
    env: str = "turnwise/Sokoban-v0"
    kwargs: dict[str, int | str | None] = field(default_factory=lambda: {"size": 5})
    stop: tuple[str, ...] = ()
    steps: int = 3
    """Updates to make."""
    verbose: bool = False
    folder: Path = Path("runs/x")
    device: Device = Device.CPU
    warm: Optimizer | None = None
    stages: tuple[Optimizer, ...] = ()


@dataclass(frozen=True)
class Nested:
    inner: Config = field(default_factory=Config)


@dataclass(frozen=True)
class Required:
    model: str
    learner: Optimizer
    seed: int = 0


def message_of(overrides: list[str], cls: type = Config, files: list[Path] | None = None) -> str:
    with pytest.raises(ConfigError) as caught:
        load(cls, files or [], overrides)
    return str(caught.value)


@pytest.fixture
def write(tmp_path: Path) -> Callable[[str], Path]:
    def write_file(text: str) -> Path:
        path = tmp_path / f"config{len(list(tmp_path.iterdir()))}.yaml"
        path.write_text(text, encoding="utf-8")
        return path

    return write_file


def test_without_files_and_overrides_the_defaults_are_loaded() -> None:
    assert load(Config) == Config()


def test_an_override_changes_one_key_and_keeps_the_defaults_of_its_section() -> None:
    config = load(Config, overrides=["learner.clip=0.5"])
    assert config.learner == Optimizer(lr=3e-4, clip=0.5)


def test_a_file_overrides_defaults_later_files_win_and_overrides_come_last(write: Callable[[str], Path]) -> None:
    first = write("learner:\n  lr: 1e-3\n  clip: 2\nsteps: 7\n")
    second = write("learner.clip: 4\nstop: [a, b]\n")
    config = load(Config, [first, str(second)], ["steps=9"])
    assert config == Config(learner=Optimizer(lr=1e-3, clip=4.0), stop=("a", "b"), steps=9)


def test_an_empty_file_changes_nothing(write: Callable[[str], Path]) -> None:
    assert load(Config, [write("# nothing here\n")]) == Config()


@pytest.mark.parametrize(
    ("override", "read", "expected"),
    [
        ("learner.lr=1e-4", lambda c: c.learner.lr, 1e-4),
        ("learner.lr=2", lambda c: c.learner.lr, 2.0),
        ("learner.lr=.inf", lambda c: c.learner.lr, math.inf),
        ("learner.betas=[0.5, 1]", lambda c: c.learner.betas, (0.5, 1.0)),
        ("learner.clip=null", lambda c: c.learner.clip, None),
        ("learner.schedule=cosine", lambda c: c.learner.schedule, "cosine"),
        ("learner={lr: 1}", lambda c: c.learner, Optimizer(lr=1.0)),
        ("env=123", lambda c: c.env, "123"),
        ("env=on", lambda c: c.env, "on"),
        ("env=1:30", lambda c: c.env, "1:30"),
        ("env=a=b", lambda c: c.env, "a=b"),
        ("kwargs.difficulty=hard", lambda c: c.kwargs, {"size": 5, "difficulty": "hard"}),
        ("kwargs={a: 1}", lambda c: c.kwargs, {"a": 1}),
        ("kwargs.a=null", lambda c: c.kwargs, {"size": 5, "a": None}),
        ("steps=010", lambda c: c.steps, 10),
        ("verbose=true", lambda c: c.verbose, True),
        ("folder=runs/y", lambda c: c.folder, Path("runs/y")),
        ("device=cuda", lambda c: c.device, Device.CUDA),
        ("warm.lr=1", lambda c: c.warm, Optimizer(lr=1.0)),
        ("warm={}", lambda c: c.warm, Optimizer()),
        ("stages=[{lr: 1}, {clip: 2}]", lambda c: c.stages, (Optimizer(lr=1.0), Optimizer(clip=2.0))),
    ],
)
def test_values_are_read_by_their_type(override: str, read: Callable[[Config], Any], expected: Any) -> None:
    assert read(load(Config, overrides=[override])) == expected


@pytest.mark.parametrize(
    ("override", "message"),
    [
        ("learner.lrr=1", "learner.lrr: unknown key; did you mean learner.lr?"),
        ("lr=1", "lr: unknown key; did you mean learner.lr?"),
        ("lerner.lr=1", "lerner: unknown key; did you mean learner?"),
        ("stepps=1", "stepps: unknown key; did you mean steps?"),
        (
            "learner.momentum=1",
            "learner.momentum: unknown key; the keys there are "
            "learner.lr, learner.betas, learner.clip, learner.schedule, learner.workers",
        ),
        ("credit.std=true", "credit.std: unknown key; it exists with credit.name=grpo"),
        ("warm.lrr=1", "warm.lrr: unknown key; did you mean warm.lr?"),
        ("stages=[{lrr: 1}]", "stages.0.lrr: unknown key"),
        ("credit.x=1", "credit.x: unknown key; the keys there are credit.name, credit.omega, credit.gamma"),
    ],
)
def test_an_unknown_key_is_rejected_with_the_nearest_valid_name(override: str, message: str) -> None:
    assert message_of([override]) == message


@pytest.mark.parametrize(
    ("override", "message"),
    [
        ("learner.lr=fast", "learner.lr: expected float, got 'fast'"),
        ("learner.lr='3'", "learner.lr: expected float, got '3'"),
        ("learner.lr=true", "learner.lr: expected float, got True"),
        ("learner.lr.x=1", "learner.lr: expected float, got {'x': 1}"),
        ("steps=1.0", "steps: expected int, got 1.0"),
        ("steps=true", "steps: expected int, got True"),
        ("verbose=yes", "verbose: expected bool, got 'yes'"),
        ("learner.betas=[0.9]", "learner.betas: expected tuple[float, float], got [0.9]"),
        ("learner.clip=x", "learner.clip: expected float | null, got 'x'"),
        ("learner.schedule=linear", "learner.schedule: expected 'constant' | 'cosine', got 'linear'"),
        ("learner.workers=0", "learner.workers: input should be greater than 0, got 0"),
        ("learner.lr=-1", "learner: lr must not be negative, not -1.0"),
        ("learner=3", "learner: expected Optimizer, got 3"),
        ("warm=3", "warm: expected Optimizer | null, got 3"),
        ("kwargs.size=1.5", "kwargs: expected dict[str, int | str | null], got {'size': 1.5}"),
        ("device=tpu", "device: expected Device, got 'tpu'"),
        ("credit.name=ppo", "credit.name: expected 'grpo' | 'gigpo', got 'ppo'"),
        ("credit=3", "credit: expected GRPO | GiGPO, got 3"),
    ],
)
def test_a_wrong_value_names_its_key_the_value_and_what_was_expected(override: str, message: str) -> None:
    assert message_of([override]) == message


def test_every_key_at_fault_is_named_at_once() -> None:
    assert message_of(["steps=x", "learner.lrr=1"]) == (
        "learner.lrr: unknown key; did you mean learner.lr?; steps: expected int, got 'x'"
    )


def test_keys_deep_in_the_sections_are_checked_and_suggested() -> None:
    assert load(Nested, overrides=["inner.credit.omega=2"]).inner.credit == GiGPO(gamma=0.5, omega=2.0)
    assert message_of(["inner.learner.lrr=1"], Nested) == (
        "inner.learner.lrr: unknown key; did you mean inner.learner.lr?"
    )


def test_keys_of_the_chosen_dataclass_keep_the_defaults_of_the_field() -> None:
    assert load(Config, overrides=["credit.omega=2"]).credit == GiGPO(gamma=0.5, omega=2.0)


@pytest.mark.parametrize("names", [("credit.name=grpo", "credit.std=false"), ("credit.std=false", "credit.name=grpo")])
def test_another_dataclass_is_chosen_by_name_wherever_the_name_stands(names: tuple[str, ...]) -> None:
    assert load(Config, overrides=names).credit == GRPO(std=False)


def test_choosing_another_dataclass_drops_what_earlier_files_said_of_the_old_one(write: Callable[[str], Path]) -> None:
    file = write("credit:\n  omega: 3\n")
    assert load(Config, [file], ["credit.name=grpo"]).credit == GRPO()
    assert load(Config, [file], ["credit.name=gigpo"]).credit == GiGPO(omega=3.0, gamma=0.5)


@dataclass
class Ambiguous:
    part: Optimizer | GRPO = field(default_factory=GRPO)


def test_a_union_without_a_telling_field_is_refused() -> None:
    with pytest.raises(ConfigError, match=r"Optimizer \| GRPO: give each a field of one name and its own Literal type"):
        load(Ambiguous)


def test_a_required_key_without_a_value_is_named() -> None:
    assert message_of([], Required) == "model: required, and has no default (expected str)"
    assert load(Required, overrides=["model=x"]) == Required("x", Optimizer())


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("- 1\n", r"a configuration is a mapping of keys to values, not \[1\]"),
        ("steps: 1\nsteps: 2\n", r"line 1, column 1: key 'steps' stands here twice"),
        ("learner: {lr: 1\n", r"line 2, column 1: expected ',' or '}'"),
        ("steps: \x00\n", "not YAML"),
        ("1: 2\n", "^1: unknown key"),
        ("steps: 2024-01-01\n", "steps: expected int, got '2024-01-01'"),
        ("env: 123\n", "env: expected str, got 123"),
        ("steps: !!python/name:os.system\n", "could not determine a constructor"),
    ],
)
def test_a_file_that_is_no_configuration_is_refused(write: Callable[[str], Path], text: str, message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        load(Config, [write(text)])


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"nowhere\.yaml: cannot be read"):
        load(Config, [tmp_path / "nowhere.yaml"])


def test_an_override_without_an_equals_sign_is_refused() -> None:
    assert message_of(["learner.lr"]) == "'learner.lr': an override reads key=value; did you mean learner.lr?"


def test_a_default_that_is_no_plain_data_is_refused() -> None:
    @dataclass
    class Odd:
        hook: Any = print

    with pytest.raises(ConfigError, match="Odd: a value is not plain data"):
        load(Odd)


ROUND_TRIPS = [
    Config(),
    Config(learner=Optimizer(lr=math.inf, betas=(0.1, 1e-9), clip=1.0), credit=GRPO(std=False), verbose=True),
    Config(warm=Optimizer(schedule="cosine"), stages=(Optimizer(), Optimizer(lr=2.0)), device=Device.CUDA),
    Config(env="1e-4", kwargs={"a": None, "b": "null", "c": "yes", "d": "1"}, stop=("", "\n", "</s>", "# x", "é: 1")),
]


@pytest.mark.parametrize("config", ROUND_TRIPS)
def test_what_is_dumped_loads_as_an_equal_configuration(write: Callable[[str], Path], config: Config) -> None:
    assert load(Config, [write(dump(config))]) == config


@given(st.text(), st.floats(allow_nan=False), st.integers(-(2**63), 2**63))
def test_any_text_and_number_survives_a_dump(
    tmp_path_factory: pytest.TempPathFactory, text: str, rate: float, steps: int
) -> None:
    config = Config(env=text, steps=steps, learner=Optimizer(lr=abs(rate)), stop=(text, text))
    path = tmp_path_factory.getbasetemp() / "any.yaml"
    path.write_text(dump(config), encoding="utf-8", newline="")
    assert load(Config, [path]) == config


def test_a_dump_carries_the_docstrings_as_comments() -> None:
    assert dump(Config()).startswith(
        "# How the model is updated.\n"
        "learner:\n"
        "  # Peak learning rate.\n"
        "  lr: 0.0003\n"
        "  # Decay of AdamW's moments, first and second.\n"
        "  betas: [0.9, 0.99]\n"
        "  clip: null\n"
    )


def test_keys_list_names_types_defaults_docstrings_and_choices() -> None:
    found = {key.name + (f" ({key.when})" if key.when else ""): key for key in keys(Config)}
    assert found["learner.lr"].default == 3e-4
    assert found["warm.lr"].default == 1e-5
    assert found["credit.gamma (credit.name=gigpo)"].default == 0.5
    assert found["learner.clip"].type == "float | null"
    assert found["steps"].doc == "Updates to make."
    assert found["credit.omega (credit.name=gigpo)"].doc == "Weight of the turn-level advantage."
    assert "credit.omega (credit.name=grpo)" not in found
    assert found["learner"].section


def test_the_help_text_states_each_key_with_its_default_and_docstring() -> None:
    text = describe(Config)
    assert "  steps = 3  [int]\n      Updates to make.\n" in text
    assert "\nlearner: How the model is updated.\n  learner.lr = 0.0003  [float]\n      Peak learning rate.\n" in text
    assert "  with credit.name=gigpo\n" in text
    assert "  model (required)  [str]\n" in describe(Required)


def test_without_pydantic_the_extra_is_named() -> None:
    program = "import sys; sys.modules['pydantic'] = None\nimport turnwise.agents.config"
    outcome = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=False)
    assert "MissingExtra: 'pydantic' is not installed" in outcome.stderr
    assert "turnwise[train]" in outcome.stderr
