"""What several tests of verifiers share: inputs that none may fail on, and the sandboxes that this machine has."""

from __future__ import annotations

import os
from collections.abc import Iterator

import pytest
from hypothesis import settings

from turnwise.verifiers.sandbox import DockerSandbox, LocalSandbox, Sandbox, SandboxError, build_image
from turnwise.verifiers.sandbox.image import docker_client, has_image

# Property tests ask whether, not how fast: a busy machine must not fail them.
settings.register_profile("without deadline", deadline=None)
settings.load_profile("without deadline")

MEGABYTE = 1_000_000
MUCH = 250_000  # enough to turn a quadratic parser into minutes, and to keep the tests of linear ones short

HOSTILE = {
    "empty": "",
    "spaces": " " * MUCH,
    "a megabyte of one letter": "a" * MEGABYTE,
    "a megabyte of digits": "9" * MEGABYTE,
    "open brackets": "[" * MUCH,
    "open braces": '{"a":' * (MUCH // 5),
    "closed brackets": "]" * MUCH,
    "quotation marks": '"' * MUCH,
    "backslashes": "\\" * MUCH,
    "open tags": "<answer>" * (MUCH // 8),
    "closed tags": "</answer>" * (MUCH // 9),
    "half tags": "<" * MUCH,
    "fences": "```json\n" * (MUCH // 8),
    "thousands": "1," * (MUCH // 2),
    "fractions": "1/" * (MUCH // 2),
    "exponents": "1e" * (MUCH // 2),
    "minus signs": "-" * MUCH,
    "words": "word " * (MUCH // 5),
    "lines": "\n" * MUCH,
    "nul": "\x00" * 1000,
    "lone surrogates": "\ud800\udfff" * 1000,
    "combining marks out of order": "a" + "\u0315\u0300" * (MUCH // 2),
    "every plane": "".join(chr(code) for code in range(0, 0x110000, 97)),
    "right to left": "\u202e\u0661\u0662\u0663\u202c" * 1000,
    "zero width": "\u200b\u200d\ufeff" * 1000,
}


@pytest.fixture(params=HOSTILE.values(), ids=HOSTILE)
def hostile(request: pytest.FixtureRequest) -> str:
    """A text that has broken some parser somewhere."""
    text: str = request.param
    return text


BACKENDS = [pytest.param("docker", marks=pytest.mark.docker), "local"]


def open_docker(concurrency: int) -> Sandbox:
    client = docker_client()
    try:
        if not has_image(client):
            build_image()
    except SandboxError as error:
        message = f"the sandbox image is missing and cannot be built: {error}"
        if "docker" in os.environ.get("TURNWISE_REQUIRE", ""):
            pytest.fail(message, pytrace=False)
        pytest.skip(message)
    finally:
        client.close()
    return DockerSandbox(concurrency)


def open_local(concurrency: int) -> Sandbox:
    try:
        sandbox = LocalSandbox(concurrency)
    except SandboxError as error:
        pytest.skip(str(error))
    try:
        sandbox.run("pass")
    except SandboxError as error:
        sandbox.close()
        pytest.skip(f"bubblewrap cannot make a sandbox here: {error}")
    return sandbox


@pytest.fixture(scope="module", params=BACKENDS)
def sandbox(request: pytest.FixtureRequest) -> Iterator[Sandbox]:
    """Each kind of sandbox that this machine has, with two workers."""
    with (open_docker if request.param == "docker" else open_local)(2) as opened:
        yield opened


@pytest.fixture
def local_sandbox() -> Iterator[Sandbox]:
    """A local sandbox with one worker, where this machine can have one."""
    with open_local(1) as opened:
        yield opened
