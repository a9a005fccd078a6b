r"""Accuracy and latency of MathVerifier beside Math-Verify, on the same labelled cases in one invocation.

    python -m venv .venv-math-verify && .venv-math-verify/bin/pip install 'math-verify[antlr4_13_2]'
    python benchmarks/verifiers.py --math-verify .venv-math-verify/bin/python

Each grader runs in a process of its own (one thread) that stays up; the parent sends one case at a time and kills a
process that is silent for 20 s, which counts as that case's time. The graders take every case in turn, so that a busy
moment of the machine hits both. Cases: `tests/verifiers/math/cases.txt` (MathVerifier was tuned on it), `heldout.txt`
(written before, not tuned on), and hostile inputs. Math-Verify gets bare answers between dollar signs (on the held-out
cases `\boxed{}` gave one more right answer, plain text far fewer) and full responses as they are. Without
`--math-verify` its columns are absent. Writes benchmarks/results/verifiers.md and verifiers.json.
"""

from __future__ import annotations

import argparse
import importlib.util
import json
import os
import platform
import queue
import shlex
import statistics
import subprocess
import sys
import threading
import time
from collections import defaultdict
from collections.abc import Callable, Iterable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parent.parent
RESULTS = Path(__file__).parent / "results"
PATIENCE = 20.0
"""Seconds of silence after which a grader's process is killed."""
RESPONSES = ("boxed", "answer", "Answer", "ANSWER", "$", "\n", "答", "####", "</think>")
"""What marks a full response: it is given to Math-Verify as it is."""
HOSTILE: dict[str, str] = {
    "1 MB of (": "(" * 10**6,
    "1 MB of balanced parentheses": "(" * 500_000 + ")" * 500_000,
    "1 MB of {": "{" * 10**6,
    "1 MB of digits": "9" * 10**6,
    "1 MB of backslashes": "\\" * 10**6,
    "140,000 boxes that never close": "\\boxed{" * 140_000,
    "\\frac nested 5,000 deep": "\\frac{1}{" * 5_000 + "2" + "}" * 5_000,
    "\\frac nested 40 deep": "\\frac{1}{" * 40 + "2" + "}" * 40,
    "40 nested parentheses": "(" * 40 + "x+1" + ")" * 40,
    "7^{10^9}": "7^{10^9}",
    "10^{10^{10}}": "10^{10^{10}}",
    "9^{9^{9^9}}": "9^{9^{9^9}}",
    "(10^9)!": "(10^9)!",
    "\\sum_{k=1}^{10^9} k^k": "\\sum_{k=1}^{10^9} k^k",
    "(x+1)^{10^6}": "(x+1)^{10^6}",
    "\\sin(10^{10^6})": "\\sin(10^{10^6})",
    "__import__('os')...": "__import__('os').getpid()",
}


# The graders' side. Only the standard library and the grader: the other environment has no turnwise.


def turnwise_grader() -> Callable[[str, str], float | None]:
    """Returns MathVerifier as a function to 1, 0 or None (undecided)."""
    from turnwise.verifiers.math import MathVerifier

    verifier = MathVerifier()

    def grade(response: str, reference: str) -> float | None:
        verdict = verifier(response, reference)
        return verdict.score if verdict.decided else None

    return grade


def math_verify_grader() -> Callable[[str, str], float | None]:
    """Returns Math-Verify with its defaults as a function to 1 or 0."""
    import logging

    from math_verify import parse, verify

    logging.disable(logging.CRITICAL)

    def dressed(text: str) -> str:
        return text if any(mark in text for mark in RESPONSES) or len(text.split()) > 6 else f"${text}$"

    def grade(response: str, reference: str) -> float | None:
        return float(verify(parse(dressed(reference)), parse(dressed(response))))

    return grade


def serve(which: str) -> None:
    """Answers cases, one a line, with the score and the seconds it took."""
    grade = turnwise_grader() if which == "turnwise" else math_verify_grader()
    grade("1/2", "0.5")
    grade("\\sqrt{8}", "2\\sqrt{2}")
    print(json.dumps("ready"), flush=True)
    for line in sys.stdin:
        response, reference = json.loads(line)
        start = time.perf_counter()
        try:
            score = grade(response, reference)
        except Exception as error:  # noqa: BLE001 - an exception is a result: the grader did not decide
            print(f"{type(error).__name__}: {error}"[:200], file=sys.stderr)
            score = None
        print(json.dumps([score, time.perf_counter() - start]), flush=True)


