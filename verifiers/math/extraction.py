"""Finds the answer in a response. Linear in its length; never parses mathematics.

Markers are tried from the most to the least explicit: answer tags, boxes, `####`, phrases ("the answer is", "答案是").
Text before the last `</think>` is not looked at. Without a marker the response is a bare answer or, in lenient mode,
prose whose last sentences are searched by `candidates`.
"""

from __future__ import annotations

import re
from typing import NamedTuple

_TAIL = 4_000  # how much of the end is searched for phrases
_BOX_TAIL = 200_000  # and for boxes
_BOXES = re.compile(r"\\(?:boxed|fbox|framebox)\s*(?=\{)|\\boxed\s+(?=\S)")
_HASHES = re.compile(r"^[ \t]*#{4}[ \t]*(\S[^\n]*)", re.MULTILINE)
_PHRASE = re.compile(
    r"(?:\b(?:final\s+answer|answer|final\s+result)\b(?:\s+(?:to|for|of)\s+(?:the|this)\s+(?:problem|question|equation|inequality))?"
    r"[\s*_}$\\)]{0,12}(?:would\s+be|should\s+be|must\s+be|could\s+be|might\s+be|may\s+be|will\s+be|is|are|was|=|:|：)"
    r"|(?:最终|正确)?(?:答案|结果)\s*(?:应该是|应为|可能是|就是|是|为|：|:|=)+|(?:答|解)\s*[：:]|(?:选项?|选择)\s*(?:是|为)?\s*[：:]?(?=\s*[(（]?[A-H](?![A-Za-z]))"
    r"|\b(?:choose|select|pick)\s+(?:option\s+)?(?=\(?[A-H]\)?[\s.]*$)|^[^\w\n]{0,8}final\s+answer[^\w\n]{0,8}$)"
    r"[\s*_]*[:：]?[\s*_]*(?:\n\s*)?",
    re.IGNORECASE | re.MULTILINE,
)
_STATED = re.compile(
    r"(?:^|\n|[.!?]\s)[ \t]{0,4}((?:[^.\n]|\.\d){1,80}?) is (?:the|our|my) (?:final |correct )?answer\b", re.IGNORECASE
)
_JOINED = re.compile(
    r"\s*(?P<comma>[,;、，]?)\s*(?P<word>and|or(?:\s+(?:maybe|perhaps|possibly))?|和|或者?|及|\\(?:lor|land|vee|wedge))?"
    r"\s*(?P<label>[A-Za-z](?:_\{?\w\}?)?\s*=)?\s*"
)
_JOIN_MARKUP = re.compile(r"[()?]|\\[()\[\],;]|\\q?quad|[$&*]|\\text\{([^{}]{0,20})\}")
_OR_AFTER = re.compile(
    r"[\s$.,]*(?:\\\)|\\\])?\s*(?:or|或|或者)\b\s*(?:maybe |perhaps |possibly )?(?=[-+$\\\d])", re.IGNORECASE
)
_UNIT_AFTER = re.compile(
    r"\s*\$?\s*(?:\\(?:text|mathrm|textrm)\s*\{\s*(?P<text>[A-Za-z°/ ]{1,30})\}"
    r"|(?P<word>[A-Za-z]{1,12}(?:/[A-Za-z]{1,6})?))"
    r"(?P<power>\^\{?[23]\}?|[²³])?\s*\$?\s*(?=[.,;!)\]\s]*(?:$|\n))"
)
_SENTENCE_END = re.compile(r"(?<=[^\d\s.])[.!?](?:\s|$)|(?<=\d)\.(?:\s|$)|(?<=[\s.])\.(?:\s|$)|[。！\n]")
_MATH = re.compile(r"\$\$?([^$]{1,2000})\$\$?|\\\(((?:[^\\]|\\(?!\)))*)\\\)|\\\[((?:[^\\]|\\(?!\]))*)\\\]")
_LATER_HEDGE = re.compile(
    r"\b(?:or (?:maybe|perhaps|possibly)|(?:could|might|may) (?:also|instead|even)? ?be"
    r"|alternatively|but (?:it|i|maybe))\b[^\n]{0,60}\d",
    re.I,
)


class Extraction(NamedTuple):
    """What was found, and how.

    Attributes:
        text: The answer; "" if the response holds none.
        method: "boxed", "answer tag", "hash marks", "phrase", "whole text", "prose" (no marker) or "none".
        together: Several boxed answers read as one list, when they are not plainly one.
        hedged: Whether the words after the answer take it back or offer another.
    """

    text: str
    method: str
    together: str = ""
    hedged: bool = False


