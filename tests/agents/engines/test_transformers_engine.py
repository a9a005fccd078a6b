import asyncio
import threading

import numpy as np
import pytest
import torch
from transformers import GPT2Config, GPT2LMHeadModel, MistralConfig, MistralForCausalLM

from turnwise.agents.engines import Sampling, TransformersEngine, cached_model, decoding
from turnwise.agents.engines.stopping import decode
from turnwise.agents.errors import EngineError, InvalidInput, PromptTooLong
from turnwise.agents.tokens.tiny import make_model

GREEDY = Sampling(temperature=0.0, max_tokens=40)


def run(main, seconds=60):
    async def bounded():
        return await asyncio.wait_for(main, seconds)

    return asyncio.run(bounded())


def complete(engine, prompts, sampling, seeds=None, close=True):
    """Generates for prompts, all in flight at once."""
    seeds = range(len(prompts)) if seeds is None else seeds
    sampling = [sampling] * len(prompts) if isinstance(sampling, Sampling) else sampling

    async def main():
        engine.expect(len(prompts))
        try:
            requests = zip(prompts, sampling, seeds, strict=True)
            return await asyncio.gather(*(engine.generate(ids, how, seed=seed) for ids, how, seed in requests))
        finally:
            engine.expect(-len(prompts))
            if close:
                await engine.aclose()

    return run(main())


def slow_logprobs(model, prompt, action, temperature=1.0):
    """Log-probabilities of an action by one forward pass without cache or padding."""
    ids = torch.tensor([[*prompt, *action]])
    with torch.no_grad():
        logits = model(ids).logits[0, len(prompt) - 1 : -1].float() / temperature
    return logits.log_softmax(-1).gather(-1, ids[0, len(prompt) :, None]).squeeze(-1).numpy()


def prompts_of(tokenizer, count, seed=0):
    """Prompts of different lengths, some of them equal."""
    rng = np.random.default_rng(seed)
    prompts = [rng.integers(3, len(tokenizer), size=rng.integers(1, 30)).tolist() for _ in range(count - 2)]
    return [*prompts, prompts[0], prompts[2]]


def test_a_model_says_what_it_was_taught_however_long_the_others_are(parrot, tokenizer, asks, answers):
    engine = TransformersEngine(parrot, tokenizer)
    completions = complete(engine, list(asks.values()), GREEDY)
    assert [completion.text for completion in completions] == list(answers.values())
    assert [completion.finish for completion in completions] == ["stop"] * 6
    assert all(completion.ids[-1] == tokenizer.eos_token_id for completion in completions)
    assert engine.metrics()["batches"] == 1


def test_greedy_tokens_equal_those_of_transformers_own_generate(stranger, tokenizer):
    prompts = prompts_of(tokenizer, 10)
    completions = complete(TransformersEngine(stranger, tokenizer), prompts, Sampling(temperature=0.0, max_tokens=20))
    for prompt, completion in zip(prompts, completions, strict=True):
        slow = stranger.generate(torch.tensor([prompt]), do_sample=False, max_new_tokens=20)[0, len(prompt) :]
        assert completion.ids.tolist() == slow.tolist()


@pytest.mark.parametrize(
    "sampling",
    [
        Sampling(max_tokens=15),
        Sampling(temperature=0.6, max_tokens=15),
        Sampling(temperature=1.5, top_p=0.8, top_k=20, max_tokens=15),
        Sampling(temperature=0.0, max_tokens=15),
    ],
)
def test_log_probabilities_equal_those_of_an_unpadded_pass_without_cache(stranger, tokenizer, sampling):
    prompts = prompts_of(tokenizer, 12)
    for prompt, completion in zip(
        prompts, complete(TransformersEngine(stranger, tokenizer), prompts, sampling), strict=True
    ):
        slow = slow_logprobs(stranger, prompt, completion.ids.tolist(), sampling.temperature or 1.0)
        np.testing.assert_allclose(completion.logprobs, slow, atol=2e-5)
        assert completion.logprobs.dtype == np.float32
        assert completion.text == decode(tokenizer, completion.ids, special=False)