# The parent's side


class Grader:
    """A grader in a process of its own."""

    def __init__(self, name: str, python: str) -> None:
        self.name = name
        self.command = [python, str(Path(__file__).resolve()), "--serve", name]
        self.process: subprocess.Popen[str] | None = None
        self.lines: queue.Queue[str] = queue.Queue()

    def start(self) -> subprocess.Popen[str]:
        """Starts the process and waits until it is warm."""
        process = subprocess.Popen(
            self.command,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            text=True,
            env={**os.environ, "OMP_NUM_THREADS": "1"},
        )
        self.lines = queue.Queue()
        threading.Thread(target=self.pump, args=(process, self.lines), daemon=True).start()
        if json.loads(self.lines.get(timeout=120)) != "ready":
            raise RuntimeError(f"{self.name} did not start")
        self.process = process
        return process

    @staticmethod
    def pump(process: subprocess.Popen[str], lines: queue.Queue[str]) -> None:
        """Moves the process's lines to a queue, so that waiting for one can end."""
        assert process.stdout is not None
        for line in process.stdout:
            lines.put(line)

    def grade(self, response: str, reference: str) -> tuple[float | None, float]:
        """Returns the score (None: undecided, or killed) and the seconds."""
        process = self.process or self.start()
        assert process.stdin is not None
        process.stdin.write(json.dumps([response, reference]) + "\n")
        process.stdin.flush()
        try:
            score, seconds = json.loads(self.lines.get(timeout=PATIENCE))
        except queue.Empty:
            self.close()
            return None, PATIENCE
        return score, seconds

    def close(self) -> None:
        """Ends the process."""
        if self.process is not None:
            self.process.kill()
            self.process.wait()
            self.process = None


