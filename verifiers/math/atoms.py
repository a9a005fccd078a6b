"""Atoms of the grammar in `turnwise.verifiers.math.parser`: numbers, names, functions, brackets, environments."""

from __future__ import annotations

import re

from turnwise.verifiers.math.parser import RELATIONS, ParserBase
from turnwise.verifiers.math.policy import Budget, OverBudget, Unparsed
from turnwise.verifiers.math.tokens import KNOWN_COMMANDS, Token, tokenize
from turnwise.verifiers.math.tree import HALF, INFINITY, Node, call, const, depth, neg, num, replace, sym, word_list
from turnwise.verifiers.math.units import DEGREE

_FUNCTIONS = {
    "sin": "sin", "cos": "cos", "tan": "tan", "cot": "cot", "sec": "sec", "csc": "csc", "cosec": "csc", "tg": "tan",
    "ctg": "cot", "arcsin": "asin", "arccos": "acos", "arctan": "atan", "arccot": "acot", "arcsec": "asec",
    "arccsc": "acsc", "asin": "asin", "acos": "acos", "atan": "atan", "arctg": "atan", "sinh": "sinh", "cosh": "cosh",
    "tanh": "tanh", "coth": "coth", "arcsinh": "asinh", "arccosh": "acosh", "arctanh": "atanh", "arsinh": "asinh",
    "arcosh": "acosh", "artanh": "atanh", "asinh": "asinh", "acosh": "acosh", "atanh": "atanh", "ln": "ln",
    "log": "log",
    "lg": "log10", "exp": "exp", "sqrt": "sqrt", "cbrt": "cbrt", "abs": "abs", "floor": "floor", "ceil": "ceil",
    "ceiling": "ceil", "gcd": "gcd", "lcm": "lcm", "max": "max", "min": "min", "Re": "re", "Im": "im", "arg": "arg",
    "sgn": "sign", "sign": "sign", "det": "det", "binomial": "binom", "factorial": "factorial", "conj": "conj",
    "Gamma": "gamma", "cis": "cis",
}  # fmt: skip
_INVERSES = {"sin": "asin", "cos": "acos", "tan": "atan", "cot": "acot", "sec": "asec", "csc": "acsc", "sinh": "asinh",
             "cosh": "acosh", "tanh": "atanh"}  # fmt: skip
_GREEK = frozenset(
    word_list(
        "alpha beta gamma delta epsilon varepsilon zeta eta theta vartheta iota kappa lambda mu nu xi rho "
        "varrho sigma tau upsilon phi varphi chi psi omega Delta Theta Lambda Xi Pi Sigma Upsilon Phi Psi "
        "Omega ell hbar"
    )
)
_GREEK_SAME = {"varepsilon": "epsilon", "varphi": "phi", "vartheta": "theta", "varrho": "rho"}
_CONSTANTS = {"pi": "pi", "infty": "oo", "infinity": "oo", "Infinity": "oo", "inf": "oo", "infin": "oo", "Pi": "pi"}
_BIG = {"sum": "sum", "prod": "prod", "int": "int", "lim": "lim", "iint": "unsupported", "oint": "unsupported"}
_NAMED_SETS = {"R": "reals", "Z": "Z", "N": "N", "Q": "Q", "C": "C"}
_DECORATIONS = frozenset(
    ["overline", "bar", "hat", "tilde", "widehat", "overrightarrow", "dot", "ddot", "widetilde", "overarc"]
)
_CLOSERS = {"(": (")", "]", "["), "[": ("]", ")"), "]": ("[", "]", ")"), "⟨": ("⟩",)}
_PREFIXED = re.compile(r"(arcsin|arccos|arctan|sinh|cosh|tanh|sin|cos|tan|cot|sec|csc|ln|log|sqrt|exp|pi)")
_DEEPEST_TREE = 120  # the evaluators are recursive: this keeps them far from Python's limit, wherever they are called
_VARIABLES = re.compile(r"[abkmnrtuvwxyzABC]{1,2}")
_CONNECTIVES = frozenset(
    word_list("and or if for otherwise mod in to is are the of when where with such that else per 或 或者 和 与 及 且")
)


