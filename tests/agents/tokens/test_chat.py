import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from turnwise.agents.errors import InvalidInput
from turnwise.agents.tokens import Chat, How
from turnwise.agents.tokens.merge import merge
from turnwise.agents.types import Turn


def encode(tokenizer, text):
    return tokenizer.encode(text, add_special_tokens=False)


def play(tokenizer, turns, *, system=None, reply_role="user", **options):
    """Plays a conversation; `turns` are (observation, sampled ids). Returns its prompts and the chat."""
    chat = Chat(tokenizer, **options)
    if system is not None:
        chat.add("system", system)
    prompts = []
    for number, (observation, action) in enumerate(turns):
        chat.add(reply_role if number else "user", observation)
        prompts.append(chat.prompt())
        chat.acted(tokenizer.decode(action, skip_special_tokens=True), action)
    return prompts, chat


def extends(later, earlier, action):
    """Whether a prompt begins with an earlier prompt and the action sampled from it."""
    before = [*earlier.ids.tolist(), *action]
    return later.ids.tolist()[: len(before)] == before


END = {"chatml": "<|im_end|>", "llama3": "<|eot_id|>", "qwen3": "<|im_end|>", "deepseek": "<｜end▁of▁sentence｜>"}


@pytest.mark.parametrize("style", ["chatml", "llama3", "qwen3"])
def test_a_conversation_stays_clean_and_reads_as_the_template_writes_it(styles, style):
    tokenizer = styles[style]
    turns = [(word, encode(tokenizer, f"{word} world{END[style]}")) for word in ("hello", "higher", "lower")]
    prompts, chat = play(tokenizer, turns, system="Play well.", reply_role="tool")
    assert [prompt.how for prompt in prompts] == [How.START, How.CLEAN, How.CLEAN]
    assert all(extends(prompts[i + 1], prompts[i], turns[i][1]) for i in range(2))
    rendered = tokenizer.apply_chat_template(chat.messages[:-1], tokenize=False, add_generation_prompt=True)
    assert tokenizer.decode(prompts[-1].ids) == rendered


@pytest.mark.parametrize("style", ["chatml", "llama3", "qwen3", "plain"])
def test_sampled_tokens_stay_where_tokenising_again_would_change_them(styles, style):
    tokenizer = styles[style]
    # "hello" as the model may sample it, letter by letter; the tokenizer itself writes it in fewer tokens.
    letters = [encode(tokenizer, letter)[0] for letter in "hello"]
    action = letters + encode(tokenizer, END.get(style, "\n"))
    prompts, chat = play(tokenizer, [("1", action), ("2", action)])
    again = tokenizer.apply_chat_template(
        chat.messages[:-1], add_generation_prompt=True, tokenize=True, return_dict=False
    )
    before = [*prompts[0].ids.tolist(), *action]
    assert again[: len(before)] != before  # naive: the policy would be trained on tokens that it never sampled
    assert prompts[1].how == How.CLEAN
    assert extends(prompts[1], prompts[0], action)
    assert tokenizer.decode(prompts[1].ids) == tokenizer.decode(again)


def test_merges_across_the_end_of_an_action_are_not_made(styles):
    tokenizer = styles["plain"]
    action = encode(tokenizer, "world.")  # cut by a stop string before the line break
    assert encode(tokenizer, "world.\n")[: len(action)] != action
    prompts, _ = play(tokenizer, [("hello.", action), ("hello.", action)])
    assert prompts[1].how == How.CLEAN
    assert extends(prompts[1], prompts[0], action)
    assert tokenizer.decode(prompts[1].ids) == "Human: hello.\nBot: world.\nHuman: hello.\nBot: "


@pytest.mark.parametrize("style", ["chatml", "llama3", "qwen3", "gemma"])
def test_an_action_cut_by_its_length_gets_the_end_of_turn_that_it_lacks(styles, style):
    tokenizer = styles[style]
    action = encode(tokenizer, "hello wor")
    prompts, _ = play(tokenizer, [("1", action), ("2", action)])
    assert prompts[1].how == How.CLEAN
    assert extends(prompts[1], prompts[0], action)
    following = prompts[1].ids.tolist()[len(prompts[0].ids) + len(action)]
    assert following == tokenizer.eos_token_id


