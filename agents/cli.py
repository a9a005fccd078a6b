"""The command `turnwise`. Each module in `turnwise.agents.commands` whose name begins with a letter is one command.

A command module has a docstring, whose first line stands in the list of commands and whose whole is the help of the
command; `add_arguments(parser)`; and `run(arguments) -> int`, which returns the exit status. Only the module of
the command that was asked for is imported, so that `turnwise --help` needs nothing that is slow or optional.

Exit status: 0 done, 1 it went wrong, 2 the command line or a value in it cannot be used, 130 interrupted. What goes
wrong is one line on standard error; `--debug` shows the traceback.
"""

from __future__ import annotations

import argparse
import ast
import difflib
import importlib
import os
import pkgutil
import sys
import traceback
from collections.abc import Callable, Sequence
from importlib.metadata import version
from importlib.util import find_spec
from types import ModuleType
from typing import Any, NoReturn

from turnwise.agents import commands
from turnwise.agents.errors import ConfigError, InvalidInput, TurnwiseError

ORDER = ("envs", "play", "check", "eval", "demo", "train", "view", "sandbox", "doctor")
"""In which the commands are listed; others follow."""


def main(arguments: Sequence[str] | None = None) -> int:
    """Runs the command line and returns the exit status.

    Args:
        arguments: The words after the program's name; by default those that it was started with.
    """
    words = list(sys.argv[1:] if arguments is None else arguments)
    try:
        parsed = build_parser(words).parse_args(words)
    except SystemExit as done:  # argparse's way to end after --help, or after a message about the command line
        return int(done.code or 0)
    run: Callable[[argparse.Namespace], int] = parsed.run
    try:
        status = run(parsed)
        sys.stdout.flush()
        return status
    except KeyboardInterrupt:
        return _fail(parsed, "interrupted", 130)
    except BrokenPipeError:  # whoever read our output has enough of it
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 1
    except (InvalidInput, ConfigError) as error:
        return _fail(parsed, str(error), 2)
    except (TurnwiseError, OSError, EOFError) as error:
        return _fail(parsed, str(error) or type(error).__name__, 1)
    except Exception as error:  # noqa: BLE001 - the traceback of a bug is shown when it is asked for
        return _fail(parsed, f"unexpected {type(error).__name__}: {error} (--debug shows where)", 1)


def build_parser(words: Sequence[str]) -> argparse.ArgumentParser:
    """Returns the parser of the command line, with the arguments of the one command that the words ask for."""
    parser = _Parser(
        prog="turnwise",
        description="Environments, verifiers and multi-turn reinforcement learning for language-model agents.",
        epilog="turnwise COMMAND --help explains a command.",
    )
    parser.add_argument("--version", action="version", version=f"turnwise {version('turnwise')}")
    _add_debug(parser, default=False)
    subparsers = parser.add_subparsers(dest="command", metavar="COMMAND", title="commands", required=True)
    chosen = next((word for word in words if not word.startswith("-")), None)
    for name in command_names():
        documentation = _documentation(name)
        summary = documentation.partition("\n")[0].rstrip(".")
        command = subparsers.add_parser(
            name,
            help=summary[:1].lower() + summary[1:].replace("%", "%%"),
            description=documentation,
            formatter_class=argparse.RawDescriptionHelpFormatter,
        )
        if name == chosen:
            module = _load(name)
            module.add_arguments(command)
            command.set_defaults(run=module.run)
        _add_debug(command, default=argparse.SUPPRESS)
    if not words:
        parser.print_help(sys.stderr)
        parser.exit(2)
    return parser


def command_names() -> list[str]:
    """Returns the names of all commands, the known ones in their order."""
    found = [module.name for module in pkgutil.iter_modules(commands.__path__) if not module.name.startswith("_")]
    return sorted(found, key=lambda name: (ORDER.index(name) if name in ORDER else len(ORDER), name))


class _Parser(argparse.ArgumentParser):
    """Names the nearest command where one is misspelt, and lets a command's words and options stand in any order."""

    _intermixing = False

    def parse_known_args(self, args: Any = None, namespace: Any = None) -> Any:
        if self._subparsers is not None or self._intermixing:
            return super().parse_known_args(args, namespace)
        self._intermixing = True  # before Python 3.12 the intermixed method calls this one
        try:
            return self.parse_known_intermixed_args(args, namespace)
        finally:
            self._intermixing = False

    def _check_value(self, action: argparse.Action, value: object) -> None:
        if action.dest == "command" and isinstance(value, str) and value not in (action.choices or ()):
            nearest = difflib.get_close_matches(value, command_names(), 1)
            hint = f"did you mean {nearest[0]}?" if nearest else f"there are {', '.join(command_names())}"
            self.error(f"no command {value!r}; {hint}")
        super()._check_value(action, value)

    def error(self, message: str) -> NoReturn:
        self.exit(2, f"{self.prog}: {message}\n")


def _documentation(name: str) -> str:
    """Returns the docstring of a command's module without importing it."""
    spec = find_spec(f"{commands.__name__}.{name}")
    source = spec.loader.get_source(spec.name) if spec is not None and spec.loader is not None else None  # type: ignore[attr-defined]  # every loader of source files has it
    return (ast.get_docstring(ast.parse(source)) if source else None) or name


def _load(name: str) -> ModuleType:
    return importlib.import_module(f"{commands.__name__}.{name}")


def _add_debug(parser: argparse.ArgumentParser, default: object) -> None:
    parser.add_argument("--debug", action="store_true", default=default, help="show tracebacks")


def _fail(parsed: argparse.Namespace, message: str, status: int) -> int:
    if parsed.debug:
        traceback.print_exc()
    sys.stdout.flush()
    print(f"turnwise {parsed.command}: {' '.join(message.split())}", file=sys.stderr)
    return status
