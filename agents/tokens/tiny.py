"""A small model made from scratch: a byte-level BPE tokenizer trained on given text, and a Qwen3 of any size.

Both are ordinary Hugging Face objects: `save_pretrained` writes a folder that `AutoTokenizer` and
`AutoModelForCausalLM` load. The demonstration trains them, and tests use them where a downloaded model would be too
large.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from turnwise.agents.errors import InvalidInput, MissingExtra

END_OF_TEXT = "<|endoftext|>"
START_OF_TURN = "<|im_start|>"
END_OF_TURN = "<|im_end|>"
SPECIAL_TOKENS = (END_OF_TEXT, START_OF_TURN, END_OF_TURN)
SMALLEST_VOCABULARY = 256 + len(SPECIAL_TOKENS)

# How Qwen2's tokenizer cuts text before merging: words with the blank before them, *single digits* (so that numbers are
# read place by place, which arithmetic needs), runs of punctuation, blanks.
WORDS = (
    r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}"
    r"| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+"
)

# ChatML reduced to what a small model needs: no role names and no line breaks, three tokens a turn. Only the model's
# own turns begin with <|im_start|>; every message ends with <|im_end|>. Tools are not listed: the instructions tell of
# them.
CHAT_TEMPLATE = (
    "{%- for message in messages -%}"
    "{%- if message.role == 'assistant' -%}{{- '<|im_start|>' -}}{%- endif -%}"
    "{{- message.content + '<|im_end|>' -}}"
    "{%- endfor -%}"
    "{%- if add_generation_prompt -%}{{- '<|im_start|>' -}}{%- endif -%}"
)


def make_tokenizer(corpus: Iterable[str], vocab_size: int = 512, *, context_length: int = 2048) -> Any:
    """Trains a byte-level BPE tokenizer with a lean chat template.

    Every text can be encoded and decodes to itself, because all 256 bytes are tokens; digits are always tokens of their
    own. The same corpus gives the same tokenizer.

    Args:
        corpus: Texts like those that the model will read and write.
        vocab_size: The most tokens, the 256 bytes and three special tokens included; fewer where the corpus has fewer
            pairs to merge.
        context_length: The tokenizer's `model_max_length`, in tokens.

    Returns:
        A `transformers.PreTrainedTokenizerFast` whose end-of-sequence token is <|im_end|> and whose padding is
        <|endoftext|>.

    Raises:
        InvalidInput: `vocab_size` cannot hold the bytes and special tokens.
        MissingExtra: transformers is not installed.
    """
    if vocab_size < SMALLEST_VOCABULARY:
        raise InvalidInput(
            f"vocab_size={vocab_size!r} is too small: 256 bytes and {len(SPECIAL_TOKENS)} special tokens need "
            f"{SMALLEST_VOCABULARY}"
        )
    try:
        from tokenizers import Regex, Tokenizer, decoders, models, pre_tokenizers, trainers
        from transformers import PreTrainedTokenizerFast
    except ImportError as error:
        raise MissingExtra("transformers", "train") from error
    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.Sequence(
        [
            pre_tokenizers.Split(Regex(WORDS), behavior="isolated"),
            pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False),
        ]
    )
    tokenizer.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=vocab_size,
        special_tokens=list(SPECIAL_TOKENS),
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        show_progress=False,
    )
    tokenizer.train_from_iterator(corpus, trainer)
    return PreTrainedTokenizerFast(
        tokenizer_object=tokenizer,
        eos_token=END_OF_TURN,
        pad_token=END_OF_TEXT,
        additional_special_tokens=[START_OF_TURN],
        chat_template=CHAT_TEMPLATE,
        model_max_length=context_length,
        clean_up_tokenization_spaces=False,
        padding_side="left",
    )


def make_model(
    tokenizer: Any,
    *,
    layers: int = 2,
    width: int = 128,
    heads: int = 4,
    kv_heads: int | None = None,
    context_length: int = 2048,
    seed: int = 0,
) -> Any:
    """Makes a small Qwen3 with random weights for a tokenizer.

    Args:
        tokenizer: What `make_tokenizer` returned, or any other with an end-of-sequence token.
        layers: Transformer blocks.
        width: Size of the residual stream.
        heads: Attention heads; each has `width / heads` channels.
        kv_heads: Heads of keys and values (grouped-query attention); as many as `heads` by default.
        context_length: The most tokens that a sequence may have.
        seed: Seeds the weights; the global random state is left as it was.

    Returns:
        A `transformers.Qwen3ForCausalLM` in float32 on the CPU, in eval mode, embeddings tied.

    Raises:
        InvalidInput: `heads` does not divide `width` into an even number of channels, or `kv_heads` not `heads`.
        MissingExtra: torch or transformers is not installed.
    """
    kv_heads = heads if kv_heads is None else kv_heads
    if width % heads or (width // heads) % 2:
        raise InvalidInput(
            f"width={width!r} must be an even multiple of heads={heads!r} (rotary embeddings take pairs)"
        )
    if heads % kv_heads:
        raise InvalidInput(f"kv_heads={kv_heads!r} must divide heads={heads!r}")
    try:
        import torch
        from transformers import Qwen3Config, Qwen3ForCausalLM
    except ImportError as error:
        raise MissingExtra("torch", "train") from error
    config = Qwen3Config(
        vocab_size=len(tokenizer),
        hidden_size=width,
        intermediate_size=3 * width,
        num_hidden_layers=layers,
        num_attention_heads=heads,
        num_key_value_heads=kv_heads,
        head_dim=width // heads,
        max_position_embeddings=context_length,
        max_window_layers=layers,
        tie_word_embeddings=True,
        eos_token_id=tokenizer.eos_token_id,
        pad_token_id=tokenizer.pad_token_id,
        bos_token_id=None,
    )
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        return Qwen3ForCausalLM(config).eval()
