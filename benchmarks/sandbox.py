"""What it costs to run `print(1)` in the sandbox, beside `docker run` and `docker exec` of the same image in one run.

    turnwise sandbox build
    python benchmarks/sandbox.py

The ways are measured in turn, again and again, so that a busy moment of the machine hits all of them. Then 1,000
programs run from eight threads. Needs Docker; the local sandbox is measured where bubblewrap is. Writes
benchmarks/results/sandbox.md and sandbox.json.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import statistics
import subprocess
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from pathlib import Path

from turnwise.verifiers.sandbox import DockerSandbox, LocalSandbox, Sandbox, SandboxUnavailable
from turnwise.verifiers.sandbox.image import IMAGE

RESULTS = Path(__file__).parent / "results"
PROGRAM = "print(1)"
HARDENED = ["--network=none", "--read-only", "--cap-drop=ALL", "--security-opt=no-new-privileges", "--pids-limit=64",
            "--memory=512m", "--memory-swap=512m", "--user=65534"]  # fmt: skip


def main() -> None:
    """Measures every way and writes the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=300, help="warm runs of each way (300)")
    parser.add_argument("--cold", type=int, default=15, help="runs of docker run and docker exec (15)")
    parser.add_argument("--programs", type=int, default=1000, help="programs of the run at concurrency 8 (1000)")
    arguments = parser.parse_args()
    times, throughput = measure(arguments.rounds, arguments.cold, arguments.programs)
    report = {
        "when": datetime.now(UTC).isoformat(timespec="seconds"),
        "machine": f"{platform.machine()}, {os.cpu_count()} processors, load {os.getloadavg()[0]:.1f} at the end",
        "milliseconds": {name: summary(seconds) for name, seconds in times.items()},
        "concurrency_8": throughput,
    }
    text = table(report)
    RESULTS.mkdir(exist_ok=True)
    (RESULTS / "sandbox.json").write_text(json.dumps(report, indent=2) + "\n")
    (RESULTS / "sandbox.md").write_text(text)
    print(text)


def measure(rounds: int, cold: int, programs: int) -> tuple[dict[str, list[float]], dict[str, float]]:
    """Returns the seconds of every run by way, and what came of the run at concurrency 8."""
    named = f"turnwise-benchmark-{os.getpid()}"
    command(["docker", "run", "-d", "--rm", "--name", named, *HARDENED, IMAGE, "sleep", "3600"])
    opened: dict[str, Sandbox] = {"turnwise, Docker": DockerSandbox(8)}
    try:
        opened["turnwise, local (weaker)"] = LocalSandbox(1)
    except SandboxUnavailable as error:
        print(f"without the local sandbox: {error}")
    ways: dict[str, Callable[[], bytes]] = {
        "docker run": lambda: command(["docker", "run", "--rm", *HARDENED, IMAGE, "python3", "-c", PROGRAM]),
        "docker exec": lambda: command(["docker", "exec", named, "python3", "-c", PROGRAM]),
    }
    for name, sandbox in opened.items():
        ways[name] = lambda sandbox=sandbox: sandbox.run(PROGRAM).stdout  # type: ignore[misc]  # bound by its default
    try:
        for name in opened:
            ways[name]()  # the pool is warm once it has answered
        times: dict[str, list[float]] = {name: [] for name in ways}
        for number in range(rounds):
            for name, run in ways.items():
                if name.startswith("turnwise") or number < cold:
                    times[name].append(timed(run))
        return times, together(opened["turnwise, Docker"], programs)
    finally:
        for sandbox in opened.values():
            sandbox.close()
        command(["docker", "kill", named])


def command(words: list[str]) -> bytes:
    """Returns what a command printed."""
    return subprocess.run(words, capture_output=True, check=True).stdout


def timed(run: Callable[[], bytes]) -> float:
    """Returns the seconds that one run took, after making sure that it ran."""
    started = time.perf_counter()
    printed = run()
    seconds = time.perf_counter() - started
    if printed != b"1\n":
        raise RuntimeError(f"expected 1, got {printed!r}")
    return seconds


def together(sandbox: Sandbox, programs: int) -> dict[str, float]:
    """Runs programs from eight threads; returns how many failed and how many ran in a second."""
    started = time.perf_counter()
    with ThreadPoolExecutor(8) as threads:
        printed = list(threads.map(lambda n: sandbox.run(f"print({n})").stdout, range(programs)))
    seconds = time.perf_counter() - started
    failures = sum(text != f"{n}\n".encode() for n, text in enumerate(printed))
    return {"programs": programs, "failures": failures, "seconds": round(seconds, 2), "per_second": programs / seconds}


def summary(seconds: list[float]) -> dict[str, float]:
    """Returns the median, the 99th percentile and the number of runs, in milliseconds."""
    ordered = sorted(seconds)
    p99 = ordered[min(len(ordered) - 1, int(0.99 * len(ordered)))]
    return {"p50": 1e3 * statistics.median(ordered), "p99": 1e3 * p99, "runs": len(ordered)}


def table(report: dict) -> str:  # type: ignore[type-arg]  # JSON
    """Returns the report in Markdown."""
    lines = [f"`print(1)` in Python, milliseconds. {report['machine']}; {report['when']}.", "",
             "| way | p50 | p99 | runs |", "|---|---|---|---|"]  # fmt: skip
    for name, row in report["milliseconds"].items():
        lines.append(f"| {name} | {row['p50']:.2f} | {row['p99']:.2f} | {row['runs']} |")
    many = report["concurrency_8"]
    lines += ["", f"{many['programs']} programs from 8 threads: {many['failures']} failures, {many['seconds']} s, "
              f"{many['per_second']:.0f} a second.", "", "Reproduce: `python benchmarks/sandbox.py`", ""]  # fmt: skip
    return "\n".join(lines)


if __name__ == "__main__":
    main()