def test_tokens_depend_on_prompt_and_seed_and_not_on_the_batch(stranger, tokenizer):
    prompts = prompts_of(tokenizer, 20)
    sampling = Sampling(max_tokens=20)
    together = complete(TransformersEngine(stranger, tokenizer), prompts, sampling)
    cut = complete(TransformersEngine(stranger, tokenizer, max_batch_size=3), prompts, sampling)
    backwards = complete(
        TransformersEngine(stranger, tokenizer, max_batch_tokens=100), prompts[::-1], sampling, range(19, -1, -1)
    )
    for index, completion in enumerate(together):
        alone = complete(TransformersEngine(stranger, tokenizer), [prompts[index]], sampling, [index])[0]
        assert completion.ids.tolist() == alone.ids.tolist()
        assert completion.ids.tolist() == cut[index].ids.tolist()
        assert completion.ids.tolist() == backwards[19 - index].ids.tolist()
        np.testing.assert_allclose(completion.logprobs, alone.logprobs, atol=2e-5)


def test_seeds_give_different_tokens_to_equal_prompts(stranger, tokenizer):
    completions = complete(TransformersEngine(stranger, tokenizer), [[5, 6, 7]] * 8, Sampling(max_tokens=10))
    assert len({tuple(completion.ids) for completion in completions}) == 8


def test_rows_of_one_batch_may_have_different_settings(parrot, tokenizer, asks):
    settings = [GREEDY, Sampling(temperature=0.0, max_tokens=3), Sampling(max_tokens=5), GREEDY]
    prompts = [asks["three"], asks["three"], asks["again"], asks["nine"]]
    engine = TransformersEngine(parrot, tokenizer)
    completions = complete(engine, prompts, settings)
    assert [completion.text for completion in completions] == ["1 2 3", "1 2", "a b a b a", "1 2 3 4 5 6 7 8 9"]
    assert [completion.finish for completion in completions] == ["stop", "length", "length", "stop"]
    assert [len(completion.ids) for completion in completions] == [6, 3, 5, 18]
    assert engine.metrics()["tokens"] == 32


@pytest.mark.parametrize(
    ("stop", "text"),
    [
        (("</answer>",), "let me see <answer>42</answer>"),
        (("42</ans",), "let me see <answer>42</answer>"),  # whole tokens: what follows in the same token stays
        (("see", "</answer>"), "let me see"),
        (("missing",), "let me see <answer>42</answer> and more words"),
    ],
)
def test_a_stop_string_ends_the_action_and_stays_in_it(parrot, tokenizer, asks, stop, text):
    sampling = Sampling(temperature=0.0, max_tokens=40, stop=stop)
    tag, one = complete(TransformersEngine(parrot, tokenizer), [asks["tag"], asks["one"]], sampling)
    assert text.startswith(tag.text) if stop == ("42</ans",) else tag.text == text
    assert any(string in tag.text for string in stop) == ("missing" not in stop)
    assert tag.finish == "stop"
    assert tag.text == decode(tokenizer, tag.ids, special=False)
    assert one.text == "1"


def test_long_rows_do_not_carry_finished_ones_along(parrot, tokenizer, asks, monkeypatch):
    sizes = []
    forward = cached_model.CachedModel.forward

    def counted(self, ids, mask, positions, cache):
        sizes.append(len(ids))
        return forward(self, ids, mask, positions, cache)

    monkeypatch.setattr(cached_model.CachedModel, "forward", counted)
    prompts = [asks["one"]] * 15 + [asks["nine"]]
    completions = complete(TransformersEngine(parrot, tokenizer), prompts, GREEDY)
    assert [completion.text for completion in completions] == ["1"] * 15 + ["1 2 3 4 5 6 7 8 9"]
    assert sizes[-1] == 1
    assert sum(sizes) < 16 * 10  # carrying all rows to the end would be 16 * 18


