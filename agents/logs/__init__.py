"""The record of a run: metrics, episodes, TensorBoard, progress on the terminal, and learning curves."""

from turnwise.agents.logs.curves import draw_curves
from turnwise.agents.logs.metrics import read_metrics
from turnwise.agents.logs.run_log import RunLog, RunLogState

__all__ = ["RunLog", "RunLogState", "draw_curves", "read_metrics"]
