r"""The tokenizer: LaTeX, plain text and (after `to_latex`) Unicode in one alphabet of tokens, in one linear pass.

Dressing disappears here: spacing, sizes, colours, fonts, delimiters of mathematics. What only says "this is text"
(`\text`, `\mathrm`, ...) marks the tokens inside as upright.
"""

from __future__ import annotations

import itertools
import re
from fractions import Fraction
from typing import Any, NamedTuple

from turnwise.verifiers.math.policy import Budget, OverBudget, Unparsed
from turnwise.verifiers.math.tree import word_list


class Token(NamedTuple):
    """One token.

    Attributes:
        kind: "num" (value: Fraction), "name" (letters), "cmd" (a LaTeX command that means something), "op", "begin",
            "end" (environments) or "stop".
        text: The number as written, the letters, the command without its backslash, or the operator.
        value: See `kind`; for numbers that abbreviate ("3.14159...") None.
        space: Whether white space came before.
        upright: Whether it stood inside a text command.
    """

    kind: str
    text: str
    value: Any = None
    space: bool = False
    upright: bool = False


_IGNORED = frozenset(
    word_list(
        "left right middle big Big bigg Bigg bigl bigr Bigl Bigr biggl biggr Biggl Biggr bigm displaystyle "
        "textstyle scriptstyle scriptscriptstyle limits nolimits quad qquad enspace thinspace medspace "
        "thickspace strut mathstrut normalsize large Large LARGE small bf rm it sf tt hfill hline nonumber "
        "notag allowbreak newline displaylines centering vec mathbf boldsymbol bm mathit mathsf mathnormal "
        "boxed fbox framebox underline uline ensuremath bold pmb noindent par relax negthinspace negthickspace "
        "negmedspace ! , ; : > mathbin mathrel mathord mathopen mathclose underbrace"
    )
)
_SKIP_GROUP = frozenset(
    word_list(
        "color hspace vspace phantom hphantom vphantom label tag ref style class enclose textcolor colorbox cellcolor"
    )
)
_TEXT = frozenset(
    word_list(
        "text textbf textit textrm textnormal mathrm mbox hbox operatorname textsf texttt emph mathop textup mathtt"
    )
)
# LaTeX commands that are one operator, and the operator that stands for them all.
_OPERATORS = {
    "times": "*", "cdot": "*", "ast": "*", "bullet": "*", "div": "/", "le": "≤", "leq": "≤", "leqslant": "≤",
    "leqq": "≤",
    "ge": "≥", "geq": "≥", "geqslant": "≥", "geqq": "≥", "lt": "<", "gt": ">", "ne": "≠", "neq": "≠", "approx": "≈",
    "simeq": "≈", "thickapprox": "≈", "equiv": "≡", "cong": "≡", "pm": "±", "mp": "∓", "cup": "∪", "bigcup": "∪",
    "cap": "∩", "bigcap": "∩", "setminus": "∖", "smallsetminus": "∖", "backslash": "∖", "in": "∈", "notin": "∉",
    "{": "\\{", "}": "\\}", "lbrace": "\\{", "rbrace": "\\}", "%": "%", "$": "$", "|": "‖", "Vert": "‖", "lVert": "‖",
    "rVert": "‖", "vert": "|", "lvert": "|", "rvert": "|", "mid": "mid", "lor": "or", "vee": "or", "land": "and",
    "wedge": "and", "colon": ":", "lbrack": "[", "rbrack": "]", "lparen": "(", "rparen": ")", "langle": "⟨",
    "rangle": "⟩",
    "ldots": "...", "dots": "...", "cdots": "...", "dotsc": "...", "dotsb": "...", "Rightarrow": "⇒", "implies": "⇒",
    "iff": "⇒", "Leftrightarrow": "⇒", "rightarrow": "→", "to": "→", "subset": "⊂", "subseteq": "⊆",
    "sim": "~", "propto": "∝",
    "prime": "'", "lnot": "¬", "neg": "¬", "because": "⇒", "therefore": "⇒", "longrightarrow": "⇒", "mapsto": "→",
    "&": "&", "_": "_", "#": "#",
}  # fmt: skip
KNOWN_COMMANDS = (
    _IGNORED
    | _SKIP_GROUP
    | _TEXT
    | frozenset(_OPERATORS)
    | {"dfrac", "tfrac", "cfrac", "begin", "end", "fcolorbox", "degree", "kern"}
)
_NUMBER = re.compile(
    r"(?P<spaced>\d{1,3}(?:(?:\{,\}|\\[,;:]|\\!,\\!|\\!,|,\\!|\\ |~| )\d{3})+(?!\d)(?:\.\d+)?)"
    r"|(?P<comma>\d{1,3}(?:,\d{3})+(?![\d])(?:\.\d+)?)"
    r"|(?P<plain>\d+(?:\.\d+|\.(?=\\overline|\\bar|\\dot|\(\d+\)))?|\.\d+|\.(?=\\))"
)
_REPEAT = re.compile(
    r"\\(?:overline|bar)\s*\{?(\d+)\}?(?:\s?\.\.\.|\s?\\[lc]?dots(?![a-zA-Z]))?|\((\d+)\)(?![\d(])|\s?\.\.\.|\s?\\(?:l|c)?dots(?![a-zA-Z])|\\dot\s*\{?(\d)\}?(?:(\d*)\\dot\s*\{?(\d)\}?)?"
)
_DECIMALS = re.compile(r"\.(?:\d|\\overline|\\bar|\\dot)")
_LENGTH = re.compile(r"\s*-?[\d.]+\s*(?:pt|em|ex|mu|mm|cm|in)\b")
_EXPONENT = re.compile(r"[eE]([+-]?\d{1,30})(?![\w.])")
_TIMES_TEN = re.compile(r"\s*[xX]\s*(?=10\s*(?:\^|\*\*))")
_SPACE = re.compile(r"(?:[ \t\r\n\f\v~]|\\[ \n])+")
_LETTERS = re.compile(r"[A-Za-z]+|[\u4e00-\u9fff]+")
_COMMAND = re.compile(r"\\(?:[A-Za-z]+\*?|.)", re.DOTALL)
_OPERATOR = re.compile(r"\*\*|<=|>=|=<|!=|==|=>|->|<>|\.\.\.|[-+*/^_=<>()\[\]{}|,;:!&%$'~?.√∈\"]")
_OPERATOR_NAMES = {"<=": "≤", ">=": "≥", "=<": "≤", "!=": "≠", "==": "=", "=>": "⇒", "->": "→", "**": "^", "<>": "≠"}
_ENVIRONMENTS = frozenset(
    word_list("matrix pmatrix bmatrix Bmatrix vmatrix Vmatrix smallmatrix array cases dcases rcases")
)