COMMANDS = (
    KNOWN_COMMANDS
    | frozenset(_FUNCTIONS)
    | _GREEK
    | frozenset(_CONSTANTS)
    | (frozenset(_BIG) - {"iint", "oint"})
    | _DECORATIONS
    | frozenset(
        word_list(
            "frac sqrt binom dbinom tbinom emptyset varnothing mathbb lfloor rfloor lceil rceil angle circ choose"
        )
    )
    | frozenset(["pmod", "bmod", "mod", "imath", "jmath"])
)
"""Commands that the grammar knows: an answer with only these, and yet not parsed, is malformed."""


class Parser(ParserBase):
    """The whole grammar."""

    def starts_atom(self) -> bool:
        """Whether the token at the cursor can begin an atom."""
        token = self.peek()
        if token.kind == "op":
            if token.text == "|":
                return self.bars == 0 and not self.in_builder
            if token.text == "‖":
                return self.bars == 0
            if token.text == "[":
                return any(later[:2] in (("op", "]"), ("op", ")")) for later in self.tokens[self.position :])
            return token.text in ("(", "{", "\\{", "⟨", "...")
        if token.kind == "name":
            return token.text.lower() not in _CONNECTIVES
        if token.kind == "cmd":
            return token.text not in ("pmod", "bmod", "mod", "pod", "choose", "rfloor", "rceil", "circ", "over")
        return token.kind in ("num", "begin")

    def atom(self) -> Node:
        """Parses a number, a name, a command, an environment or a bracket."""
        token = self.next()
        if token.kind == "num":
            if token.value is None:
                raise Unparsed(f"{token.text}: an abbreviated number")
            return num(token.value)
        if token.kind == "name":
            return self.name(token)
        if token.kind == "cmd":
            return self.command(token.text)
        if token.kind == "begin":
            return self.nested(lambda: self.environment(token.text))
        if token.kind == "op" and token.text == "...":
            return sym("...")
        if token.kind == "op":
            return self.nested(lambda: self.bracket(token.text))
        raise Unparsed("the answer ends where something should follow")

    # Names

    def name(self, token: Token) -> Node:
        """Reads letters: a function, a constant, a Greek letter, a variable, or a run to `split`."""
        text = token.text
        if text in _FUNCTIONS and (len(text) > 2 or self.function_ahead()):
            return self.function(_FUNCTIONS[text])
        if text in _CONSTANTS:
            return const(_CONSTANTS[text])
        if text in _GREEK:
            return sym(_GREEK_SAME.get(text, text))
        if len(text) == 1:
            return self.letter(text)
        if text in ("nCr", "nPr"):
            raise Unparsed(text)
        return self.split(token)

    def letter(self, text: str) -> Node:
        """Reads one letter: e, i, a function with its argument, or a variable."""
        if not text.isascii():
            raise Unparsed(text)
        if text == "e":
            return const("e")
        if text == "i" and not self.at("_"):
            return const("i")
        if text in "fg" and (self.at("(") or (self.at("'", "^") and self.user_function_ahead())):
            return self.user_function(text)
        if self.at("(") and not self.peek().space and self.definition_ahead():
            return self.user_function(text)
        if text == "C" and self.at("("):
            choose = self.attempt(self.two_integers)
            if choose is not None:
                return call("binom", *choose.args)
        return sym(text)

    def two_integers(self) -> Node:
        """Parses a pair in parentheses."""
        node = self.atom()
        if node.op != "tuple" or len(node.args) != 2:
            raise Unparsed("not a pair")
        return node

    def function_ahead(self) -> bool:
        """Whether what follows a short name can be its argument."""
        token = self.peek()
        return token.kind in ("num", "name", "cmd") or self.at("(", "{", "^", "_", "|")

    def user_function_ahead(self) -> bool:
        """Whether primes or an exponent -1 lead to an opening parenthesis: f'(x), f^{-1}(x)."""
        ahead = 0
        texts = [self.peek(index).text for index in range(6)]
        while ahead < len(texts) and texts[ahead] == "'":
            ahead += 1
        if texts[:5] == ["^", "{", "-", "1", "}"]:
            ahead = 5
        return 0 < ahead < len(texts) and texts[ahead] == "("

    def definition_ahead(self) -> bool:
        """Whether a bracket with names or one number, and then an equals sign, makes a letter a function."""
        ahead = 1
        while self.peek(ahead).kind == "name" and self.peek(ahead + 1).text == ",":
            ahead += 2
        if self.peek(ahead).kind == "num" or (self.peek(ahead).kind == "name" and len(self.peek(ahead).text) == 1):
            return self.peek(ahead + 1).text == ")" and self.peek(ahead + 2).text == "="
        return False

    def user_function(self, text: str) -> Node:
        """Parses the primes, inverse and arguments of a function without definition."""
        while self.accept("'"):
            text += "'"
        if self.at("^"):
            self.position += 5
            text += "^-1"
        argument = self.atom()
        return call("user:" + text, *(argument.args if argument.op == "tuple" else (argument,)))

    def split(self, token: Token) -> Node:
        """Reads a run of letters as a product: xy, sinx, 2pir; a word is not mathematics."""
        text = token.text
        pieces = [piece for piece in _PREFIXED.split(text) if piece]
        if (
            len(pieces) > 1
            and all(_PREFIXED.fullmatch(piece) or _VARIABLES.fullmatch(piece) for piece in pieces)
            and not token.upright
        ):
            letters = [piece if _PREFIXED.fullmatch(piece) else char for piece in pieces for char in _chars(piece)]
        elif (len(text) <= 3 or list(text) == sorted(set(text)) or text.isupper()) and text.isascii() and len(text) < 8:
            if text.lower() in _WORDS or (token.upright and len(text) > 2):
                raise Unparsed(text)
            letters = list(text)
        else:
            raise Unparsed(text)
        self.tokens[self.position - 1 : self.position] = [
            Token("name", letter, None, index == 0 and token.space, token.upright)
            for index, letter in enumerate(letters)
        ]
        self.position -= 1
        return self.atom()

    # Functions

    def function(self, name: str) -> Node:
        """Parses a function's power, base and argument after its name."""
        power: Node | None = None
        base: Node | None = None
        for _ in range(2):
            if self.at("^"):
                self.position += 1
                power = self.nested(self.exponent)
            elif self.at("_"):
                self.position += 1
                base = self.argument()
        if power is not None and power == num(-1) and name in _INVERSES:
            name, power = _INVERSES[name], None
        arguments = tuple(replace(argument, _angle) for argument in self.arguments())
        node = self.apply(name, arguments, base)
        return node if power is None else Node("pow", (node, power))

    def apply(self, name: str, arguments: tuple[Node, ...], base: Node | None) -> Node:
        """Returns a known function of its arguments."""
        if name == "sqrt":
            return Node("pow", (arguments[0], HALF)) if len(arguments) == 1 else _wrong(name)
        if name == "log" and (base is not None or len(arguments) == 2):
            return call("log", arguments[0], base if base is not None else arguments[1])
        if name in ("max", "min", "gcd", "lcm"):
            return call(name, *arguments)
        if name == "binom":
            return call(name, *arguments) if len(arguments) == 2 else _wrong(name)
        return call(name, *arguments) if len(arguments) == 1 else _wrong(name)

    def arguments(self) -> tuple[Node, ...]:
        """Parses what a function applies to: a bracketed group, or the product that follows it."""
        if self.at("(", "[", "{", "\\{"):
            opened = self.peek().text
            group = self.nested(self.atom)
            if opened == "{" and group.op == "tuple":
                return group.args
            if opened in ("[", "\\{") and group.op in ("brack", "set") and len(group.args) >= 1:
                return group.args
            return group.args if group.op == "tuple" else (group,)
        if self.at("-", "+"):
            sign = self.sign()
            inner = self.nested(self.bare_argument)
            return (neg(inner) if sign == "-" else inner,)
        return (self.nested(self.bare_argument),)

    def bare_argument(self) -> Node:
        """Parses an argument without brackets: the factors up to the next function or sign."""
        node = self.factor()
        while True:
            token = self.peek()
            if token.kind == "name" and (
                token.text in _FUNCTIONS or (_PREFIXED.match(token.text) and token.text != "pi")
            ):
                return node
            if token.kind == "cmd" and (token.text in _FUNCTIONS or token.text in ("frac", "sum", "prod", "int")):
                return node
            if self.at("/") and node.op in ("num", "const", "sym", "mul") and self.peek(1).kind in ("num", "name"):
                self.position += 1
                node = Node("div", (node, self.factor()))
            elif not self.starts_atom() or self.at("(", "[", "|", "‖", "\\{") or not self.implicit(node):
                return node
            else:
                node = Node("mul", (node, self.factor()))

    # Commands

    def command(self, name: str) -> Node:
        """Parses what a LaTeX command begins."""
        if name in ("frac", "over"):
            top = self.argument()
            return Node("div", (top, self.argument()))
        if name == "sqrt":
            return self.root()
        if name in _FUNCTIONS:
            return self.function(_FUNCTIONS[name])
        if name in _CONSTANTS and name != "Pi":
            return const(_CONSTANTS[name])
        if name in _GREEK:
            return sym(_GREEK_SAME.get(name, name))
        if name in ("binom", "dbinom", "tbinom"):
            top = self.argument()
            return call("binom", top, self.argument())
        if name in _BIG:
            return self.nested(lambda: self.big(_BIG[name]))
        if name in ("emptyset", "varnothing"):
            return Node("set")
        if name in ("mathbb", "Bbb", "mathbf", "mathcal"):
            return self.blackboard()
        if name in ("lfloor", "lceil"):
            node = self.nested(self.sum)
            closer = self.next()
            if closer[:2] != ("cmd", "r" + name[1:]):
                raise Unparsed(f"{name} that never closes")
            return call("floor" if name == "lfloor" else "ceil", node)
        if name in _DECORATIONS:
            return self.decorated(name)
        if name in ("angle", "triangle", "measuredangle"):
            token = self.next()
            return sym(f"{name}:{token.text}") if token.kind in ("name", "num") else _wrong(name)
        if name in ("imath", "jmath"):
            return const("i") if name == "imath" else sym("j")
        if name in ("Reals", "R", "reals"):
            return Node("reals")
        raise Unparsed(f"\\{name}")

    def blackboard(self) -> Node:
        """Parses the letter of a number set, with its sign: `{Z}^+`."""
        braced = self.accept("{")
        token = self.next()
        if braced:
            self.expect("}")
        if token.text not in _NAMED_SETS:
            return sym(token.text) if token.kind == "name" else _wrong("mathbb")
        suffix = ""
        if self.at("^", "_") and self.peek(1).text in ("+", "-", "*"):
            suffix = self.peek(1).text
            self.position += 2
        elif self.at("^", "_") and self.peek(1).text == "{" and self.peek(3).text == "}":
            suffix = self.peek(2).text
            self.position += 4
        name = _NAMED_SETS[token.text]
        return Node(name) if name == "reals" and not suffix else Node("named", (), token.text + suffix)

    def decorated(self, name: str) -> Node:
        """Parses what stands under a bar, a hat or an arrow."""
        node = self.argument()
        if node.op == "num":
            raise Unparsed(f"\\{name} over a number")
        if node.op == "sym" and name not in ("overline", "bar"):
            return sym(f"{name}:{node.value}")
        return call("conj", node) if name in ("overline", "bar") else sym(f"{name}:{node!r}")

    def argument(self) -> Node:
        """Parses the argument of a command as TeX does: a group, a command, or one digit or letter."""
        token = self.peek()
        if token.kind == "num" and len(token.text) > 1 and token.text.isdecimal():
            self.tokens[self.position : self.position + 1] = [
                Token("num", digits, num(int(digits)).value, token.space, token.upright)
                for digits in (token.text[0], token.text[1:])
            ]
        elif token.kind == "name" and len(token.text) > 1 and token.text.isascii() and token.text not in _FUNCTIONS:
            self.tokens[self.position : self.position + 1] = [
                Token("name", letter, None, token.space, token.upright) for letter in (token.text[0], token.text[1:])
            ]
        return self.nested(self.atom)

    def root(self) -> Node:
        """Parses the index and the radicand of a root."""
        index: Node | None = None
        if self.accept("["):
            index = self.sum()
            self.expect("]")
        token = self.peek()
        # Nobody who writes \\sqrt12 or √12 means the root of 1.
        inside = num(self.next().value) if token.kind == "num" and token.value is not None else self.argument()
        if index is None:
            return Node("pow", (inside, HALF))
        return call("root", inside, index)

    def big(self, kind: str) -> Node:
        """Parses a sum, product, integral or limit: its bounds, its body, its variable."""
        if kind == "unsupported":
            raise OverBudget("a multiple integral")
        lower: Node | None = None
        upper: Node | None = None
        for _ in range(2):
            if self.accept("_"):
                lower = self.bound()
            elif self.accept("^"):
                upper = self.nested(self.exponent)
        if kind == "int":
            return self.integral(lower, upper)
        body = self.product()
        if kind == "lim":
            if lower is None or lower.op != "rel" or lower.value != ("→",):
                raise Unparsed("a limit without its point")
            return Node("big", (body, lower.args[1]), ("lim", lower.args[0].value))
        if (
            lower is None
            or upper is None
            or lower.op != "rel"
            or lower.value != ("=",)
            or lower.args[0].op not in ("sym", "const")
        ):
            raise OverBudget("a sum without bounds")
        index = str(lower.args[0].value)
        if lower.args[0].op == "const":
            raise Unparsed("a sum over a constant's name")
        return Node("big", (body, lower.args[1], upper), (kind, index))

    def bound(self) -> Node:
        r"""Parses a lower bound: `k=1`, `x \to 0`, or an expression. The index i is a variable there."""
        if not self.at("{"):
            return self.argument()
        self.expect("{")
        if self.peek().text == "i" and self.peek(1).text in ("=", "→"):
            self.rename_index()
        node = self.sum()
        if self.at("=", "→"):
            operator = self.next().text
            node = Node("rel", (node, self.sum()), (operator,))
            if self.at("^"):  # a one-sided limit
                raise Unparsed("a one-sided limit")
        self.expect("}")
        return node

    def rename_index(self) -> None:
        """Makes the index i of a sum a variable: elsewhere i is the imaginary unit."""
        for index in range(self.position, len(self.tokens)):
            if self.tokens[index][:2] == ("name", "i"):
                self.tokens[index] = self.tokens[index]._replace(text="iota")

    def integral(self, lower: Node | None, upper: Node | None) -> Node:
        """Parses an integrand and its variable; `dx` may be written together."""
        for index in range(self.position, len(self.tokens)):
            token = self.tokens[index]
            if token.kind == "name" and re.fullmatch(r"[a-zA-Z]{0,2}d[a-zA-Z]", token.text) and token.text != "dd":
                integrand, name = token.text[:-2], token.text[-1]
                parts = [Token("name", integrand)] if integrand else []
                self.tokens[index : index + 1] = [*parts, Token("op", "∂"), Token("name", name)]
                break
            if token.text == "d" and self.tokens[index + 1 : index + 2] and self.tokens[index + 1].kind == "name":
                self.tokens[index] = Token("op", "∂")
                break
        body = num(1) if self.at("∂") else self.sum()
        self.expect("∂")
        variable = self.next().text
        if lower is None or upper is None:
            raise OverBudget("an integral without bounds")
        return Node("big", (body, lower, upper), ("int", variable))

    # Brackets

    def bracket(self, opened: str) -> Node:
        """Parses what an opening bracket or bar begins."""
        if opened == "{":
            return self.group()
        if opened == "\\{":
            return self.braces()
        if opened in ("(", "[", "]", "⟨"):
            return self.parentheses(opened)
        if opened in ("|", "‖"):
            self.bars += 1
            node = self.items()
            self.bars -= 1
            self.expect(opened)
            if node.op == "matrix":
                return call("det", node)
            return call("abs", node)
        if opened == "-":  # where a command's argument is a signed one
            return neg(self.factor())
        raise Unparsed(f"{opened!r} where a number or a name should be")

    def group(self) -> Node:
        """Parses a TeX group; with a list inside it is a set in plain notation, `{1, 2}`."""
        if self.accept("}"):
            return Node("set")
        bars, self.bars = self.bars, 0
        whole = self.position == 1 and self.tokens[-1].text == "}"  # `{x | x > 0}`, a set in plain notation
        self.in_builder += whole
        node = self.items()
        self.in_builder -= whole
        self.bars = bars
        if self.peek()[:2] == ("cmd", "choose") or self.peek()[:2] == ("cmd", "over"):
            word = self.next().text
            lower = self.items()
            node = call("binom", node, lower) if word == "choose" else Node("div", (node, lower))
        if self.at("|", ":", "mid"):
            return self.builder(node, "}")
        self.expect("}")
        return Node("set", node.args) if node.op == "list" else node

    def braces(self) -> Node:
        """Parses a set: its elements, or a set-builder."""
        if self.accept("\\}"):
            return Node("set")
        bars, self.bars = self.bars, 0
        self.in_builder += 1
        node = self.items()
        self.in_builder -= 1
        self.bars = bars
        if self.at("|", ":", "mid"):
            return self.builder(node, "\\}")
        if node.op == "matrix" and self.peek().kind == "stop":  # a system: \left\{ array \right.
            rows = [list(node.args[row * node.value[1] : (row + 1) * node.value[1]]) for row in range(node.value[0])]
            return self.cases(rows)
        self.expect("\\}")
        return Node("set", node.args if node.op == "list" else (node,))

    def builder(self, element: Node, closer: str) -> Node:
        """Parses the condition of a set-builder."""
        self.position += 1
        condition = self.items()
        self.expect(closer)
        return Node("builder", (element, condition))

    def parentheses(self, opened: str) -> Node:
        """Parses a group, tuple, interval or list in brackets."""
        bars, self.bars = self.bars, 0
        builder, self.in_builder = self.in_builder, 0
        if self.at(*_CLOSERS[opened]):
            self.position += 1
            return Node("tuple")
        if opened == "(" and self.at("+", "-", "*") and self.peek(1).text == ")":
            raise Unparsed("an operator in parentheses")
        node = self.items()
        if self.peek()[:2] == ("cmd", "choose"):
            self.position += 1
            node = call("binom", node, self.items())
        self.bars, self.in_builder = bars, builder
        closed = self.expect(*_CLOSERS[opened]).text
        if opened == "⟨":
            return Node("tuple", node.args if node.op == "list" else (node,))
        items = node.args if node.op == "list" and node.value == "," else (node,)
        left_open, right_open = opened in ("(", "]"), closed in (")", "[")
        if opened == "(" and closed == ")":
            return Node("tuple", items) if len(items) > 1 else node
        if opened == "[" and closed == "]":
            if len(items) == 1 and items[0].op == "matrix":
                return items[0]
            return Node("brack", items)
        if len(items) != 2:
            raise Unparsed("mismatched brackets")
        return Node("interval", items, (left_open, right_open))

    # Environments

    def environment(self, name: str) -> Node:
        """Parses the rows of a matrix, of cases or of a system."""
        rows: list[list[Node]] = [[]]
        while True:
            token = self.peek()
            if token.kind == "end":
                self.position += 1
                break
            if token.kind == "stop":
                raise Unparsed(f"{name} that never ends")
            if self.accept("\\\\"):
                rows.append([])
            elif self.at("&", ","):
                self.position += 1
            elif name.endswith("cases") and rows[-1] and self.condition_word():
                continue
            else:
                rows[-1].append(self.statement())
            if len(rows) > self.budget.items or len(rows[-1]) > self.budget.items:
                raise OverBudget("too many rows")
        rows = [row for row in rows if row]
        return self.cases(rows) if name.endswith("cases") else self.matrix(name, rows)

    def condition_word(self) -> bool:
        """Consumes "if"; turns "otherwise" into a condition that always holds."""
        token = self.peek()
        if token.kind == "name" and token.text.lower() in ("if", "for", "when", "where"):
            self.position += 1
            return True
        if token.kind == "name" and token.text.lower() in ("otherwise", "else", "elsewhere"):
            zero = Token("num", "0", num(0).value)
            self.tokens[self.position : self.position + 1] = [zero, Token("op", "="), zero]
        return False

    def matrix(self, name: str, rows: list[list[Node]]) -> Node:
        """Returns the matrix of rows, or its determinant."""
        width = len(rows[0]) if rows else 0
        if not width or any(len(row) != width for row in rows):
            raise Unparsed("rows of different lengths")
        node = Node("matrix", tuple(entry for row in rows for entry in row), (len(rows), width))
        return call("det", node) if name in ("vmatrix", "Vmatrix") else node

    def cases(self, rows: list[list[Node]]) -> Node:
        """Returns a piecewise expression, or a system of relations."""
        if rows and all(len(row) == 2 for row in rows) and all(row[0].op != "rel" for row in rows):
            return Node("cases", tuple(entry for row in rows for entry in row))
        statements = [entry for row in rows for entry in row]
        if not statements or any(entry.op != "rel" for entry in statements):
            raise Unparsed("cases without conditions")
        return Node("list", tuple(statements), "and")


