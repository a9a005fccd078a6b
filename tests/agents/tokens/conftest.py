"""Chat templates in the styles of public models, each with a small tokenizer that knows its special tokens."""

import pytest
from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers
from transformers import PreTrainedTokenizerFast

# Qwen2.5: a system prompt by default, tools in it, tool results inside of a user turn.
CHATML = """
{%- set given = messages[0].role == 'system' -%}
{{- '<|im_start|>system\\n' + (messages[0].content if given else 'You are a helpful assistant.') -}}
{%- if tools %}
    {{- '\\n\\n# Tools\\n<tools>' -}}
    {%- for tool in tools %}{{- '\\n' + (tool | tojson) -}}{%- endfor -%}
    {{- '\\n</tools>' -}}
{%- endif -%}
{{- '<|im_end|>\\n' -}}
{%- for message in messages -%}
    {%- if message.role == 'tool' -%}
        {%- if loop.first or messages[loop.index0 - 1].role != 'tool' -%}{{- '<|im_start|>user' -}}{%- endif -%}
        {{- '\\n<tool_response>\\n' + message.content + '\\n</tool_response>' -}}
        {%- if loop.last or messages[loop.index0 + 1].role != 'tool' -%}{{- '<|im_end|>\\n' -}}{%- endif -%}
    {%- elif message.role != 'system' or not loop.first -%}
        {{- '<|im_start|>' + message.role + '\\n' + message.content + '<|im_end|>\\n' -}}
    {%- endif -%}
{%- endfor -%}
{%- if add_generation_prompt -%}{{- '<|im_start|>assistant\\n' -}}{%- endif -%}
"""

# Llama 3: a header before each message, contents stripped of outer blanks, nothing between messages.
LLAMA3 = """
{{- '<|begin_of_text|>' -}}
{%- for message in messages -%}
    {%- set role = 'ipython' if message.role == 'tool' else message.role -%}
    {{- '<|start_header_id|>' + role + '<|end_header_id|>\\n\\n' + message.content | trim + '<|eot_id|>' -}}
{%- endfor -%}
{%- if add_generation_prompt -%}{{- '<|start_header_id|>assistant<|end_header_id|>\\n\\n' -}}{%- endif -%}
"""

# Qwen3: thinking stays only behind the last user message, written in a form of its own.
QWEN3 = """
{%- set ns = namespace(last=0) -%}
{%- for message in messages -%}
    {%- if message.role == 'user' -%}{%- set ns.last = loop.index0 -%}{%- endif -%}
{%- endfor -%}
{%- for message in messages -%}
    {%- set role = 'user' if message.role == 'tool' else message.role -%}
    {%- set content = message.content -%}
    {%- if role == 'assistant' and '</think>' in content -%}
        {%- set thought = content.split('</think>')[0].split('<think>')[-1].strip('\\n') -%}
        {%- set content = content.split('</think>')[-1].lstrip('\\n') -%}
        {%- if loop.index0 > ns.last -%}
            {%- set content = '<think>\\n' + thought + '\\n</think>\\n\\n' + content -%}
        {%- endif -%}
    {%- endif -%}
    {{- '<|im_start|>' + role + '\\n' + content + '<|im_end|>\\n' -}}
{%- endfor -%}
{%- if add_generation_prompt -%}{{- '<|im_start|>assistant\\n' -}}{%- endif -%}
"""

# DeepSeek R1: the prompt begins the thinking itself, and no earlier thinking is ever shown again.
DEEPSEEK = """
{{- '<｜begin▁of▁sentence｜>' -}}
{%- for message in messages -%}
    {%- if message.role == 'system' -%}{{- message.content -}}
    {%- elif message.role == 'assistant' -%}
        {{- '<｜Assistant｜>' + message.content.split('</think>')[-1] + '<｜end▁of▁sentence｜>' -}}
    {%- else -%}{{- '<｜User｜>' + message.content -}}{%- endif -%}
{%- endfor -%}
{%- if add_generation_prompt -%}{{- '<｜Assistant｜><think>\\n' -}}{%- endif -%}
"""

# Gemma: no system messages.
GEMMA = """
{{- '<bos>' -}}
{%- if messages[0].role == 'system' -%}{{- raise_exception('System role not supported') -}}{%- endif -%}
{%- for message in messages -%}
    {%- set role = 'model' if message.role == 'assistant' else message.role -%}
    {{- '<start_of_turn>' + role + '\\n' + message.content | trim + '<end_of_turn>\\n' -}}
{%- endfor -%}
{%- if add_generation_prompt -%}{{- '<start_of_turn>model\\n' -}}{%- endif -%}
"""

# A base model's transcript: no special token between messages, so that merges could cross every boundary.
PLAIN = """
{%- for message in messages -%}
    {{- ('Bot: ' if message.role == 'assistant' else 'Human: ') + message.content + '\\n' -}}
{%- endfor -%}
{%- if add_generation_prompt -%}{{- 'Bot: ' -}}{%- endif -%}
"""

STYLES = {
    "chatml": (CHATML, ["<|im_end|>", "<|endoftext|>", "<|im_start|>"]),
    "llama3": (
        LLAMA3,
        ["<|eot_id|>", "<|begin_of_text|>", "<|start_header_id|>", "<|end_header_id|>", "<|end_of_text|>"],
    ),
    "qwen3": (QWEN3, ["<|im_end|>", "<|endoftext|>", "<|im_start|>"]),
    "deepseek": (DEEPSEEK, ["<｜end▁of▁sentence｜>", "<｜begin▁of▁sentence｜>", "<｜User｜>", "<｜Assistant｜>"]),
    "gemma": (GEMMA, ["<end_of_turn>", "<bos>", "<start_of_turn>"]),
    "plain": (PLAIN, ["<eos>"]),
}

CORPUS = [
    "hello hello world world\n\n\nworld.\n\nhello.\n",
    "<think>\nhmm hmm\n</think>\n\n42\n",
    "Human: hello.\nBot: world.\nHuman: hello.\nBot: world.\n",
    '<tool_call>\n{"name": "add"}\n</tool_call>\n<tool_response>\n3\n</tool_response>\n',
    "higher lower higher lower 1 2 3\n\n",
] * 5


def make(style):
    """Returns a tokenizer of a style: byte-level, without any splitting into words, so that everything merges."""
    template, special = STYLES[style]
    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False)
    tokenizer.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=420,
        special_tokens=special,
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        show_progress=False,
    )
    tokenizer.train_from_iterator(CORPUS, trainer)
    return PreTrainedTokenizerFast(
        tokenizer_object=tokenizer, eos_token=special[0], chat_template=template, clean_up_tokenization_spaces=False
    )


@pytest.fixture(scope="session")
def styles():
    """Tokenizers by style."""
    return {style: make(style) for style in STYLES}


@pytest.fixture(params=list(STYLES))
def styled(request, styles):
    """A tokenizer of each style in turn."""
    return styles[request.param]
