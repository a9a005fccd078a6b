"""Train a model with multi-turn GRPO and turn-level credit assignment.

The configuration is YAML, changed by key=value arguments:

    turnwise train examples/guess_number.yaml --output runs/first steps=200 learner.optimizer.learning_rate=1e-5

A run that was stopped, or killed at any moment, continues identically from its latest checkpoint:

    turnwise train --resume runs/first

`turnwise train --keys` lists every key with its default and what it means.
"""

from __future__ import annotations

import argparse
import logging
from pathlib import Path

from turnwise.agents.errors import ConfigError


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Adds the command's arguments."""
    parser.add_argument("words", nargs="*", metavar="CONFIG.yaml | key=value", help="files and overrides, in order")
    parser.add_argument("--output", "-o", metavar="FOLDER", help="where the run is written (a new folder)")
    parser.add_argument("--resume", metavar="FOLDER", help="continue the run in this folder")
    parser.add_argument("--keys", action="store_true", help="list the configuration's keys and exit")
    parser.add_argument("--quiet", "-q", action="store_true", help="show no progress")


def run(arguments: argparse.Namespace) -> int:
    """Trains."""
    from turnwise.agents import config as configuration
    from turnwise.agents.train_config import TrainConfig

    if arguments.keys:
        print(configuration.describe(TrainConfig), end="")
        return 0
    files = [word for word in arguments.words if "=" not in word]
    overrides = [word for word in arguments.words if "=" in word]
    folder = _folder(arguments)
    if arguments.resume:
        if files:
            raise ConfigError(
                f"{files[0]!r}: a resumed run has its configuration already; give key=value overrides only"
            )
        files = [str(folder / "config.yaml")]
    config = configuration.load(TrainConfig, files, overrides)

    from turnwise.agents.trainer import Trainer

    logging.basicConfig(level=logging.WARNING, format="%(levelname)s %(name)s: %(message)s")
    with Trainer(config, folder, resume=bool(arguments.resume), terminal=not arguments.quiet) as trainer:
        totals = trainer.run()
    print(
        f"{totals.step} steps, {totals.episodes} episodes, {totals.tokens} tokens; the model is in {folder / 'model'}"
    )
    return 0


def _folder(arguments: argparse.Namespace) -> Path:
    """Returns the run's folder.

    Raises:
        ConfigError: None, or two, were given, or there is nothing to resume.
    """
    if bool(arguments.output) == bool(arguments.resume):
        raise ConfigError("give either --output FOLDER for a new run or --resume FOLDER for one to continue")
    if arguments.resume and not (Path(arguments.resume) / "config.yaml").exists():
        raise ConfigError(f"--resume {arguments.resume}: there is no config.yaml, so no run was begun there")
    return Path(arguments.resume or arguments.output)
