"""Evaluation: success with intervals, pass@k, a table per difficulty, and comparisons in pairs."""

from turnwise.agents.evaluation.compare import Comparison, compare
from turnwise.agents.evaluation.evaluate import aevaluate, evaluate, evaluation_jobs, evaluation_of
from turnwise.agents.evaluation.results import Evaluation, Summary, TaskResult
from turnwise.agents.evaluation.statistics import Estimate, bootstrap_mean, pass_at_k, wilson

__all__ = [
    "Comparison",
    "Estimate",
    "Evaluation",
    "Summary",
    "TaskResult",
    "aevaluate",
    "bootstrap_mean",
    "compare",
    "evaluate",
    "evaluation_jobs",
    "evaluation_of",
    "pass_at_k",
    "wilson",
]
