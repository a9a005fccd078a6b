"""Environments for language agents. Importing this package registers them with Gymnasium under `turnwise/...`."""

from turnwise.envs.batch import Batch, Moment
from turnwise.envs.checker import CheckReport, CheckResult, check_env
from turnwise.envs.core import TurnEnv
from turnwise.envs.errors import CheckFailed, EpisodeOver, InvalidInput, SplitExhausted, TurnwiseError, VerdictMissing
from turnwise.envs.registration import EnvEntry, PluginWarning, list_envs, register_all
from turnwise.envs.spaces import TextSpace
from turnwise.envs.types import EnvOptions, Level, Reply, RewardMode, Snapshot, Split, Task
from turnwise.envs.vector import make_vec

__all__ = [
    "Batch",
    "CheckFailed",
    "CheckReport",
    "CheckResult",
    "EnvEntry",
    "EnvOptions",
    "EpisodeOver",
    "InvalidInput",
    "Level",
    "Moment",
    "PluginWarning",
    "Reply",
    "RewardMode",
    "Snapshot",
    "Split",
    "SplitExhausted",
    "Task",
    "TextSpace",
    "TurnEnv",
    "TurnwiseError",
    "VerdictMissing",
    "check_env",
    "list_envs",
    "make_vec",
    "register_all",
]

register_all()
