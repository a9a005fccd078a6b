"""Verifiers made of verifiers: the algebra behind `0.2 * a + 0.8 * b`, `a >> b`, `a & b`, and the other combinators."""

from turnwise.verifiers.compose.arithmetic import Product, WeightedSum
from turnwise.verifiers.compose.choice import Cascade, Fallback
from turnwise.verifiers.compose.clip import Clip
from turnwise.verifiers.compose.constraint import Constraint
from turnwise.verifiers.compose.core import Composition
from turnwise.verifiers.compose.delta import Delta
from turnwise.verifiers.compose.ensemble import Ensemble
from turnwise.verifiers.compose.extrema import Maximum, Minimum
from turnwise.verifiers.compose.gate import Gate
from turnwise.verifiers.compose.noise import Noise
from turnwise.verifiers.compose.potential import Potential
from turnwise.verifiers.compose.schedule import LinearRamp, Schedule
from turnwise.verifiers.compose.threshold import Threshold
from turnwise.verifiers.compose.transform import Transform

__all__ = [
    "Cascade",
    "Clip",
    "Composition",
    "Constraint",
    "Delta",
    "Ensemble",
    "Fallback",
    "Gate",
    "LinearRamp",
    "Maximum",
    "Minimum",
    "Noise",
    "Potential",
    "Product",
    "Schedule",
    "Threshold",
    "Transform",
    "WeightedSum",
]
