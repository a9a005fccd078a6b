"""The command line as a whole: discovery, help, errors and exit statuses."""

from __future__ import annotations

import subprocess
import sys
import textwrap
from pathlib import Path

import pytest

from turnwise.agents import cli, commands


@pytest.fixture
def command(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A command `odd` that does what it is told."""
    path = tmp_path / "odd.py"
    path.write_text(
        textwrap.dedent('''
            """Do something odd, 100% of the time.

            The rest of the help.
            """
            from turnwise.agents.errors import ConfigError, EngineError, InvalidInput

            def add_arguments(parser):
                parser.add_argument("what")

            def run(arguments):
                if arguments.what.isdigit():
                    return int(arguments.what)
                raise {
                    "engine": EngineError("the engine\\nfailed"),
                    "input": InvalidInput("a bad value"),
                    "config": ConfigError("learner.lrr: unknown key"),
                    "file": FileNotFoundError(2, "No such file", "x.yaml"),
                    "interrupt": KeyboardInterrupt(),
                    "bug": ZeroDivisionError("division by zero"),
                }[arguments.what]
        ''').lstrip()
    )
    monkeypatch.setattr(commands, "__path__", [*commands.__path__, str(tmp_path)])
    monkeypatch.delitem(sys.modules, "turnwise.agents.commands.odd", raising=False)
    monkeypatch.setattr("sys.dont_write_bytecode", True)
    return path


def outcome(capsys: pytest.CaptureFixture[str], *words: str) -> tuple[int, str, str]:
    status = cli.main(words)
    captured = capsys.readouterr()
    return status, captured.out, captured.err


def test_a_module_among_the_commands_is_a_command(command: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert "odd" in cli.command_names()
    status, out, _ = outcome(capsys, "--help")
    assert status == 0
    assert "odd       do something odd, 100% of the time\n" in out
    status, out, _ = outcome(capsys, "odd", "--help")
    assert "The rest of the help." in out
    assert outcome(capsys, "odd", "7") == (7, "", "")


def test_the_known_commands_come_in_their_order_and_helpers_are_none() -> None:
    names = cli.command_names()
    assert [name for name in cli.ORDER if name in names] == names
    assert {"envs", "play", "check", "eval", "view", "doctor"} <= set(names)


@pytest.mark.parametrize(
    ("what", "status", "message"),
    [
        ("engine", 1, "turnwise odd: the engine failed\n"),
        ("input", 2, "turnwise odd: a bad value\n"),
        ("config", 2, "turnwise odd: learner.lrr: unknown key\n"),
        ("file", 1, "turnwise odd: [Errno 2] No such file: 'x.yaml'\n"),
        ("interrupt", 130, "turnwise odd: interrupted\n"),
        ("bug", 1, "turnwise odd: unexpected ZeroDivisionError: division by zero (--debug shows where)\n"),
    ],
)
def test_what_goes_wrong_is_one_line_and_a_status(
    command: Path, capsys: pytest.CaptureFixture[str], what: str, status: int, message: str
) -> None:
    assert outcome(capsys, "odd", what) == (status, "", message)


@pytest.mark.parametrize("words", [("odd", "bug", "--debug"), ("--debug", "odd", "bug")])
def test_debug_shows_the_traceback(command: Path, capsys: pytest.CaptureFixture[str], words: tuple[str, ...]) -> None:
    status, _, err = outcome(capsys, *words)
    assert status == 1
    assert err.startswith("Traceback (most recent call last):\n")
    assert "odd.py" in err


def test_a_misspelt_command_is_named_with_the_nearest(capsys: pytest.CaptureFixture[str]) -> None:
    assert outcome(capsys, "dcotor") == (2, "", "turnwise: no command 'dcotor'; did you mean doctor?\n")
    assert outcome(capsys, "zzz")[2].startswith("turnwise: no command 'zzz'; there are envs, play, ")


def test_a_wrong_option_is_one_line(capsys: pytest.CaptureFixture[str]) -> None:
    assert outcome(capsys, "envs", "--jsn") == (2, "", "turnwise: unrecognized arguments: --jsn\n")
    assert outcome(capsys, "play", "x", "--seed", "y") == (
        2,
        "",
        "turnwise play: argument --seed: invalid int value: 'y'\n",
    )


def test_without_a_command_the_help_is_shown(capsys: pytest.CaptureFixture[str]) -> None:
    status, out, err = outcome(capsys)
    assert (status, out) == (2, "")
    assert err.startswith("usage: turnwise")
    assert "list the environments" in err


def test_help_and_version_load_no_slow_module() -> None:
    program = (
        "import sys; from turnwise.agents.cli import main\n"
        "print(main(['--help']), main(['--version']), main([]))\n"
        "print(sorted({'torch', 'transformers', 'gymnasium', 'numpy', 'rich', 'yaml'} & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert done.stdout.splitlines()[-2:] == ["0 0 2", "[]"]


def test_the_package_runs_as_a_program() -> None:
    done = subprocess.run(
        [sys.executable, "-m", "turnwise.agents", "--version"], capture_output=True, text=True, check=True
    )
    assert done.stdout == "turnwise 0.1.0\n"


def test_a_reader_that_leaves_early_is_no_error() -> None:
    command = f"{sys.executable} -m turnwise.agents envs --json | head -n 1; exit ${{PIPESTATUS[0]}}"
    done = subprocess.run(["bash", "-c", command], capture_output=True, text=True, check=False)
    assert done.stdout == "[\n"
    assert done.stderr == ""
