"""Verifiers inside other trainers, and the other way round."""

from __future__ import annotations

import asyncio
import doctest
import math
import os
import subprocess
import sys
from collections.abc import Sequence
from importlib.util import find_spec
from pathlib import Path

import pytest

from turnwise.verifiers import ExactMatch, InvalidInput, NumericMatch, Sample, Verdict, Verifier, verifier
from turnwise.verifiers.adapters import as_reward_fn, as_rubric_fn, as_trl, as_verl, from_trl, from_verl


@verifier
def shrug(response: str) -> None:
    """Never decides."""


class Longest(Verifier):
    """1 for the longest response of a group: a verdict that needs the others."""

    def _verify_group(self, samples: Sequence[Sample]) -> list[Verdict]:
        longest = max(len(sample.text) for sample in samples)
        return [Verdict(float(len(sample.text) == longest)) for sample in samples]


def said(text: str) -> list[dict[str, str]]:
    return [{"role": "assistant", "content": text}]


def test_a_plain_reward_function_returns_the_score_and_keeps_the_name() -> None:
    reward = as_reward_fn(NumericMatch())
    assert (reward("42", 42), reward("41", 42)) == (1.0, 0.0)
    assert reward.__name__ == "numeric_match"


def test_what_cannot_be_decided_is_never_a_zero() -> None:
    assert math.isnan(as_reward_fn(shrug)("x"))
    assert as_reward_fn(shrug, undecided=-1.0)("x") == -1.0
    assert as_trl(shrug, reference=None)(prompts=["p"], completions=["x"]) == [None]
    assert math.isnan(as_verl(shrug)("data", "x", None)["score"])


def test_trl_gets_a_list_for_texts_and_for_conversations() -> None:
    reward = as_trl(NumericMatch())
    assert reward(prompts=["p", "p"], completions=["42", "41"], answer=[42, 42]) == [1.0, 0.0]
    conversations = [said("42"), said("41")]
    assert reward(prompts=[said("p"), said("p")], completions=conversations, answer=[42, 42]) == [1.0, 0.0]


def test_neighbours_with_one_prompt_are_judged_against_each_other() -> None:
    reward = as_trl(Longest(), reference=None)
    scores = reward(prompts=["p", "p", "q", "q"], completions=["a", "bb", "cccc", "ddd"])
    assert scores == [0.0, 1.0, 1.0, 0.0]


def test_a_missing_column_is_named_with_those_that_there_are() -> None:
    with pytest.raises(InvalidInput, match=r"no column 'answer' \(there are \['solution'\]\)"):
        as_trl(NumericMatch())(prompts=["p"], completions=["1"], solution=[1])


def test_verl_gets_the_score_and_the_parts() -> None:
    score = as_verl(0.25 * ExactMatch() + 0.75 * NumericMatch())
    assert score("gsm8k", "42.0", "42", {"index": 3}) == {"score": 0.75, "exact_match": 0.0, "numeric_match": 1.0}


def test_a_rubric_function_is_asynchronous_and_judges_the_last_message() -> None:
    reward = as_rubric_fn(NumericMatch())
    assert asyncio.run(reward(prompt="p", completion=said("42"), answer="42", state={})) == 1.0


def test_a_foreign_trl_function_becomes_a_verifier_and_composes() -> None:
    def polite(prompts: list[str], completions: list[str], **columns: object) -> list[float | None]:
        return [None if not text else float("please" in text) for text in completions]

    judge = from_trl(polite, reference=None)
    assert judge.name == "polite"
    assert [judge(text).score for text in ("please", "now")] == [1.0, 0.0]
    assert judge("").status == "abstain"
    assert (0.5 * judge + 0.5 * ExactMatch())("please", "please").score == 1.0


def test_a_foreign_verl_function_becomes_a_verifier_with_parts() -> None:
    def compute_score(data_source: str, solution_str: str, ground_truth: str, extra_info: object) -> dict[str, float]:
        return {"score": float(solution_str == ground_truth), "length": float(len(solution_str))}

    verdict = from_verl(compute_score)("abc", "abc")
    assert (verdict.score, verdict.parts["length"].score) == (1.0, 3.0)
    assert from_verl(lambda *_: math.nan)("abc", "abc").status == "abstain"


def test_there_and_back_gives_the_same_scores() -> None:
    judge = from_trl(as_trl(NumericMatch()))
    assert [judge(text, 42).score for text in ("42", "41")] == [1.0, 0.0]


def test_the_page_on_adapters_shows_what_happens() -> None:
    page = Path(__file__).resolve().parents[2] / "docs" / "adapters.md"
    failed, run = doctest.testfile(str(page), module_relative=False)
    assert run > 5
    assert failed == 0


TRAIN = """
import sys, tempfile, warnings
warnings.simplefilter("ignore")
from datasets import Dataset
from trl import GRPOConfig, GRPOTrainer
from turnwise.agents.tokens.tiny import make_model, make_tokenizer
from turnwise.verifiers import verifier
from turnwise.verifiers.adapters import as_trl

calls = []

@verifier
def share_of_a(response, reference):
    calls.append((response, reference))
    return response.count(reference) / max(1, len(response))

tokenizer = make_tokenizer(["a b c d e f g"] * 10, 270)
data = Dataset.from_dict({"prompt": ["say a", "say a again"], "letter": ["a", "a"]})
with tempfile.TemporaryDirectory() as folder:
    config = GRPOConfig(
        output_dir=folder, max_steps=1, per_device_train_batch_size=4, num_generations=4, max_completion_length=8,
        report_to=[], use_cpu=True, save_strategy="no", disable_tqdm=True, bf16=False,
    )
    trainer = GRPOTrainer(
        make_model(tokenizer, layers=1, width=16, heads=2), as_trl(share_of_a, reference="letter"), config, data,
        processing_class=tokenizer,
    )
    trainer.train()
logged = [row for row in trainer.state.log_history if "rewards/share_of_a/mean" in row]
assert len(calls) == 4 and {reference for _, reference in calls} == {"a"}, calls
assert len(logged) == 1, trainer.state.log_history
print("trained", trainer.state.global_step)
"""


@pytest.mark.slow
@pytest.mark.skipif(find_spec("trl") is None, reason="trl is not installed")
def test_a_real_step_of_trl_is_trained_on_a_verifier() -> None:
    done = subprocess.run(
        [sys.executable, "-c", TRAIN],
        capture_output=True,
        text=True,
        check=False,
        timeout=240,
        env={**os.environ, "OMP_NUM_THREADS": "1", "HF_HUB_OFFLINE": "1"},
    )
    assert done.stdout.endswith("trained 1\n"), done.stdout[-500:] + done.stderr[-3000:]
