"""Units: their dimension and their exact size, so that 100 cm is 1 m and 5 cm is not 5 m."""

from __future__ import annotations

from fractions import Fraction
from typing import NamedTuple

from turnwise.verifiers.math.tree import PI, Node, num


class Unit(NamedTuple):
    """A unit: powers of base dimensions, and its size in base units.

    Attributes:
        dimension: Sorted (base, power) pairs.
        size: The exact size in base units, as a node (degrees are a multiple of pi).
        name: As written, for evidence.
    """

    dimension: tuple[tuple[str, int], ...]
    size: Node
    name: str


def _times(unit: str, *names: tuple[str, int | str]) -> dict[str, tuple[str, Fraction]]:
    return {name: (unit, Fraction(size)) for name, size in names}


# name -> (dimension, size). Dimensions: "m" length, "g" mass, "s" time, ...; "m3" is a volume, "m/s" a speed.
_LENGTH: list[tuple[str, int | str]] = [
    ("m", 1), ("meter", 1), ("metre", 1), ("km", 1000), ("kilometer", 1000), ("kilometre", 1000), ("cm", "1/100"),
    ("centimeter", "1/100"), ("centimetre", "1/100"), ("mm", "1/1000"), ("millimeter", "1/1000"),
    ("millimetre", "1/1000"),
    ("dm", "1/10"), ("decimeter", "1/10"), ("nm", "1/1000000000"), ("nanometer", "1/1000000000"), ("μm", "1/1000000"),
    ("micrometer", "1/1000000"), ("in", "0.0254"), ("inch", "0.0254"), ("inches", "0.0254"), ("ft", "0.3048"),
    ("foot", "0.3048"), ("feet", "0.3048"), ("yd", "0.9144"), ("yard", "0.9144"), ("mi", "1609.344"),
    ("mile", "1609.344"), ("米", 1), ("厘米", "1/100"), ("千米", 1000), ("公里", 1000), ("毫米", "1/1000"), ("分米",
    "1/10"),
]  # fmt: skip
_MASS: list[tuple[str, int | str]] = [
    ("g", 1), ("gram", 1), ("kg", 1000), ("kilogram", 1000), ("kilo", 1000), ("mg", "1/1000"), ("milligram", "1/1000"),
    ("ton", 1000000), ("tonne", 1000000), ("lb", "453.59237"), ("lbs", "453.59237"), ("pound", "453.59237"),
    ("oz", "28.349523125"), ("ounce", "28.349523125"), ("克", 1), ("千克", 1000), ("公斤", 1000), ("吨", 1000000),
]  # fmt: skip
_TIME: list[tuple[str, int | str]] = [
    ("s", 1), ("sec", 1), ("second", 1), ("min", 60), ("minute", 60), ("h", 3600), ("hr", 3600), ("hour", 3600),
    ("day", 86400), ("week", 604800), ("ms", "1/1000"), ("millisecond", "1/1000"), ("fortnight", 1209600), ("秒", 1),
    ("分钟", 60), ("小时", 3600), ("天", 86400), ("日", 86400), ("周", 604800),
]  # fmt: skip
_VOLUME: list[tuple[str, int | str]] = [
    ("l", "1/1000"), ("L", "1/1000"), ("liter", "1/1000"), ("litre", "1/1000"), ("ml", "1/1000000"), ("mL",
    "1/1000000"),
    ("milliliter", "1/1000000"), ("millilitre", "1/1000000"), ("cc", "1/1000000"), ("cl", "1/100000"),
    ("gallon", "0.003785411784"), ("gal", "0.003785411784"), ("quart", "0.000946352946"), ("pint", "0.000473176473"),
    ("升", "1/1000"), ("毫升", "1/1000000"),
]  # fmt: skip
_OTHER = {
    **_times("year", ("year", 1), ("yr", 1), ("month", "1/12"), ("decade", 10), ("century", 100), ("centuries", 100)),
    **_times("year", ("年", 1), ("个月", "1/12"), ("月", "1/12")),
    **_times("dollar", ("dollar", 1), ("usd", 1), ("USD", 1), ("buck", 1), ("cent", "1/100"), ("美元", 1)),
    **_times("euro", ("euro", 1), ("EUR", 1), ("eur", 1), ("欧元", 1)),
    **_times("sterling", ("GBP", 1), ("penny", "1/100"), ("pence", "1/100"), ("英镑", 1)),
    **_times("yen", ("yen", 1), ("JPY", 1)),
    **_times("yuan", ("yuan", 1), ("RMB", 1), ("CNY", 1), ("元", 1), ("角", "1/10")),
    **_times("rupee", ("rupee", 1), ("INR", 1), ("Rs", 1)),
    **_times("m2", ("acre", "4046.8564224"), ("hectare", 10000), ("ha", 10000)),
    **_times("m/s", ("mph", "0.44704"), ("kph", "5/18"), ("kmph", "5/18"), ("kmh", "5/18")),
    **_times("N", ("N", 1000), ("newton", 1000), ("kN", 1000000)),
    **_times("J", ("J", 1000), ("joule", 1000), ("kJ", 1000000), ("kilojoule", 1000000), ("kWh", 3600000000)),
    **_times("W", ("W", 1000), ("watt", 1000), ("kW", 1000000), ("kilowatt", 1000000)),
    **_times("Pa", ("Pa", 1000), ("pascal", 1000), ("kPa", 1000000)),
    **_times("1/s", ("Hz", 1), ("hertz", 1), ("kHz", 1000), ("MHz", 1000000)),
    **_times("V", ("V", 1), ("volt", 1), ("mV", "1/1000")),
    **_times("A", ("A", 1), ("amp", 1), ("ampere", 1), ("mA", "1/1000")),
    **_times("C", ("coulomb", 1)),
    **_times("ohm", ("ohm", 1)),
    **_times("mol", ("mol", 1), ("mole", 1)),
    **_times("B", ("byte", 1), ("KB", 1000), ("MB", 1000000), ("GB", 1000000000)),
    **_times("bit", ("bit", 1)),
    **_times("celsius", ("celsius", 1), ("Celsius", 1)),
    **_times("fahrenheit", ("fahrenheit", 1), ("Fahrenheit", 1)),
    **_times("kelvin", ("K", 1), ("kelvin", 1)),
    **_times("%", ("%", "1/100"), ("percent", "1/100"), ("permille", "1/1000")),
    **_times("degree", ("degree", 1), ("deg", 1), ("度", 1)),
    **_times("radian", ("radian", 1), ("rad", 1), ("弧度", 1)),
}
_TABLE: dict[str, tuple[str, Fraction]] = {
    **_times("m", *_LENGTH),
    **_times("g", *_MASS),
    **_times("s", *_TIME),
    **_times("m3", *_VOLUME),
    **_OTHER,
}
# In grams, metres and seconds a newton has the size 1000.
_COMPOSITE = {
    "m2": {"m": 2},
    "m3": {"m": 3},
    "m/s": {"m": 1, "s": -1},
    "1/s": {"s": -1},
    "N": {"g": 1, "m": 1, "s": -2},
    "J": {"g": 1, "m": 2, "s": -2},
    "W": {"g": 1, "m": 2, "s": -3},
    "Pa": {"g": 1, "m": -1, "s": -2},
}
# One-letter names are variables at least as often; they count as units only where they are set upright or stand apart.
SHORT = frozenset(name for name in _TABLE if len(name) <= 1 or name in ("in", "min", "Pa"))


