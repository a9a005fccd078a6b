"""Speed of the environments beside GEM's and Gymnasium's trivial one, measured in turns in one invocation.

    python -m venv .venv-gem && .venv-gem/bin/pip install gem-llm
    python benchmarks/envs.py --gem .venv-gem/bin/python

Both sides run in processes of their own that stay up for the whole run. The parent has them play the cases in turn,
again and again, so that a busy moment of the machine hits both; the table shows medians. Ours go through
`gymnasium.make` with its default wrappers. All play the same policy, random well-formed actions, in whole episodes.
Without `--gem` its columns say why they are empty. Writes benchmarks/results/envs.md and envs.json.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import random
import shlex
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

RESULTS = Path(__file__).parent / "results"
ACTIONS = 4096
"""Actions are drawn before the clock runs and used in rotation."""


@dataclass(frozen=True)
class Case:
    """One thing to measure, on one side.

    Attributes:
        name: The row of the table.
        side: "turnwise" or "gem": which worker plays it.
        env: The environment's id there.
        options: Its constructor arguments.
        action: An action with a place for a word.
        words: The words to draw from.
        steps: Steps a measurement.
        same_seed: Whether every episode is the same task, as in a group of rollouts.
    """

    name: str
    side: str
    env: str
    options: dict[str, Any]
    action: str
    words: tuple[str, ...]
    steps: int
    same_seed: bool = False


NUMBERS_64 = tuple(str(number) for number in range(1, 65))
NUMBERS_50 = tuple(str(number) for number in range(1, 51))
MOVES = ("up", "down", "left", "right")
OPERATIONS = tuple(f"{a}{operator}{b}" for a in (3, 41, 870) for b in (5, 12, 300) for operator in "+-*")
TRIVIAL = "trivial text environment"
GUESS = "GuessNumber, 7 turns"
SOKOBAN = "Sokoban 6x6, 2 boxes, 20 turns"
SOKOBAN_GROUP = "the same, one task again and again, as in a group of rollouts"
SOKOBAN_LARGE = "Sokoban 8x8, 50 turns (ours 3 boxes, GEM's 4)"
ARITHMETIC = "Arithmetic, 5 operations"

OUR_SOKOBAN = ("turnwise", "turnwise/Sokoban-v0", {"difficulty": "hard", "max_turns": 20}, "<move>{}</move>", MOVES)
OUR_LARGE = ("turnwise", "turnwise/Sokoban-v0", {"difficulty": "extreme", "max_turns": 50}, "<move>{}</move>", MOVES)
THEIR_SOKOBAN = ("gem", "game:Sokoban-v0-easy", {}, r"\boxed{{{}}}", MOVES)
THEIR_LARGE = ("gem", "game:Sokoban-v0-hard", {}, r"\boxed{{{}}}", MOVES)
OUR_GUESS = ("turnwise", "turnwise/GuessNumber-v0", {"difficulty": "medium"}, "<guess>{}</guess>", NUMBERS_64)
THEIR_GUESS = ("gem", "game:GuessTheNumber-v0-hard", {}, r"\boxed{{{}}}", NUMBERS_50)
OUR_ARITHMETIC = ("turnwise", "turnwise/Arithmetic-v0", {"difficulty": "hard"}, "<calc>{}</calc>", OPERATIONS)

CASES = (
    Case(TRIVIAL, "turnwise", "bench/Trivial-v0", {}, "{}", ("x",), 200_000),
    Case(GUESS, *OUR_GUESS, 30_000),
    Case(GUESS, *THEIR_GUESS, 60_000),
    Case(SOKOBAN, *OUR_SOKOBAN, 8_000),
    Case(SOKOBAN, *THEIR_SOKOBAN, 1_000),
    Case(SOKOBAN_GROUP, *OUR_SOKOBAN, 20_000, same_seed=True),
    Case(SOKOBAN_GROUP, *THEIR_SOKOBAN, 1_000, same_seed=True),
    Case(SOKOBAN_LARGE, *OUR_LARGE, 4_000),
    Case(SOKOBAN_LARGE, *THEIR_LARGE, 50),
    Case(ARITHMETIC, *OUR_ARITHMETIC, 15_000),
)


# The workers.


def make_ours(env_id: str, options: dict[str, Any]) -> Any:
    """Makes one of our environments, or Gymnasium's side of the comparison: an environment that does nothing."""
    import gymnasium as gym

    import turnwise.envs

    class Trivial(gym.Env[str, str]):
        observation_space = action_space = turnwise.envs.TextSpace()

        def reset(
            self, *, seed: int | None = None, options: dict[str, Any] | None = None
        ) -> tuple[str, dict[str, Any]]:
            super().reset(seed=seed)
            self.turn = 0
            return "go", {}

        def step(self, action: str) -> tuple[str, float, bool, bool, dict[str, Any]]:
            self.turn += 1
            return "ok", 0.0, False, self.turn == 20, {}

    if "bench/Trivial-v0" not in gym.registry:
        gym.register("bench/Trivial-v0", Trivial)
    return gym.make(env_id, **options)


