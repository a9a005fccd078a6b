"""Where untrusted programs run: in Docker containers that wait for them, or in a weaker local sandbox."""

from turnwise.verifiers.sandbox.base import Sandbox
from turnwise.verifiers.sandbox.container import DockerSandbox
from turnwise.verifiers.sandbox.errors import SandboxError, SandboxUnavailable
from turnwise.verifiers.sandbox.image import build_image
from turnwise.verifiers.sandbox.local import LocalSandbox
from turnwise.verifiers.sandbox.types import LimitName, Limits, Result

__all__ = [
    "DockerSandbox",
    "LimitName",
    "Limits",
    "LocalSandbox",
    "Result",
    "Sandbox",
    "SandboxError",
    "SandboxUnavailable",
    "build_image",
]
