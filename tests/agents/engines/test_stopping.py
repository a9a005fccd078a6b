import numpy as np
import pytest

from turnwise.agents.engines.stopping import StopStrings, decode
from turnwise.agents.tokens.tiny import make_tokenizer

TEXT = "thinking <answer> 42</answer> and so on\n\nthen END. naïve 🙂 smile"


@pytest.fixture(scope="module", params=[259, 300, 600], ids=["bytes", "some merges", "many merges"])
def merged(request):
    return make_tokenizer([TEXT] * 5, request.param)


def first_end(tokenizer, ids, strings):
    """After how many tokens a stop string stands in the text decoded from all of them: the slow way."""
    for count in range(1, len(ids) + 1):
        if any(string in decode(tokenizer, ids[:count], special=True) for string in strings):
            return count
    return None


@pytest.mark.parametrize(
    "strings",
    [("</answer>",), ("END",), ("\n\n",), ("🙂",), ("ï",), (" ",), ("e>", "on\n"), ("<|im_end|>",), ("missing",)],
)
def test_a_stop_string_is_found_at_the_same_token_as_by_decoding_everything(merged, strings):
    ids = merged.encode(TEXT + "<|im_end|>", add_special_tokens=False)
    stop = StopStrings(merged, strings, len(merged))
    found = next(
        (count for count in range(1, len(ids) + 1) if stop.candidates[ids[count - 1]] and stop.ended(ids[:count])), None
    )
    assert found == first_end(merged, ids, strings)


def test_most_tokens_need_no_decoding(merged):
    stop = StopStrings(merged, ("</answer>",), len(merged) + 10)
    assert stop.candidates.shape == (len(merged) + 10,)
    texts = [merged.decode([token]) for token in range(len(merged))]
    assert all(">" in text or "\ufffd" in text for text, found in zip(texts, stop.candidates, strict=False) if found)
    assert not stop.candidates[len(merged) :].any()


def test_decoding_is_exact(merged):
    ids = np.array(merged.encode("a  b <|im_end|> .c", add_special_tokens=False))
    assert decode(merged, ids, special=True) == "a  b <|im_end|> .c"
    assert decode(merged, ids, special=False) == "a  b  .c"