def conversation(engine, tokenizer, turns=5, episodes=6, sampling=None):
    """Plays several conversations side by side, every prompt extending the tokens before it."""
    sampling = sampling or Sampling(max_tokens=9)

    async def episode(number):
        ids, record = [3 + number % 2] * (4 + number), []
        for turn in range(turns):
            completion = await engine.generate(ids, sampling, seed=100 * number + turn)
            record.append((completion.ids.tolist(), completion.logprobs))
            ids = [*ids, *completion.ids.tolist(), *range(10, 10 + number + turn + 1)]
        engine.expect(-1)
        return record

    async def main():
        engine.expect(episodes)
        return await asyncio.gather(*(episode(number) for number in range(episodes)))

    return run(main())


@pytest.mark.parametrize("max_batch_size", [256, 4, 1])
def test_reusing_keys_and_values_of_earlier_turns_changes_nothing(stranger, tokenizer, max_batch_size):
    reusing = TransformersEngine(stranger, tokenizer, max_batch_size=max_batch_size)
    fresh = TransformersEngine(stranger, tokenizer, reuse=False)
    for mine, slow in zip(conversation(reusing, tokenizer), conversation(fresh, tokenizer), strict=True):
        for (ids, logprobs), (slow_ids, slow_logprobs) in zip(mine, slow, strict=True):
            assert ids == slow_ids
            np.testing.assert_allclose(logprobs, slow_logprobs, atol=2e-5)
    # Every turn but the first knows everything except the last sampled token and the new text.
    assert fresh.metrics()["reused_tokens"] == 0
    new = 6 * 4 + sum(number + turn + 1 for number in range(6) for turn in range(4))
    first = sum(4 + number for number in range(6))
    assert reusing.metrics()["reused_tokens"] == reusing.metrics()["prompt_tokens"] - first - new
    run(reusing.aclose())
    run(fresh.aclose())


def test_reuse_survives_rows_that_finish_early(parrot, tokenizer, asks, answers):
    engines = [TransformersEngine(parrot, tokenizer, reuse=reuse) for reuse in (True, False)]

    async def play(engine):
        async def episode(number, ask):
            ids, record = list(asks[ask]), []
            for turn in range(3):
                completion = await engine.generate(ids, GREEDY, seed=number)
                record.append(completion.ids.tolist())
                ids = [*ids, *completion.ids.tolist(), *asks[list(answers)[(number + turn) % 6]]]
            engine.expect(-1)
            return record

        engine.expect(12)
        return await asyncio.gather(*(episode(n, list(answers)[n % 6]) for n in range(12)))

    reused, fresh = (run(play(engine)) for engine in engines)
    assert reused == fresh
    assert engines[0].metrics()["reused_tokens"] > 0


def test_new_weights_are_never_mixed_with_old_keys_and_values(tokenizer):
    model = make_model(tokenizer, width=32, heads=2, seed=3)
    engine = TransformersEngine(model, tokenizer)
    sampling = Sampling(temperature=0.0, max_tokens=6)

    async def main():
        engine.expect(1)
        first = await engine.generate([5] * 20, sampling, seed=0)
        with torch.no_grad():
            for parameter in model.parameters():
                parameter.add_(0.1 * torch.randn(parameter.shape, generator=torch.Generator().manual_seed(0)))
        engine.update_weights(model)
        prompt = [5] * 20 + first.ids.tolist() + [7]
        second = await engine.generate(prompt, sampling, seed=1)
        assert second.metrics["reused_tokens"] == 0
        np.testing.assert_allclose(second.logprobs, slow_logprobs(model, prompt, second.ids.tolist()), atol=2e-5)
        engine.expect(-1)
        await engine.aclose()

    run(main())