def make_theirs(env_id: str, options: dict[str, Any]) -> Any:
    """Makes one of GEM's environments."""
    import gem

    return gem.make(env_id, **options)


def measure(env: Any, case: Case, first_seed: int) -> dict[str, float]:
    """Plays random episodes; returns seconds in steps and in resets, and how many there were of each."""
    draw = random.Random(first_seed)
    actions = [case.action.format(draw.choice(case.words)) for _ in range(ACTIONS)]
    clock = time.perf_counter
    in_resets = 0.0
    resets = 0
    over = True
    began = clock()
    for turn in range(case.steps):
        if over:
            start = clock()
            env.reset(seed=first_seed if case.same_seed else first_seed + resets)
            in_resets += clock() - start
            resets += 1
        _, _, terminated, truncated, _ = env.step(actions[turn % ACTIONS])
        over = terminated or truncated
    total = clock() - began
    return {"steps": case.steps, "resets": resets, "step_seconds": total - in_resets, "reset_seconds": in_resets}


def work(side: str) -> None:
    """Answers requests from standard input, one JSON object a line, until it ends."""
    make = make_ours if side == "turnwise" else make_theirs
    envs: dict[str, Any] = {}
    versions = {"python": platform.python_version()}
    for package in ("turnwise", "gymnasium") if side == "turnwise" else ("gem-llm", "gymnasium"):
        versions |= version_of(package)
    reply = os.fdopen(os.dup(1), "w")  # what the environments print does not disturb the protocol
    os.dup2(2, 1)
    print(json.dumps(versions | version_of("numpy")), file=reply, flush=True)
    for line in sys.stdin:
        request = json.loads(line)
        case = Case(**request["case"])
        if line_key(case) not in envs:
            envs[line_key(case)] = make(case.env, case.options)
        print(json.dumps(measure(envs[line_key(case)], case, request["seed"])), file=reply, flush=True)


def line_key(case: Case) -> str:
    """Returns what tells two environments apart."""
    return f"{case.env} {sorted(case.options.items())}"


def version_of(package: str) -> dict[str, str]:
    """Returns the version of an installed package by name, or nothing."""
    from importlib.metadata import PackageNotFoundError, version

    try:
        return {package: version(package)}
    except PackageNotFoundError:
        return {}


# The parent.


class Worker:
    """A process that measures."""

    def __init__(self, python: str, side: str) -> None:
        self.process = subprocess.Popen(
            [python, __file__, "--work", side],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            env=os.environ | {"OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1"},
        )
        self.versions: dict[str, str] = self._read()

    def ask(self, case: Case, seed: int) -> dict[str, float]:
        """Has a case measured."""
        assert self.process.stdin is not None
        case_json = asdict(case)
        self.process.stdin.write(json.dumps({"case": case_json, "seed": seed}) + "\n")
        self.process.stdin.flush()
        return self._read()

    def _read(self) -> Any:
        assert self.process.stdout is not None
        line = self.process.stdout.readline()
        if not line:
            assert self.process.stderr is not None
            raise RuntimeError(f"a worker ended: {self.process.stderr.read().strip()[-600:]}")
        return json.loads(line)

    def stop(self) -> None:
        """Ends the process."""
        self.process.terminate()
        self.process.communicate()


def start_gem(python: str | None) -> tuple[Worker | None, str]:
    """Starts GEM's side; returns None and the reason where it cannot be."""
    if python is None:
        return None, "not measured: no interpreter with gem-llm was given (--gem)"
    try:
        worker = Worker(python, "gem")
        worker.ask(next(case for case in CASES if case.side == "gem"), 0)
    except (OSError, RuntimeError) as error:
        return None, f"not measured: {error}"
    return worker, ""


def run(workers: dict[str, Worker], repeats: int) -> dict[tuple[str, str], dict[str, float]]:
    """Measures every case `repeats` times in turn and returns medians by name and side."""
    samples: dict[tuple[str, str], list[dict[str, float]]] = {}
    for repeat in range(-1, repeats):  # the first round warms up
        for case in CASES:
            if case.side in workers:
                sample = workers[case.side].ask(case, 10_000_000 * (repeat + 2))
                if repeat >= 0:
                    samples.setdefault((case.name, case.side), []).append(sample)
        print(f"round {repeat + 1} of {repeats}", file=sys.stderr)
    return {key: medians(values) for key, values in samples.items()}


