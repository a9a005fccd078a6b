"""Tagged blocks: the format, and judging what is inside."""

from __future__ import annotations

import asyncio

import pytest
from hypothesis import given
from hypothesis import strategies as st

from turnwise.verifiers import ExactMatch, InvalidInput, NumericMatch, Sample, TaggedFormat, Within
from turnwise.verifiers.tags import Block, layout_of

FORMAT = TaggedFormat("think", "answer")
GOOD = "<think>two and two</think>\n<answer>4</answer>\n"


def test_a_response_in_the_format_scores_one_in_every_part():
    verdict = FORMAT(GOOD)
    assert verdict.score == 1.0
    assert verdict.flat() == {"think": 1.0, "answer": 1.0, "order": 1.0, "outside": 1.0}
    assert verdict.evidence == "think, answer, as the format wants"


@pytest.mark.parametrize(
    ("response", "wrong", "evidence"),
    [
        ("", {"think", "answer", "order"}, "think: missing; answer: missing; order: found no block, not think, answer"),
        ("<answer>4</answer>", {"think", "order"}, "think: missing; order: found answer, not think, answer"),
        ("<answer>4</answer><think>a</think>", {"order"}, "order: found answer, think, not think, answer"),
        (f"Sure! {GOOD}", {"outside"}, "outside: 'Sure!'"),
        (f"{GOOD} Done.", {"outside"}, "outside: 'Done.'"),
        ("<think>a</think>so<answer>4</answer>", {"outside"}, "outside: 'so'"),
        ("<think> \n</think><answer>4</answer>", {"think"}, "think: empty"),
        (f"{GOOD}<answer>5</answer>", {"answer", "order"}, None),
        ("<think>a</think><answer>4", {"answer", "order"}, None),
        ("<think>a<answer>4</answer>", {"think", "answer", "order"}, None),
        ("<think>a</think>4</answer>", {"answer", "order", "outside"}, None),
        (
            "<think>is it <answer>3</answer>?</think><answer>4</answer>",
            {"answer"},
            "answer: inside <think>, inside <think>",
        ),
        ("<think>a<think>b</think></think><answer>4</answer>", {"think"}, None),
        ("<Think>a</Think><answer>4</answer>", {"think", "order", "outside"}, None),
        ("<think >a</think ><answer>4</answer>", {"think", "order", "outside"}, None),
    ],
)
def test_each_fault_is_found_in_its_part(response, wrong, evidence):
    verdict = FORMAT(response)
    assert verdict.score == 0.0
    assert {name for name, score in verdict.flat().items() if score < 1} == wrong
    if evidence is not None:
        assert verdict.evidence == evidence


def test_other_tags_are_ordinary_text():
    assert FORMAT("<think>if x<y</think><answer><b>4</b></answer>").score == 1.0


@pytest.mark.parametrize(
    ("steps", "response", "score"),
    [
        (("think?", "answer"), "<answer>4</answer>", 1.0),
        (("think?", "answer"), GOOD, 1.0),
        (("think?", "answer"), "<think>a</think><think>b</think><answer>4</answer>", 0.0),
        (("tool_call+",), "<tool_call>a</tool_call><tool_call>b</tool_call>", 1.0),
        (("tool_call+",), "", 0.0),
        (("tool_call*", "answer"), "<answer>4</answer>", 1.0),
        (("tool_call*", "answer"), "<tool_call>a</tool_call><answer>4</answer><tool_call>b</tool_call>", 0.0),
        (("think", "tool_call|answer"), GOOD, 1.0),
        (("think", "tool_call|answer"), "<think>a</think><tool_call>b</tool_call>", 1.0),
        (("think", "tool_call|answer"), "<think>a</think><tool_call>b</tool_call><answer>4</answer>", 0.0),
        (("think", "tool_call|answer"), "<think>a</think>", 0.0),
        (("tool_call|note+", "answer"), "<note>a</note><tool_call>b</tool_call><answer>4</answer>", 1.0),
        (("think?",), "", 1.0),
    ],
)
def test_steps_may_be_optional_repeated_or_a_choice(steps, response, score):
    assert TaggedFormat(*steps)(response).score == score


def test_a_tag_opened_by_the_prompt_is_not_opened_again():
    judge = TaggedFormat("think", "answer", opened="think")
    assert judge("two and two</think><answer>4</answer>").score == 1.0
    assert judge(GOOD).parts["think"].evidence == "inside <think>"


@pytest.mark.parametrize(
    ("steps", "options"),
    [
        ((), {}),
        (("<think>",), {}),
        (("",), {}),
        (("a", "a"), {}),
        (("a|a",), {}),
        (("a b",), {}),
        ((3,), {}),
        (("a",), {"opened": "b"}),
    ],
)
def test_impossible_formats_are_refused(steps, options):
    with pytest.raises(InvalidInput):
        TaggedFormat(*steps, **options)


