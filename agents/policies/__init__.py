"""Policies: what decides."""

from turnwise.agents.policies.base import Action, Policy, Session

__all__ = ["Action", "Policy", "Session"]