def extract(response: str) -> Extraction:
    """Finds the answer of a response by its markers."""
    text = response
    thought = text.rfind("</think>")
    if thought >= 0 and text[thought + 8 :].strip():
        text = text[thought + 8 :]
    if not text.strip():
        return Extraction("", "none")
    tagged = _tagged(text)
    if tagged.strip():
        inner = extract(tagged)
        return inner._replace(
            method="answer tag" if inner.method in ("whole text", "prose") else f"answer tag, {inner.method}"
        )
    if "\\boxed" in text or "\\fbox" in text or "\\framebox" in text:
        found = boxed(text.rstrip()[-_BOX_TAIL:])
        if found is not None:
            return found
    hashes = _HASHES.findall(text[-_TAIL:])
    if hashes:
        return Extraction(hashes[-1].strip(), "hash marks")
    phrase = None
    tail = text[-_TAIL:]
    for match in _PHRASE.finditer(tail):
        phrase = match
    if phrase is not None:
        found = after_phrase(tail, phrase)
        if found is not None:
            return found
    stated = None
    for match in _STATED.finditer(tail):
        stated = match
    if stated is not None:
        return Extraction(stated[1].strip(), "phrase")
    return Extraction(text.strip(), "prose" if _is_prose(text) else "whole text")


def _tagged(text: str) -> str:
    """Returns what stands between the last answer tags, or ""."""
    lower = text.lower() if "</" in text else ""
    end = lower.rfind("</answer>")
    start = lower.rfind("<answer>", 0, end) if end >= 0 and len(lower) == len(text) else -1
    return text[start + 8 : end] if start >= 0 else ""


def _is_prose(text: str) -> bool:
    """Whether a text is too long, or has too many words, to be a bare answer."""
    if len(text) > 2_000:
        return len(re.findall(r"(?<![A-Za-z])[A-Za-z]{2,40}\s", text[-_TAIL:])) > 20
    return len(re.findall(r"(?<![\\A-Za-z])[A-Za-z]{2,}", text)) > 25


# Boxes


def boxed(text: str) -> Extraction | None:
    """Finds the last boxed answer, and those that are joined to it. One pass over the braces, from the first box on."""
    spans = box_spans(text)
    if not spans:
        return None
    run = [spans[-1]]
    explicit = True
    for before in reversed(spans[:-1]):
        between = text[before.end : run[0].start]
        match = _joint(between) if len(between) < 80 else None
        if match is None:
            break
        explicit = explicit and bool(match["word"] or match["comma"])
        run.insert(0, before)
    last = spans[-1]
    content = text[last.content : last.close].strip()
    unit = _UNIT_AFTER.match(text, last.end, last.end + 60)
    if unit and _is_unit(unit) and len(run) == 1:
        content = f"{content} \\text{{ {(unit['text'] or unit['word']).strip()}}}{unit['power'] or ''}"
    together = _together(text, run)
    if len(run) > 1 and explicit:
        return Extraction(together, "boxed")
    alternative = _OR_AFTER.match(text, last.end, last.end + 40)
    if alternative:
        rest = text[alternative.end() : alternative.end() + 60]
        end = _SENTENCE_END.search(rest)
        return Extraction(f"{content} or {(rest[: end.start()] if end else rest).strip(' .$')}", "boxed")
    if len(run) == 1 and len(spans) > 1:
        together = ", ".join(text[span.content : span.close] for span in spans[-20:])
    return Extraction(content, "boxed", together if len(spans) > 1 else "")


def _joint(between: str) -> re.Match[str] | None:
    return _JOINED.fullmatch(_JOIN_MARKUP.sub(lambda markup: f" {markup[1] or ''} ", between))


def _together(text: str, run: list[Span]) -> str:
    parts = []
    for index, span in enumerate(run):
        content = text[span.content : span.close]
        if index:
            between = text[run[index - 1].end : span.start]
            match = _joint(between)
            word = match["word"] if match else None
            label = (match["label"] if match else None) or ""
            joint = " or " if word and ("or" in word or "vee" in word or "或" in word) else ", "
            parts.append(joint + label + content)
        else:
            label_before = re.search(r"([A-Za-z](?:_\{?\w\}?)?\s*=\s*)$", text[max(0, span.start - 12) : span.start])
            parts.append((label_before[1] if label_before and len(run) > 1 else "") + content)
    return "".join(parts)


def _is_unit(match: re.Match[str]) -> bool:
    from turnwise.verifiers.math.units import lookup

    words = re.findall(r"[A-Za-z°]+", match["text"] or match["word"])
    return bool(words) and all(lookup(word) or word in ("per", "square", "cubic", "sq") for word in words)


class Span(NamedTuple):
    """Where a box stands: the command, its content, its closing brace, and the end."""

    start: int
    content: int
    close: int
    end: int


