import asyncio

import gymnasium as gym
import numpy as np
import pytest

from turnwise.agents.engines.base import Completion, Engine, Sampling
from turnwise.agents.errors import EngineError, InvalidInput
from turnwise.agents.policies import ChatPolicy, EnginePolicy, HumanPolicy, OraclePolicy, ScriptedPolicy
from turnwise.agents.tokens import merge
from turnwise.agents.tokens.tiny import make_tokenizer
from turnwise.agents.types import Turn


@pytest.fixture(scope="module")
def tokenizer():
    return make_tokenizer(["guess a number: higher, lower"] * 5, 300)


class Echo(Engine):
    """Says how many tokens it was given, and remembers what it was asked."""

    context_length = 1000

    def __init__(self, tokenizer):
        self.tokenizer = tokenizer
        self.asked = []
        self.active = 0

    async def generate(self, prompt_ids, sampling, *, seed):
        self.asked.append((list(prompt_ids), sampling, seed))
        ids = np.array(self.tokenizer.encode(f"{len(prompt_ids)}<|im_end|>", add_special_tokens=False))
        logprobs = np.full(len(ids), -0.5, np.float32)
        return Completion(ids, logprobs, str(len(prompt_ids)), "stop", {"batch_size": 1.0})

    def expect(self, change):
        self.active += change


class Replies:
    """A chat engine with prepared answers."""

    def __init__(self, *texts):
        self.texts = list(texts)
        self.asked = []

    async def chat(self, messages, sampling, *, tools=(), seed=None):
        self.asked.append(([dict(message) for message in messages], list(tools), seed))
        empty = np.zeros(0)
        return Completion(empty.astype(np.int64), empty.astype(np.float32), self.texts.pop(0), "length", {"cost": 2.0})


def act(policy, *observations, info=None, seed=0, env=None):
    async def main():
        session = policy.start(seed=seed, env=env)
        return [await session.act(text, (info or {}) if not turn else {}) for turn, text in enumerate(observations)]

    return asyncio.run(main())


def test_an_engine_policy_shows_the_model_the_conversation_and_keeps_what_it_sampled(tokenizer):
    engine = Echo(tokenizer)
    sampling = Sampling(max_tokens=5)
    actions = act(EnginePolicy(engine, tokenizer, sampling), "guess", "higher", "lower", info={"instructions": "Play."})
    text = tokenizer.decode(actions[2].prompt_ids)
    first, second = actions[0].text, actions[1].text
    assert text == (
        f"Play.<|im_end|>guess<|im_end|><|im_start|>{first}<|im_end|>higher<|im_end|><|im_start|>{second}<|im_end|>"
        "lower<|im_end|><|im_start|>"
    )
    assert [engine_call[0] for engine_call in engine.asked] == [action.prompt_ids.tolist() for action in actions]
    assert all(engine_call[1] is sampling for engine_call in engine.asked)
    assert [action.metrics for action in actions] == [
        {"batch_size": 1.0, how: 1.0} for how in ("prompt_start", "prompt_clean", "prompt_clean")
    ]
    turns = [
        Turn("", a.text, 0.0, prompt_ids=a.prompt_ids, action_ids=a.action_ids, logprobs=a.logprobs) for a in actions
    ]
    (sequence,) = merge(turns)
    assert tokenizer.decode(sequence.ids) == f"{text}{actions[2].text}<|im_end|>"
    assert tokenizer.decode(sequence.ids[sequence.mask]) == "".join(f"{a.text}<|im_end|>" for a in actions)


def test_every_turn_and_episode_has_a_seed_of_its_own_that_follows_from_the_episodes(tokenizer):
    def seeds(seed):
        engine = Echo(tokenizer)
        act(EnginePolicy(engine, tokenizer), "a", "b", "c", seed=seed)
        return [engine_call[2] for engine_call in engine.asked]

    assert seeds(1) == seeds(1)
    assert len({*seeds(1), *seeds(2)}) == 6


def test_instructions_of_the_policy_replace_those_of_the_environment(tokenizer):
    for instructions, beginning in (("Mine.", "Mine.<|im_end|>guess"), ("", "guess"), (None, "Theirs.<|im_end|>guess")):
        policy = EnginePolicy(Echo(tokenizer), tokenizer, instructions=instructions)
        (action,) = act(policy, "guess", info={"instructions": "Theirs."})
        assert tokenizer.decode(action.prompt_ids).startswith(beginning)