@pytest.mark.parametrize(
    ("style", "sampled"),
    [
        ("llama3", "hello \n<|eot_id|>"),  # the template strips blanks at the end
        ("llama3", "\n\nhello<|eot_id|>"),  # and at the beginning
        ("llama3", "hello\n\n"),  # cut in the middle of blanks
        ("llama3", "  \n<|eot_id|>"),  # nothing but blanks
        ("llama3", "hello<|end_of_text|>"),  # another token that ends a text
        ("gemma", " hello <end_of_turn>"),
        ("chatml", "hello<|endoftext|>"),
        ("chatml", "hello<|im_end|><|im_end|>"),
    ],
)
def test_differing_edges_of_an_action_are_realigned_and_its_tokens_kept(styles, style, sampled):
    tokenizer = styles[style]
    action = encode(tokenizer, sampled)
    prompts, _ = play(tokenizer, [("1", action), ("2", encode(tokenizer, "hello")), ("3", action)])
    assert [prompt.how for prompt in prompts] == [How.START, How.REALIGN, How.CLEAN]
    assert extends(prompts[1], prompts[0], action)
    # What follows is what the template writes after an action, once.
    written = tokenizer.decode(prompts[1].ids.tolist()[len(prompts[0].ids) + len(action) :])
    end = tokenizer.eos_token
    expected = {
        "llama3": "<|start_header_id|>user<|end_header_id|>\n\n2<|eot_id|>"
        "<|start_header_id|>assistant<|end_header_id|>\n\n",
        "gemma": "\n<start_of_turn>user\n2<end_of_turn>\n<start_of_turn>model\n",
        "chatml": "\n<|im_start|>user\n2<|im_end|>\n<|im_start|>assistant\n",
    }[style]
    assert written == (expected if sampled.endswith(end) else end + expected)


def test_more_than_a_few_differing_tokens_fork(styles):
    tokenizer = styles["llama3"]
    action = [*encode(tokenizer, "hello"), *encode(tokenizer, " ") * 9, tokenizer.eos_token_id]
    turns = [("1", action), ("2", action)]
    assert play(tokenizer, turns)[0][1].how == How.FORK
    assert play(tokenizer, turns, realign_tokens=9)[0][1].how == How.REALIGN
    assert play(tokenizer, turns, realign_tokens=0)[0][1].how == How.FORK


@pytest.mark.parametrize("style", ["qwen3", "deepseek"])
def test_thinking_that_the_template_removes_forks(styles, style):
    tokenizer = styles[style]
    opening = "" if style == "deepseek" else "<think>\n"  # DeepSeek's prompt has it already
    action = encode(tokenizer, f"{opening}hmm hmm\n</think>\n\n42{END[style]}")
    prompts, chat = play(tokenizer, [("1", action), ("2", action)])
    assert prompts[1].how == How.FORK
    assert "hmm" not in tokenizer.decode(prompts[1].ids)
    rendered = tokenizer.apply_chat_template(chat.messages[:-1], tokenize=False, add_generation_prompt=True)
    assert prompts[1].ids.tolist() == encode(tokenizer, rendered)


def test_thinking_between_tool_calls_of_one_question_does_not_fork(styles):
    tokenizer = styles["qwen3"]
    action = encode(tokenizer, "<think>\nhmm\n</think>\n\n<tool_call>\n{}\n</tool_call><|im_end|>")
    prompts, _ = play(tokenizer, [("1", action), ("3", action), ("4", action)], reply_role="tool")
    assert [prompt.how for prompt in prompts] == [How.START, How.CLEAN, How.CLEAN]


def test_a_conversation_that_forked_goes_on_from_its_fork(styles):
    tokenizer = styles["qwen3"]
    thinking = encode(tokenizer, "<think>\nhmm\n</think>\n\n42<|im_end|>")
    plain = encode(tokenizer, "42<|im_end|>")
    prompts, _ = play(tokenizer, [("1", thinking), ("2", plain), ("3", plain)])
    assert [prompt.how for prompt in prompts] == [How.START, How.FORK, How.CLEAN]
    assert extends(prompts[2], prompts[1], plain)


