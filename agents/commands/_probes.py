"""What `turnwise doctor` looks at. Each probe has a deadline; those that wait run side by side."""

from __future__ import annotations

import contextlib
import json
import os
import platform
import re
import shutil
import signal
import subprocess
import sys
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, metadata, requires, version
from pathlib import Path

DEADLINE = 30.0
"""Seconds that one probe may take. Importing torch on a busy machine is what takes long."""

UNLOCKS = {
    "train": "training, models of the hub and of local folders, configuration files, progress and learning curves",
    "server": "models behind OpenAI-compatible endpoints",
    "dev": "turnwise's own tests and checks",
    "docs": "building the documentation",
}
"""What each extra is for."""


@dataclass(frozen=True)
class Finding:
    """One line of the report.

    Attributes:
        name: What was looked for.
        ok: Whether it is there.
        detail: Its version, or why it cannot be used.
        unlocks: What it would make possible; only where it is missing.
        remedy: The command that brings it; only where it is missing.
    """

    name: str
    ok: bool
    detail: str
    unlocks: str = ""
    remedy: str = ""


def examine() -> dict[str, list[Finding]]:
    """Returns the findings of every section."""
    probes: Sequence[Callable[[], list[Finding]]] = (probe_torch, probe_docker, probe_chromium, probe_vllm)
    with ThreadPoolExecutor(len(probes)) as pool:
        running = [pool.submit(probe) for probe in probes]
        extras = probe_extras()
        outside = [finding for future in running for finding in future.result()]
    return {"turnwise": probe_core(), "extras": extras, "beside Python": outside}


def probe_core() -> list[Finding]:
    """Finds Python, the system, and the core dependencies."""
    found = [
        Finding("turnwise", ok=True, detail=version("turnwise")),
        Finding("python", ok=True, detail=f"{platform.python_version()} ({sys.executable})"),
        Finding("system", ok=True, detail=f"{platform.platform()}, {os.cpu_count()} CPU cores"),
    ]
    return found + [_package(requirement) for requirement in _requirements(None)]


def probe_extras() -> list[Finding]:
    """Finds which extras are complete."""
    findings = []
    for extra in metadata("turnwise").get_all("Provides-Extra") or []:
        packages = [_package(requirement) for requirement in _requirements(extra)]
        missing = [package.name for package in packages if not package.ok]
        detail = ", ".join(f"{package.name} {package.detail}" for package in packages)
        if missing:
            remedy = f"pip install 'turnwise[{extra}]'"
            findings.append(Finding(extra, ok=False, detail=detail, unlocks=UNLOCKS.get(extra, ""), remedy=remedy))
        else:
            findings.append(Finding(extra, ok=True, detail=detail))
    return findings


def _requirements(extra: str | None) -> list[str]:
    """Returns the requirements that an extra (or the core, for None) adds, without its references to other extras."""
    found = []
    for requirement in requires("turnwise") or []:
        text, _, marker = requirement.partition(";")
        named = re.search(r"extra\s*==\s*['\"]([^'\"]+)", marker)
        if (named.group(1) if named else None) == extra and not text.strip().startswith("turnwise["):
            found.append(text.strip())
    return found


def _package(requirement: str) -> Finding:
    """Returns whether an installed package meets a requirement; only its lower bound is looked at."""
    name = re.split(r"[\s\[<>=!~(]", requirement, maxsplit=1)[0]
    try:
        installed = version(name)
    except PackageNotFoundError:
        return Finding(name, ok=False, detail="missing")
    lowest = re.search(r">=\s*([\d.]+)", requirement)
    if lowest and _numbers(installed) < _numbers(lowest.group(1)):
        return Finding(name, ok=False, detail=f"{installed} is too old, {lowest.group(1)} is needed")
    return Finding(name, ok=True, detail=installed)


def _numbers(text: str) -> list[int]:
    release = re.match(r"\d+(\.\d+)*", text)
    return [int(part) for part in release.group().split(".")] if release else []


