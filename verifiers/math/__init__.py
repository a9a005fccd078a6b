"""Equivalence of mathematical answers: extraction, a parser of our own, exact comparison, conventions as a policy."""

from turnwise.verifiers.math.extraction import Extraction, extract
from turnwise.verifiers.math.policy import Budget, MathPolicy
from turnwise.verifiers.math.verifier import MathVerifier

__all__ = ["Budget", "Extraction", "MathPolicy", "MathVerifier", "extract"]
