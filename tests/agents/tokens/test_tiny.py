import pytest
import torch
from transformers import AutoModelForCausalLM, AutoTokenizer

from turnwise.agents.errors import InvalidInput
from turnwise.agents.tokens.tiny import END_OF_TURN, make_model, make_tokenizer

CORPUS = ["the secret number is between 1 and 100", "your guess is too high, guess lower", "12 + 34 = 46"] * 20


@pytest.fixture(scope="module")
def tokenizer():
    return make_tokenizer(CORPUS, 300)


def test_every_text_decodes_to_itself(tokenizer):
    for text in ["", " a  b\n\n\tc ", "naïve 漢字 🙂", "x <y> 'll 3.14", "\x00\x7f"]:
        assert tokenizer.decode(tokenizer.encode(text, add_special_tokens=False)) == text


def test_digits_are_tokens_of_their_own(tokenizer):
    pieces = [tokenizer.decode([token]) for token in tokenizer.encode("guess 12345+678", add_special_tokens=False)]
    assert [piece for piece in pieces if any(char.isdigit() for char in piece)] == list("12345678")


def test_words_of_the_corpus_become_single_tokens(tokenizer):
    assert len(tokenizer.encode(" guess", add_special_tokens=False)) == 1


def test_the_vocabulary_is_as_large_as_asked_and_the_same_each_time(tokenizer):
    assert len(tokenizer) == 300
    assert make_tokenizer(CORPUS, 300).get_vocab() == tokenizer.get_vocab()


def test_the_template_spends_three_tokens_on_a_turn(tokenizer):
    messages = [{"role": "user", "content": "high"}, {"role": "assistant", "content": "7"}]
    text = tokenizer.apply_chat_template(messages, tokenize=False)
    assert text == "high<|im_end|><|im_start|>7<|im_end|>"
    text = tokenizer.apply_chat_template(messages[:1], tokenize=False, add_generation_prompt=True)
    assert text == "high<|im_end|><|im_start|>"
    assert tokenizer.eos_token == END_OF_TURN


def test_model_and_tokenizer_survive_a_folder(tokenizer, tmp_path):
    model = make_model(tokenizer, layers=2, width=32, heads=2, context_length=64)
    model.save_pretrained(tmp_path)
    tokenizer.save_pretrained(tmp_path)
    again = AutoModelForCausalLM.from_pretrained(tmp_path)
    tokenizer_again = AutoTokenizer.from_pretrained(tmp_path)
    ids = torch.tensor([tokenizer_again.encode("guess 12", add_special_tokens=False)])
    assert ids.tolist() == [tokenizer.encode("guess 12", add_special_tokens=False)]
    with torch.no_grad():
        torch.testing.assert_close(again(ids).logits, model(ids).logits)
    assert tokenizer_again.chat_template == tokenizer.chat_template
    assert again.generation_config.eos_token_id == tokenizer.eos_token_id
    assert tokenizer_again.pad_token == "<|endoftext|>"


def test_the_seed_decides_the_weights_and_the_global_random_state_is_left_alone(tokenizer):
    torch.manual_seed(5)
    state = torch.get_rng_state()
    first, same, other = (make_model(tokenizer, width=32, heads=2, seed=seed) for seed in (1, 1, 2))
    assert torch.equal(torch.get_rng_state(), state)
    assert torch.equal(first.model.embed_tokens.weight, same.model.embed_tokens.weight)
    assert not torch.equal(first.model.embed_tokens.weight, other.model.embed_tokens.weight)


def test_grouped_queries_share_keys(tokenizer):
    model = make_model(tokenizer, width=32, heads=4, kv_heads=2)
    assert model.model.layers[0].self_attn.k_proj.weight.shape == (16, 32)


@pytest.mark.parametrize("sizes", [{"width": 30, "heads": 4}, {"width": 12, "heads": 4}, {"heads": 4, "kv_heads": 3}])
def test_impossible_sizes_are_refused_by_name(tokenizer, sizes):
    with pytest.raises(InvalidInput, match="heads="):
        make_model(tokenizer, **sizes)


def test_a_vocabulary_without_room_for_the_bytes_is_refused():
    with pytest.raises(InvalidInput, match="vocab_size=100"):
        make_tokenizer(CORPUS, 100)
