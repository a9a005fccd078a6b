"""Metrics of an optimizer step, from the columns of all its tokens."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

import torch
from torch import Tensor


def summarise(parts: Iterable[Mapping[str, Tensor]]) -> dict[str, float]:
    """Metrics over the tokens of all micro-batches: the same however the step was cut.

    Args:
        parts: `ObjectiveTerms.columns` of each micro-batch; all with the same names.

    Returns:
        policy_loss: The policy term of the loss.
        clip_fraction: Share of tokens whose gradient was clipped.
        ratio_mean, ratio_max: Of pi / pi_old as the loss used it.
        approx_kl: k3 estimate of KL(pi_old || pi), nats per token.
        entropy: Mean, nats.
        kl: Mean estimate of the divergence from the reference.
        engine_kl: k3 estimate of KL(pi_engine || pi_old), nats per token.
        engine_gap_max: Largest |log pi_old - log pi_engine|.
        importance_ess: Effective sample size of pi_old / pi_engine, as a share of the tokens: (sum c)^2 / (n sum c^2).
        correction_mean: Mean of the bounded weight.
        correction_bounded: Share of tokens whose weight was truncated or masked.

        Metrics whose columns are missing are left out; without tokens there are none.
    """
    listed = list(parts)
    if not listed:
        return {}
    columns = {name: torch.cat([part[name] for part in listed]).double() for name in listed[0]}
    if len(columns["ratio"]) == 0:
        return {}
    out = {
        "policy_loss": columns["policy_loss"].sum(),
        "clip_fraction": columns["clipped"].mean(),
        "ratio_mean": columns["ratio"].mean(),
        "ratio_max": columns["ratio"].max(),
        "approx_kl": _k3(columns["log_ratio"]),
    }
    out |= {name: columns[name].mean() for name in ("entropy", "kl") if name in columns}
    if "importance" in columns:
        out["importance_ess"] = effective_sample_size(columns["importance"])
    if "engine_log_ratio" in columns:
        out["engine_kl"] = _k3(columns["engine_log_ratio"])
        out["engine_gap_max"] = columns["engine_log_ratio"].abs().max()
    if "correction" in columns:
        out["correction_mean"] = columns["correction"].mean()
        out["correction_bounded"] = (columns["correction"] != columns["importance"]).double().mean()
    return {name: float(value) for name, value in out.items()}


def effective_sample_size(weights: Tensor) -> Tensor:
    """(sum w)^2 / (n sum w^2), in (0, 1]: 1 when all weights are equal.

    Args:
        weights: Importance weights, not all zero; [n].
    """
    return weights.sum().square() / (len(weights) * weights.square().sum())


def _k3(log_ratio: Tensor) -> Tensor:
    return (torch.expm1(log_ratio) - log_ratio).mean()
