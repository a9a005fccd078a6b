"""What the README and the examples show is what happens."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent


def run(*words: str) -> str:
    """Returns what a script prints; a failure shows its traceback."""
    done = subprocess.run(
        [sys.executable, "-W", "error", *words],
        capture_output=True,
        text=True,
        check=False,
        cwd=ROOT,
        env={**os.environ, "OMP_NUM_THREADS": "1"},
        timeout=240,
    )
    assert done.returncode == 0, done.stderr[-3000:]
    return done.stdout


def test_the_readme_opens_with_at_most_fifteen_lines_that_print_what_it_says() -> None:
    readme = (ROOT / "README.md").read_text(encoding="utf-8")
    code, output = re.search(r"```python\n(.*?)```\n\n```text\n(.*?)```", readme, re.S).groups()  # type: ignore[union-attr]  # it is there
    assert len([line for line in code.splitlines() if line]) <= 15
    assert run("-c", code) == output


@pytest.mark.parametrize(
    ("script", "shown"),
    [
        ("own_loop.py", "success=1.0"),
        ("compose_verifiers.py", "0.10  <think>7 * 6</think><answer>41</answer>"),
        ("custom_environment.py", " 0 failed"),
        ("credit_elsewhere.py", "GiGPO [ 0.98  1.   -0.98 -1.   -0.5 ]"),
    ],
)
def test_an_example_prints_what_it_is_meant_to_show(script: str, shown: str) -> None:
    assert shown in run(f"examples/{script}")


@pytest.mark.slow
def test_the_training_script_trains_and_continues(tmp_path: Path) -> None:
    from turnwise.agents.tokens.tiny import make_model, make_tokenizer
    from turnwise.envs.math.arithmetic import Arithmetic

    corpus = [Arithmetic().instructions(), "Compute 7+5-2. 5 turns left. <calc>7+5</calc> 7+5 = 12. Left: 12-2."]
    tokenizer = make_tokenizer(corpus * 4, 400, context_length=160)
    # An untrained model writes until it is cut; the short context ends its episodes early.
    make_model(tokenizer, layers=1, width=16, heads=2, context_length=160).save_pretrained(tmp_path / "model")
    tokenizer.save_pretrained(tmp_path / "model")
    for steps in (1, 2):
        run("examples/train.py", str(tmp_path / "model"), str(tmp_path / "run"), str(steps))
    rows = (tmp_path / "run" / "metrics.jsonl").read_text().splitlines()
    assert [line.split(",")[0] for line in rows] == ['{"step": 0', '{"step": 1', '{"step": 2']


def test_the_example_configuration_holds_only_keys_that_exist() -> None:
    from turnwise.agents import config as configuration
    from turnwise.agents.credit import GiGPO
    from turnwise.agents.train_config import TrainConfig

    config = configuration.load(TrainConfig, [ROOT / "examples" / "guess_number.yaml"])
    assert config.tasks.difficulties == ("easy", "medium", "hard")
    assert config.credit.estimator == GiGPO(weight=1.0, gamma=0.95)
