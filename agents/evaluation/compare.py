"""Two evaluations on the same tasks, compared in pairs."""

from __future__ import annotations

from dataclasses import dataclass

from turnwise.agents.errors import InvalidInput
from turnwise.agents.evaluation.results import Evaluation, TaskResult
from turnwise.agents.evaluation.statistics import Estimate, bootstrap_mean
from turnwise.agents.evaluation.tables import counted
from turnwise.agents.seeding import derive_seed


@dataclass(frozen=True)
class Comparison:
    """How one policy does against another on the same tasks.

    Attributes:
        success: Mean over tasks of success after minus success before.
        reward: The same of the summed rewards.
        pairs: Tasks that both evaluations judged.
        better: Tasks with more success after than before.
        worse: Tasks with less.
        unpaired: Tasks that only one evaluation has, or of which all attempts failed in one.
    """

    success: Estimate
    reward: Estimate
    pairs: int
    better: int
    worse: int
    unpaired: int

    def __str__(self) -> str:
        same = self.pairs - self.better - self.worse
        lines = [
            f"success {_signed(self.success)} over {counted(self.pairs, 'task')}: "
            f"{self.better} better, {self.worse} worse, {same} the same",
            f"reward  {_signed(self.reward)}",
        ]
        if self.unpaired:
            lines.append(f"{counted(self.unpaired, 'task')} could not be paired")
        return "\n".join(lines)


def compare(before: Evaluation, after: Evaluation) -> Comparison:
    """Compares two evaluations task by task, with a paired bootstrap.

    Pairing removes what tasks differ in from the comparison: its interval is narrower than those of the two means
    suggest, so that their overlap does not mean that there is no difference.

    Raises:
        InvalidInput: They are of different environments or splits, share no judged task, or one seed stands for
            different instances in them.
    """
    if (before.env_id, before.split) != (after.env_id, after.split):
        raise InvalidInput(
            f"evaluations of {before.env_id!r}, split {before.split!r}, and {after.env_id!r}, split {after.split!r}, "
            "are not of the same tasks"
        )
    first, second = _judged(before), _judged(after)
    pairs = [(first[key], second[key]) for key in first if key in second]
    if not pairs:
        raise InvalidInput("the evaluations share no task: give both the same seed, split and difficulties")
    for one, other in pairs:
        if one.instance != other.instance:
            raise InvalidInput(f"task {one.difficulty!r}, seed {one.seed} is not the same instance in both evaluations")
    success = [_mean(other.success) - _mean(one.success) for one, other in pairs]
    reward = [_mean(other.reward) - _mean(one.reward) for one, other in pairs]
    keys = {_key(task) for evaluation in (before, after) for task in evaluation.tasks}
    return Comparison(
        success=bootstrap_mean(success, bounds=(-1.0, 1.0), seed=derive_seed(before.seed, "compare", "success")),
        reward=bootstrap_mean(reward, seed=derive_seed(before.seed, "compare", "reward")),
        pairs=len(pairs),
        better=sum(difference > 0 for difference in success),
        worse=sum(difference < 0 for difference in success),
        unpaired=len(keys) - len(pairs),
    )


def _key(task: TaskResult) -> tuple[str, int]:
    return task.difficulty, task.seed


def _judged(evaluation: Evaluation) -> dict[tuple[str, int], TaskResult]:
    return {_key(task): task for task in evaluation.tasks if task.success}


def _mean(values: tuple[float, ...]) -> float:
    return sum(values) / len(values)


def _signed(estimate: Estimate) -> str:
    return f"{estimate.value:+.3f} [{estimate.low:+.3f}, {estimate.high:+.3f}]"
