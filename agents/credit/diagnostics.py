"""What to log of a batch's credit: where there is signal, where it went, and how far the data is from the policy."""

from __future__ import annotations

import numpy as np

from turnwise.agents.credit.columns import state_groups
from turnwise.agents.credit.segments import Floats, center, discounted_returns, preceding
from turnwise.agents.credit.table import TurnTable
from turnwise.agents.errors import InvalidInput

NEGLIGIBLE = 1e-9
"""Advantages no larger than this teach nothing."""


def diagnostics(table: TurnTable, advantages: Floats, *, gamma: float = 1.0) -> dict[str, float]:
    """Returns what a training run should log of its credit assignment; failed episodes are left out of every number.

    Args:
        table: The turns.
        advantages: Their advantages; float64 [turns].
        gamma: Discount of the returns that values are compared with.

    Returns:
        - `failed_episodes`: share of the episodes that failed.
        - `zero_advantage_turns`: share of turns without advantage, which teach nothing.
        - `zero_variance_groups`: share of groups whose episodes all have the same outcome, single ones among them.
        - `single_episode_groups`: share of groups of one episode.
        - `step_group_mean`, `step_group_max`: turns per {group, state}; `step_group_singletons`: share of turns that
          are alone in theirs. Only where states are known.
        - `stray_credit`: share of the positive advantage that lies on turns without progress, of the turns whose
          progress before and after is known: 0 is perfect, and credit spread blindly gives about the share of such
          turns, `stray_turns`. Only where the environment knows progress.
        - `explained_variance`: 1 - Var(G - V) / Var(G) of `columns["value"]`. Only where there are values and
          returns differ.

    Raises:
        InvalidInput: `advantages` does not have one entry per turn.
    """
    if advantages.shape != (table.turns,):
        raise InvalidInput(f"advantages has shape {advantages.shape}; it needs one entry per turn: ({table.turns},)")
    kept = ~table.failed[table.episode]
    found = {"failed_episodes": float(table.failed.mean()) if table.episodes else 0.0}
    table, advantages = table.select(~table.failed), advantages[kept]
    if not table.turns:
        return found
    found["zero_advantage_turns"] = float((np.abs(advantages) <= NEGLIGIBLE).mean())
    return found | _of_groups(table) | _of_states(table) | _of_progress(table, advantages) | _of_values(table, gamma)


def _of_groups(table: TurnTable) -> dict[str, float]:
    apart = np.bincount(table.group, weights=np.abs(center(table.outcome, table.group)))
    return {
        "zero_variance_groups": float((apart <= NEGLIGIBLE).mean()),
        "single_episode_groups": float((np.bincount(table.group) == 1).mean()),
    }


def _of_states(table: TurnTable) -> dict[str, float]:
    if table.state_key is None:
        return {}
    sizes = np.bincount(state_groups(table.state_key, table.turn_group))
    return {
        "step_group_mean": float(sizes.mean()),
        "step_group_max": float(sizes.max()),
        "step_group_singletons": float((sizes == 1).sum() / table.turns),
    }


def _of_progress(table: TurnTable, advantages: Floats) -> dict[str, float]:
    if table.progress is None:
        return {}
    before = preceding(table.progress, table.episode, np.nan)
    known = np.isfinite(before) & np.isfinite(table.progress)
    stray = table.progress[known] <= before[known]
    credit = np.maximum(advantages[known], 0.0)
    if not known.any() or credit.sum() <= NEGLIGIBLE:
        return {}
    return {"stray_credit": float(credit[stray].sum() / credit.sum()), "stray_turns": float(stray.mean())}


def _of_values(table: TurnTable, gamma: float) -> dict[str, float]:
    if "value" not in table.columns:
        return {}
    returns = discounted_returns(table.reward, table.episode, gamma)
    variance = float(np.var(returns))
    if variance <= NEGLIGIBLE:
        return {}
    return {"explained_variance": 1.0 - float(np.var(returns - table.columns["value"])) / variance}


def effective_sample_size(log_ratios: Floats) -> float:
    """Returns (sum w)^2 / (n sum w^2) of the weights w = exp(log ratio): 1 on policy, 1/n where one weight is all.

    Args:
        log_ratios: log(pi / pi_old) of turns, sequences or tokens, of any size; float64 [n].

    Raises:
        InvalidInput: There are none, or one is not finite.
    """
    ratios = np.asarray(log_ratios, np.float64)
    if not ratios.size or not np.isfinite(ratios).all():
        raise InvalidInput("log_ratios must hold at least one number, and no NaN or infinity")
    # The largest weight is scaled to 1: the share does not depend on the scale, and exp cannot overflow.
    weights = np.exp(ratios - ratios.max())
    return float(weights.sum() ** 2 / (ratios.size * (weights @ weights)))
