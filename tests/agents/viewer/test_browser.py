"""The viewer's page in a real browser."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

from turnwise.agents.types import Episode, Status, Turn
from turnwise.agents.viewer import render

if TYPE_CHECKING:
    from playwright.sync_api import Browser, Page

pytestmark = pytest.mark.browser

HOSTILE = (
    "</pre></script><script>window.hacked = 1</script><img src='http://example.invalid/x' onerror='window.hacked = 2'>"
    "<svg onload='window.hacked = 3'>\u2028\u2029{{7*7}}<!--"
)


class Letters:
    def decode(self, ids: Any) -> str:
        return "".join("\n" if token == 0 else chr(96 + int(token)) for token in ids)


def turn(observation: str, action: str, reward: float, **fields: Any) -> Turn:
    return Turn(observation, action, reward, **fields)


def with_tokens(observation: str, prompt: list[int], sampled: list[int], logprobs: list[float]) -> Turn:
    return turn(
        observation,
        "cd",
        0.25,
        prompt_ids=np.asarray(prompt),
        action_ids=np.asarray(sampled),
        logprobs=np.asarray(logprobs, np.float32),
        state_key="aaaa",
        next_state_key="bbbb",
        progress=0.5,
        reward_parts={"outcome": 0.0, "progress": 0.25},
        feedback="halfway there",
    )


def some_episodes() -> list[Episode]:
    solved = Episode(
        "1/2",
        "turnwise/GuessNumber-v0",
        7,
        (
            with_tokens("first look", [1, 2], [3, 4], [-0.01, -4.0]),
            with_tokens("second look", [1, 2, 3, 4, 0, 5], [6], [-0.5]),
        ),
        Status.TERMINATED,
        1.0,
        final_observation="well done",
        task={"reference": "42"},
        tags={"advantages": [0.75, -0.25], "step": 3},
        instructions="Find the number.",
        tools=({"name": "calculator"},),
    )
    missed = Episode(
        "1/10", "turnwise/GuessNumber-v0", 8, (turn("look", "no", -0.5),), Status.TRUNCATED, 0.0, note="turn limit"
    )
    failed = Episode("2/1", "turnwise/GuessNumber-v0", 9, (), Status.FAILED, 0.0, "environment.step: it hung")
    hostile = Episode(HOSTILE, HOSTILE, 10, (turn(HOSTILE, HOSTILE, 0.0, feedback=HOSTILE),), Status.TERMINATED, 0.5)
    return [solved, missed, failed, hostile]


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        arguments = ["--no-sandbox", "--disable-gpu", "--disable-background-networking"]
        started = playwright.chromium.launch(executable_path=chromium(), args=arguments)
        yield started
        started.close()


def chromium() -> str | None:
    import shutil

    return next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)


@pytest.fixture
def show(browser: Browser, tmp_path: Path) -> Iterator[Callable[..., Page]]:
    """Opens a page of episodes; afterwards nothing may have gone wrong in it, nor may it have asked for anything."""
    trouble: list[str] = []
    context = browser.new_context(viewport={"width": 1280, "height": 800})

    def open_page(episodes: list[Episode], **options: Any) -> Page:
        path = tmp_path / "episodes.html"
        path.write_text(render(episodes, **options), encoding="utf-8")
        page = context.new_page()
        page.set_default_timeout(10_000)
        page.on("console", lambda message: trouble.append(f"console: {message.text}"))
        page.on("pageerror", lambda error: trouble.append(f"error: {error}"))
        page.on("request", lambda request: request.url == path.as_uri() or trouble.append(f"request: {request.url}"))
        page.goto(path.as_uri())
        return page

    yield open_page
    context.close()
    assert trouble == []


def names(page: Page) -> list[str]:
    return page.locator("#rows .row .name").all_text_contents()


def test_the_list_shows_every_episode_and_the_first_one_is_open(show: Callable[..., Page]) -> None:
    page = show(some_episodes(), title="runs/demo")
    assert page.title() == "runs/demo"
    assert names(page)[:3] == ["1/2", "1/10", "2/1"]
    assert page.locator("#totals").inner_text() == "4 episodes · success 0.5 · reward 0 · 1 failed"
    assert page.locator("#episode h2").inner_text() == "1/2"
    assert page.locator("#rows .row .dot").nth(0).get_attribute("class") == "dot solved"


def test_a_turn_shows_what_was_seen_done_paid_and_credited(show: Callable[..., Page]) -> None:
    page = show(some_episodes())
    text = page.locator("#turn-0").inner_text()
    for expected in (
        "first look",
        "cd",
        "reward +0.25",
        "advantage +0.75",
        "progress 0.5",
        "halfway there",
        "aaaa → bbbb",
    ):
        assert expected in text, expected
    assert page.locator("#turn-0 .parts .chip").all_inner_texts() == ["outcome0", "progress+0.25"]
    assert page.locator("#turn-1 .pill.bad").inner_text() == "advantage −0.25"
    assert page.locator(".chips").inner_text() == "step3"
    assert "well done" in page.locator("main").inner_text()
    assert page.locator("summary").all_inner_texts() == ["Instructions", "Tools", "Task"]
    assert page.locator("details pre").nth(0).text_content() == "Find the number."
    assert '"calculator"' in (page.locator("details pre").nth(1).text_content() or "")
    assert '"42"' in (page.locator("details pre").nth(2).text_content() or "")
    figures = dict(
        zip(page.locator(".figure dt").all_inner_texts(), page.locator(".figure dd").all_inner_texts(), strict=True)
    )
    assert figures == {
        "reward": "+0.5",
        "part: outcome": "0",
        "part: progress": "+0.5",
        "turns": "2",
        "sampled tokens": "3",
    }


def test_the_token_view_tells_given_tokens_from_sampled_ones_and_colours_by_probability(
    show: Callable[..., Page],
) -> None:
    page = show(some_episodes(), tokenizer=Letters())
    assert page.locator(".token-line").count() == 0
    page.keyboard.press("t")
    first, second = page.locator(".token-line").nth(0), page.locator(".token-line").nth(1)
    assert first.locator(".token.masked").all_text_contents() == ["a", "b"]
    assert first.locator(".token.sampled").all_text_contents() == ["c", "d"]
    assert second.locator(".token.masked").all_text_contents() == ["↵\n", "e"]
    likely, unlikely = first.locator(".token.sampled").all()
    opacity = "node => getComputedStyle(node).backgroundColor"
    shares = [float(re.findall(r"[\d.]+", f"{token.evaluate(opacity)}")[-1]) for token in (likely, unlikely)]
    assert shares[0] <= 0.01
    assert 0.4 < shares[1] < 0.5
    assert unlikely.get_attribute("title") == "id 4, log-probability −4, probability 0.018"
    assert "2 new, masked" in page.locator("#turn-0 .token-legend").inner_text()
    assert "follows 4 tokens shown before" in page.locator("#turn-1 .token-legend").inner_text()
    page.locator("#tokens-button").click()
    assert page.locator(".token-line").count() == 0


def test_without_a_tokenizer_the_token_view_shows_ids(show: Callable[..., Page]) -> None:
    page = show(some_episodes())
    page.keyboard.press("t")
    assert page.locator("#turn-1 .token").all_text_contents()[-3:] == ["0", "5", "6"]


@pytest.mark.parametrize(
    ("control", "cases"),
    [
        ("status", {"=failed": ["2/1"], "=truncated": ["1/10"], "": ["1/2", "1/10", "2/1", HOSTILE]}),
        ("success", {"=solved": ["1/2"], "=partly": [HOSTILE], "=missed": ["1/10"], "=failed": ["2/1"]}),
        ("group", {"=1/10": ["1/10"], f"={HOSTILE}": [HOSTILE]}),
        ("reward", {"negative": ["1/10"], "zero": ["2/1", HOSTILE], "positive": ["1/2"]}),
        (
            "sort",
            {
                "reward": ["1/2", "2/1", HOSTILE, "1/10"],
                "worst": ["1/10", "2/1", HOSTILE, "1/2"],
                "success": ["1/2", HOSTILE, "1/10", "2/1"],
                "turns": ["1/2", "1/10", HOSTILE, "2/1"],
                "tokens": ["1/2", "1/10", "2/1", HOSTILE],
                "group": [HOSTILE, "1/2", "1/10", "2/1"],
            },
        ),
    ],
)
def test_filters_and_sorting_choose_the_rows(
    show: Callable[..., Page], control: str, cases: dict[str, list[str]]
) -> None:
    page = show(some_episodes())
    for value, expected in cases.items():
        page.select_option(f"#{control}", value)
        assert names(page) == expected, value
        assert page.locator("#episode h2").text_content() in expected


def test_the_search_finds_text_in_turns_and_tags_and_says_when_nothing_matches(show: Callable[..., Page]) -> None:
    page = show(some_episodes())
    page.keyboard.press("/")
    page.keyboard.type("SECOND look")
    assert names(page) == ["1/2"]
    assert page.locator("#shown").inner_text() == "1 of 4 shown · success 1 · reward 0.5"
    page.fill("#search", '"step":3')
    assert names(page) == ["1/2"]
    page.fill("#search", "nowhere to be found")
    assert names(page) == []
    assert page.locator("#shown").inner_text() == "no episode matches"
    assert page.locator("main").inner_text() == "No episode matches the filters."
    page.fill("#search", "")
    assert len(names(page)) == 4
    assert page.locator("#episode h2").inner_text() == "1/2"


def test_keys_move_between_episodes_and_turns(show: Callable[..., Page]) -> None:
    page = show(some_episodes())
    page.keyboard.press("n")
    page.keyboard.press("n")
    assert page.locator(".turn.current").get_attribute("id") == "turn-1"
    page.keyboard.press("p")
    assert page.locator(".turn.current").get_attribute("id") == "turn-0"
    page.keyboard.press("j")
    page.keyboard.press("j")
    assert page.locator("#episode h2").inner_text() == "2/1"
    assert page.url.endswith("#episode=2")
    assert page.locator(".notice.bad").inner_text() == "environment.step: it hung"
    page.keyboard.press("k")
    assert page.locator(".notice").inner_text() == "turn limit"
    page.keyboard.press("?")
    assert page.locator("#help").is_visible()
    page.keyboard.press("j")
    page.keyboard.press("Escape")
    assert not page.locator("#help").is_visible()
    assert page.locator("#episode h2").inner_text() == "1/10"
    page.reload()
    assert page.locator("#episode h2").inner_text() == "1/10"


def test_hostile_text_is_shown_and_does_nothing(show: Callable[..., Page]) -> None:
    page = show(some_episodes(), title=HOSTILE)
    page.locator(".row").nth(3).click()
    assert page.locator("#turn-0 pre").nth(0).text_content() == HOSTILE
    assert page.locator("#turn-0 pre").nth(1).text_content() == HOSTILE
    assert page.locator("#turn-0 .feedback").text_content() == HOSTILE
    assert page.locator("h1").text_content() == HOSTILE
    assert page.locator("#episode h2").text_content() == HOSTILE
    assert page.evaluate("window.hacked") is None
    assert page.locator("img").count() == 0
    assert page.evaluate("document.scripts.length") == 2


def test_the_policy_of_the_page_stops_a_script_even_if_one_got_in(browser: Browser, tmp_path: Path) -> None:
    path = tmp_path / "page.html"
    path.write_text(
        render(some_episodes()).replace("<body>", "<body><script>window.hacked = 1</script>"), encoding="utf-8"
    )
    page = browser.new_page()
    page.goto(path.as_uri())
    assert page.evaluate("window.hacked") is None
    assert page.locator("#rows .row").count() == 4
    page.close()


def test_of_two_thousand_episodes_only_the_rows_in_sight_exist(show: Callable[..., Page]) -> None:
    many = [Episode(f"g{n}", "e", n, (turn("o", "a", n / 2000),), Status.TERMINATED, 1.0) for n in range(2000)]
    page = show(many)
    assert page.locator("#rows .row").count() < 40
    page.focus("#list")
    page.keyboard.press("End")
    assert page.locator("#episode h2").inner_text() == "g1999"
    assert page.locator('.row[aria-selected="true"] .name').inner_text() == "g1999"
    assert page.locator("#rows .row").count() < 40
    page.locator("#list").evaluate("node => { node.scrollTop = 52 * 1000; }")
    page.wait_for_function("document.querySelector('#rows .row .name').textContent.startsWith('g99')")


def test_the_theme_follows_the_system_and_can_be_switched(show: Callable[..., Page]) -> None:
    page = show(some_episodes())

    def brightness() -> int:
        color = page.evaluate("getComputedStyle(document.body).backgroundColor")
        return sum(map(int, re.findall(r"\d+", color)[:3]))

    assert brightness() > 600
    page.emulate_media(color_scheme="dark")
    assert brightness() < 150
    page.click("#theme")
    assert brightness() > 600


def test_a_page_without_episodes_says_so(show: Callable[..., Page]) -> None:
    page = show([])
    assert page.locator("main").inner_text() == "There are no episodes."
