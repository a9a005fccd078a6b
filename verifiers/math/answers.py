"""From the text of one answer to its tree: cleaning, answers in words, choices, times of day, then the grammar."""

from __future__ import annotations

import functools
import re
from fractions import Fraction
from typing import NamedTuple

from turnwise.verifiers.math.atoms import COMMANDS, parse
from turnwise.verifiers.math.characters import to_latex
from turnwise.verifiers.math.parser import based
from turnwise.verifiers.math.policy import MathPolicy, OverBudget, Unparsed
from turnwise.verifiers.math.tree import Node, num, word_list
from turnwise.verifiers.math.units import lookup, noun
from turnwise.verifiers.math.wording import (
    HEDGE_WORDS,
    NEUTRAL_NOUNS,
    SCALE_WORDS,
    bound_in_words,
    known_answer,
    number_in_words,
    plain,
)


class Answer(NamedTuple):
    """One answer.

    Attributes:
        text: As it was found.
        plain: Its words, for comparison as text.
        node: Its tree.
        decimals: Decimal places, if it is written as one decimal number.
    """

    text: str
    plain: str
    node: Node
    decimals: int | None = None


_TRAILING = re.compile(r"(?:\s|\\\\|\\[,;:! ]|\\quad|\\qquad|(?<!\.)\.|(?<=\.\.\.)\.|[,;:?]|\*|`)+$")
_LEADING = re.compile(r"^(?:\s|\\\\|\\[,;:! ]|\\quad|\*\*|`|[:：,])+")
_CHOICE = re.compile(
    r"(?:(?:option|choice|answer)\s*)?(?:\((?P<round>[A-Ja-j])\)|(?P<bare>[A-J])(?P<mark>[.):]|\s*[:：]))\s*(?P<rest>.*)",
    re.DOTALL | re.I,
)
_OPTION = re.compile(r"(?:option|choice|(?:故|应)?选项?)\s*:?\s*\(?(?P<letter>[A-J])\)?[.)]?", re.I)
_TIME = re.compile(
    r"(?P<hour>\d{1,2})(?::(?P<minute>\d\d))?(?::\d\d)?\s*(?P<marker>a\.?m\.?|p\.?m\.?|o'clock|noon)?", re.I
)
_BASED = re.compile(r"\(?\s*([0-9A-Za-z]+(?:\.[0-9A-Za-z]+)?)\s*\)?\s*_\s*\{?\s*\(?(\d{1,2}|[a-z]{3,5})\)?\s*\}?")
_LITERAL = re.compile(r"0x[0-9a-fA-F]{1,60}|0b[01]{1,200}|0o[0-7]{1,80}")
_CHOOSE = re.compile(
    r"(?:\{\})?[_^]\s*\{?\s*(\w{1,4})\s*\}?\s*(?:\\mathrm\s*)?\{?([CP])\}?\s*_\s*\{?\s*(\w{1,4})\s*\}?|\b(\d{1,4})([CP])(\d{1,4})\b"
)
_BASE_WORDS = re.compile(r"([0-9A-Za-z]+)\s*(?:\(\s*)?(?:in\s+)?base[\s-]*(\d{1,2}|[a-z]{3,5})\)?", re.I)
_DECIMAL = re.compile(r"[-+]?\d*\.(\d+)")
_LABEL = re.compile(
    r"^(?P<label>[A-Za-z][A-Za-z '()/\-]{0,80}?)\s*(?:=|:|\bis\b|\bare\b|\bequals?\b|\bof\b)\s*(?P<rest>\S.*)$",
    re.DOTALL,
)
_NUMBER_NOUN = re.compile(
    r"^(?P<number>.*?[\d})%])[\s~]*(?:-\s*)?(?P<noun>[A-Za-z\u4e00-\u9fff][A-Za-z\u4e00-\u9fff'.\- ]*)$", re.DOTALL
)
_SCALED = re.compile(
    rf"^(?P<number>.*?\d)\s*(?P<scale>{'|'.join(SCALE_WORDS)})\b\s*(?P<rest>.*)$", re.IGNORECASE | re.DOTALL
)
_INTEGER_CLAUSE = re.compile(
    r"(?:,|;)?\s*(?:\(?\s*(?:where|for|with)\s+)?(?:(?:any|all|every|some)\s+)?(?:(?:an?\s+)?integers?\s+([a-zA-Z])|([a-zA-Z])\s+(?:is\s+)?(?:(?:an?|any)\s+)?"
    r"integers?)\s*\)?$"
)
_FIRST_WORD = re.compile(r"(yes|no|true|false)\s?[,.;:]\s")
_UNIT_POWER = re.compile(r"\bunits?\s?\^\s?\{?([23])\}?")
_EXCEPT = re.compile(
    r"(?:all )?(?:the )?real (?:numbers?|values)(?: of [a-z])? (?:except|but|other than|besides)(?: for)? (.+)", re.I
)
_ORDINAL = re.compile(r"(\d+)\s*(?:st|nd|rd|th)")
_UNIT_FRACTION = re.compile(
    r"\\[dt]?frac\s*\{\s*(?:\\(?:text|mathrm)\s*\{)?\s*([A-Za-z]+)\s*\}?\s*\}\s*\{\s*(?:\\(?:text|mathrm)\s*\{)?\s*([A-Za-z]+)\}?(\^\{?\d\}?)?\s*\}"
)
_CURRENCY_CODES = re.compile(r"^(?:USD|US\$|A\$|C\$|HK\$)\s*(?=[\d.-])")


