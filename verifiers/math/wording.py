"""Answers in words: yes and no, "no solution", number words, names; and the words around a mathematical answer."""

from __future__ import annotations

import re
from fractions import Fraction

_SYNONYMS = {
    "yes": "yes|yeah|yep|是|是的|能|可以",
    "no": "no|nope|否|不是|不能|不可以",
    "true": "true|正确|对|对的|真|√",
    "false": "false|错误|错|不正确|不对|假",
    "none": "none|no solution|no solutions|no real solution|no real solutions|no real root|no real roots|"
    "no roots|no root|no "
    "such number|no such number exists|no such numbers|no such value|no such value exists|no such integer|"
    "no such integer "
    "exists|no such integers|no such integers exist|no such x|no such function|no such function exists|"
    "no such numbers exist|"
    "no such values|no such values exist|there is no solution|there are no solutions|"
    "there are no real solutions|no solution "
    "exists|no solutions exist|empty set|the empty set|empty|null set|nothing|no values|no value|无解|无实数解|没有解|"
    "空集|不存在解|"
    "there is no such number|no integer solutions|no integer solution|has no solution|has no solutions|no x",
    "dne": "dne|does not exist|doesn't exist|do not exist|d.n.e|d.n.e.|the limit does not exist|limit does not exist|"
    "it does not exist|not exist|不存在|极限不存在|nonexistent|non-existent",
    "undefined": "undefined|not defined|is undefined|is not defined|undef|无意义|未定义|无定义",
    "infinite": "infinitely many|infinitely many solutions|infinite solutions|infinite|infinite many|"
    "infinite number of "
    "solutions|there are infinitely many solutions|there are infinitely many|an infinite number|无穷多|无数|无数个|"
    "无穷多个|无穷多解",
    "reals": "all real numbers|all reals|any real number|all real number|real numbers|the real numbers|"
    "every real number|all "
    "real values|all real x|全体实数|任意实数|实数集|reals",
    "noon": "noon|12 noon|midday",
    "midnight": "midnight",
    "divergent": "diverges|divergent|it diverges|the series diverges|发散",
    "convergent": "converges|convergent|it converges|the series converges|收敛",
}
_KNOWN = {name: key for key, names in _SYNONYMS.items() for name in names.split("|")}
_COMMANDS = re.compile(
    r"\\(?:text|textbf|textit|textrm|mathrm|mbox|mathbf|operatorname|emph|boxed|fbox|underline)\b\s*\*?"
)
_MARKUP = re.compile(r"[{}$\"`*]|\\[,;:! ]|\\\\|\\(?:left|right|quad|qquad|displaystyle)(?![A-Za-z])")
_ABBREVIATION = re.compile(r"(?<=[A-Za-z]{2})\.(?=\s)")
_DOTS = re.compile(r"\\[lc]?dots[bc]?(?![A-Za-z])")
_EDGES = " \t\r\n.,;:!?'‘’“”"
_ARTICLES = re.compile(r"\b(?:a|an|the)\s+")


def plain(text: str) -> str:
    """Returns a text without markup, case, articles, or punctuation at its ends."""
    text = _ABBREVIATION.sub(" ", text)
    bare = _MARKUP.sub(" ", _COMMANDS.sub(" ", _DOTS.sub("...", text)))
    return " ".join(_ARTICLES.sub("", " ".join(bare.split()).strip(_EDGES).casefold()).split()).strip(_EDGES)


def known_answer(text: str) -> str | None:
    """Returns the name of an answer in words ("none", "yes", ...), or None; `text` is as `plain` returns it."""
    found = _KNOWN.get(text)
    if found is None and len(text) < 80:
        for key in ("none", "infinite", "dne"):
            if text.startswith("there ") and any(
                text.endswith(name) for name in _SYNONYMS[key].split("|") if len(name) > 8
            ):
                return key
    return found


_ONES = dict(
    zip(
        [
            "zero",
            "one",
            "two",
            "three",
            "four",
            "five",
            "six",
            "seven",
            "eight",
            "nine",
            "ten",
            "eleven",
            "twelve",
            "thirteen",
            "fourteen",
            "fifteen",
            "sixteen",
            "seventeen",
            "eighteen",
            "nineteen",
        ],
        range(20),
        strict=True,
    )
)
_TENS = dict(
    zip(["twenty", "thirty", "forty", "fifty", "sixty", "seventy", "eighty", "ninety"], range(20, 100, 10), strict=True)
)
_SCALES = {"hundred": 100, "thousand": 1000, "million": 10**6, "billion": 10**9, "trillion": 10**12, "dozen": 12}
_PARTS = {"half": 2, "halves": 2, "third": 3, "quarter": 4, "fourth": 4, "fifth": 5, "sixth": 6,
"seventh": 7, "eighth": 8,
          "ninth": 9, "tenth": 10, "hundredth": 100}  # fmt: skip