def test_weights_of_another_model_are_copied(stranger, tokenizer):
    learner = make_model(tokenizer, layers=2, width=32, heads=2, context_length=256, seed=9)
    engine = TransformersEngine(
        make_model(tokenizer, layers=2, width=32, heads=2, context_length=256, seed=1), tokenizer
    )
    prompts, sampling = [[4, 5, 6]], Sampling(max_tokens=12)
    before = complete(engine, prompts, sampling, close=False)[0]
    engine.update_weights(learner)
    after = complete(engine, prompts, sampling)[0]
    assert before.ids.tolist() == complete(TransformersEngine(stranger, tokenizer), prompts, sampling)[0].ids.tolist()
    assert after.ids.tolist() == complete(TransformersEngine(learner, tokenizer), prompts, sampling)[0].ids.tolist()
    with pytest.raises(EngineError, match="do not fit"):
        engine.update_weights(make_model(tokenizer, layers=1, width=32, heads=2))


def test_weights_cannot_change_while_something_is_generated(stranger, tokenizer, monkeypatch):
    engine = TransformersEngine(stranger, tokenizer)
    gate, run_batch = threading.Event(), decoding.Decoder.run

    def gated(self, *arguments):
        assert gate.wait(20)
        return run_batch(self, *arguments)

    monkeypatch.setattr(decoding.Decoder, "run", gated)

    async def main():
        task = asyncio.create_task(engine.generate([4, 5], Sampling(max_tokens=2), seed=0))
        while not engine._batcher.serving:
            await asyncio.sleep(0)
        with pytest.raises(EngineError, match="while something is generated"):
            engine.update_weights(stranger)
        gate.set()
        await task
        engine.update_weights(stranger)
        await engine.aclose()

    run(main())


def test_a_device_without_memory_gets_smaller_batches_and_the_same_tokens(stranger, tokenizer, monkeypatch):
    prompts, sampling = prompts_of(tokenizer, 9), Sampling(max_tokens=8)
    expected = complete(TransformersEngine(stranger, tokenizer), prompts, sampling)
    run_batch = decoding.Decoder.run

    def small(self, requests, stops, stopped):
        if len(requests) > 3:
            raise torch.OutOfMemoryError("CUDA out of memory")
        return run_batch(self, requests, stops, stopped)

    monkeypatch.setattr(decoding.Decoder, "run", small)
    engine = TransformersEngine(stranger, tokenizer)
    completions = complete(engine, prompts, sampling)
    assert [c.ids.tolist() for c in completions] == [c.ids.tolist() for c in expected]
    assert engine.metrics()["out_of_memory"] > 0
    assert engine.max_batch_tokens is not None


def test_a_single_request_without_memory_is_an_error_that_says_what_to_lower(stranger, tokenizer, monkeypatch):
    def nothing(self, requests, stops, stopped):
        raise RuntimeError("DefaultCPUAllocator: can't allocate memory: you tried to allocate 1 bytes")

    monkeypatch.setattr(decoding.Decoder, "run", nothing)
    with pytest.raises(EngineError, match="lower max_tokens"):
        complete(TransformersEngine(stranger, tokenizer), [[4], [5]], Sampling(max_tokens=8))


def test_a_failing_batch_fails_all_its_requests_and_the_engine_goes_on(stranger, tokenizer, monkeypatch):
    engine = TransformersEngine(stranger, tokenizer)

    async def main():
        with monkeypatch.context() as patch:
            patch.setattr(decoding.Decoder, "run", lambda *_: 1 / 0)
            requests = [engine.generate([4, index], Sampling(max_tokens=2), seed=0) for index in (5, 6)]
            results = await asyncio.gather(*requests, return_exceptions=True)
        assert [type(result) for result in results] == [EngineError, EngineError]
        assert all(isinstance(result.__cause__, ZeroDivisionError) for result in results)
        assert len((await engine.generate([4], Sampling(max_tokens=2), seed=0)).ids) == 2
        await engine.aclose()

    run(main())


def test_diverged_weights_are_named(tokenizer):
    model = make_model(tokenizer, layers=1, width=32, heads=2)
    with torch.no_grad():
        model.model.norm.weight.fill_(float("nan"))
    with pytest.raises(EngineError, match="not finite"):
        complete(TransformersEngine(model, tokenizer), [[4]], Sampling(max_tokens=2))


