"""Verifiers: composable judgements that turn what an agent did into rewards. Needs no torch and no gymnasium."""

from turnwise.verifiers.base import FunctionVerifier, Verifier, verifier
from turnwise.verifiers.compose import (
    Cascade,
    Clip,
    Composition,
    Constraint,
    Delta,
    Ensemble,
    Fallback,
    Gate,
    LinearRamp,
    Maximum,
    Minimum,
    Noise,
    Potential,
    Product,
    Schedule,
    Threshold,
    Transform,
    WeightedSum,
)
from turnwise.verifiers.errors import (
    Abstain,
    InvalidInput,
    MissingExtra,
    TurnwiseError,
    VerifierError,
    VerifierTimeout,
)
from turnwise.verifiers.exact_match import ExactMatch
from turnwise.verifiers.json_schema import JSONSchema
from turnwise.verifiers.math import MathPolicy, MathVerifier
from turnwise.verifiers.numeric_match import NumericMatch
from turnwise.verifiers.regex import Regex
from turnwise.verifiers.tagged_format import TaggedFormat
from turnwise.verifiers.types import Message, Sample, Status, Verdict
from turnwise.verifiers.within import Within

__all__ = [
    "Abstain",
    "Cascade",
    "Clip",
    "Composition",
    "Constraint",
    "Delta",
    "Ensemble",
    "ExactMatch",
    "Fallback",
    "FunctionVerifier",
    "Gate",
    "InvalidInput",
    "JSONSchema",
    "LinearRamp",
    "MathPolicy",
    "MathVerifier",
    "Maximum",
    "Message",
    "Minimum",
    "MissingExtra",
    "Noise",
    "NumericMatch",
    "Potential",
    "Product",
    "Regex",
    "Sample",
    "Schedule",
    "Status",
    "TaggedFormat",
    "Threshold",
    "Transform",
    "TurnwiseError",
    "Verdict",
    "Verifier",
    "VerifierError",
    "VerifierTimeout",
    "WeightedSum",
    "Within",
    "verifier",
]
