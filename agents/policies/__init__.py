"""Policies: what decides."""

from turnwise.agents.policies.base import Action, Policy, Session
from turnwise.agents.policies.chat import ChatEngine, ChatPolicy
from turnwise.agents.policies.engine import EnginePolicy
from turnwise.agents.policies.simple import HumanPolicy, OraclePolicy, ScriptedPolicy

__all__ = [
    "Action",
    "ChatEngine",
    "ChatPolicy",
    "EnginePolicy",
    "HumanPolicy",
    "OraclePolicy",
    "Policy",
    "ScriptedPolicy",
    "Session",
]
