"""Unicode to the ASCII and LaTeX that the tokenizer reads, one pass, linear."""

from __future__ import annotations

import re
import unicodedata

_SUPERSCRIPTS = dict(zip("⁰¹²³⁴⁵⁶⁷⁸⁹⁺⁻⁼⁽⁾ⁿⁱˣʸᵏᵐᵗ", "0123456789+-=()nixykmt", strict=True))
_SUBSCRIPTS = dict(zip("₀₁₂₃₄₅₆₇₈₉₊₋ₙₐₓₖᵢⱼₘ", "0123456789+-naxkijm", strict=True))
_SUPERSCRIPT_RUN = re.compile(f"[{''.join(_SUPERSCRIPTS)}]+")
_SUBSCRIPT_RUN = re.compile(f"[{''.join(_SUBSCRIPTS)}]+")
_COMBINING_LINE = re.compile("((?:\\d[\u0304\u0305])+)")

_NAMED = {
    "√": "\\sqrt ",
    "∛": "\\sqrt[3] ",
    "∜": "\\sqrt[4] ",
    "°": "^{\\circ}",
    "º": "^{\\circ}",
    "˚": "^{\\circ}",
    "℃": "^{\\circ}C ",
    "℉": "^{\\circ}F ",
    "∞": "\\infty ",
    "π": "\\pi ",
    "∅": "\\emptyset ",
    "⌀": "\\emptyset ",
    "…": "...",
    "⋯": "...",
    "×": "\\times ",
    "✕": "\\times ",
    "✖": "\\times ",
    "⨯": "\\times ",
    "÷": "\\div ",
    "≤": "\\le ",
    "⩽": "\\le ",
    "≦": "\\le ",
    "≥": "\\ge ",
    "⩾": "\\ge ",
    "≧": "\\ge ",
    "≠": "\\ne ",
    "≈": "\\approx ",
    "≃": "\\approx ",
    "≅": "\\approx ",
    "≡": "\\equiv ",
    "±": "\\pm ",
    "∓": "\\mp ",
    "∪": "\\cup ",
    "∩": "\\cap ",
    "∖": "\\setminus ",
    "∈": "\\in ",
    "∉": "\\notin ",
    "∨": "\\lor ",
    "∧": "\\land ",
    "⇒": "\\Rightarrow ",
    "→": "\\to ",
    "∑": "\\sum ",
    "∏": "\\prod ",
    "∫": "\\int ",
    "⌊": "\\lfloor ",
    "⌋": "\\rfloor ",
    "⌈": "\\lceil ",
    "⌉": "\\rceil ",
    "⟨": "\\langle ",
    "⟩": "\\rangle ",
    "∣": "|",
    "∥": "\\|",
    "‖": "\\|",
    "ⅈ": "i",
    "ⅇ": "e",
    "′": "'",
    "″": "''",
    "’": "'",
    "‘": "'",
    "“": '"',
    "”": '"',
    "⁄": "/",
    "∕": "/",
    "，": ",",
    "、": ",",
    "。": ". ",
    "；": ";",
    "：": ":",
    "【": "[",
    "】": "]",
    "〔": "(",
    "〕": ")",
    "∶": ":",
    "∴": " ",
    "∵": " ",
    "∠": "\\angle ",
    "△": "\\triangle ",
    "ℝ": "\\mathbb{R}",
    "ℤ": "\\mathbb{Z}",
    "ℕ": "\\mathbb{N}",
    "ℚ": "\\mathbb{Q}",
    "ℂ": "\\mathbb{C}",
    "¢": " cents",
    "€": " euro ",
    "£": " pound ",
    "¥": " yen ",
    "￥": " yen ",
    "₹": " rupee ",
    "Ω": "\\Omega ",
    "\u2126": "\\Omega ",
    "‰": "\\permille ",
    "\u00a0": " ",
}
_MINUS = "−–—‒‐‑﹣－➖"
_TIMES = "⋅·∙•∗＊‧"
_INVISIBLE = "\u200b\u200c\u200d\u2060\ufeff\u00ad\u200e\u200f\u2061\u2062\u2063\u2064\ufe0e\ufe0f\u202a\u202c\x00"
_SPACES = "\u2000\u2001\u2002\u2003\u2004\u2005\u2006\u2007\u2008\u2009\u200a\u202f\u205f\u3000"
_GREEK = {
    "α": "alpha", "β": "beta", "γ": "gamma", "δ": "delta", "ε": "epsilon", "ζ": "zeta", "η": "eta", "θ": "theta",
    "κ": "kappa", "λ": "lambda", "μ": "mu", "µ": "mu", "ν": "nu", "ξ": "xi", "ρ": "rho", "σ": "sigma", "τ": "tau",
    "φ": "phi", "ϕ": "phi", "χ": "chi", "ψ": "psi", "ω": "omega", "Γ": "Gamma", "Δ": "Delta", "Θ": "Theta",
    "Λ": "Lambda", "Σ": "Sigma", "Φ": "Phi", "Ψ": "Psi",
}  # fmt: skip


def _build_table() -> dict[int, str]:
    table = {ord(char): text for char, text in _NAMED.items()}
    table |= {ord(char): "-" for char in _MINUS}
    table |= {ord(char): "*" for char in _TIMES}
    table |= {ord(char): "" for char in _INVISIBLE}
    table |= {ord(char): " " for char in _SPACES}
    table |= {ord(char): f"\\{name} " for char, name in _GREEK.items()}
    for code in (*range(0xBC, 0xBF), *range(0x2150, 0x215F)):
        top, bottom = unicodedata.normalize("NFKC", chr(code)).split("\u2044")
        table[code] = f"\\frac{{{top}}}{{{bottom}}}"
    table[0x2189] = "\\frac{0}{3}"
    # Full-width forms and the mathematical alphabets stand for their plain letters and digits.
    for code in (*range(0xFF01, 0xFF5F), *range(0x1D400, 0x1D800)):
        plain = unicodedata.normalize("NFKC", chr(code))
        if code not in table and plain != chr(code):
            table[code] = table.get(ord(plain), plain) if len(plain) == 1 else plain
    return table


_TABLE = _build_table()


def to_latex(text: str) -> str:
    r"""Returns `text` with Unicode mathematics written in ASCII and LaTeX: `½` -> `\frac{1}{2}`, `x²` -> `x^{2}`."""
    if text.isascii():
        return text.replace("\x00", "")
    text = _COMBINING_LINE.sub(lambda run: "\\overline{" + re.sub("[\u0304\u0305]", "", run[1]) + "}", text)
    text = _SUPERSCRIPT_RUN.sub(lambda run: "^{" + "".join(_SUPERSCRIPTS[char] for char in run[0]) + "}", text)
    text = _SUBSCRIPT_RUN.sub(lambda run: "_{" + "".join(_SUBSCRIPTS[char] for char in run[0]) + "}", text)
    return text.translate(_TABLE)


def printable(text: str, limit: int = 80) -> str:
    """Returns `text` on one line, shortened to `limit` characters, and safe to encode (lone surrogates are escaped)."""
    if len(text) > limit:
        text = text[: limit - 3] + "..."
    return " ".join(text.encode("utf-8", "backslashreplace").decode("utf-8").split())
