"""Potential-based shaping of rewards."""

from __future__ import annotations

from collections.abc import Sequence

from turnwise.verifiers.base import Verifier
from turnwise.verifiers.compose.arithmetic import finite
from turnwise.verifiers.compose.process import TurnReward
from turnwise.verifiers.errors import InvalidInput


class Potential(TurnReward):
    """`Potential(phi)`: gamma * phi(s') - phi(s) for every turn: dense guidance that leaves the best policy the best.

    `phi` scores the turns; its score of turn t is the potential of the state *after* turn t. The state before the
    first turn has the potential `initial`, and the state after the last turn has potential 0, whatever `phi` says of
    it: only so does the discounted sum over an episode of any length telescope, to -initial, a constant that no
    behaviour can change.

    Sources: Ng, Harada and Russell, Policy Invariance under Reward Transformations, ICML 1999, theorem 1; for the
    terminal potential in episodes of finite length, Grzes, Reward Shaping in Episodic Reinforcement Learning, AAMAS
    2017; a potential that depends on the turn (as `initial` makes it) keeps the property by Devlin and Kudenko, AAMAS
    2012.

    Args:
        verifier: The potential, such as the progress towards the goal.
        gamma: The discount of the return that is maximised, in [0, 1]; another one breaks the invariance.
        initial: The potential of the state in which an episode begins.
    """

    def __init__(self, verifier: Verifier, gamma: float = 1.0, initial: float = 0.0) -> None:
        super().__init__(verifier)
        if not 0.0 <= gamma <= 1.0:
            raise InvalidInput(f"gamma={gamma!r}: a discount lies in [0, 1]")
        self.gamma = self._discount = float(gamma)
        self.initial = finite(initial, "the initial potential")

    def _reshape(self, scores: Sequence[float]) -> list[tuple[float, str]]:
        before = [self.initial, *scores[:-1]]
        after = [*scores[:-1], 0.0]
        return [
            (self.gamma * later - now, f"{self.gamma:g} * potential {later:g} after - {now:g} before")
            for now, later in zip(before, after, strict=True)
        ]