def test_the_environments_tools_reach_the_template():
    tokenizer = make_tokenizer(["x"], 259)
    tokenizer.chat_template = (
        "{{ tools | tojson if tools else 'none' }}{{ style }}{% for m in messages %}{{ m.content }}|{% endfor %}"
    )
    policy = EnginePolicy(Echo(tokenizer), tokenizer, template_options={"style": "!"})
    (with_tools,) = act(policy, "x", info={"tools": [{"name": "add"}]})
    (without,) = act(policy, "x", info={"tools": []})
    assert tokenizer.decode(with_tools.prompt_ids) == '[{"name": "add"}]!x|'
    assert tokenizer.decode(without.prompt_ids) == "none!x|"


def test_sessions_of_one_policy_do_not_mix(tokenizer):
    policy = EnginePolicy(Echo(tokenizer), tokenizer)

    async def main():
        sessions = [policy.start(seed=seed) for seed in range(2)]
        for word in ("higher", "lower"):
            actions = [await session.act(f"{word} by {name}", {}) for session, name in zip(sessions, "xy", strict=True)]
        return [tokenizer.decode(action.prompt_ids) for action in actions]

    first, second = asyncio.run(main())
    assert "higher by x" in first
    assert "by y" not in first
    assert "higher by y" in second
    assert "by x" not in second


def test_an_engine_policy_passes_on_how_many_episodes_are_in_flight(tokenizer):
    engine = Echo(tokenizer)
    policy = EnginePolicy(engine, tokenizer)
    policy.expect(3)
    policy.expect(-1)
    assert engine.active == 2


def test_an_engine_failure_reaches_the_rollout(tokenizer):
    class Broken(Echo):
        async def generate(self, prompt_ids, sampling, *, seed):
            raise EngineError("broken")

    with pytest.raises(EngineError, match="broken"):
        act(EnginePolicy(Broken(tokenizer), tokenizer), "x")


def test_a_chat_policy_sends_messages_and_has_no_token_ids():
    engine = Replies("50", "75")
    info = {"instructions": "Play.", "tools": [{"type": "function"}]}
    first, second = act(ChatPolicy(engine), "guess", "higher", info=info)
    assert (first.text, second.text, second.finish, second.metrics) == ("50", "75", "length", {"cost": 2.0})
    assert len(second.action_ids) == len(second.prompt_ids) == len(second.logprobs) == 0
    messages, tools, seed = engine.asked[1]
    assert [(message["role"], message["content"]) for message in messages] == [
        ("system", "Play."),
        ("user", "guess"),
        ("assistant", "50"),
        ("user", "higher"),
    ]
    assert tools == [{"type": "function"}]
    assert seed != engine.asked[0][2]


def test_a_scripted_policy_acts_by_a_function_that_may_wait():
    async def slow(observation):
        await asyncio.sleep(0)
        return observation.upper()

    assert [action.text for action in act(ScriptedPolicy(str.upper), "a", "b")] == ["A", "B"]
    assert [action.text for action in act(ScriptedPolicy(slow), "a")] == ["A"]
    with pytest.raises(InvalidInput, match="must be text, not 1"):
        act(ScriptedPolicy(lambda observation: 1), "a")


def test_the_oracle_policy_asks_the_unwrapped_environment():
    class Env(gym.Env):
        actions = iter(["left", None])

        def oracle(self):
            return next(self.actions)

    env = gym.wrappers.OrderEnforcing(Env())
    assert [action.text for action in act(OraclePolicy(), "x", "y", env=env)] == ["left", ""]
    with pytest.raises(InvalidInput, match="no environment"):
        act(OraclePolicy(), "x")
    with pytest.raises(InvalidInput, match=r"oracle\(\), not Env"):
        act(OraclePolicy(), "x", env=gym.Env())


def test_a_person_sees_the_instructions_once_and_every_observation():
    shown = []

    def ask(text):
        shown.append(text)
        return "go"

    actions = act(HumanPolicy(ask), "a door", "a room", info={"instructions": "Find the key."})
    assert [action.text for action in actions] == ["go", "go"]
    assert shown == ["Find the key.\n\na door\n> ", "a room\n> "]


def test_the_end_of_a_persons_input_passes_through():
    def ask(text):
        raise EOFError

    with pytest.raises(EOFError):
        act(HumanPolicy(ask), "x")