def _angle(node: Node) -> Node | None:
    """Reads the unit of an angle inside a function's argument as a factor."""
    if node.op == "qty" and node.value.dimension == DEGREE.dimension:
        return Node("mul", (node.args[0], node.value.size))
    return None


def _chars(piece: str) -> list[str]:
    return [piece] if _PREFIXED.fullmatch(piece) else list(piece)


def _wrong(name: str) -> Node:
    raise Unparsed(f"{name} with the wrong arguments")


_WORDS = frozenset(
    word_list(
        "yes no not all any are but can cat did dog for get has her him his how its let may new nor now off "
        "old one out per put red see set she six ten the too two use was way who why you big low top odd sum "
        "day man men boy war end it is as at be by do go he if in me my of on or so to up us we an am pm dne "
        "nor none"
    )
)


def parse(text: str, budget: Budget, *, split_commas: bool = False) -> Node:
    """Returns the tree of an answer (already `to_latex`).

    Raises:
        Unparsed: It is not mathematics in this grammar.
        OverBudget: It is longer or deeper than the budget allows.
    """
    node = Parser(tokenize(text, budget, split_commas=split_commas), budget).answer()
    if depth(node) > _DEEPEST_TREE:
        raise OverBudget(f"a tree deeper than {_DEEPEST_TREE}")
    return node


__all__ = ["INFINITY", "RELATIONS", "Parser", "parse"]