class Tokenizer:
    """Turns one answer into tokens; see `tokenize`."""

    def __init__(self, text: str, budget: Budget, *, split_commas: bool) -> None:
        self.text = text
        self.budget = budget
        self.split_commas = split_commas
        self.position = 0
        self.tokens: list[Token] = []
        self.space = False
        self.groups: list[str] = []  # what each open brace was: "group", or "text" (marks upright, emits no token)
        self.upright = 0
        self.brackets = 0
        self.environments: list[str] = []

    def run(self) -> list[Token]:
        """Returns the tokens of the whole text."""
        text, end = self.text, len(self.text)
        while self.position < end:
            space = _SPACE.match(text, self.position)
            if space:
                self.position = space.end()
                self.space = True
                continue
            if not self._one(text[self.position]):
                raise Unparsed(f"unknown character {text[self.position]!r}")
            if len(self.tokens) > self.budget.tokens:
                raise OverBudget(f"over the budget of {self.budget.tokens} tokens")
        return self.tokens

    def _one(self, char: str) -> bool:
        if char.isdecimal() or (char == "." and _DECIMALS.match(self.text, self.position)):
            return self._number()
        if char == "\\":
            return self._command()
        if char == "{" or char == "}":
            return self._brace(char)
        letters = _LETTERS.match(self.text, self.position)
        if letters:
            times = _TIMES_TEN.match(self.text, self.position)
            if times and self.tokens and self.tokens[-1].kind == "num":
                self.position = times.end()
                self._emit("op", "*")
            else:
                self.position = letters.end()
                self._emit("name", letters[0])
            return True
        operator = _OPERATOR.match(self.text, self.position)
        if operator is None:
            return False
        self.position = operator.end()
        self._operator(operator[0])
        return True

    def _operator(self, text: str) -> None:
        if text in ("(", "["):
            self.brackets += 1
        elif text in (")", "]"):
            self.brackets = max(0, self.brackets - 1)
        if text == "$" or text == '"' or (text == "&" and not self.environments):
            return
        self._emit("op", _OPERATOR_NAMES.get(text, text))

    def _emit(self, kind: str, text: str, value: Any = None) -> None:
        self.tokens.append(Token(kind, text, value, self.space, self.upright > 0))
        self.space = False

    def _brace(self, char: str) -> bool:
        self.position += 1
        if char == "{":
            self.groups.append("group")
            self.brackets += 1
            self._emit("op", "{")
            return True
        kind = self.groups.pop() if self.groups else "group"
        if kind == "text":
            self.upright -= 1
            self.space = True
            return True
        self.brackets = max(0, self.brackets - 1)
        self._emit("op", "}")
        return True

    # Commands

    def _command(self) -> bool:
        match = _COMMAND.match(self.text, self.position)
        if match is None:
            return False
        name = match[0][1:].rstrip("*") or "*"
        self.position = match.end()
        if name in ("begin", "end"):
            self._environment(name)
        elif name in ("left", "right", "middle") and self.text[self.position : self.position + 1] == ".":
            self.position += 1
        elif name in _IGNORED:
            self.space = self.space or name in ("quad", "qquad", ",", ";", ":")
        elif name in _TEXT:
            self._text()
        elif name in _SKIP_GROUP:
            self._skip_group()
        elif name in ("degree", "textdegree"):
            self._emit("op", "^")
            self._emit("cmd", "circ")
        elif name in ("kern", "mkern", "hskip", "mskip"):
            length = _LENGTH.match(self.text, self.position)
            self.position = length.end() if length else self.position
        elif name == "fcolorbox":
            self._skip_group()
            self._skip_group()
        elif name == "\\" or name == "cr":
            self._skip_optional()
            self._emit("op", "\\\\")
        elif name in ("(", ")", "[", "]", "-", "/"):
            pass  # delimiters of mathematics, discretionary hyphens
        elif name in ("dfrac", "tfrac", "cfrac", "nicefrac", "sfrac"):
            self._emit("cmd", "frac")
        elif name in _OPERATORS:
            if name in ("{", "lbrace"):
                self.brackets += 1
            elif name in ("}", "rbrace"):
                self.brackets = max(0, self.brackets - 1)
            if name != "&" or self.environments:
                self._emit("op", _OPERATORS[name])
        else:
            self._emit("cmd", name)
        return True

    def _environment(self, which: str) -> None:
        match = re.compile(r"\s*\{([A-Za-z]+)\*?\}").match(self.text, self.position)
        if match is None:
            raise Unparsed("an environment without a name")
        self.position = match.end()
        name = match[1]
        if name == "array" and which == "begin":
            self._skip_group()
        if name in _ENVIRONMENTS:
            if which == "begin":
                self.environments.append(name)
            elif self.environments:
                self.environments.pop()
            self._emit(which, name)

    def _text(self) -> None:
        r"""Opens an upright group; `\mathrm d` without braces marks nothing."""
        space = re.compile(r"\s*").match(self.text, self.position)
        after = space.end() if space else self.position
        if self.text[after : after + 1] == "{":
            self.position = after + 1
            self.groups.append("text")
            self.upright += 1
            self.space = True

    def _skip_group(self) -> None:
        match = re.compile(r"\s*(?:\[[^\]{}]{0,40}\])?\s*\{[^{}]{0,200}\}").match(self.text, self.position)
        if match:
            self.position = match.end()

    def _skip_optional(self) -> None:
        match = re.compile(r"\[-?[\d.]{1,8}\s?(?:pt|em|ex|mm|cm)\]").match(self.text, self.position)
        if match:
            self.position = match.end()

    # Numbers

    def _number(self) -> bool:
        match = _NUMBER.match(self.text, self.position)
        if match is None:
            return False
        written = match[0]
        if match["comma"] and (self.split_commas or self.brackets or written.startswith("0")):
            written = re.split(",", written, maxsplit=1)[0]
        elif match["spaced"] and written.startswith("0"):
            written = re.match(r"\d+", written)[0]  # type: ignore[index] # it starts with a digit
        self.position += len(written)
        digits = re.sub(r"\{,\}|\\.|[^\d.]", "", written)
        if len(digits) > self.budget.digits:
            raise OverBudget(f"a number of {len(digits)} digits")
        repeat = _REPEAT.match(self.text, self.position) if "." in digits else None
        if repeat:
            self.position = repeat.end()
            self._emit("num", digits + "...", repeating(digits, repeat))
            return True
        value = Fraction(digits)
        exponent = _EXPONENT.match(self.text, self.position)
        if exponent:
            power = int(exponent[1])
            self.position = exponent.end()
            if abs(power) > self.budget.digits:  # not written out: a product with a power of ten
                self._emit("num", digits, value)
                for kind, text, number in (
                    ("op", "*", None),
                    ("num", "10", Fraction(10)),
                    ("op", "^", None),
                    ("num", "", Fraction(power)),
                ):
                    self._emit(kind, text, number)
                return True
            value *= Fraction(10) ** power
            digits += exponent[0]
        self._emit("num", digits, value)
        return True


