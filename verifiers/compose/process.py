"""What verifiers share that turn the scores of an episode's turns into other rewards per turn."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace

from turnwise.verifiers.base import Verifier
from turnwise.verifiers.compose.core import decided_verdict, undecided_verdict, unique_names
from turnwise.verifiers.types import Sample, Verdict


class TurnReward(Verifier):
    """Rewards per turn that depend on the neighbouring turns.

    A subclass states `_reshape` and, if its return is discounted, `_discount`.

    `verify_turns` needs the turns of the *whole* episode: the last one given is taken for the episode's last.
    `verify` is the return of these rewards, discounted where the subclass discounts: what they add to the episode. It
    abstains for a sample without turns. A reward is undecided where a score that it is made of is; the return, where
    any reward is.

    Args:
        verifier: The process verifier whose scores are reshaped.
    """

    _discount = 1.0

    def __init__(self, verifier: Verifier) -> None:
        self.components = unique_names([verifier], type(self).__name__)

    @property
    def verifier(self) -> Verifier:
        """The process verifier."""
        return next(iter(self.components.values()))

    def _reshape(self, scores: Sequence[float]) -> list[tuple[float, str]]:
        """Returns reward and evidence of each turn, given the component's score of each; there is at least one turn.

        An undecided turn has the score NaN, which spreads over the rewards that it enters.
        """
        raise NotImplementedError(f"{type(self).__name__} must override _reshape")

    def _rewards(self, verdicts: Sequence[Verdict]) -> list[Verdict]:
        if not verdicts:
            return []
        (name,) = self.components
        undecided = undecided_verdict({f"turn {turn}": verdict for turn, verdict in enumerate(verdicts, start=1)})
        rewards = []
        for verdict, (score, evidence) in zip(verdicts, self._reshape([v.score for v in verdicts]), strict=True):
            if undecided is not None and math.isnan(score):
                rewards.append(replace(undecided, parts={name: verdict}))
            else:
                rewards.append(decided_verdict(score, {name: verdict}, evidence))
        return rewards

    def _verify_turns(self, sample: Sample) -> list[Verdict]:
        return self._rewards(self.verifier.verify_turns(sample))

    async def _averify_turns(self, sample: Sample) -> list[Verdict]:
        return self._rewards(await self.verifier.averify_turns(sample))

    def _verify(self, sample: Sample) -> Verdict:
        return self._return(self._verify_turns(sample))

    async def _averify(self, sample: Sample) -> Verdict:
        return self._return(await self._averify_turns(sample))

    def _return(self, rewards: Sequence[Verdict]) -> Verdict:
        parts = {f"turn_{number}": reward for number, reward in enumerate(rewards, start=1)}
        if not parts:
            return Verdict.undecided("there are no turns to reward", "abstain")
        undecided = undecided_verdict(parts)
        if undecided is not None:
            return undecided
        score = math.fsum(self._discount**turn * reward.score for turn, reward in enumerate(rewards))
        return decided_verdict(score, parts, f"return of {len(parts)} turns: {score:g}")