def lookup(word: str) -> tuple[str, Fraction] | None:
    """Returns the dimension expression and size of a unit word (also plural, also capitalised), or None."""
    found = _TABLE.get(word)
    if found is None and len(word) > 3:
        lower = word.lower()
        found = _TABLE.get(lower) or (_TABLE.get(lower[:-1]) if lower.endswith("s") else None)
    if found is None and word in ("hrs", "mins", "secs", "kgs", "cms", "yrs", "kms"):
        found = _TABLE[word[:-1]]
    return found


def product(factors: list[tuple[str, int]], name: str) -> Unit:
    """Returns the unit of (word, power) factors; every word must be known to `lookup`."""
    powers: dict[str, int] = {}
    size = Fraction(1)
    angle = False
    for word, power in factors:
        found = lookup(word)
        assert found is not None, word
        base, factor = found
        size *= factor**power
        if base in ("degree", "radian"):
            angle, base = angle or base == "degree", "angle"
        for dimension, exponent in _COMPOSITE.get(base, {base: 1}).items():
            powers[dimension] = powers.get(dimension, 0) + exponent * power
    powered = tuple(sorted((base, power) for base, power in powers.items() if power))
    if angle and powered == (("angle", 1),):
        return Unit(powered, Node("div", (PI, num(180))), name)
    return Unit(powered, num(size), name)


DEGREE = product([("degree", 1)], "degrees")
PERCENT = product([("%", 1)], "%")


def noun(text: str) -> Unit:
    """Returns the unit of counted things: `5 apples` is not `5 pears`."""
    return Unit(((f"noun:{text}", 1),), num(1), text)
