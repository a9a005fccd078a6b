"""`turnwise/Sokoban-v0`: push boxes onto targets."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import ClassVar, Unpack

import numpy as np

from turnwise.envs.core import TurnEnv
from turnwise.envs.errors import InvalidInput
from turnwise.envs.parse import MALFORMED, last_tag
from turnwise.envs.text.sokoban.generator import SokobanLevel, draw_layout
from turnwise.envs.text.sokoban.room import DIRECTIONS, Room
from turnwise.envs.types import EnvOptions, Reply, Task
from turnwise.verifiers.base import verifier
from turnwise.verifiers.types import Sample, Verdict

_NUMBER = {name: direction for direction, name in enumerate(DIRECTIONS)}
_MAX_MESSAGE = 1000
"""Characters of the longest text of moves that is parsed."""
_NOWHERE = Room.parse(("####", "#_.#", "####"))
"""A room to stand in before the first reset."""


def read_moves(action: str) -> list[int] | None:
    """Returns the directions in an action: the words of its last `<move>` tag, or of the whole message.

    None if there are no words, or others than up, down, left and right.
    """
    tag = last_tag(action, "move")
    text = action if tag is None else tag[1]
    if len(text) > _MAX_MESSAGE:
        return None
    words = re.split(r"[\s,]+", text.strip().lower())
    return [_NUMBER[word] for word in words] if all(word in _NUMBER for word in words) else None


@verifier
def all_stored(sample: Sample) -> Verdict:
    """Scores 1 when every box stands on a target, else 0."""
    stored, boxes = sample.state["stored"], sample.state["boxes"]
    return Verdict(float(stored == boxes), evidence=f"{stored} of {boxes} boxes on targets")


class Sokoban(TurnEnv):
    """The agent pushes every box onto a target; it cannot pull, so that a careless push may spoil the level.

    Every room is solved completely when it is drawn, so that the optimal number of *moves* (steps of the player, pushes
    among them) is known in every position: `info["task"]["optimal_moves"]` at the start, `feedback` after each turn,
    which also tells when no solution is left.

    Progress is the mean of two potentials: `boxes`, the share of boxes on targets, and `distance`,
    max(0, 1 - moves to the solution / moves from the start), 0 where there is no solution. Each turn's reward parts are
    their changes, halved, so that dense rewards of a solved episode sum to 2: 1 for the progress, 1 for the outcome.
    Levels start with no box on a target. Whole rooms, with their mirror images and rotations, belong to one split.

    Args:
        moves_per_turn: The most moves that one action may make.
        options: See `TurnEnv`.

    Raises:
        InvalidInput: `moves_per_turn` is not positive.
    """

    summary = "push boxes onto targets in generated rooms, optimal solutions known"
    action_format = "<move>up</move> (down, left, right)"
    levels: ClassVar[Mapping[str, SokobanLevel]] = {
        "easy": SokobanLevel(max_turns=16, size=6, boxes=1, walls=0.1, shortest=3, longest=8),
        "medium": SokobanLevel(max_turns=32, size=6, boxes=1, walls=0.2, shortest=8, longest=16),
        "hard": SokobanLevel(max_turns=48, size=6, boxes=2, walls=0.15, shortest=10, longest=24),
        "expert": SokobanLevel(max_turns=80, size=7, boxes=2, walls=0.2, shortest=20, longest=40),
        "extreme": SokobanLevel(max_turns=120, size=8, boxes=3, walls=0.2, shortest=30, longest=60),
    }
    verifier = all_stored
    dense_parts = ("boxes", "distance")

    def __init__(self, *, moves_per_turn: int = 1, **options: Unpack[EnvOptions]) -> None:
        super().__init__(**options)
        if moves_per_turn < 1:
            raise InvalidInput(f"moves_per_turn must be positive, not {moves_per_turn!r}")
        self.moves_per_turn = moves_per_turn
        self.room = _NOWHERE
        self.boxes: tuple[int, ...] = (1,)
        self.player = 0
        self.optimal = 1
        self.board = ""
        self.moves_left = 0
        self.stored = 0.0
        self.closeness = 0.0

    def new_task(self, rng: np.random.Generator, difficulty: SokobanLevel) -> Task:
        """Draws a room, and a starting position in it."""
        layout = draw_layout(difficulty, int(rng.integers(2**63)))
        room = layout.room
        index = int(layout.starts[int(rng.integers(len(layout.starts)))])
        board = room.draw(*room.position(index))
        optimal = int(room.distances[index])
        return Task(
            prompt=board,
            content=board,
            family=layout.family,
            start=(room, index, optimal),
            data={"optimal_moves": float(optimal)},
        )

    def start(self, task: Task) -> str:
        """Puts boxes and player into the room."""
        self.room, index, self.optimal = task.start
        self._place(*self.room.position(index))
        return self._say("")

    def respond(self, action: str) -> Reply:
        """Makes the moves."""
        moves = read_moves(action)
        most = self.moves_per_turn
        if moves is None or len(moves) > most:
            plural = "" if most == 1 else f", up to {most} of them in one tag"
            problem = f"Write a move as <move>up</move>, or down, left or right{plural}.\n"
            return Reply(self._say(problem), parts=self._changed(), feedback=MALFORMED)
        boxes, player = self.boxes, self.player
        blocked = []
        for direction in moves:
            after = self.room.moved(boxes, player, direction)
            if after is None:
                blocked.append(DIRECTIONS[direction])
                continue
            boxes, player = after
            if boxes != self.boxes and self.room.targets.issuperset(boxes):
                break
        parts = self._changed(boxes, player)
        done = self.stored == 1.0
        hint = f"moves to the solution: {self.moves_left}" if self.moves_left >= 0 else "no solution is left"
        return Reply(self._say(f"Blocked: {', '.join(blocked)}.\n" if blocked else "", done), done, parts, hint)

    def progress(self) -> float:
        """Returns the mean of the two potentials."""
        return (self.stored + self.closeness) / 2

    def state(self) -> str:
        """Returns the board."""
        return self.board

    def judged_state(self) -> dict[str, int]:
        """Returns how many boxes there are, and how many stand on targets."""
        return {"stored": len(self.room.targets.intersection(self.boxes)), "boxes": len(self.boxes)}

    def instructions(self) -> str:
        """Returns the rules."""
        several = "" if self.moves_per_turn == 1 else f" (at most {self.moves_per_turn}, as <move>up left</move>)"
        return (
            "Push every box onto a target. # wall, _ floor, . target, $ box, * box on target, @ you, + you on target. "
            f"Each turn write one move as <move>up</move>, or down, left or right{several}. You push a box by moving "
            "against it; you cannot pull."
        )

    def oracle(self) -> str | None:
        """Returns the next moves of an optimal solution; None where there is none (any more)."""
        boxes, player = self.boxes, self.player
        words: list[str] = []
        while len(words) < self.moves_per_turn:
            direction = self.room.best_direction(boxes, player)
            if direction is None:
                break
            words.append(DIRECTIONS[direction])
            boxes, player = self.room.moved(boxes, player, direction) or (boxes, player)
        return f"<move>{' '.join(words)}</move>" if words else None

    def random_action(self, rng: np.random.Generator) -> str:
        """Returns moves in random directions, as many as a turn allows."""
        words = [DIRECTIONS[direction] for direction in rng.integers(4, size=self.moves_per_turn)]
        return f"<move>{' '.join(words)}</move>"

    def near_misses(self) -> list[str]:
        """Returns the oracle's moves with another last one."""
        action = self.oracle()
        if action is None:
            return []
        *words, last = action.removeprefix("<move>").removesuffix("</move>").split()
        return [f"<move>{' '.join([*words, word])}</move>" for word in DIRECTIONS if word != last]

    def _place(self, boxes: tuple[int, ...], player: int) -> None:
        """Takes a position and looks up what it is worth."""
        room = self.room
        self.boxes, self.player = boxes, player
        self.board = room.draw(boxes, player)
        self.moves_left = room.distance(boxes, player)
        self.stored = len(room.targets.intersection(boxes)) / len(boxes)
        self.closeness = max(0.0, 1.0 - self.moves_left / self.optimal) if self.moves_left >= 0 else 0.0

    def _changed(self, boxes: tuple[int, ...] | None = None, player: int = 0) -> dict[str, float]:
        """Takes a position, or stays where it is, and returns the change of the two potentials, halved."""
        stored, closeness = self.stored, self.closeness
        if boxes is not None:
            self._place(boxes, player)
        return {"boxes": (self.stored - stored) / 2, "distance": (self.closeness - closeness) / 2}

    def _say(self, note: str, solved: bool = False) -> str:
        if solved:
            return f"{self.board}\nSolved!"
        left = self.turn_limit - self.turn
        return f"{note}{self.board}\n{left or 'No'} {'turn' if left == 1 else 'turns'} left."