@pytest.mark.parametrize(
    ("which", "response", "score"),
    [
        ("only", "so <answer>4</answer>.", 1.0),
        ("only", "<answer>3</answer><answer>4</answer>", 0.0),
        ("only", "<answer>4</answer><answer>", 0.0),
        ("only", "4", 0.0),
        ("first", "<answer>4</answer><answer>3</answer>", 1.0),
        ("first", "<answer>3</answer><answer>4</answer>", 0.0),
        ("last", "<answer>3</answer><answer>4</answer>", 1.0),
        ("last", "<answer>4</answer><answer>3</answer>", 0.0),
        ("last", "<answer>4", 0.0),
    ],
)
def test_the_content_of_the_chosen_block_is_judged(which, response, score):
    assert Within("answer", NumericMatch(), which=which)(response, 4).score == score


def test_a_missing_block_is_the_agents_failure_and_costs_no_judgement(fixed_judge):
    verdict = Within("answer", fixed_judge)("no tags")
    assert (verdict.score, verdict.parts, fixed_judge.asked) == (0.0, {}, [])
    assert verdict.evidence == "the response does not have exactly one well-formed <answer> block"


def test_the_verdict_within_keeps_evidence_parts_and_errors(fixed_judge):
    verdict = (FORMAT >> Within("answer", ExactMatch()))(GOOD, "4")
    assert verdict.evidence == "within: '4' equals '4'"
    assert verdict.flat()["within/exact_match"] == 1.0
    undecided = Within("answer", fixed_judge)("<answer>?</answer>")
    assert (undecided.status, undecided.error) == ("abstain", "no idea")


@pytest.fixture
def fixed_judge():
    from turnwise.verifiers import Abstain, Verdict, Verifier

    class Judge(Verifier):
        def __init__(self) -> None:
            self.asked: list[str] = []

        def _verify(self, sample: Sample) -> Verdict:
            self.asked.append(sample.text)
            if sample.text == "?":
                raise Abstain("no idea")
            return Verdict(1.0)

    return Judge()


def test_groups_and_turns_are_judged_by_the_content_of_their_blocks(fixed_judge):
    within = Within("answer", fixed_judge)
    samples = [Sample("<answer>a</answer>"), Sample("b"), Sample("<answer>c</answer>")]
    turns = Sample(turns=tuple(sample.text for sample in samples))
    for verdicts in (
        within.verify_group(samples),
        within.verify_turns(turns),
        asyncio.run(within.averify_group(samples)),
        asyncio.run(within.averify_turns(turns)),
    ):
        assert [verdict.score for verdict in verdicts] == [1.0, 0.0, 1.0]
    assert fixed_judge.asked == ["a", "c"] * 4


def test_within_refuses_unknown_choices():
    with pytest.raises(InvalidInput, match="which='any'"):
        Within("answer", ExactMatch(), which="any")
    with pytest.raises(InvalidInput, match="cannot name a tag"):
        Within("</answer>", ExactMatch())


TAGS = ["think", "answer"]
PIECES = st.sampled_from(["<think>", "</think>", "<answer>", "</answer>", "x", " ", "<", "</"])


@given(st.lists(PIECES, max_size=12).map("".join))
def test_blocks_text_outside_and_faults_account_for_every_tag(text):
    layout = layout_of(text, TAGS)
    well_formed = "".join(f"<{block.tag}>{block.content}</{block.tag}>" for block in layout.blocks)
    if not any(layout.faults.values()):
        assert sorted(well_formed + layout.outside) == sorted(text)
    for block in layout.blocks:
        assert f"<{block.tag}>{block.content}</{block.tag}>" in text
        assert f"</{block.tag}>" not in block.content


@given(st.lists(st.tuples(st.sampled_from(TAGS), st.text(alphabet="xy \n<>", max_size=5)), max_size=5))
def test_what_is_written_in_blocks_is_read_back(blocks):
    text = "".join(f"<{tag}>{content}</{tag}>" for tag, content in blocks)
    layout = layout_of(text, TAGS)
    assert layout.blocks == [Block(tag, content) for tag, content in blocks]
    assert layout.outside == ""


def test_hostile_text_comes_to_a_verdict(hostile):
    for which in ("only", "first", "last"):
        verdict = (FORMAT >> Within("answer", ExactMatch(), which=which))(hostile, "x")
        assert verdict.score == 0.0
        verdict.evidence.encode("utf-8")
        assert Within("answer", ExactMatch(), which=which)(hostile, "x").score == 0.0