def test_closing_ends_what_is_generated(stranger, tokenizer):
    engine = TransformersEngine(stranger, tokenizer)

    async def main():
        task = asyncio.create_task(engine.generate([4] * 5, Sampling(max_tokens=250), seed=0))
        while not engine._batcher.serving:
            await asyncio.sleep(0)
        await engine.aclose()
        with pytest.raises(EngineError, match="closed"):
            await task
        await engine.aclose()
        with pytest.raises(EngineError, match="closed"):
            await engine.generate([4], Sampling(), seed=0)

    run(main())


def test_a_prompt_that_fills_the_context_is_too_long_and_a_budget_ends_at_it(stranger, tokenizer):
    engine = TransformersEngine(stranger, tokenizer, context_length=20)
    assert engine.context_length == 20
    almost = complete(engine, [[4] * 17], Sampling(max_tokens=99), close=False)[0]
    assert len(almost.ids) == 3
    assert almost.finish == "length"
    with pytest.raises(PromptTooLong, match="20 tokens"):
        complete(engine, [[4] * 20], Sampling())


@pytest.mark.parametrize(
    ("prompt", "seed", "message"),
    [([], 0, "at least one"), ([4, 10**6], 0, "1000000"), ([-1], 0, "-1"), ([4], -3, "seed=-3"), ([[4]], 0, "flat")],
)
def test_a_prompt_or_seed_that_cannot_be_used_is_refused(stranger, tokenizer, prompt, seed, message):
    with pytest.raises(InvalidInput, match=message):
        complete(TransformersEngine(stranger, tokenizer), [prompt], Sampling(), [seed])


def test_options_that_cannot_be_used_are_refused(stranger, tokenizer):
    for options in ({"max_batch_size": 0}, {"max_batch_tokens": 0}, {"max_wait": -1.0}, {"context_length": 10**6}):
        with pytest.raises(InvalidInput, match=next(iter(options))):
            TransformersEngine(stranger, tokenizer, **options)


def test_the_model_is_in_eval_mode_while_it_generates_and_as_before_afterwards(tokenizer):
    model = make_model(tokenizer, layers=2, width=32, heads=2)
    model.train()
    model.model.layers[0].eval()  # frozen on purpose
    modes = {name: module.training for name, module in model.named_modules()}
    seen = []
    handle = model.model.layers[1].register_forward_hook(lambda module, *_: seen.append(module.training))
    complete(TransformersEngine(model, tokenizer), [[4, 5]], Sampling(max_tokens=3))
    handle.remove()
    assert set(seen) == {False}
    assert {name: module.training for name, module in model.named_modules()} == modes
    assert all(parameter.grad is None and parameter.requires_grad for parameter in model.parameters())


def test_bfloat16_computation_leaves_the_weights_in_float32(stranger, tokenizer):
    prompts, sampling = prompts_of(tokenizer, 5), Sampling(max_tokens=6)
    engine = TransformersEngine(stranger, tokenizer, autocast=True)
    for prompt, completion in zip(prompts, complete(engine, prompts, sampling), strict=True):
        slow = slow_logprobs(stranger, prompt, completion.ids.tolist())
        np.testing.assert_allclose(completion.logprobs, slow, atol=0.1)
        assert not np.array_equal(completion.logprobs, slow)
    assert next(stranger.parameters()).dtype == torch.float32


