"""The bias of every estimator of turn-level advantages, exactly, on an enumerable multi-turn task.

    python benchmarks/credit_bias.py            # prints the table and writes benchmarks/results/credit_bias.md

Nothing is sampled: every group of episodes of the task (or every rollout tree) is enumerated with its probability, and
the expectation of 1/n sum_e sum_t A_t grad log pi(a_t | s_t) is set beside the exact policy gradient. The numbers are
the same on every machine.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np

from turnwise.agents.credit import ESTIMATORS, Bias, Ladder, TurnTable, discounted_returns, make, measure
from turnwise.agents.credit.exact import Outcome
from turnwise.agents.credit.forks import measure_forked
from turnwise.agents.credit.segments import Floats, counts

RESULT = Path(__file__).resolve().parent / "results" / "credit_bias.md"
APART = {"max_rl", "gated_return", "drpo"}
"""Estimators that need an outcome apart from the rewards: success, whose probability is then what is climbed."""


def over_steps(table: TurnTable) -> Floats:
    """R_e minus a mean that counts every turn, so that a long episode weighs more."""
    outcome = table.per_turn(table.outcome)
    return outcome - outcome.mean()


def reset_at_observations(table: TurnTable) -> Floats:
    """Returns that start anew at every observation."""
    return table.reward - table.reward.mean()


def rewarded_turns_only(table: TurnTable) -> Floats:
    """Returns of the turns that were paid something; the others vanish."""
    returns = discounted_returns(table.reward, table.episode, 1.0)
    return np.where(table.reward != 0, returns - table.per_episode(table.reward).mean(), 0.0)


def per_turn_index(table: TurnTable) -> Floats:
    """Rewards centred over the episodes that reach the turn, then summed over the turns that remain."""
    mean = np.bincount(table.turn, weights=table.reward)[table.turn] / counts(table.turn)
    return discounted_returns(table.reward - mean, table.episode, 1.0)


MISTAKES = {
    "baseline averaged over steps": over_steps,
    "returns reset at observations": reset_at_observations,
    "turns without reward dropped": rewarded_turns_only,
    "normalised per turn index, then summed": per_turn_index,
}


def rows() -> Iterator[tuple[str, str, Callable[[int], Bias]]]:
    """Yields (estimator, what is enumerated, its bias as a function of the number of samples that are compared)."""
    for name in ESTIMATORS:
        estimator = make(name)
        if name == "truncated_step":
            yield name, "continuations of the prompt, own reward", of_groups(estimator, Ladder(horizon=1))
        elif name == "spo_tree":
            yield name, "2 x 2 tree, each turn once", lambda _, e=estimator: measure_forked(e)
        elif name == "tree_grpo":
            yield name, "2 x 2 tree, mean over leaves", lambda _, e=estimator: measure_forked(e, weigh="leaves")
        elif name in APART:
            yield name, "groups, success", of_groups(estimator, outcome="success")
        else:
            yield name, "groups, sum of rewards", of_groups(estimator)
    for label, mistake in MISTAKES.items():
        yield f"*{label}*", "groups, sum of rewards", of_groups(mistake)


def of_groups(
    estimator: Callable[[TurnTable], Floats], task: Ladder | None = None, outcome: Outcome = "reward"
) -> Callable[[int], Bias]:
    """Returns the bias as a function of the group size."""
    return lambda size: measure(estimator, task, group_size=size, outcome=outcome)


def report() -> str:
    """Returns the table as Markdown."""
    lines = [
        "| estimator | enumerated | scale | noise | cosine | angle, n = 3 | n = 2 | n = 4 |",
        "|---|---|---|---|---|---|---|---|",
    ]
    for name, what, bias in rows():
        label = name if name.startswith("*") else f"`{name}`"
        three = bias(3)
        others = [f"{degrees(bias(size)):.1f}°" if "tree" not in what else "-" for size in (2, 4)]
        numbers = [f"{three.scale:.3f}", f"{three.noise:.2f}", f"{three.cosine:.4f}", f"{degrees(three):.1f}°"]
        cells = [label, what, *numbers, *others]
        lines.append(f"| {' | '.join(cells)} |")
    return "\n".join(lines) + "\n"


def degrees(bias: Bias) -> float:
    """Returns the angle between the two gradients, by its tangent, which is exact where the angle is small."""
    angle = math.degrees(math.atan(bias.deviation))
    return angle if bias.scale > 0 else 180.0 - angle


HEADER = """# Bias of the estimators, exactly

Written by `python benchmarks/credit_bias.py`; nothing is sampled, so that the numbers are the same on every machine.
`cosine` and `angle` are those between the estimator's expected gradient and the exact policy gradient, `scale` the
length of the former's projection on the latter over the latter's length, `noise` the standard deviation of one group's
gradient over the length of that projection, for groups of n = 3 episodes (angles for 2 and 4 beside it); the batch is
one group. Estimators stand with their defaults. The lines in italics are mistakes seen in public code, measured in the
same way.

"""


def main() -> None:
    """Prints the table and writes it."""
    table = report()
    print(table, end="")
    RESULT.parent.mkdir(parents=True, exist_ok=True)
    RESULT.write_text(HEADER + table, encoding="utf-8")


if __name__ == "__main__":
    main()
