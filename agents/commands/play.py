r"""Play an environment yourself, in the terminal.

Each line you type is one action; an empty line is none. A message of several
lines stands between two lines of three double quotes. Lines that begin with a
colon talk to the program; a message that begins with a colon begins with two.

  :hint    what the environment's expert would do
  :render  the environment's own picture of the moment
  :help    this list, and the tools that the environment offers
  :quit    stop

Examples:
  turnwise play turnwise/GuessNumber-v0
  turnwise play turnwise/Sokoban-v0 --difficulty hard --seed 7
  printf '8\n4\n' | turnwise play turnwise/GuessNumber-v0 --seed 1
"""

from __future__ import annotations

import argparse
import contextlib
import secrets
import sys
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from turnwise.agents.commands._output import styled

if TYPE_CHECKING:
    import gymnasium as gym

QUOTES = '"""'


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Adds the command's arguments."""
    parser.add_argument("env", metavar="ENV", help="the environment's id; turnwise envs lists them")
    parser.add_argument("--seed", type=int, help="chooses the task; by default a random one, which is shown")
    parser.add_argument("--difficulty", metavar="LEVEL", help="a level's name or number; by default the environment's")


def run(arguments: argparse.Namespace) -> int:
    """Plays one episode."""
    from turnwise.agents.commands._envs import level, make_env

    difficulty = None if arguments.difficulty is None else level(arguments.difficulty)
    seed = secrets.randbelow(10**6) if arguments.seed is None else arguments.seed
    env = make_env(arguments.env, difficulty=difficulty)
    try:
        with contextlib.suppress(ImportError):
            import readline  # noqa: F401 - gives `input` a history and arrow keys where the system has it
        game = _Game(env, seed)
        print(styled(f"{arguments.env}, seed {seed} (:help lists the commands)", "dim"))
        game.play()
    finally:
        env.close()
    return 0


class _Game:
    """One episode between a person and an environment."""

    def __init__(self, env: gym.Env[str, str], seed: int) -> None:
        self.env = env
        self.observation, self.info = env.reset(seed=seed)
        self.tools = self.info.get("tools") or []
        self.turns = 0
        self.total = 0.0

    def play(self) -> None:
        """Plays to the end of the episode or of the input."""
        instructions = self.info.get("instructions")
        if instructions:
            print(f"\n{styled(instructions, 'cyan')}")
        print(f"\n{self.observation}\n")
        while (line := self._read()) is not None:
            if not line:
                continue  # a key pressed too often should not cost a turn
            if line.startswith(":") and not line.startswith("::"):
                if self._command(line[1:].strip().lower()):
                    return
            elif self._act(line.removeprefix(":") if line.startswith("::") else line):
                return
        print(f"\nthe input ended after {self.turns} turns, with a reward of {_number(self.total)}")

    def _read(self) -> str | None:
        """Returns the next action or command; None at the end of the input."""
        line = self._line(f"turn {self.turns + 1}> ")
        if line is None or line.strip() != QUOTES:
            return line
        lines = []
        while (line := self._line("... ")) is not None and line.strip() != QUOTES:
            lines.append(line)
        return "\n".join(lines)

    def _line(self, prompt: str) -> str | None:
        try:
            line = input(prompt)  # without colours, whose codes the line editor would count as characters
        except EOFError:
            return None
        if not sys.stdin.isatty():
            print(line)  # so that what was piped in stands in what comes out, as it does on a terminal
        return line

    def _act(self, action: str) -> bool:
        """Takes a turn; returns whether the episode is over."""
        self.observation, reward, terminated, truncated, self.info = self.env.step(action)
        self.turns += 1
        self.total += float(reward)
        print(f"\n{self.observation}\n{styled(_paid(float(reward), self.info), 'dim')}\n")
        if not terminated and not truncated:
            return False
        success = float(self.info.get("success", 0.0))
        verdict = styled("solved", "green", "bold") if success >= 1 else styled("not solved", "red", "bold")
        why = "" if terminated else ", the turn limit is reached"
        turns = f"{self.turns} {'turn' if self.turns == 1 else 'turns'}"
        print(f"{verdict}{why}: success {_number(success)}, reward {_number(self.total)} in {turns}")
        return True

    def _command(self, name: str) -> bool:
        """Carries out a command; returns whether it ends the episode."""
        if name in ("quit", "q"):
            return True
        if name == "hint":
            print(self._hint())
        elif name == "render":
            print(self.env.render() or "this environment has no picture of itself")
        else:
            if name != "help":
                print(f"no command :{name}; a message that begins with a colon begins with two")
            print(":hint the expert's action   :render the environment's picture   :help this   :quit stop")
            for tool in self.tools:
                print(_describe_tool(tool))
        return False

    def _hint(self) -> str:
        oracle = getattr(self.env.unwrapped, "oracle", None)
        try:
            action = oracle() if oracle is not None else None
        except NotImplementedError:
            return "this environment has no expert to ask"
        if oracle is None:
            return "this environment has no expert to ask"
        return "nothing can solve the task any more" if action is None else str(action)


def _paid(reward: float, info: Mapping[str, Any]) -> str:
    """Returns what a turn paid, what its parts were worth, and how far the task is."""
    pieces = [f"reward {_number(reward)}"]
    parts = info.get("reward_parts") or {}
    if parts:
        pieces.append("parts: " + ", ".join(f"{name} {_number(value)}" for name, value in parts.items()))
    if "progress" in info:
        pieces.append(f"solved so far: {info['progress']:.0%}")
    text = " | ".join(pieces)
    return f"{text}\n{info['feedback']}" if info.get("feedback") else text


def _number(value: float) -> str:
    return f"{value:.3f}".rstrip("0").rstrip(".")


def _describe_tool(tool: Mapping[str, Any]) -> str:
    function = tool.get("function", tool)
    names = ", ".join(function.get("parameters", {}).get("properties", {}))
    return f"  tool {function.get('name')}({names}): {function.get('description', '')}"