@pytest.mark.parametrize("kind", ["sliding window", "learned positions"])
def test_models_of_other_kinds_give_the_same_tokens_as_transformers(tokenizer, kind):
    with torch.random.fork_rng():
        torch.manual_seed(0)
        sizes = {"vocab_size": len(tokenizer), "pad_token_id": 0, "eos_token_id": 2, "bos_token_id": None}
        if kind == "sliding window":
            config = MistralConfig(
                hidden_size=32,
                intermediate_size=64,
                num_hidden_layers=2,
                num_attention_heads=2,
                num_key_value_heads=1,
                sliding_window=6,
                max_position_embeddings=64,
                **sizes,
            )
            model = MistralForCausalLM(config)
        else:
            model = GPT2LMHeadModel(GPT2Config(n_embd=32, n_layer=2, n_head=2, n_positions=64, **sizes))
    model.eval()
    prompts = prompts_of(tokenizer, 8)
    sampling = Sampling(temperature=0.0, max_tokens=16)
    engine = TransformersEngine(model, tokenizer)
    assert engine.context_length == 64
    for prompt, completion in zip(prompts, complete(engine, prompts, sampling), strict=True):
        slow = model.generate(torch.tensor([prompt]), do_sample=False, max_new_tokens=16, pad_token_id=0)
        assert completion.ids.tolist() == slow[0, len(prompt) :].tolist()


def test_a_model_is_loaded_from_a_folder(parrot, tokenizer, asks, tmp_path):
    parrot.save_pretrained(tmp_path)
    tokenizer.save_pretrained(tmp_path)
    engine = TransformersEngine.from_pretrained(str(tmp_path), device="cpu", dtype="float32", max_batch_size=2)
    assert complete(engine, [asks["three"]], GREEDY)[0].text == "1 2 3"
    with pytest.raises(EngineError, match="no-such-model"):
        TransformersEngine.from_pretrained(str(tmp_path / "no-such-model"))


def test_the_end_of_a_turn_ends_an_action_also_where_only_the_chat_template_names_it(parrot, tokenizer, asks):
    model = make_model(tokenizer, layers=2, width=64, heads=4, kv_heads=2, context_length=256)
    model.load_state_dict(parrot.state_dict())
    model.generation_config.eos_token_id = tokenizer.pad_token_id  # as base models do
    assert complete(TransformersEngine(model, tokenizer), [asks["one"]], GREEDY)[0].text == "1"


@pytest.mark.gpu
def test_on_cuda_the_tokens_are_those_of_the_cpu(parrot, tokenizer, asks, answers):
    model = make_model(tokenizer, layers=2, width=64, heads=4, kv_heads=2, context_length=256)
    model.load_state_dict(parrot.state_dict())
    engine = TransformersEngine(model, tokenizer, device="cuda", autocast=True)
    completions = complete(engine, list(asks.values()), GREEDY)
    assert [completion.text for completion in completions] == list(answers.values())


def test_short_prompts_are_not_padded_to_long_ones(stranger, tokenizer, monkeypatch):
    passes = []
    forward = cached_model.CachedModel.forward

    def counted(self, ids, mask, positions, cache):
        passes.append(ids.shape)
        return forward(self, ids, mask, positions, cache)

    monkeypatch.setattr(cached_model.CachedModel, "forward", counted)
    rng = np.random.default_rng(0)
    prompts = [rng.integers(3, 300, size=size).tolist() for size in (200, 5, 150, 9, 60, 5)]
    prompts.append(prompts[1])
    completions = complete(TransformersEngine(stranger, tokenizer), prompts, Sampling(max_tokens=12))
    assert [tuple(shape) for shape in passes if shape[1] > 1] == [(2, 200), (1, 60), (3, 9)]
    for prompt, completion in zip(prompts, completions, strict=True):
        slow = slow_logprobs(stranger, prompt, completion.ids.tolist())
        np.testing.assert_allclose(completion.logprobs, slow, atol=2e-5)
    assert completions[1].ids.tolist() != completions[6].ids.tolist()


def test_a_pass_over_many_prompts_is_cut(stranger, tokenizer, monkeypatch):
    monkeypatch.setattr("turnwise.agents.engines.prefill.PASS_TOKENS", 50)
    prompts = [[4 + number] * 20 for number in range(5)]
    for prompt, completion in zip(
        prompts, complete(TransformersEngine(stranger, tokenizer), prompts, Sampling(max_tokens=5)), strict=True
    ):
        slow = slow_logprobs(stranger, prompt, completion.ids.tolist())
        np.testing.assert_allclose(completion.logprobs, slow, atol=2e-5)