def medians(samples: Sequence[dict[str, float]]) -> dict[str, float]:
    """Returns steps a second, steps a second with resets, and microseconds a reset: the median of the samples."""

    def median(value: Callable[[dict[str, float]], float]) -> float:
        return statistics.median(value(sample) for sample in samples)

    return {
        "steps_per_second": median(lambda s: s["steps"] / s["step_seconds"]),
        "steps_per_second_with_resets": median(lambda s: s["steps"] / (s["step_seconds"] + s["reset_seconds"])),
        "reset_microseconds": median(lambda s: 1e6 * s["reset_seconds"] / s["resets"]),
    }


def machine() -> dict[str, Any]:
    """Returns what the numbers depend on."""
    model = platform.processor() or platform.machine()
    cpuinfo = Path("/proc/cpuinfo")
    if cpuinfo.exists():
        names = [line.split(":", 1)[1].strip() for line in cpuinfo.read_text().splitlines() if "model name" in line]
        model = names[0] if names else model
    return {
        "cpu": model,
        "cores": os.cpu_count(),
        "load": round(os.getloadavg()[0], 1),
        "system": f"{platform.system()} {platform.machine()}",
        "date": datetime.now(UTC).date().isoformat(),
        "command": shlex.join(["python", *sys.argv]),
    }


def table(results: dict[tuple[str, str], dict[str, float]], reason: str) -> list[str]:
    """Returns the table's rows: each measure as ours, GEM's and their ratio."""
    header = ["environment", "measure", "turnwise", "GEM", "ratio"]
    rows = ["| " + " | ".join(header) + " |", "|---|---|--:|--:|--:|"]
    measures = (
        ("steps_per_second", "steps/s", False),
        ("steps_per_second_with_resets", "steps/s with resets", False),
        ("reset_microseconds", "µs a reset", True),
    )
    peers = {case.name for case in CASES if case.side == "gem"}
    for name in dict.fromkeys(case.name for case in CASES):
        ours, theirs = results[name, "turnwise"], results.get((name, "gem"))
        for key, label, smaller_is_better in measures:
            cells = [name, label, f"{ours[key]:,.0f}"]
            if theirs is None:
                cells += [reason if name in peers else "-", "-"]
            else:
                ratio = theirs[key] / ours[key] if smaller_is_better else ours[key] / theirs[key]
                cells += [f"{theirs[key]:,.0f}", f"{ratio:.0f}x" if ratio >= 10 else f"{ratio:.2g}x"]
            rows.append("| " + " | ".join(cells) + " |")
    return rows


NOTES = """\
Ratios above 1 mean that turnwise is faster. "trivial text environment" is a Gymnasium environment that does nothing,
through `gymnasium.make`: the ceiling for everything that goes through it. Ours return, every turn, the state's hash,
the reward by parts, the exact progress and the feedback; in Sokoban every position of a room is solved when the room is
drawn, so that a reset pays for the optimal length, the oracle and the detection of dead ends. Each reset has a new
seed, except in the row of one task. GEM's 8x8 rooms take so long to generate that only a few episodes are measured.
"""


def main() -> None:
    """Measures, prints and writes the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--gem", metavar="PYTHON", help="an interpreter that has gem-llm installed")
    parser.add_argument("--repeats", type=int, default=9, help="measurements of each case; the median counts")
    parser.add_argument("--work", choices=("turnwise", "gem"), help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.work:
        work(arguments.work)
        return
    conditions = machine()
    gem, reason = start_gem(arguments.gem)
    workers = {"turnwise": Worker(sys.executable, "turnwise")} | ({"gem": gem} if gem else {})
    try:
        results = run(workers, arguments.repeats)
        conditions["versions"] = {side: worker.versions for side, worker in workers.items()}
    finally:
        for worker in workers.values():
            worker.stop()
    rows = table(results, reason)
    versions = "; ".join(
        f"{side}: " + ", ".join(f"{package} {version}" for package, version in worker.items())
        for side, worker in conditions["versions"].items()
    )
    text = "\n".join(
        [
            "# Speed of the environments",
            "",
            *rows,
            "",
            NOTES,
            f"{conditions['cpu']}, {conditions['cores']} cores, load {conditions['load']} at the start (shared);",
            f"{conditions['system']}; {versions}; {conditions['date']}; medians of {arguments.repeats}.",
            "",
            f"    {conditions['command']}",
            "",
        ]
    )
    print(text)
    RESULTS.mkdir(exist_ok=True)
    (RESULTS / "envs.md").write_text(text, encoding="utf-8")
    cases = [{"name": name, "side": side, **numbers} for (name, side), numbers in results.items()]
    data = {"machine": conditions, "gem": reason or "measured", "repeats": arguments.repeats, "cases": cases}
    (RESULTS / "envs.json").write_text(json.dumps(data, indent=2) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
