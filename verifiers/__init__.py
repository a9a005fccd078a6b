"""Verifiers: composable judgements that turn what an agent did into rewards. Needs no torch and no gymnasium."""

from turnwise.verifiers.base import FunctionVerifier, Verifier, verifier
from turnwise.verifiers.errors import (
    Abstain,
    InvalidInput,
    MissingExtra,
    TurnwiseError,
    VerifierError,
    VerifierTimeout,
)
from turnwise.verifiers.types import Message, Sample, Status, Verdict

__all__ = [
    "Abstain",
    "FunctionVerifier",
    "InvalidInput",
    "Message",
    "MissingExtra",
    "Sample",
    "Status",
    "TurnwiseError",
    "Verdict",
    "Verifier",
    "VerifierError",
    "VerifierTimeout",
    "verifier",
]
