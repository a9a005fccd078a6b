"""The episode viewer: one self-contained HTML page that shows what the agent saw, did, was paid and was credited."""

from turnwise.agents.viewer.page import render

__all__ = ["render"]