def box_spans(text: str) -> list[Span]:
    """Returns the outermost boxes, in order; a box that never closes ends with the text."""
    spans: list[Span] = []
    starts = list(_BOXES.finditer(text))
    if not starts:
        return spans
    if len(starts) > 2_000:
        starts = starts[-2_000:]
    partner = _partners(text, starts[0].start())
    end_of_last = -1
    for match in starts:
        if match.start() < end_of_last:
            continue
        opening = match.end()
        if text[opening] != "{":
            word = re.compile(r"[^\s$]+").match(text, opening)
            close = word.end() if word else opening
            spans.append(Span(match.start(), opening, close, close))
        elif opening in partner:
            spans.append(Span(match.start(), opening + 1, partner[opening], partner[opening] + 1))
        elif not spans or match is starts[-1]:
            spans.append(Span(match.start(), opening + 1, len(text), len(text)))
        end_of_last = spans[-1].end if spans else -1
    return [span for span in spans if text[span.content : span.close].strip()] or spans


def _partners(text: str, start: int) -> dict[int, int]:
    stack: list[int] = []
    partner: dict[int, int] = {}
    for match in re.compile(r"\\.|[{}]", re.DOTALL).finditer(text, start):
        if match[0] == "{":
            stack.append(match.start())
        elif match[0] == "}" and stack:
            partner[stack.pop()] = match.start()
    return partner


# Phrases and prose


def after_phrase(text: str, phrase: re.Match[str]) -> Extraction | None:
    """Takes the rest of the sentence after "the answer is"."""
    rest = text[phrase.end() :]
    display = re.match(r"\s*(?:\$\$|\\\[)(.*?)(?:\$\$|\\\])", rest, re.DOTALL)
    if display and display[1].strip():
        return Extraction(
            display[1].strip(), "phrase", hedged=bool(_LATER_HEDGE.search(rest[display.end() : display.end() + 200]))
        )
    end = _SENTENCE_END.search(rest)
    answer = (rest[: end.start()] if end else rest).strip().strip("*_").strip()
    if not answer:
        return None
    after = rest[end.end() : end.end() + 200] if end else ""
    return Extraction(answer, "phrase", hedged=bool(_LATER_HEDGE.search(after)))


_LINKS = re.compile(
    r"\b(?:is|are|was|be|equals?|gives?|get|gets|got|obtain|have|has|of|thus|therefore|hence|so|then|that|there|conclude|find|yields?|"
    r"solutions?|costs?|takes?|only|to|at|by|total|in|with)\b[,:]?|[:：,，→⇒]|=|是|为|等于|得|有|共|所以|因此|故",
    re.IGNORECASE,
)
_STOPS = re.compile(
    r"\s+(?:because|since|as|which|where|when|so|by|for|from|after|due)\b|,\s|\s\(|\s[-–—]\s|;", re.IGNORECASE
)


def candidates(text: str, limit: int = 24) -> list[str]:
    """Returns what could be the answer in prose, best first: the ends of its last sentence, then its last formula."""
    tail = text[-1_500:].strip()
    sentences = [part for part in _SENTENCE_END.split(tail) if part and part.strip()]
    found: list[str] = []
    for sentence in reversed(sentences[-3:]):
        if not re.search(r"\d|\$|\\[A-Za-z(\[]|=", sentence):
            continue
        found.append(sentence.strip())
        starts = [match.end() for match in _LINKS.finditer(sentence)]
        found += [sentence[start:].strip() for start in starts[-limit:]]
        formulas = [next(group for group in match.groups() if group is not None) for match in _MATH.finditer(sentence)]
        found += formulas[-1:]
        break
    return [candidate for candidate in found if candidate]


def last_number(text: str) -> str | None:
    """Returns the number that ends the last sentence, if it is the only one there and nothing negates it."""
    sentences = [part for part in _SENTENCE_END.split(text[-1_500:]) if part and part.strip()]
    sentence = sentences[-1] if sentences else ""
    numbers = re.findall(r"-?(?:\\?\$)?\d[\d,]*(?:\.\d+)?%?", sentence)
    negated = re.search(r"\b(?:not|never|wrong|incorrect|cannot|between|than|except|without)\b|n't|不", sentence)
    if len(numbers) != 1 or negated or not sentence.rstrip(" *$.)").endswith(numbers[0].rstrip("%").lstrip("-")):
        return None
    return str(numbers[0]) if re.match(r"[A-Z]", sentence.strip()) else None


def clauses(text: str) -> list[str]:
    """Returns a marked answer, and shorter readings of it: "5 because ..." -> "5"."""
    starts = [match.start() for match in _STOPS.finditer(text)][:6]
    formulas = [next(group for group in match.groups() if group is not None) for match in _MATH.finditer(text)]
    return [
        text,
        *(text[:start] for start in reversed(starts) if text[:start].strip()),
        *(formulas if len(formulas) == 1 else []),
    ]


def last_sentences(text: str) -> str:
    """Returns the end of a text in which an answer and its hedges would stand together."""
    sentences = [part for part in _SENTENCE_END.split(text[-1_500:]) if part and part.strip()]
    return ". ".join(sentences[-2:])
