"""What the viewer's page holds, without a browser."""

from __future__ import annotations

import json
import re
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from turnwise.agents.errors import InvalidInput
from turnwise.agents.types import Episode, Status, Turn
from turnwise.agents.viewer import render
from turnwise.agents.viewer.page import script_json

HOSTILE = "</script><script>alert(1)</script><!-- \u2028 \u2029 \ud800 %%data%% &lt; <img src=x onerror=alert(2)>"


def turn(**fields: Any) -> Turn:
    return Turn(**{"observation": "seen", "action": "done", "reward": 0.5} | fields)


def episode(*turns: Turn, **fields: Any) -> Episode:
    return Episode(**{"group": "g", "env_id": "e", "seed": 1, "turns": turns, "status": Status.TERMINATED} | fields)


def data_of(page: str) -> Any:
    found = re.findall(r'<script type="application/json" id="data">(.*?)</script>', page, re.DOTALL)
    assert len(found) == 1
    return json.loads(found[0])


def test_the_page_is_one_document_whose_only_scripts_are_its_own() -> None:
    page = render([episode(turn(observation=HOSTILE, action=HOSTILE))], title=HOSTILE.replace("\ud800", ""))
    assert page.lower().count("<script") == 2
    assert page.lower().count("</script") == 2
    assert "<img" not in page
    assert data_of(page)["episodes"][0]["turns"][0]["action"] == HOSTILE
    page.encode()  # a lone surrogate would not encode


def test_the_page_refers_to_nothing_outside_itself() -> None:
    page = render([episode(turn())])
    assert re.findall(r'(?:src|href|action)\s*=\s*"([^"]*)"', page) == ["data:,"]
    assert re.findall(r"https?://[^\s\"']*", page) == ["http://www.w3.org/2000/svg"]  # a name, not an address to load
    assert "@import" not in page
    assert "default-src 'none'" in page


def test_the_script_never_writes_markup() -> None:
    page = render([])
    assert not re.search(r"innerHTML|outerHTML|insertAdjacentHTML|document\.write|eval\(|setAttribute\(\"on", page)


@pytest.mark.parametrize("text", [HOSTILE, "<", ">", "&", "\u2028", "\ud83d", "é"])
def test_json_in_a_script_element_is_inert_and_means_the_same(text: str) -> None:
    written = script_json({"text": text})
    assert written.isascii()
    assert not set(written) & set("<>&")
    assert json.loads(written) == {"text": text}


def test_advantages_come_from_the_tags_unless_they_are_given() -> None:
    tagged = episode(turn(), turn(), tags={"advantages": [1.5, -0.5], "step": 3})
    (shown,) = data_of(render([tagged]))["episodes"]
    assert [one["advantage"] for one in shown["turns"]] == [1.5, -0.5]
    assert shown["tags"] == {"step": 3}
    (shown,) = data_of(render([tagged], advantages=[[2.0, 3.0]]))["episodes"]
    assert [one["advantage"] for one in shown["turns"]] == [2.0, 3.0]
    (shown,) = data_of(render([episode(turn())]))["episodes"]
    assert [one["advantage"] for one in shown["turns"]] == [None]


@pytest.mark.parametrize(
    ("advantages", "message"),
    [([[1.0]], "has 2 turns but 1 advantages"), ([], "there are 1 episodes but 0 entries of advantages")],
)
def test_advantages_that_do_not_fit_are_refused(advantages: Any, message: str) -> None:
    with pytest.raises(InvalidInput, match=message):
        render([episode(turn(), turn())], advantages=advantages)


def tokens(prompt: list[int], sampled: list[int]) -> Turn:
    return turn(
        prompt_ids=np.asarray(prompt),
        action_ids=np.asarray(sampled),
        logprobs=np.linspace(-1, -0.5, len(sampled), dtype=np.float32),
    )


def test_of_each_prompt_only_the_tokens_not_shown_before_are_listed() -> None:
    clean = [tokens([1, 2], [3, 4]), tokens([1, 2, 3, 4, 5], [6])]
    forked = replace(clean[1], prompt_ids=np.asarray([1, 2, 9, 5]))
    (first, second), (_, third) = (
        [one["tokens"] for one in shown["turns"]]
        for shown in data_of(render([episode(*clean), episode(clean[0], forked)]))["episodes"]
    )
    assert first == {"kept": 0, "dropped": 0, "new": [1, 2], "sampled": [3, 4], "logprobs": [-1.0, -0.5]}
    assert second == {"kept": 4, "dropped": 0, "new": [5], "sampled": [6], "logprobs": [-1.0]}
    assert third == {"kept": 2, "dropped": 2, "new": [9, 5], "sampled": [6], "logprobs": [-1.0]}


def test_a_tokenizer_gives_every_token_its_text_once() -> None:
    class Letters:
        def decode(self, ids: Any) -> str:
            return "".join(chr(96 + int(token)) for token in ids)

    data = data_of(render([episode(tokens([1, 2], [3]), tokens([1, 2, 3], [1]))], tokenizer=Letters()))
    assert data["vocabulary"] == {"1": "a", "2": "b", "3": "c"}
    assert data_of(render([episode(tokens([1], [2]))]))["vocabulary"] is None


def test_numbers_and_values_that_json_lacks_are_shown_by_name() -> None:
    odd = episode(turn(reward=float("inf")), task={"when": {1, 2}, "x": np.float64("nan")}, seed=2**63 + 1)
    (shown,) = data_of(render([odd]))["episodes"]
    assert shown["reward"] == "inf"
    assert shown["turns"][0]["progress"] == "nan"
    assert shown["task"] == {"when": "{1, 2}", "x": "nan"}
    assert shown["seed"] == "9223372036854775809"