_ORDINALS = {
    "first": 1,
    "second": 2,
    **{name: size for name, size in _PARTS.items() if name not in ("half", "halves", "quarter")},
}
_CHINESE = {**dict(zip("零一二三四五六七八九", range(10), strict=True)), "两": 2, "十": 10}


def number_in_words(text: str) -> Fraction | None:
    """Returns the number that words say: "twenty-one", "minus two thirds", "三"; None if they say none."""
    if len(text) > 120:
        return None
    if len(text) <= 3 and text and all(char in _CHINESE for char in text):
        return _chinese(text)
    words = re.findall(r"[a-z]+", text) if re.fullmatch(r"[a-z\- ]+", text) else []
    if not words:
        return None
    if words[0] in ("minus", "negative") and len(words) > 1:
        found = number_in_words(" ".join(words[1:]))
        return None if found is None else -found
    if len(words) == 1 and words[0] in _ORDINALS and words[0] != "second":
        return Fraction(_ORDINALS[words[0]])
    last = words[-1]
    part = _PARTS.get(last) or _PARTS.get(last.removesuffix("s"))
    if part and len(words) > 1 and "and" not in words:
        top = _cardinal([word for word in words[:-1] if word != "a"] or ["one"])
        return None if top is None else Fraction(top, part)
    if part == 2 and len(words) == 1:
        return Fraction(1, 2)
    whole = _cardinal(words)
    return None if whole is None else Fraction(whole)


def _cardinal(words: list[str]) -> int | None:
    total, current, seen = 0, 0, False
    for word in words:
        if word == "and" and seen:
            continue
        if word in _ONES or word in _TENS:
            current += _ONES.get(word, _TENS.get(word, 0))
        elif word in _SCALES:
            scale = _SCALES[word]
            current = max(current, 1) * scale
            if scale >= 1000:
                total, current = total + current, 0
        else:
            return None
        seen = True
    return total + current if seen else None


def _chinese(text: str) -> Fraction | None:
    if "十" in text:
        tens, _, ones = text.partition("十")
        if len(tens) > 1 or len(ones) > 1:
            return None
        return Fraction((_CHINESE[tens] if tens else 1) * 10 + (_CHINESE[ones] if ones else 0))
    return Fraction(_CHINESE[text]) if len(text) == 1 else None


SCALE_WORDS = {**_SCALES, "万": 10**4, "亿": 10**8}
# Nouns that only say "so many": they never distinguish answers.
NEUTRAL_NOUNS = frozenset(
    [
        "way",
        "ways",
        "unit",
        "units",
        "time",
        "times",
        "solution",
        "solutions",
        "possibility",
        "possibilities",
        "value",
        "values",
        "outcome",
        "outcomes",
        "number",
        "numbers",
        "arrangement",
        "arrangements",
        "combination",
        "combinations",
        "element",
        "elements",
        "total",
        "case",
        "cases",
        "permutation",
        "permutations",
        "integer",
        "integers",
        "root",
        "roots",
        "point",
        "points",
        "item",
        "items",
        "thing",
        "things",
        "st",
        "nd",
        "rd",
        "th",
        "ordered",
        "pair",
        "pairs",
        "triple",
        "triples",
        "different",
        "distinct",
        "possible",
        "in",
        "altogether",
        "only",
        "exactly",
        "each",
        "个",
        "种",
        "次",
        "位",
        "名",
        "条",
        "只",
        "件",
        "本",
        "张",
        "倍",
        "人",
        "元素",
    ]
)
HEDGES = re.compile(
    r"\b(?:maybe|perhaps|possibly|probably|might|may be|could|either|not sure|unsure|alternatively|guess|or else)\b"
    r"|可能|也许|或许",
    re.I,
)
HEDGE_WORDS = re.compile(r"\b(?:maybe|perhaps|possibly|probably|either|even|else|also)\b|可能是?|也许是?", re.I)
_BOUNDS = [
    (re.compile(r"(?:at least|no less than|not less than|minimum of|至少)\s*(.+)", re.I), "\\ge "),
    (re.compile(r"(?:at most|no more than|not more than|up to|maximum of|至多|最多)\s*(.+)", re.I), "\\le "),
    (re.compile(r"(?:more than|greater than|larger than|above|over|exceeds|大于)\s*(?!or equal)(.+)", re.I), "> "),
    (re.compile(r"(?:less than|fewer than|smaller than|below|under|小于)\s*(?!or equal)(.+)", re.I), "< "),
    (re.compile(r"(?:greater than or equal to)\s*(.+)", re.I), "\\ge "),
    (re.compile(r"(?:less than or equal to)\s*(.+)", re.I), "\\le "),
    (re.compile(r"(?:approximately|about|roughly|around|nearly|almost|close to|大约|约)\s*(.+)", re.I), "\\approx "),
]


def bound_in_words(text: str) -> str | None:
    r"""Returns "at least 5" as `\ge 5`, and so on; None if no such phrase begins the text."""
    for pattern, operator in _BOUNDS:
        match = pattern.match(text)
        if match:
            return operator + match[1]
    return None
