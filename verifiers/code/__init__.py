"""Verifiers that run programs against tests, in a sandbox."""

from turnwise.verifiers.code.cases import CallCase, StreamCase, cases_of
from turnwise.verifiers.code.code_rl import CodeRL
from turnwise.verifiers.code.unit_tests import UnitTests

__all__ = ["CallCase", "CodeRL", "StreamCase", "UnitTests", "cases_of"]