def test_an_empty_action_is_clean(styled):
    action = [styled.eos_token_id] if styled.eos_token != "<eos>" else encode(styled, "\n")
    prompts, _ = play(styled, [("1", action), ("2", action)])
    assert prompts[1].how == (How.FORK if "<think>" in styled.decode(prompts[0].ids) else How.CLEAN)


def test_a_system_prompt_goes_before_the_first_message_where_the_template_takes_none(styles):
    prompts, chat = play(styles["gemma"], [("guess", encode(styles["gemma"], "1<end_of_turn>"))], system="Be brief.")
    assert chat.messages[0] == {"role": "user", "content": "Be brief.\n\nguess"}
    assert "Be brief.\n\nguess" in styles["gemma"].decode(prompts[0].ids)


def test_tools_are_in_the_prompt_and_tool_messages_stay_clean(styles):
    tokenizer = styles["chatml"]
    call = encode(tokenizer, '<tool_call>\n{"name": "add"}\n</tool_call><|im_end|>')
    tool = {"type": "function", "function": {"name": "add", "parameters": {}}}
    prompts, _ = play(tokenizer, [("1 + 2?", call), ("3", call)], reply_role="tool", tools=[tool])
    assert [prompt.how for prompt in prompts] == [How.START, How.CLEAN]
    text = tokenizer.decode(prompts[1].ids)
    assert '"name": "add", "parameters"' in text
    assert "<tool_response>\n3\n</tool_response>" in text


def test_an_action_without_a_prompt_is_refused(styles):
    chat = Chat(styles["chatml"])
    chat.add("user", "1")
    with pytest.raises(InvalidInput, match="call prompt"):
        chat.acted("x", [5])
    chat.prompt()
    chat.acted("x", [5])
    with pytest.raises(InvalidInput, match="call prompt"):
        chat.acted("x", [5])


observations = st.text(st.sampled_from("ab \n1.🙂<"), min_size=1, max_size=12)


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data())
def test_whatever_is_sampled_stands_in_exactly_one_sequence_once(styles, data):
    style = data.draw(st.sampled_from(sorted(styles)))
    tokenizer = styles[style]
    tokens = st.integers(0, len(tokenizer) - 1)
    words = st.sampled_from(["hello", "<think>\nhmm\n</think>\n\n", " ", "\n\n", "42", tokenizer.eos_token])
    spelled = st.lists(words, min_size=1, max_size=4).map(lambda parts: encode(tokenizer, "".join(parts)))
    actions = st.one_of(spelled, st.lists(tokens, min_size=1, max_size=10))
    turns = data.draw(st.lists(st.tuples(observations, actions), min_size=1, max_size=5))
    prompts, chat = play(tokenizer, turns)
    record = []
    for number, (prompt, (observation, action)) in enumerate(zip(prompts, turns, strict=True)):
        logprobs = -np.arange(1, len(action) + 1, dtype=np.float32) - 100 * number
        record.append(Turn(observation, "", 0.0, prompt_ids=prompt.ids, action_ids=np.array(action), logprobs=logprobs))
    for number in range(1, len(turns)):
        if prompts[number].how in (How.CLEAN, How.REALIGN):
            assert extends(prompts[number], prompts[number - 1], turns[number - 1][1])
        messages = chat.messages[: 2 * number + 1]
        rendered = tokenizer.apply_chat_template(messages, tokenize=False, add_generation_prompt=True)
        if prompts[number].how == How.FORK:
            assert prompts[number].ids.tolist() == encode(tokenizer, rendered)
        elif all(prompt.how in (How.START, How.CLEAN) for prompt in prompts[: number + 1]):
            assert tokenizer.decode(prompts[number].ids) == rendered
    sequences = merge(record)
    assert len(sequences) <= 1 + sum(prompt.how == How.FORK for prompt in prompts)
    for number, turn in enumerate(record):
        found = [sequence for sequence in sequences if (sequence.turn == number).any()]
        assert len(found) == 1
        where = found[0].turn == number
        assert found[0].ids[where].tolist() == turn.action_ids.tolist()
        assert found[0].logprobs[where].tolist() == turn.logprobs.tolist()
        assert np.diff(np.flatnonzero(where)).tolist() == [1] * (len(turn.action_ids) - 1)
    assert sum(int(sequence.mask.sum()) for sequence in sequences) == sum(len(turn.action_ids) for turn in record)