def clean(text: str) -> str:
    """Returns an answer without markup and punctuation around it; a lone `$` before a number is a currency."""
    text = re.sub(r"\s+", " ", to_latex(text)).strip()
    for _ in range(3):
        before = text
        text = (
            _TRAILING.sub("", _LEADING.sub("", text[:200]) + text[200:]) if len(text) < 400 else text.strip(" \n.,;*`")
        )
        if text.endswith("\\"):
            text = text[:-1].rstrip("\\")
        if text == before:
            break
    return dollars(text)


def dollars(text: str) -> str:
    """Marks the dollar signs that are money: one alone before (or after) a number, not a pair around mathematics."""
    unescaped = [match.start() for match in re.finditer(r"(?<!\\)\$", text)]
    if len(unescaped) % 2 == 0:
        return text
    for place in unescaped:
        if re.match(r"\$\s*[-+]?[\d.]", text[place : place + 8]):
            return text[:place] + "\\" + text[place:]
    return text


def read_answer(text: str, policy: MathPolicy) -> Answer:
    """Reads an answer; whatever is not mathematics becomes words.

    Raises:
        OverBudget: It is too long or too deep.
    """
    if len(text) > policy.budget.characters:
        raise OverBudget(f"an answer of {len(text)} characters, more than {policy.budget.characters}")
    return _read(text, policy)


@functools.lru_cache(maxsize=512)
def _read(text: str, policy: MathPolicy) -> Answer:
    cleaned = clean(text)
    words = plain(cleaned)
    decimal = _DECIMAL.fullmatch(cleaned.strip("$ "))
    node = (
        in_words(words)
        or choice(cleaned, policy)
        or time_of_day(words)
        or in_base(cleaned)
        or mathematics(cleaned, policy)
        or around_mathematics(cleaned, words, policy)
    )
    return Answer(
        text, words, node or Node("text", (), (words, is_wordy(cleaned))), len(decimal[1]) if decimal else None
    )


def _choose(match: re.Match[str]) -> str:
    """Writes `_5C_2` and `5C2` as a binomial, `5P2` as a quotient of factorials."""
    n, kind, k = match[1] or match[4], match[2] or match[5], match[3] or match[6]
    return f"\\binom{{{n}}}{{{k}}}" if kind == "C" else f"\\frac{{({n})!}}{{(({n})-({k}))!}}"


def _unit_fraction(match: re.Match[str]) -> str:
    """Writes the fraction of two units as `m/s^2`."""
    if not (match.start() and lookup(match[1]) and lookup(match[2])):
        return match[0]
    return f"\\text{{ {match[1]}}}/\\text{{{match[2]}}}{match[3] or ''}"


def in_words(words: str) -> Node | None:
    """Reads answers that words have: yes, none, all real numbers, 5th."""
    ordinal = _ORDINAL.fullmatch(words)
    if ordinal and len(words) < 12:
        return num(int(ordinal[1]))
    first = _FIRST_WORD.match(words)
    known = known_answer(first[1] if first else words)
    if known == "reals":
        return Node("reals")
    if known in ("noon", "midnight"):
        return Node("time", (), (720 if known == "noon" else 0, "marked"))
    return None if known is None else Node("word", (), known)


