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
from turnwise.verifiers.cosine_length import CosineLength
from turnwise.verifiers.date_match import DateMatch
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
from turnwise.verifiers.list_match import ListMatch
from turnwise.verifiers.math import MathPolicy, MathVerifier
from turnwise.verifiers.multiple_choice import MultipleChoice
from turnwise.verifiers.numeric_match import NumericMatch
from turnwise.verifiers.overlong import Overlong
from turnwise.verifiers.regex import Regex
from turnwise.verifiers.relative_length import DecoupledLength, LengthPenalty
from turnwise.verifiers.repetition import Repetition
from turnwise.verifiers.sql import SQLPolicy, SQLState, SQLVerifier
from turnwise.verifiers.state_diff import StateDiff
from turnwise.verifiers.tagged_format import TaggedFormat
from turnwise.verifiers.token_f1 import TokenF1
from turnwise.verifiers.tools import ToolCalls, ToolPolicy
from turnwise.verifiers.types import Message, Sample, Status, Verdict
from turnwise.verifiers.within import Within

__all__ = [
    "Abstain",
    "Cascade",
    "Clip",
    "Composition",
    "Constraint",
    "CosineLength",
    "DateMatch",
    "DecoupledLength",
    "Delta",
    "Ensemble",
    "ExactMatch",
    "Fallback",
    "FunctionVerifier",
    "Gate",
    "InvalidInput",
    "JSONSchema",
    "LengthPenalty",
    "LinearRamp",
    "ListMatch",
    "MathPolicy",
    "MathVerifier",
    "Maximum",
    "Message",
    "Minimum",
    "MissingExtra",
    "MultipleChoice",
    "Noise",
    "NumericMatch",
    "Overlong",
    "Potential",
    "Product",
    "Regex",
    "Repetition",
    "SQLPolicy",
    "SQLState",
    "SQLVerifier",
    "Sample",
    "Schedule",
    "StateDiff",
    "Status",
    "TaggedFormat",
    "Threshold",
    "TokenF1",
    "ToolCalls",
    "ToolPolicy",
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
