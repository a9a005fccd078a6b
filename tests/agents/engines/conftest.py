"""A model that knows a few answers by heart, so that tests can tell what it will say."""

import pytest
import torch

from turnwise.agents.tokens.tiny import make_model, make_tokenizer

ANSWERS = {
    "one": "1",
    "three": "1 2 3",
    "nine": "1 2 3 4 5 6 7 8 9",
    "tag": "let me see <answer>42</answer> and more words",
    "emoji": "so 🙂 it is",
    "again": "a b a b a b a b a b a b a b a b",
}


def teach(model, tokenizer, answers, steps=250):
    """Trains until the model says each answer with near certainty."""
    texts = [f"{ask}<|im_end|><|im_start|>{answer}<|im_end|>" for ask, answer in answers.items()]
    batch = tokenizer(texts, return_tensors="pt", padding=True, padding_side="right", add_special_tokens=False)
    labels = batch.input_ids.masked_fill(batch.attention_mask == 0, -100)
    optimizer = torch.optim.AdamW(model.parameters(), lr=3e-3, weight_decay=0.0)
    model.train()
    for _ in range(steps):
        loss = model(**batch, labels=labels).loss
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        if loss < 0.15:  # only the prompts' first tokens stay unpredictable
            break
    return model.eval()


@pytest.fixture(scope="session")
def tokenizer():
    corpus = [f"{ask} {answer}" for ask, answer in ANSWERS.items()] * 3
    return make_tokenizer(corpus, 330, context_length=256)


@pytest.fixture(scope="session")
def parrot(tokenizer):
    with torch.random.fork_rng():
        torch.manual_seed(0)
        model = make_model(tokenizer, layers=2, width=64, heads=4, kv_heads=2, context_length=256)
        return teach(model, tokenizer, ANSWERS)


@pytest.fixture(scope="session")
def stranger(tokenizer):
    """A model with random weights: its samples differ at every draw."""
    return make_model(tokenizer, layers=2, width=32, heads=2, context_length=256, seed=1)


@pytest.fixture(scope="session")
def asks(tokenizer):
    """The prompt of a question, as token ids."""
    return {ask: tokenizer.encode(f"{ask}<|im_end|><|im_start|>", add_special_tokens=False) for ask in ANSWERS}


@pytest.fixture(scope="session")
def answers():
    return ANSWERS