def repeating(digits: str, repeat: re.Match[str]) -> Fraction | None:
    """Returns the value of a repeating decimal: `digits` as far as they do not repeat by mark, then the mark.

    An ellipsis repeats the shortest block that ends the digits at least twice, or the only decimal there is (0.3...);
    without one the number is abbreviated, not repeating, and None is returned.
    """
    if repeat[1] or repeat[2]:
        block = repeat[1] or repeat[2]
    elif repeat[3]:
        block = repeat[3] + (repeat[4] or "") + (repeat[5] or "")
    else:
        decimals = digits.partition(".")[2]
        size = next(
            (size for size in range(1, len(decimals) // 2 + 1) if decimals[-size:] == decimals[-2 * size : -size]), 0
        )
        if not size and len(decimals) != 1:
            return None
        block = decimals[-size:] if size else decimals
    whole = digits if digits.partition(".")[2] else digits.rstrip(".") + ".0"
    places = len(digits.partition(".")[2])
    return Fraction(whole) + Fraction(int(block), (10 ** len(block) - 1) * 10**places)


def tokenize(text: str, budget: Budget, *, split_commas: bool = False) -> list[Token]:
    """Returns the tokens of `text` (already `to_latex`).

    Args:
        text: One answer.
        budget: Limits on its length.
        split_commas: Reads "1,234" as two numbers and not as one thousand.

    Raises:
        OverBudget: It is too long.
        Unparsed: A character means nothing in mathematics.
    """
    if len(text) > budget.characters:
        raise OverBudget(f"an answer of {len(text)} characters")
    return _drop_redundant(Tokenizer(text, budget, split_commas=split_commas).run())


def _drop_redundant(tokens: list[Token]) -> list[Token]:
    """Removes all but one of directly nested pairs of parentheses or braces: ((x)) -> (x)."""
    if len(tokens) > 2 and tokens[0].kind != "cmd":  # an empty group is nothing in TeX, and the empty set only alone
        pairs = itertools.pairwise((*tokens, tokens[-1]))
        empty = {
            index for index, pair in enumerate(pairs) if [token[:2] for token in pair] == [("op", "{"), ("op", "}")]
        }
        tokens = [token for index, token in enumerate(tokens) if index not in empty and index - 1 not in empty]
    partner: dict[int, int] = {}
    stack: list[int] = []
    for index, token in enumerate(tokens):
        if token.kind == "op" and token.text in ("(", "{"):
            stack.append(index)
        elif token.kind == "op" and token.text in (")", "}"):
            if stack and (tokens[stack[-1]].text == "(") == (token.text == ")"):
                partner[stack.pop()] = index
            else:
                stack.clear()
    dropped = set()
    for start, end in partner.items():
        if partner.get(start + 1) == end - 1 and tokens[start].text == tokens[start + 1].text:
            dropped |= {start + 1, end - 1}
    return [token for index, token in enumerate(tokens) if index not in dropped] if dropped else tokens
