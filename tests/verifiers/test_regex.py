"""Regular expressions, and the process that guards against those which never end."""

from __future__ import annotations

import asyncio
import multiprocessing
import os
import re
import signal
import threading
from concurrent.futures import ThreadPoolExecutor

import pytest
from hypothesis import given
from hypothesis import strategies as st

from turnwise.verifiers import InvalidInput, Regex, Sample, VerifierError
from turnwise.verifiers.guarded_search import Found, WorkerPool, _pool, guarded_search

CATASTROPHE = r"(a+)+$"  # doubles its work with every letter before the "!"
BOMB = "a" * 60 + "!"
GUARDS = [1.0, None]


@pytest.mark.parametrize("seconds", GUARDS)
@pytest.mark.parametrize(
    ("pattern", "options", "response", "score"),
    [
        (r"\d+", {}, "it is 42", 1.0),
        (r"\d+", {}, "no number", 0.0),
        (r"\d+", {"method": "fullmatch"}, "it is 42", 0.0),
        (r"\d+", {"method": "fullmatch"}, "42", 1.0),
        (r"\d+", {"method": "fullmatch"}, "42\n", 0.0),
        (re.compile("PARIS", re.IGNORECASE), {}, "paris", 1.0),
        ("(?i)PARIS", {}, "paris", 1.0),
        ("^b$", {}, "a\nb", 0.0),
        (re.compile("^b$", re.MULTILINE), {}, "a\nb", 1.0),
        ("\x00\ud800", {}, "a\x00\ud800b", 1.0),
    ],
)
def test_a_pattern_is_found_or_not(seconds, pattern, options, response, score):
    assert Regex(pattern, seconds=seconds, **options)(response).score == score


@pytest.mark.parametrize("seconds", GUARDS)
@pytest.mark.parametrize(
    ("pattern", "group", "response", "reference", "score"),
    [
        (r"answer is (\w+)", 1, "the answer is Paris.", "Paris", 1.0),
        (r"answer is (\w+)", 1, "the answer is Rome.", "Paris", 0.0),
        (r"answer is (?P<city>\w+)", "city", "the answer is Paris", ["Rome", " Paris "], 1.0),
        (r"answer: (.*)", 1, "answer:  Paris ", "Paris", 1.0),
        (r"answer is (\w+)", 1, "no idea", "Paris", 0.0),
        (r"(x)|y", 1, "y", "x", 0.0),
        (r"\w+", 0, "Paris", "Paris", 1.0),
    ],
)
def test_what_a_group_catches_is_compared_with_the_reference(seconds, pattern, group, response, reference, score):
    assert Regex(pattern, group=group, seconds=seconds)(response, reference).score == score


def test_the_evidence_quotes_what_was_found():
    assert Regex("b+")("abbbc").evidence == "'b+' matches 'bbb'"
    assert Regex("b+")("ac").evidence == "'b+' is not in 'ac'"
    assert Regex("(b)|(c)", group=2)("b", "c").evidence == "group 2 took no part in the match"
    assert Regex("(b)", group=1)("b", "c").evidence == "group 1, 'b', does not equal 'c'"


def test_a_search_that_never_ends_is_a_timeout_and_not_a_zero():
    verdict = Regex(CATASTROPHE, seconds=0.1)(BOMB)
    assert (verdict.status, verdict.error) == ("timeout", "the search took more than 0.1 s of CPU time: it backtracks")


def test_after_a_killed_search_the_next_one_works():
    judge = Regex(CATASTROPHE, seconds=0.1)
    assert judge(BOMB).status == "timeout"
    assert judge("aaa").score == 1.0
    assert judge(BOMB).status == "timeout"


def test_a_killed_search_does_not_stop_other_threads_or_tasks():
    judge = Regex(CATASTROPHE, seconds=0.2)

    async def both() -> list[str]:
        verdicts = await asyncio.gather(judge.averify(Sample(BOMB)), *(judge.averify(Sample("aaa")) for _ in range(4)))
        return [verdict.status for verdict in verdicts]

    assert asyncio.run(both()) == ["timeout", "ok", "ok", "ok", "ok"]
    with ThreadPoolExecutor(4) as pool:
        assert [v.status for v in pool.map(judge, [BOMB, "aaa", "aaa", "b"])] == ["timeout", "ok", "ok", "ok"]


def test_workers_are_used_again_and_never_by_two_threads_at_once():
    pool = WorkerPool()
    taken = [pool.take(), pool.take()]
    assert taken[0] is not taken[1]
    for worker in taken:
        pool.give_back(worker)
    assert pool.take() in taken
    for worker in taken:
        worker.end()


def test_searches_of_many_threads_do_not_mix_their_answers():
    barrier = threading.Barrier(8)

    def search(index: int) -> list[Found | None]:
        barrier.wait()
        return [guarded_search(re.compile(f"x{index}y*"), f"{'-' * index}x{index}{'y' * n}") for n in range(20)]

    with ThreadPoolExecutor(8) as pool:
        for index, found in enumerate(pool.map(search, range(8))):
            assert [f.span for f in found] == [(index, index + 2 + n) for n in range(20)]


def test_a_worker_that_was_killed_from_outside_is_an_error_and_not_a_timeout():
    worker = _pool.take()
    os.kill(worker.process.pid, signal.SIGKILL)
    _pool.give_back(worker)
    with pytest.raises(VerifierError, match="code -9"):
        guarded_search(re.compile("a"), "a")
    assert guarded_search(re.compile("a"), "a") == Found((0, 1), None)


def _search_in_child(connection) -> None:
    score = Regex("a+")("baaa").score
    connection.send((score, _pool.take().process.pid))


@pytest.mark.filterwarnings("ignore:This process .* is multi-threaded:DeprecationWarning")  # that is what is tested
def test_a_forked_process_searches_with_workers_of_its_own():
    worker = _pool.take()
    _pool.give_back(worker)  # now an idle one is certain, whose pipes the child inherits
    context = multiprocessing.get_context("fork")
    ours, theirs = context.Pipe()
    child = context.Process(target=_search_in_child, args=(theirs,))
    child.start()
    assert ours.poll(20)
    score, used = ours.recv()
    assert score == 1.0
    assert used != worker.process.pid
    child.join(20)
    assert Regex("a+")("a").score == 1.0


@given(st.text(alphabet="ab\ud800é\n", max_size=20), st.sampled_from(["a+b", "(a|b)*é", "^b", ".*$", "\ud800"]))
def test_the_guarded_search_finds_what_re_finds(text, pattern):
    for method in ("search", "fullmatch"):
        expected = getattr(re.compile(pattern), method)(text)
        found = guarded_search(re.compile(pattern), text, method)
        assert (found and found.span) == (expected and expected.span())


@pytest.mark.parametrize(
    ("pattern", "options"),
    [
        ("(", {}),
        (b"a", {}),
        (5, {}),
        ("a", {"method": "match"}),
        ("a", {"group": 1}),
        ("(a)", {"group": "x"}),
        ("a", {"seconds": 0}),
    ],
)
def test_unusable_patterns_and_options_are_refused(pattern, options):
    with pytest.raises(InvalidInput):
        Regex(pattern, **options)


def test_a_group_needs_a_reference():
    with pytest.raises(InvalidInput, match="reference=None"):
        Regex("(a)", group=1)("a")


def test_hostile_text_comes_to_a_verdict(hostile):
    verdict = Regex(r"<answer>\s*([^<]*)</answer>", group=1)(hostile, "x")
    assert verdict.score == 0.0
    verdict.evidence.encode("utf-8")
