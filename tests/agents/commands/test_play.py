"""`turnwise play`, with what a person types piped in."""

from __future__ import annotations

import io

import pytest

from turnwise.agents.cli import main

ENV = "turnwise/GuessNumber-v0"


def play(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], typed: str, *words: str
) -> tuple[int, str, str]:
    monkeypatch.setattr("sys.stdin", io.StringIO(typed))
    status = main(["play", *words])
    captured = capsys.readouterr()
    return status, captured.out, captured.err


def test_a_whole_game_shows_the_rules_each_answer_and_the_result(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    status, out, err = play(monkeypatch, capsys, "8\n14\n13\n", ENV, "--seed", "1")
    assert (status, err) == (0, "")
    assert "turnwise/GuessNumber-v0, seed 1" in out
    assert "Find my secret whole number." in out
    assert "I think of a number. It is between 1 and 16. 5 guesses left." in out
    assert "turn 1> 8\n\n8 is too low. It is between 9 and 16. 4 guesses left.\nreward 0 | parts: outcome 0, " in out
    assert ", progress 0.25 | solved so far: 25%\n\nturn 2> " in out
    assert "turn 3> 13\n\n13 is right!\n" in out
    assert out.endswith("solved: success 1, reward 1 in 3 turns\n")


def test_hints_of_the_expert_solve_the_task(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    typed = ":hint\n"
    for _ in range(7):
        _, out, _ = play(monkeypatch, capsys, typed, ENV, "--seed", "5", "--difficulty", "2")
        hint = out.split(":hint\n")[-1].split("\n")[0]
        typed = typed.removesuffix(":hint\n") + f"{hint}\n:hint\n"
        if "solved: success 1" in out:
            break
    assert "\nsolved: success 1, reward 1 in " in out


def test_a_lost_game_says_so(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    _, out, _ = play(monkeypatch, capsys, "1\n" * 5, ENV, "--seed", "1")
    assert out.endswith("not solved, the turn limit is reached: success 0, reward 0 in 5 turns\n")


def test_commands_cost_no_turn_and_neither_does_an_empty_line(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    _, out, _ = play(monkeypatch, capsys, "3\n\n:render\n:help\n:foo\n:quit\n4\n", ENV, "--seed", "1")
    assert "GuessNumber-v0, easy: turn 1 of 5\n> 3\n" in out
    assert ":hint the expert's action   :render" in out
    assert "no command :foo" in out
    assert "turn 3>" not in out
    assert out.endswith("turn 2> :quit\n")


def test_a_message_may_have_several_lines_or_begin_with_a_colon(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    typed = '"""\nI try the middle:\n\n<guess>8</guess>\n"""\n::<guess>14</guess>\n'
    _, out, _ = play(monkeypatch, capsys, typed, ENV, "--seed", "1")
    assert "8 is too low." in out
    assert "14 is too high." in out
    assert "the input ended after 2 turns" in out


def test_the_end_of_the_input_ends_the_game(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    status, out, _ = play(monkeypatch, capsys, '8\n"""\nunfinished', ENV, "--seed", "1")
    assert status == 0
    assert "the input ended after 2 turns" in out


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["guessnumber"], "turnwise play: no environment 'guessnumber'; did you mean turnwise/GuessNumber-v0?"),
        (["turnwise/GuessNumbr-v0"], "did you mean turnwise/GuessNumber-v0?"),
        (["nomodule:x/Y-v0"], "turnwise play: no environment 'nomodule:x/Y-v0'"),
        ([ENV, "--difficulty", "foo"], "turnwise play: difficulty must be one of ['easy', 'medium',"),
        ([ENV, "--difficulty", "9"], "or a number from 1 to 5, not 9"),
        (["CartPole-v1", "--difficulty", "1"], "unexpected keyword argument 'difficulty'"),
    ],
)
def test_what_cannot_be_played_is_one_clear_line(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], words: list[str], message: str
) -> None:
    status, _, err = play(monkeypatch, capsys, "", *words)
    assert status == 2
    assert message in err
    assert err.count("\n") == 1