_TORCH = """
import json, torch
devices = []
if torch.cuda.is_available():
    for index in range(torch.cuda.device_count()):
        memory = torch.cuda.get_device_properties(index).total_memory / 2**30
        devices.append(f"cuda:{index} {torch.cuda.get_device_name(index)}, {memory:.0f} GiB")
if torch.backends.mps.is_available():
    devices.append("mps")
print(json.dumps({"version": torch.__version__, "devices": devices, "threads": torch.get_num_threads()}))
"""


def probe_torch() -> list[Finding]:
    """Finds torch and its devices, in a process of its own: a broken driver can hang it."""
    try:
        version("torch")
    except PackageNotFoundError:
        return [Finding("torch", False, "missing", UNLOCKS["train"], "pip install 'turnwise[train]'")]
    status, output = _run([sys.executable, "-c", _TORCH])
    if status != 0:
        remedy = "pip install --force-reinstall torch"
        return [Finding("torch", False, f"installed, but cannot be imported: {output}", UNLOCKS["train"], remedy)]
    facts = json.loads(output.splitlines()[-1])
    torch = Finding("torch", True, f"{facts['version']}, {facts['threads']} CPU threads")
    if facts["devices"]:
        return [torch, Finding("accelerator", True, "; ".join(facts["devices"]))]
    unlocks = "training and generation on a GPU: the same commands use it"
    return [torch, Finding("accelerator", False, "none that torch can use", unlocks, "https://pytorch.org/get-started")]


def probe_docker() -> list[Finding]:
    """Finds the Docker client and its daemon."""
    unlocks = "the sandbox for code that models write"
    if shutil.which("docker") is None:
        return [Finding("docker", False, "no client", unlocks, "https://docs.docker.com/engine/install")]
    status, output = _run(["docker", "version", "--format", "{{.Client.Version}} {{.Server.Version}}"])
    if status != 0:
        return [Finding("docker", False, f"client only: {output}", unlocks, "sudo systemctl start docker")]
    client, _, server = output.strip().partition(" ")
    return [Finding("docker", True, f"client {client}, daemon {server}")]


def probe_chromium() -> list[Finding]:
    """Finds a Chromium: the system's, or one that Playwright downloaded."""
    names = ("chromium", "chromium-browser", "google-chrome")
    path = next((found for name in names if (found := shutil.which(name))), None)
    if path is None:
        base = Path(os.environ.get("PLAYWRIGHT_BROWSERS_PATH") or Path.home() / ".cache" / "ms-playwright")
        downloaded = sorted(base.glob("chromium-*/*/chrome"))
        path = str(downloaded[-1]) if downloaded else None
    if path is None:
        remedy = "pip install playwright && playwright install chromium"
        return [Finding("chromium", False, "not found", "web environments, and the viewer's tests", remedy)]
    status, output = _run([path, "--version"])
    detail = output.strip() if status == 0 else f"does not tell its version: {output}"
    return [Finding("chromium", status == 0, f"{detail} ({path})")]


def probe_vllm() -> list[Finding]:
    """Finds vLLM by its metadata: importing it takes long and reaches for a GPU."""
    try:
        return [Finding("vllm", True, version("vllm"))]
    except PackageNotFoundError:
        unlocks = "serving a model fast on a GPU: vllm serve MODEL, then turnwise eval --policy http://..."
        return [Finding("vllm", False, "missing", unlocks, "pip install vllm")]


def _run(command: Sequence[str]) -> tuple[int, str]:
    """Returns the exit status of a command and what it said: its output, or its last word on what went wrong.

    Not `subprocess.run`, which waits without end for a killed process: one that hangs in a driver dies only later.
    """
    try:
        process = subprocess.Popen(
            command,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            errors="replace",
            start_new_session=True,
        )
    except OSError as error:
        return 1, str(error)
    try:
        output, complaint = process.communicate(timeout=DEADLINE)
    except subprocess.TimeoutExpired:
        os.killpg(process.pid, signal.SIGKILL)
        with contextlib.suppress(subprocess.TimeoutExpired):
            process.communicate(timeout=1)
        return 1, f"no answer within {DEADLINE:g} s"
    if process.returncode == 0:
        return 0, output.strip()
    lines = (complaint.strip() or output.strip() or f"it ended with status {process.returncode}").splitlines()
    return process.returncode, lines[-1]