def choice(text: str, policy: MathPolicy) -> Node | None:
    """Reads `(C)`, `C.`, `(C) 12`, `Option C`; a lone letter may be a variable and is left to the grammar."""
    bare = re.sub(r"\\(?:text|textbf|mathrm|mathbf|textit|boxed)\s*\{([^{}]*)\}", r"\1 ", text)
    bare = re.sub(r"\\left|\\right|\\[,;:! ]|\\(?:quad|qquad)", "", bare).strip(" $*")
    match = _OPTION.fullmatch(bare)
    if match:
        return Node("choice", (), match["letter"].upper())
    match = _CHOICE.fullmatch(bare)
    if match is None or (match["bare"] and match["bare"].islower()):
        return None
    letter = (match["round"] or match["bare"]).upper()
    rest = match["rest"].strip(" $")
    if re.match(r"(?:or|and)\b|[,/&]", rest):
        return None
    if not rest:
        return Node("choice", (), letter)
    if match["round"] and (match["round"].islower() or not re.match(r"[\\\d$A-Za-z(-]", rest) or rest[0] in "=^_*/+-("):
        return None
    content = mathematics(clean(rest), policy)
    if content is None and (match["mark"] or " " in bare):
        content = Node("text", (), (plain(rest), True))
    return Node("choice", (content,), letter) if content is not None else None


def time_of_day(words: str) -> Node | None:
    """Reads `3:30 pm` and `15:30`; without a marker it may also be a ratio."""
    match = _TIME.fullmatch(words)
    if match is None or not (match["minute"] or match["marker"]):
        return None
    hour, minute = int(match["hour"]), int(match["minute"] or 0)
    marker = (match["marker"] or "").lower().replace(".", "")
    if hour > 23 or minute > 59 or (marker in ("am", "pm") and not 1 <= hour <= 12):
        return None
    if marker in ("am", "pm"):
        return Node("time", (), (hour % 12 * 60 + minute + (720 if marker == "pm" else 0), "marked"))
    ratio = Node("ratio", (num(hour), num(minute)))
    return Node("time", () if marker else (ratio,), (hour * 60 + minute, "marked" if hour > 12 else ""))


def in_base(text: str) -> Node | None:
    """Reads `1011_2`, `FF_{16}`, `0x1F`, `101 base 2`."""
    bare = re.sub(r"\\(?:text|mathrm)\s*\{([^{}]*)\}", r" \1 ", text)
    bare = re.sub(r"\\(?:left|right)\b|\\[,;:! ]|[$]", "", bare).strip()
    literal = _LITERAL.fullmatch(bare)
    if literal:
        return num(int(literal[0], 0))
    match = _BASED.fullmatch(bare) or _BASE_WORDS.fullmatch(bare)
    if match is None or not any(char.isdigit() for char in match[1]):
        return None
    try:
        return based(match[1], match[2].lower())
    except Unparsed:
        return None


def mathematics(text: str, policy: MathPolicy, *, split_commas: bool = False) -> Node | None:
    """Returns the tree of a text that is all mathematics, or None."""
    text = _CHOOSE.sub(_choose, text) if "C" in text or "P" in text else text
    text = _UNIT_FRACTION.sub(_unit_fraction, _CURRENCY_CODES.sub("\\\\$", text))
    start = max(0, len(text) - 60)
    integer = _INTEGER_CLAUSE.search(text, start)
    if integer and integer.start() > start:
        text = f"{text[: integer.start()]}, {integer[1] or integer[2]} \\in \\mathbb{{Z}}"
    try:
        return parse(text, policy.budget, split_commas=split_commas)
    except Unparsed:
        return None


def around_mathematics(text: str, words: str, policy: MathPolicy) -> Node | None:
    """Reads mathematics with words around it: labels, bounds, hedges, scales, counted nouns, numbers in words."""
    if policy.number_words:
        number = number_in_words(words)
        if number is not None:
            return num(number)
    bare = re.sub(r"\\text(?:bf|rm|it)?\s*\{([^{}]*)\}", r" \1 ", text)
    bare = " ".join(bare.split())
    bare = _UNIT_POWER.sub(lambda power: ("square" if power[1] == "2" else "cubic") + " units", bare)
    excluded = _EXCEPT.fullmatch(bare)
    if excluded:
        points = mathematics(excluded[1], policy)
        if points is not None:
            return Node("minus", (Node("reals"), Node("set", points.args if points.op == "list" else (points,))))
    unhedged = " ".join(HEDGE_WORDS.sub(" ", bare).split())
    if unhedged != bare and unhedged:
        return mathematics(unhedged, policy) or around_mathematics(unhedged, plain(unhedged), policy)
    bound = bound_in_words(bare)
    if bound is not None:
        return mathematics(bound, policy) or _counted(bound, policy)
    scaled = _scaled(bare, policy)
    if scaled is not None:
        return scaled
    return _labelled(bare, policy) or _counted(bare, policy) or _ratio(bare, policy)


