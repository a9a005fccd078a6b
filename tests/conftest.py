"""Decides what happens to tests whose tools are missing: they skip and say why, or fail where the tool is required.

`TURNWISE_REQUIRE=docker,browser` makes the absence of Docker or of a browser a failure: continuous integration sets it.
"""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Callable
from functools import cache
from importlib.util import find_spec

import pytest


@cache
def missing_docker() -> str | None:
    """Returns why Docker cannot be used, or None."""
    if shutil.which("docker") is None:
        return "the docker command is not installed"
    try:
        reply = subprocess.run(["docker", "info"], capture_output=True, timeout=20, check=False)
    except subprocess.TimeoutExpired:
        return "the Docker daemon does not answer"
    return None if reply.returncode == 0 else "the Docker daemon is not running"


@cache
def missing_browser() -> str | None:
    """Returns why no browser can be driven, or None."""
    if find_spec("playwright") is None:
        return "playwright is not installed"
    found = any(shutil.which(name) for name in ("chromium", "chromium-browser", "google-chrome"))
    return None if found else "Chromium is not installed"


@cache
def missing_vllm() -> str | None:
    """Returns why vLLM cannot be used, or None."""
    return None if find_spec("vllm") else "vllm is not installed"


@cache
def missing_gpu() -> str | None:
    """Returns why no CUDA device can be used, or None."""
    if find_spec("torch") is None:
        return "torch is not installed"
    import torch

    return None if torch.cuda.is_available() else "no CUDA device"


NEEDS: dict[str, Callable[[], str | None]] = {
    "docker": missing_docker,
    "browser": missing_browser,
    "vllm": missing_vllm,
    "gpu": missing_gpu,
}


def pytest_runtest_setup(item: pytest.Item) -> None:
    required = {name.strip() for name in os.environ.get("TURNWISE_REQUIRE", "").split(",")}
    for name, missing in NEEDS.items():
        if item.get_closest_marker(name) is None or (why := missing()) is None:
            continue
        if name in required:
            pytest.fail(f"{name} is required by TURNWISE_REQUIRE, but {why}", pytrace=False)
        pytest.skip(why)