def read_cases(name: str) -> list[Any]:
    """Returns the labelled cases of a file of the tests."""
    spec = importlib.util.spec_from_file_location("corpus", ROOT / "tests/verifiers/math/corpus.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return list(module.read_cases(name))


def right(label: str, score: float | None) -> bool:
    """Returns whether a score is what the label asks for; no decision is right only where abstaining is allowed."""
    return {"equal": score == 1.0, "different": score == 0.0, "undecided": score != 1.0}[label]


def summary(rows: list[dict[str, Any]], name: str) -> dict[str, Any]:
    """Returns accuracy, errors of both kinds, and latency of one grader."""
    seconds = sorted(row[name]["seconds"] for row in rows)
    equal = [row for row in rows if row["label"] == "equal"]
    other = [row for row in rows if row["label"] != "equal"]
    return {
        "cases": len(rows),
        "accuracy": sum(row[name]["right"] for row in rows) / len(rows),
        "false negatives": sum(row[name]["score"] == 0.0 for row in equal),
        "false positives": sum(row[name]["score"] == 1.0 for row in other),
        "undecided": sum(row[name]["score"] is None for row in rows),
        "equal": len(equal),
        "different": len(other),
        "mean ms": 1e3 * statistics.fmean(seconds),
        "p50 ms": 1e3 * seconds[len(seconds) // 2],
        "p99 ms": 1e3 * seconds[min(len(seconds) - 1, int(len(seconds) * 0.99))],
        "max ms": 1e3 * seconds[-1],
    }


def measure(graders: list[Grader], cases: Iterable[Any]) -> list[dict[str, Any]]:
    """Grades every case with every grader, in turn."""
    rows = []
    for case in cases:
        row: dict[str, Any] = {"family": case.family, "label": case.label}
        row |= {"response": case.response, "reference": case.reference}
        for grader in graders:
            score, seconds = grader.grade(case.response, case.reference)
            row[grader.name] = {"score": score, "seconds": seconds, "right": right(case.label, score)}
        rows.append(row)
    return rows


def summary_table(parts: dict[str, list[dict[str, Any]]], names: list[str]) -> list[str]:
    """Returns the lines of the main table."""
    lines = [
        "| cases | grader | accuracy | false negatives | false positives | undecided | mean | p50 | p99 | max |",
        "|---|---|--:|--:|--:|--:|--:|--:|--:|--:|",
    ]
    for title, rows in parts.items():
        for name in names:
            s = summary(rows, name)
            times = " | ".join(f"{s[key]:.1f} ms" for key in ("mean ms", "p50 ms", "p99 ms", "max ms"))
            lines.append(
                f"| {title} ({s['cases']}) | {name} | {s['accuracy']:.1%} | {s['false negatives']}/{s['equal']} | "
                f"{s['false positives']}/{s['different']} | {s['undecided']} | {times} |"
            )
    return lines


def family_table(rows: list[dict[str, Any]], names: list[str]) -> list[str]:
    """Returns accuracy and both kinds of error by family."""
    families: dict[str, list[dict[str, Any]]] = defaultdict(list)
    for row in rows:
        families[row["family"]].append(row)
    heading = "".join(f" {name} | wrong = | wrong ≠ |" for name in names)
    lines = [f"| family | cases |{heading}", "|---|--:|" + "--:|" * (3 * len(names))]
    for family, members in families.items():
        cells = []
        for name in names:
            s = summary(members, name)
            cells += [f"{s['accuracy']:.0%}", str(s["false negatives"]), str(s["false positives"])]
        lines.append(f"| {family} | {len(members)} | " + " | ".join(cells) + " |")
    return lines


def hostile_table(results: dict[str, dict[str, list[Any]]], names: list[str]) -> list[str]:
    """Returns verdict and time for each hostile input."""
    lines = ["| input against 5 | " + " | ".join(names) + " |", "|---|" + "---|" * len(names)]
    for title, found in results.items():
        cells = []
        for name in names:
            score, seconds = found[name]
            verdict = "killed" if seconds >= PATIENCE else "undecided" if score is None else f"{score:.0f}"
            cells.append(f"{verdict}, {1e3 * seconds:,.0f} ms")
        lines.append(f"| `{title}` | " + " | ".join(cells) + " |")
    return lines


def machine() -> str:
    """Returns processor, cores, load and Python version."""
    model = platform.processor() or platform.machine()
    info = Path("/proc/cpuinfo")
    if info.exists():
        names = [
            line.split(":", 1)[1].strip() for line in info.read_text().splitlines() if line.startswith("model name")
        ]
        model = names[0] if names else model
    load = f", load {os.getloadavg()[0]:.1f} at the start" if hasattr(os, "getloadavg") else ""
    return f"{model}, {os.cpu_count()} cores{load} (shared); Python {platform.python_version()}"


def main() -> None:
    """Measures and writes the report."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--math-verify", metavar="PYTHON", help="the interpreter of an environment with math-verify")
    parser.add_argument("--serve", choices=["turnwise", "math-verify"], help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.serve:
        serve(options.serve)
        return
    where = machine()
    graders = [Grader("turnwise", sys.executable)]
    if options.math_verify:
        graders.append(Grader("math-verify", options.math_verify))
    names = [grader.name for grader in graders]
    parts = {
        "held out": measure(graders, read_cases("heldout.txt")),
        "tuned on": measure(graders, read_cases("cases.txt")),
    }
    hostile = {
        title: {grader.name: list(grader.grade(text, "5")) for grader in graders} for title, text in HOSTILE.items()
    }
    for grader in graders:
        grader.close()
    command = "python benchmarks/verifiers.py" + (
        f" --math-verify {shlex.quote(options.math_verify)}" if options.math_verify else ""
    )
    lines = ["# Verifiers", "", "## Mathematical answers", "", *summary_table(parts, names), ""]
    lines += [
        "An undecided answer counts as wrong for accuracy unless the case allows abstaining. Latency is one thread,",
        "extraction included. The held-out cases were written before MathVerifier was tuned and not tuned on; both",
        "files come from the authors of MathVerifier and follow its conventions, which favours it. The longest time",
        "includes the start of the worker process for sympy.",
        "", "### By family (tuned-on cases)", "", *family_table(parts["tuned on"], names), "",
        "### Hostile input", "", *hostile_table(hostile, names), "",
        f"{where}; {datetime.now(UTC):%Y-%m-%d}", "", f"    {command}", "",
    ]  # fmt: skip
    RESULTS.mkdir(exist_ok=True)
    (RESULTS / "verifiers.md").write_text("\n".join(lines), encoding="utf-8")
    record = {
        "machine": where,
        "command": command,
        "summary": {title: {name: summary(rows, name) for name in names} for title, rows in parts.items()},
        "hostile": hostile,
        "wrong": {
            name: [
                [row["response"], row["reference"], row["label"]]
                for rows in parts.values()
                for row in rows
                if not row[name]["right"]
            ]
            for name in names
        },
    }
    (RESULTS / "verifiers.json").write_text(json.dumps(record, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")
    print("\n".join(lines))


if __name__ == "__main__":
    main()