def _scaled(text: str, policy: MathPolicy) -> Node | None:
    match = _SCALED.match(text)
    if match is None:
        return None
    amount = mathematics(match["number"], policy)
    if amount is None:
        return None
    factor = num(SCALE_WORDS[match["scale"].lower()])
    scaled = (
        Node("qty", (Node("mul", (amount.args[0], factor)),), amount.value)
        if amount.op == "qty"
        else Node("mul", (amount, factor))
    )
    if not match["rest"]:
        return scaled
    unit = mathematics(f"1 {match['rest']}", policy) or _counted(f"1 {match['rest']}", policy)
    if unit is None or amount.op == "qty":
        return scaled if unit is not None else None
    return Node("qty", (scaled,), unit.value) if unit.op == "qty" else scaled


def _ratio(text: str, policy: MathPolicy) -> Node | None:
    """Reads `2 to 3`."""
    parts = text.split(" to ")
    nodes = [mathematics(part, policy) for part in parts] if 2 <= len(parts) <= 3 else []
    found = [node for node in nodes if node is not None and node.op in ("num", "pow", "mul")]
    return Node("ratio", tuple(found)) if found and len(found) == len(parts) else None


def _labelled(text: str, policy: MathPolicy) -> Node | None:
    """Reads `Area = 5` and `the probability is 1/2`: words, then what they are."""
    match = _LABEL.match(text)
    if match is None or re.search(r"\b(?:not|n't|never|no|isn't|aren't|or)\b", match["label"]):
        return None
    if not re.search(r"[A-Za-z]{3}", match["label"]):
        return None
    if policy.extraction == "strict" and match["label"].count(" ") > 2:
        return None
    rest = clean(match["rest"])
    return in_words(plain(rest)) or mathematics(rest, policy) or _counted(rest, policy) or _labelled(rest, policy)


def _counted(text: str, policy: MathPolicy) -> Node | None:
    """Reads `12 apples`, `3rd`, `5 ways`."""
    match = _NUMBER_NOUN.match(text)
    if match is None or len(match["noun"]) > 60:
        return None
    words = [
        word
        for word in re.findall(r"[a-z\u4e00-\u9fff]+", match["noun"].lower())
        if word not in ("of", "the", "a", "an")
    ]
    if any(word in _NOT_NOUNS for word in words):
        return None
    amount = mathematics(clean(match["number"]), policy)
    if amount is None or amount.op not in ("qty", "num", "div", "mul", "add", "rel", "pow", "neg", "approx"):
        return None
    kept = [{"sq": "square", "cu": "cubic"}.get(word, word) for word in words if word not in NEUTRAL_NOUNS]
    if amount.op == "qty":
        return amount if all(word in _MEASURED for word in kept) else None
    if not kept or amount.op in ("rel", "approx"):
        return amount
    return Node("qty", (amount,), noun(" ".join(_singular(word) for word in kept)))


_MEASURED = frozenset(word_list("long wide tall high deep away old apart each total later earlier thick"))
_NOT_NOUNS = frozenset(
    word_list(
        "is are was be but because since so if then and or not than from to by maybe perhaps wrong false "
        "incorrect impossible modulo when where while however although correct plus minus times divided over "
        "squared cubed percent more less except"
    )
)


def _singular(word: str) -> str:
    if word.endswith("ies") and len(word) > 4:
        return word[:-3] + "y"
    return word[:-1] if word.endswith("s") and not word.endswith("ss") and len(word) > 3 else word


def is_wordy(text: str) -> bool:
    """Whether a text that is no mathematics is words (or garbage), and not notation that the grammar lacks."""
    if text.count("{") != text.count("}"):
        return True
    return all(command in COMMANDS for command in re.findall(r"\\([A-Za-z]+)", text))


def decimal_value(answer: Answer) -> Fraction | None:
    """Returns the value of an answer written as one decimal number, else None."""
    node = answer.node
    return node.value if answer.decimals is not None and node.op == "num" else None
