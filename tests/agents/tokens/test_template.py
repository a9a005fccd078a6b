import pytest

from turnwise.agents.errors import InvalidInput
from turnwise.agents.tokens.template import Template, common_prefix, end_of_turn_ids


@pytest.mark.parametrize(
    ("style", "closing", "end", "has_system"),
    [
        ("chatml", "<|im_end|>\n", "<|im_end|>", True),
        ("llama3", "<|eot_id|>", "<|eot_id|>", True),
        ("qwen3", "<|im_end|>\n", "<|im_end|>", True),
        ("deepseek", "<｜end▁of▁sentence｜>", "<｜end▁of▁sentence｜>", True),
        ("gemma", "<end_of_turn>\n", "<end_of_turn>", False),
        ("plain", "\n", None, True),
    ],
)
def test_a_template_is_asked_how_it_ends_a_turn(styles, style, closing, end, has_system):
    template = Template(styles[style])
    assert template.closing == closing
    assert template.has_system == has_system
    assert template.end_id == (None if end is None else styles[style].convert_tokens_to_ids(end))
    assert end_of_turn_ids(styles[style]) == ([] if end is None else [template.end_id])


def test_tools_and_variables_reach_the_template(styles):
    tool = {"type": "function", "function": {"name": "add", "parameters": {}}}
    text = Template(styles["chatml"], tools=[tool]).render([{"role": "user", "content": "x"}], generation_prompt=True)
    assert '"name": "add"' in text


def test_a_tokenizer_without_template_is_refused_by_name(styles):
    class Bare:
        name_or_path = "some/base-model"
        chat_template = None

    with pytest.raises(InvalidInput, match="some/base-model"):
        Template(Bare())
    assert end_of_turn_ids(Bare()) == []


def test_messages_that_the_template_refuses_are_told_by_role(styles):
    with pytest.raises(InvalidInput, match=r"\['system'\].*System role not supported"):
        Template(styles["gemma"]).render([{"role": "system", "content": "x"}], generation_prompt=True)


def test_text_behind_an_end_of_turn_gets_the_tokens_that_it_has_there(styled):
    template = Template(styled)
    if template.end_id is None:
        return
    text = "\nhello <|im_start|>"
    whole = styled.encode("world" + styled.convert_ids_to_tokens(template.end_id) + text, add_special_tokens=False)
    after = whole[whole.index(template.end_id) + 1 :]
    assert template.encode_behind(text).tolist() == after


def test_the_common_beginning_of_texts():
    assert common_prefix("abcd", "abxd") == "ab"
    assert common_prefix("ab", "abc") == "ab"
    assert common_prefix("", "abc") == ""
