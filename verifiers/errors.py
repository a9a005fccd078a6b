"""The exceptions of `turnwise.verifiers`, in one tree.

TurnwiseError
├── InvalidInput          a caller's value cannot be used; also a ValueError
├── MissingExtra          an optional dependency is not installed; also an ImportError
└── VerifierError         a verifier could not decide
    ├── VerifierTimeout   its deadline passed
    └── Abstain           it declines to judge this kind of answer

`VerifierError` is raised *inside* a verifier and becomes `Verdict.error`; it does not reach the caller of a verifier.
The environments and the agents extend this tree with branches of their own.
"""

from __future__ import annotations


class TurnwiseError(Exception):
    """Root of every exception that turnwise raises on purpose."""


class InvalidInput(TurnwiseError, ValueError):
    """A value given by the caller cannot be used; the message names the value and the remedy."""


class MissingExtra(TurnwiseError, ImportError):
    """An optional dependency is missing; the message names the extra that brings it.

    Args:
        module: The module that could not be imported.
        extra: The extra of turnwise that installs it.
    """

    def __init__(self, module: str, extra: str) -> None:
        super().__init__(f"{module!r} is not installed; it comes with an extra: pip install 'turnwise[{extra}]'")
        self.module = module
        self.extra = extra


class VerifierError(TurnwiseError):
    """A verifier could not decide. The verdict carries the message, and its score is NaN."""


class VerifierTimeout(VerifierError):
    """A verifier's deadline passed before it could decide."""


class Abstain(VerifierError):
    """A verifier declines to judge: the answer is outside what it can decide."""
