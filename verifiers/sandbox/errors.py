"""What can go wrong with a sandbox itself. None of it says anything about the program: it must never be scored 0.

VerifierError
└── SandboxError              the sandbox broke: a container died, the daemon stopped answering
    └── SandboxUnavailable    there is no such sandbox on this machine; the message says how to get one
"""

from __future__ import annotations

from turnwise.verifiers.errors import VerifierError


class SandboxError(VerifierError):
    """The sandbox failed, not the program that it ran. A verifier that sees it cannot decide."""


class SandboxUnavailable(SandboxError):
    """This machine cannot run that kind of sandbox; the message names what is missing and the remedy."""
