"""A policy that samples tokens from an engine: what is trained."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import gymnasium as gym

from turnwise.agents.engines.base import Engine, Sampling
from turnwise.agents.policies.base import Action, Policy, Session
from turnwise.agents.seeding import derive_seed
from turnwise.agents.tokens.chat import REALIGN_TOKENS, Chat


class EnginePolicy(Policy):
    """Lets a model act through its chat template, token in and token out.

    The environment's instructions become the system message and its tools go to the template; each observation is a
    user's message, and each action what the model sampled after it. `Action.metrics` has, besides the engine's, a 1
    under `prompt_start`, `prompt_clean`, `prompt_realign` or `prompt_fork`: how the prompt came from the tokens before.

    Args:
        engine: What samples.
        tokenizer: The model's tokenizer, with a chat template.
        sampling: How tokens are chosen.
        instructions: The system message in place of the environment's; "" for none.
        template_options: Further variables of the chat template, such as `enable_thinking`.
        realign_tokens: How many tokens the template may write differently before a conversation forks.
    """

    def __init__(
        self,
        engine: Engine,
        tokenizer: Any,
        sampling: Sampling | None = None,
        *,
        instructions: str | None = None,
        template_options: Mapping[str, Any] | None = None,
        realign_tokens: int = REALIGN_TOKENS,
    ) -> None:
        self.engine = engine
        self.tokenizer = tokenizer
        self.sampling = sampling or Sampling()
        self.instructions = instructions
        self.template_options = template_options
        self.realign_tokens = realign_tokens

    def start(self, *, seed: int, env: gym.Env[str, str] | None = None) -> Session:
        """Begins an episode; see `Policy.start`."""
        return _EngineSession(self, seed)

    def expect(self, change: int) -> None:
        """Tells the engine how many more episodes are in flight."""
        self.engine.expect(change)


class _EngineSession(Session):
    def __init__(self, policy: EnginePolicy, seed: int) -> None:
        self._policy = policy
        self._seed = seed
        self._chat: Chat | None = None
        self._turn = 0

    async def act(self, observation: str, info: Mapping[str, Any]) -> Action:
        """Samples an action.

        Raises:
            PromptTooLong: The conversation no longer fits the context.
            EngineError: The engine failed.
        """
        policy = self._policy
        chat = self._chat = self._chat or _begin(policy, info)
        chat.add("user", observation)
        prompt = chat.prompt()
        seed = derive_seed(self._seed, "turn", self._turn)
        completion = await policy.engine.generate(prompt.ids.tolist(), policy.sampling, seed=seed)
        chat.acted(completion.text, completion.ids)
        self._turn += 1
        return Action(
            text=completion.text,
            prompt_ids=prompt.ids,
            action_ids=completion.ids,
            logprobs=completion.logprobs,
            finish=completion.finish,
            metrics={**completion.metrics, f"prompt_{prompt.how}": 1.0},
        )


def _begin(policy: EnginePolicy, info: Mapping[str, Any]) -> Chat:
    chat = Chat(
        policy.tokenizer,
        tools=info.get("tools") or (),
        options=policy.template_options,
        realign_tokens=policy.realign_tokens,
    )
    instructions = info.get("instructions", "") if policy.instructions is None else policy.instructions
    if instructions:
        chat.add("system", instructions)
    return chat
