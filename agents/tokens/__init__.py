"""Token in, token out: conversations whose sampled tokens are trained on as they were sampled."""

from turnwise.agents.tokens.chat import Chat, How, Prompt
from turnwise.agents.tokens.merge import merge

__all__ = ["Chat", "How", "Prompt", "merge"]
