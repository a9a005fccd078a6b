"""The parser of expressions and statements: one grammar for LaTeX and plain text.

    items      := statement ((","|";"|"and"|"or"|row end) statement)*
    statement  := sets (relation sets)*
    sets       := sum (("∪"|"∩"|"∖") sum)*
    sum        := ["+"|"-"|"±"|"∓"] product (("+"|"-"|"±"|"∓") product)*
    product    := factor (("*"|"/"|nothing) factor)*
    factor     := postfix ["^" exponent]
    postfix    := atom ("!"|"%"|"°"|"'"|subscript)*

Atoms are in `turnwise.verifiers.math.atoms`. Nesting is limited by the budget, so that recursion is bounded.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable

from turnwise.verifiers.math.policy import Budget, OverBudget, Unparsed
from turnwise.verifiers.math.tokens import Token
from turnwise.verifiers.math.tree import INFINITY, Node, call, neg, num, sym, symbols
from turnwise.verifiers.math.units import DEGREE, PERCENT, SHORT, Unit, lookup, product

RELATIONS = frozenset(["=", "<", ">", "≤", "≥", "≠", "≈", "≡", "∈", "∉", "⊂", "⊆", "~"])
_SEPARATORS = frozenset([",", ";", "and", "or", "\\\\", "⇒", "&"])
_CONNECTIVES = {"或": "or", "或者": "or", "和": "and", "与": "and", "及": "and", "且": "and"}
_STOP = Token("stop", "")
_SUMS = {"+": "add", "-": "sub", "±": "pm", "∓": "mp"}
_SET_OPERATORS = {"∪": "union", "∩": "inter", "∖": "minus"}


class ParserBase:
    """The token cursor, and the grammar down to factors. Subclasses provide `atom` and `starts_atom`."""

    def __init__(self, tokens: list[Token], budget: Budget) -> None:
        self.tokens = tokens
        self.budget = budget
        self.position = 0
        self.depth = 0
        self.bars = 0  # open absolute values: then "|" closes
        self.in_builder = 0  # open set-builders: then "|" and ":" separate

    # The cursor

    def peek(self, ahead: int = 0) -> Token:
        """Returns a token at or after the cursor."""
        index = self.position + ahead
        return self.tokens[index] if index < len(self.tokens) else _STOP

    def next(self) -> Token:
        """Consumes a token."""
        token = self.peek()
        self.position += 1
        return token

    def at(self, *texts: str) -> bool:
        """Whether the cursor is at one of these operators."""
        token = self.peek()
        return token.kind == "op" and token.text in texts

    def accept(self, *texts: str) -> bool:
        """Consumes one of these operators if it is there."""
        if self.at(*texts):
            self.position += 1
            return True
        return False

    def expect(self, *texts: str) -> Token:
        """Consumes one of these operators, or fails."""
        token = self.next()
        if token.kind != "op" or token.text not in texts:
            raise Unparsed(f"{token.text!r} where {' or '.join(texts)} should be")
        return token

    def attempt(self, rule: Callable[[], Node | None]) -> Node | None:
        """Returns what `rule` parses; if it fails, the cursor stays where it was and None is returned."""
        start, bars, depth = self.position, self.bars, self.depth
        try:
            node = rule()
        except Unparsed:
            node = None
        if node is None:
            self.position, self.bars, self.depth = start, bars, depth
        return node

    def nested(self, rule: Callable[[], Node]) -> Node:
        """Parses one level deeper.

        Raises:
            OverBudget: Deeper than `Budget.depth`.
        """
        self.depth += 1
        if self.depth > self.budget.depth:
            raise OverBudget(f"nested deeper than {self.budget.depth}")
        node = rule()
        self.depth -= 1
        return node

    # The grammar

    def answer(self) -> Node:
        """Parses the whole text.

        Raises:
            Unparsed: It is not mathematics.
            OverBudget: It is too large.
        """
        while self.at(*_SEPARATORS):
            self.position += 1
        node = self.items()
        while self.at(".", *_SEPARATORS):
            self.position += 1
        if self.peek().kind != "stop":
            raise Unparsed(f"{self.peek().text!r} after the end of the answer")
        return node

    def separator(self) -> str | None:
        """Consumes separators; returns the connective they stand for, or None if there is none."""
        found = None
        while True:
            token = self.peek()
            word = _CONNECTIVES.get(token.text, token.text.lower()) if token.kind == "name" else token.text
            is_separator = (token.kind == "op" and word in _SEPARATORS) or (
                token.kind == "name" and word in ("and", "or")
            )
            if not is_separator:
                return found
            self.position += 1
            if word in ("and", "or") or found is None:
                found = word if word in ("and", "or") else ","

    def items(self) -> Node:
        """Parses one statement, or a list of them."""
        items = [self.nested(self.statement)]
        connective = ","
        while True:
            start = self.position
            found = self.separator()
            if found is None:
                break
            if not self.starts_atom() and not self.at("+", "-", "±", "∓", "...", "<", ">", "≤", "≥", "\\{", "|", "["):
                self.position = start
                break
            connective = found if found != "," else connective
            items.append(self.nested(self.statement))
            if len(items) > self.budget.items:
                raise OverBudget(f"more than {self.budget.items} items")
        return items[0] if len(items) == 1 else Node("list", self.continued(items), connective)

    def continued(self, items: list[Node]) -> tuple[Node, ...]:
        """Writes out what dots between whole numbers leave out: `1, 2, ..., 5`."""
        dots = [place for place, item in enumerate(items) if item == sym("...")]
        if len(dots) != 1 or not 0 < dots[0] < len(items) - 1:
            return tuple(items)
        before, after = items[: dots[0]], items[dots[0] + 1 :]
        if any(item.op != "num" or item.value.denominator != 1 for item in (*before, *after)):
            return tuple(items)
        values = [int(item.value) for item in before]
        step = values[-1] - values[-2] if len(values) > 1 else 1
        end = int(after[0].value)
        count = (end - values[-1]) / step if step else 0
        if count < 1 or count != int(count) or any(b - a != step for a, b in itertools.pairwise(values)):
            return tuple(items)
        if count > self.budget.items:
            raise OverBudget(f"more than {self.budget.items} items")
        return (*before, *(num(value) for value in range(values[-1] + step, end, step)), *after)

    def statement(self) -> Node:
        """Parses a chain of relations, a residue class, a ratio, or an expression with a unit."""
        operands = [sym("?") if self.at("<", ">", "≤", "≥", "≈", "=") else self.operand()]
        operators = []
        while self.at(*RELATIONS):
            operator = self.next().text
            if self.accept("="):  # "< =" written apart
                operator = {"<": "≤", ">": "≥"}.get(operator, operator)
            operators.append(operator)
            operands.append(self.operand())
        if not operators:
            return operands[0]
        if operators == ["≈"] and operands[0] == sym("?"):
            return Node("approx", (operands[1],))
        if operators == ["="] and operands[0] == sym("?"):
            return operands[1]
        return Node("rel", tuple(operands), tuple(operators))

    def operand(self) -> Node:
        """Parses one side of a relation."""
        node = self.sets()
        if self.at(":") and not self.in_builder and self.ratio_ahead():
            parts = [node]
            while self.accept(":"):
                parts.append(self.sets())
            return Node("ratio", tuple(parts))
        return self.modulus(node)

    def ratio_ahead(self) -> bool:
        """Whether a colon separates the parts of a ratio."""
        following = self.peek(1)
        return following.kind in ("num", "cmd") or (following.kind == "name" and len(following.text) == 1)

    def modulus(self, node: Node) -> Node:
        r"""Parses what may follow a residue: `\pmod 7`, `(mod 7)`, `mod 7`."""
        token = self.peek()
        if token.text in ("pmod", "bmod", "mod", "pod") and token.kind in ("cmd", "name"):
            self.position += 1
            return Node("mod", (node, self.factor()))
        if self.at("(") and self.peek(1).text in ("mod", "bmod") and self.peek(1).kind in ("cmd", "name"):
            self.position += 2
            modulus = self.sum()
            self.expect(")")
            return Node("mod", (node, modulus))
        return node

    def sets(self) -> Node:
        """Parses unions, intersections and differences."""
        node = self.quantity()
        while True:
            token = self.peek()
            if token.kind == "op" and token.text in _SET_OPERATORS:
                operator = _SET_OPERATORS[token.text]
            elif token.kind == "name" and token.text in ("U", "union", "cup") and node.op in _SET_LIKE:
                operator = "union"
            else:
                return node
            self.position += 1
            node = Node(operator, (node, self.quantity()))

    def quantity(self) -> Node:
        """Parses an expression with an optional unit; several in a row add up (1 hour 30 minutes)."""
        if self.peek().kind == "name" and self.currency_ahead():
            unit = product([(self.next().text, 1)], "currency")
            return Node("qty", (self.sum(),), unit)
        node = self.sum()
        if self.accept("$"):
            return Node("qty", (node,), product([("dollar", 1)], "dollars"))
        if node.op == "deg":
            return Node("qty", node.args, DEGREE)
        return node

    def currency_ahead(self) -> bool:
        """Whether a currency stands before its amount."""
        token, following = self.peek(), self.peek(1)
        if following.kind != "num" or (len(token.text) < 2 and not token.upright):
            return False
        found = lookup(token.text)
        return token.text == "pound" or (
            found is not None and found[0] in ("euro", "yen", "rupee", "dollar", "sterling")
        )

    def unit(self) -> Unit | None:
        """Parses a unit where one ends an expression; leaves the cursor if there is none."""
        start = self.position
        if self.accept("%"):
            return PERCENT
        factors: list[tuple[str, int]] = []
        names = []
        sign, power_before = 1, 1
        while True:
            token = self.peek()
            word = token.text.lower()
            if token.kind == "name" and word in ("per", "p") and factors and sign == 1:
                self.position, sign = self.position + 1, -1
                continue
            if self.at("/") and factors and self.peek(1).kind == "name" and lookup(self.peek(1).text):
                self.position, sign = self.position + 1, -1
                continue
            if self.at("*", "-", ".") and factors and self.peek(1).kind == "name" and lookup(self.peek(1).text):
                self.position += 1
                continue
            if token.kind == "name" and word in ("square", "sq", "cubic", "cu"):
                self.position, power_before = self.position + 1, 2 if word.startswith("s") else 3
                self.accept(".")
                continue
            if token.kind != "name" or not lookup(token.text):
                break
            self.position += 1
            power, power_before = power_before * self.unit_power(), 1
            factors.append((token.text, sign * power))
            names.append(token.text)
        if not factors or not self.ends_quantity():
            self.position = start
            return None
        return product(factors, " ".join(names))

    def unit_power(self) -> int:
        """Parses the power of a unit: cm^2, cm2, cm squared."""
        token = self.peek()
        if token.kind == "name" and token.text in ("squared", "cubed"):
            self.position += 1
            return 2 if token.text == "squared" else 3
        if not self.at("^"):
            following = token.kind == "num" and token.text in ("2", "3") and not token.space
            if following:  # cm2
                self.position += 1
                return int(token.text)
            return 1
        self.position += 1
        node = self.exponent()
        if node.op != "num" or node.value.denominator != 1 or abs(node.value) > 9:
            raise Unparsed("a unit to a power that is not a small integer")
        return int(node.value)

    def ends_quantity(self) -> bool:
        """Whether what follows can follow a quantity: nothing, a separator, a bracket, a relation, a number, a sign."""
        token = self.peek()
        if token.kind == "op":
            return token.text not in ("^", "(", "[", "{", "_", "'", "!", "|")
        if token.kind == "name":
            return token.text.lower() in ("and", "or", "if", "for")
        return token.kind != "cmd"

    def sum(self) -> Node:
        """Parses terms with signs between them; sums are kept flat."""
        parts: list[Node] = []
        sign = self.sign()
        while True:
            term = self.term()
            parts = [_signed(sign, parts, term)]
            if not self.at("+", "-", "±", "∓"):
                break
            sign = self.sign()
            if len(parts) > self.budget.items:
                raise OverBudget("too many terms")
        return parts[0]

    def sign(self) -> str:
        """Parses a run of signs to one: `- -` is +."""
        sign = "+"
        while self.at("+", "-", "±", "∓"):
            found = self.next().text
            if found == "-":
                sign = {"+": "-", "-": "+"}.get(sign, sign)
            elif found != "+":
                sign = found
        return sign

    def term(self) -> Node:
        """Parses a product and its unit; `1 hour 30 minutes` is one term."""
        if self.accept("$"):
            amount = self.product()
            factors = [("dollar", 1)]
            if self.peek().text == "per" and lookup(self.peek(1).text):
                factors.append((self.peek(1).text, -1))
                self.position += 2
            return Node("qty", (amount,), product(factors, " per ".join(name for name, _ in factors)))
        node = self.product()
        unit = self.unit() if self.may_have_unit(node) else None
        if unit is None:
            return node
        total = Node("qty", (node,), unit)
        while self.peek().kind == "num":
            amount = self.product()
            unit = self.unit()
            if unit is None:
                raise Unparsed("a number after a quantity")
            total = Node("add", (total, Node("qty", (amount,), unit)))
        return total

    def may_have_unit(self, node: Node) -> bool:
        """Whether a unit can follow the expression."""
        token = self.peek()
        if self.at("%"):
            return True
        if token.kind != "name" or (symbols(node) and not token.upright):
            return False
        return token.upright or token.space or token.text not in SHORT or node.op == "num"

    def product(self) -> Node:
        """Parses factors with `*`, `/` or nothing between them."""
        node = self.factor()
        while True:
            if self.at("*"):
                self.position += 1
                node = Node("mul", (node, self.signed_factor()))
            elif self.at("/"):
                self.position += 1
                node = Node("div", (node, self.signed_factor()))
            elif self.implicit(node):
                node = self.juxtaposed(node)
            else:
                return node

    def signed_factor(self) -> Node:
        """Parses a factor after `*` or `/`, which may have a sign."""
        return neg(self.factor()) if self.sign() == "-" else self.factor()

    def implicit(self, left: Node) -> bool:
        """Whether another factor follows without a sign."""
        token = self.peek()
        if not self.starts_atom() or (self.at("\\{", "[") and left.op != "num"):
            return False
        if token.kind == "name" and (token.upright or not symbols(left)) and self.unit_ahead(left):
            return False
        if token.text in ("pmod", "mod", "bmod", "pod", "U", "union"):
            return token.text == "U" and left.op not in _SET_LIKE
        return not (self.at("(") and self.peek(1).text in ("mod", "bmod"))

    def unit_ahead(self, left: Node) -> bool:
        """Whether the letters at the cursor are a unit and not variables."""
        token = self.peek()
        if token.text in SHORT and not (token.upright or token.space):
            return False
        start = self.position
        try:
            return self.unit() is not None
        except Unparsed:
            return False
        finally:
            self.position = start

    def juxtaposed(self, left: Node) -> Node:
        """Parses the factor that follows without a sign; after a whole number a fraction makes a mixed number."""
        token = self.peek()
        previous = self.tokens[self.position - 1]
        whole = previous.kind == "num" and left.op == "num" and left.value.denominator == 1
        if token.kind == "num":
            if whole and self.peek(1).text == "/" and self.peek(2).kind == "num":
                mixed = self.attempt(lambda: self.mixed(left))
                if mixed is not None:
                    return mixed
            if previous.kind in ("num", "name"):
                raise Unparsed("two numbers in a row")
        right = self.factor()
        if whole and token.text == "frac" and _proper(right):
            return Node("add", (left, right))
        return Node("mul", (left, right))

    def mixed(self, whole: Node) -> Node:
        """Parses `1 1/2` after its whole number."""
        top, bottom = self.next(), (self.next(), self.next())[1]
        part = Node("div", (num(top.value), num(bottom.value)))
        if top.value is None or bottom.value is None or not _proper(part):
            raise Unparsed("not a mixed number")
        return Node("add", (whole, part))

    def factor(self) -> Node:
        """Parses a postfix expression and its exponent."""
        node = self.postfix()
        if self.at("^"):
            self.position += 1
            if self.degree_sign():
                return self.temperature(Node("deg", (node,)))
            exponent = self.nested(self.exponent)
            if exponent.op == "sym" and exponent.value == "'":
                return sym(f"{node.value}'") if node.op == "sym" else node
            node = Node("pow", (node, exponent))
            if self.at("!"):
                node = self.factorial(node)
            elif self.at("^"):
                raise Unparsed("two exponents")
        return node

    def temperature(self, degrees: Node) -> Node:
        """Parses the scale of a temperature after its degree sign."""
        token = self.peek()
        if token.kind == "name" and token.text in ("C", "F", "K", "Celsius", "Fahrenheit"):
            self.position += 1
            word = {"C": "celsius", "F": "fahrenheit"}.get(token.text, token.text)
            return Node("qty", degrees.args, product([(word, 1)], word))
        return degrees

    def degree_sign(self) -> bool:
        """Consumes a degree sign in an exponent."""
        start = self.position
        braced = self.accept("{")
        if self.peek()[:2] == ("cmd", "circ"):
            self.position += 1
            if not braced or self.accept("}"):
                return True
        self.position = start
        return False

    def exponent(self) -> Node:
        """Parses what stands after "^": a group, or one signed number, variable or command."""
        if self.at("'"):
            self.position += 1
            return sym("'")
        sign = self.sign()
        node = self.atom() if self.at("{", "(") else self.postfix()
        if self.at("^"):  # a tower: from the right
            self.position += 1
            node = Node("pow", (node, self.nested(self.exponent)))
        return neg(node) if sign == "-" else node

    def postfix(self) -> Node:
        """Parses an atom with its factorials, primes and subscripts."""
        node = self.atom()
        while True:
            if self.at("!"):
                node = self.factorial(node)
            elif self.at("'"):
                self.position += 1
                if node.op != "sym":
                    raise Unparsed("a prime after what is no name")
                node = sym(node.value + "'")
            elif self.at("_"):
                node = self.subscript(node)
            else:
                return node

    def factorial(self, node: Node) -> Node:
        """Parses one or two factorial signs."""
        count = 0
        while self.accept("!"):
            count += 1
        if count > 2:
            raise Unparsed("more than two factorial signs")
        return call("factorial" if count == 1 else "factorial2", node)

    def subscript(self, node: Node) -> Node:
        """Parses a subscript: of a number it is its base, of a name it is part of the name."""
        self.expect("_")
        previous = self.tokens[self.position - 2]
        if self.at("{"):
            close = self.closing()
            written = "".join(token.text for token in self.tokens[self.position + 1 : close])
            self.position = close + 1
        else:
            written = self.next().text
        if node.op == "num" and previous.kind == "num":
            return based(previous.text, written)
        if node.op == "sym":
            return sym(f"{node.value}_{written}")
        raise Unparsed("a subscript after what is no name")

    def closing(self) -> int:
        """Returns the index of the brace that closes the one at the cursor."""
        depth = 0
        for index in range(self.position, len(self.tokens)):
            token = self.tokens[index]
            if token.kind == "op" and token.text in ("{", "}"):
                depth += 1 if token.text == "{" else -1
                if depth == 0:
                    return index
        raise Unparsed("a brace that never closes")

    # What subclasses provide

    def atom(self) -> Node:
        """Parses a number, a name, a command, an environment or a bracket."""
        raise NotImplementedError

    def starts_atom(self) -> bool:
        """Whether the token at the cursor can begin an atom."""
        raise NotImplementedError


_SETS = frozenset(["reals", "named", "union", "inter", "minus", "interval", "set"])
_SET_LIKE = frozenset(["tuple", "brack", "interval", "union", "inter", "minus", "set", "reals", "named", "builder"])


def _signed(sign: str, before: list[Node], term: Node) -> Node:
    if sign in ("±", "∓"):
        return Node(_SUMS[sign], (*before, term))
    if sign == "-" and before and before[0].op in _SETS:
        return Node("minus", (before[0], term))
    signed = neg(term) if sign == "-" else term
    if not before:
        return signed
    if before[0].op == "add":  # keep sums flat, so that long ones are not deep
        return Node("add", (*before[0].args, signed))
    return Node("add", (before[0], signed))


def _proper(node: Node) -> bool:
    """Whether the node is a fraction of positive integers below 1, the second half of a mixed number."""
    if node.op != "div":
        return False
    top, bottom = node.args
    both = top.op == "num" and bottom.op == "num"
    return both and top.value.denominator == bottom.value.denominator == 1 and 0 < top.value < bottom.value


def based(digits: str, written: str) -> Node:
    """Returns the number whose digits are in base `written`: `1011`, `2` -> 11.

    Raises:
        Unparsed: The base is no number from 2 to 36, or a digit does not belong to it.
    """
    words = {"two": 2, "three": 3, "four": 4, "five": 5, "six": 6, "seven": 7, "eight": 8, "nine": 9, "ten": 10}
    base = int(written) if written.isdecimal() and len(written) < 3 else words.get(written, 0)
    whole, _, fraction = digits.partition(".")
    if not 2 <= base <= 36:
        raise Unparsed(f"no base: {written!r}")
    try:
        value = num(int(whole + fraction, base))
    except ValueError as error:
        raise Unparsed(f"{digits!r} is not a number in base {base}") from error
    return num(value.value / base ** len(fraction)) if fraction else value


__all__ = ["INFINITY", "RELATIONS", "ParserBase", "based"]
