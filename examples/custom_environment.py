"""Write an environment, check it, and train on it like on any other.

python examples/custom_environment.py
"""

from collections import Counter
from collections.abc import Mapping
from typing import ClassVar

import gymnasium as gym
import numpy as np

from turnwise.envs import Level, Reply, Task, TurnEnv, check_env
from turnwise.verifiers import ExactMatch, Verifier

WORDS = ["apple", "bread", "chair", "dream", "eagle", "flame", "grape", "house", "juice", "knife", "lemon", "piano"]


class Hangman(TurnEnv):
    """The agent finds a word letter by letter, then says it."""

    summary = "find a word letter by letter"
    action_format = "a letter, or the word"
    levels: ClassVar[Mapping[str, Level]] = {"easy": Level(max_turns=26), "hard": Level(max_turns=10)}
    verifier: ClassVar[Verifier] = ExactMatch()

    def new_task(self, rng: np.random.Generator, difficulty: Level) -> Task:
        """Draws two words."""
        return Task(prompt="Two words of five letters.", reference=" ".join(rng.choice(WORDS, 2)))

    def start(self, task: Task) -> str:
        """Begins with everything hidden."""
        self.tried: set[str] = set()
        return f"{task.prompt} {self._shown()}"

    def respond(self, action: str) -> Reply:
        """Uncovers a letter, or ends with the words."""
        guess = action.strip().lower()
        if guess == self.task.reference:
            self.tried |= set(guess)
            return Reply("Right!", done=True)
        if len(guess) > 1:
            return Reply("Wrong.", done=True)
        if not guess.isalpha():
            return Reply(f"Write one letter, or the words. {self._shown()}")
        self.tried.add(guess)
        return Reply(self._shown())

    def progress(self) -> float:
        """Returns the share of the letters that are known."""
        return 1.0 - self._shown().count("_") / len(self.task.reference)

    def oracle(self) -> str:
        """Returns the commonest new letter of the words that still fit, or the words once no other fit.

        An expert must use only what the agent can know too, or its actions cannot be imitated.
        """
        shown = self._shown().split()
        fitting = [[word for word in WORDS if self._fits(word, mask)] for mask in shown]
        letters = Counter(letter for words in fitting for word in words for letter in set(word) - self.tried)
        if all(len(words) == 1 for words in fitting) or not letters:
            return " ".join(words[0] for words in fitting)
        return max(sorted(letters), key=letters.__getitem__)

    def random_action(self, rng: np.random.Generator) -> str:
        """Returns a random letter."""
        return chr(ord("a") + int(rng.integers(26)))

    def _shown(self) -> str:
        known = self.tried | {" "}
        return "".join(letter if letter in known else "_" for letter in self.task.reference)

    def _fits(self, word: str, mask: str) -> bool:
        return all(
            letter == shown if shown != "_" else letter not in self.tried
            for letter, shown in zip(word, mask, strict=True)
        )


gym.register("example/Hangman-v0", entry_point=f"{__name__}:Hangman")

if __name__ == "__main__":
    print(check_env("example/Hangman-v0"))
