"""`turnwise/GuessNumber-v0`: find a secret number by "too low" and "too high"."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar, Unpack

import numpy as np

from turnwise.envs.core import TurnEnv
from turnwise.envs.parse import MALFORMED, last_tag
from turnwise.envs.types import EnvOptions, Level, Reply, Task
from turnwise.verifiers.base import verifier
from turnwise.verifiers.types import Verdict

_INTEGER = re.compile(r"[+-]?\d{1,18}")


@dataclass(frozen=True)
class GuessLevel(Level):
    """A level of `GuessNumber`.

    Attributes:
        highest: The number is between 1 and this.
    """

    highest: int


def read_guess(action: str) -> int | None:
    """Returns the guess in an action: the integer of its last `<guess>` tag, or of the whole message; None without."""
    tag = last_tag(action, "guess")
    text = (action if tag is None else tag[1]).strip()
    return int(text) if _INTEGER.fullmatch(text) else None


@verifier
def right_guess(response: str, reference: int) -> Verdict:
    """Scores 1 for a guess that equals the secret number, else 0."""
    guess = read_guess(response)
    return Verdict(float(guess == reference), evidence=f"the last guess is {guess}, the number {reference}")


class GuessNumber(TurnEnv):
    """The agent guesses a whole number and is told whether it is higher or lower.

    Every level allows exactly the guesses that bisecting needs in the worst case, floor(log2 n) + 1 for n numbers, so
    that the oracle (bisection) always succeeds and one careless guess may cost the episode. Progress is the share of
    the initial log2(n) bits that the guesses have gained; it never falls, and a right guess completes it. Dense rewards
    of a solved episode therefore sum to 2: 1 for the information, 1 for the outcome.

    Args:
        show_range: Whether observations repeat the range that is left. Then each is self-contained, and a small model
            can play by reading the last one; without it the agent has to keep track.
        options: See `TurnEnv`.
    """

    summary = "find a secret number by 'too low' and 'too high'"
    action_format = "<guess>N</guess>"
    levels: ClassVar[Mapping[str, GuessLevel]] = {
        "easy": GuessLevel(max_turns=5, highest=16),
        "medium": GuessLevel(max_turns=7, highest=64),
        "hard": GuessLevel(max_turns=9, highest=256),
        "expert": GuessLevel(max_turns=11, highest=1024),
        "extreme": GuessLevel(max_turns=20, highest=1_000_000),
    }
    verifier = right_guess

    def __init__(self, *, show_range: bool = True, **options: Unpack[EnvOptions]) -> None:
        super().__init__(**options)
        self.show_range = show_range
        self.low = self.high = self.highest = self.secret = 1
        self.bits = 1.0
        self.solved = False

    def new_task(self, rng: np.random.Generator, difficulty: GuessLevel) -> Task:
        """Draws the secret number uniformly."""
        highest = difficulty.highest
        secret = int(rng.integers(1, highest + 1))
        return Task(
            prompt=f"I think of a number. It is between 1 and {highest}.",
            reference=secret,
            content=f"{secret} of {highest}",
            start=highest,
            data={"highest": float(highest)},
        )

    def start(self, task: Task) -> str:
        """Forgets what is known."""
        self.low, self.high, self.highest, self.secret = 1, task.start, task.start, task.reference
        self.bits = math.log2(task.start)
        self.solved = False
        return f"{task.prompt} {self._guesses_left()}"

    def respond(self, action: str) -> Reply:
        """Compares the guess with the secret and narrows the range."""
        guess = read_guess(action)
        if guess is None:
            return Reply(self._say("I read no guess: write a whole number N as <guess>N</guess>."), feedback=MALFORMED)
        if guess == self.secret:
            self.low = self.high = guess
            self.solved = True
            return Reply(f"{guess} is right!", done=True)
        if guess < self.secret:
            self.low = max(self.low, guess + 1)
            return Reply(self._say(f"{guess} is too low."))
        self.high = min(self.high, guess - 1)
        return Reply(self._say(f"{guess} is too high."))

    def progress(self) -> float:
        """Returns the share of the initial bits that are known."""
        return 1.0 if self.solved else 1.0 - math.log2(self.high - self.low + 1) / self.bits

    def state(self) -> str:
        """Returns the range known so far; the secret stays out, since the agent cannot tell it."""
        return f"{self.highest}: {self.low}-{self.high}{'!' if self.solved else ''}"

    def instructions(self) -> str:
        """Returns the rules."""
        return (
            "Find my secret whole number. Each turn write one guess N as <guess>N</guess>. "
            "I answer whether N is too low or too high."
        )

    def oracle(self) -> str | None:
        """Returns the middle of the range that is left: bisection, which needs the fewest guesses in the worst case."""
        return None if self.solved else f"<guess>{(self.low + self.high) // 2}</guess>"

    def random_action(self, rng: np.random.Generator) -> str:
        """Returns a guess drawn uniformly from the whole range."""
        return f"<guess>{int(rng.integers(1, self.highest + 1))}</guess>"

    def _say(self, answer: str) -> str:
        known = f" It is between {self.low} and {self.high}." if self.show_range else ""
        return f"{answer}{known} {self._guesses_left()}"

    def _guesses_left(self) -> str:
        left = self.turn_limit - self.turn
        return f"{left or 'No'} {'guess' if left == 1 else 'guesses'} left."
