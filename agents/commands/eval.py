"""Measure a policy on held-out tasks.

Success with 95% confidence intervals, per difficulty and over all; with --k also
pass@k. The tasks follow from --seed, --split and --level alone, so that two
policies measured with the same ones meet the same tasks.

A policy is one of
  oracle            the environment's own expert
  random            well-formed actions by chance
  FOLDER            a run's folder, or a model's in the format of transformers
  NAME              a model on the Hugging Face hub
  http://HOST/v1    an OpenAI-compatible server, with --model NAME

Examples:
  turnwise eval turnwise/GuessNumber-v0 --policy oracle
  turnwise eval turnwise/Sokoban-v0 --policy runs/demo --level easy --level medium
  turnwise eval turnwise/GuessNumber-v0 --policy random -n 64 --k 1 4 --json
"""

from __future__ import annotations

import argparse
import asyncio
from pathlib import Path
from typing import TYPE_CHECKING

from turnwise.agents.commands._output import print_json

if TYPE_CHECKING:
    from turnwise.agents.evaluation import Evaluation


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Adds the command's arguments."""
    parser.add_argument("env", metavar="ENV", help="the environment's id; turnwise envs lists them")
    parser.add_argument("--policy", required=True, metavar="POLICY", help="what is measured")
    parser.add_argument("--model", metavar="NAME", help="which of a server's models")
    parser.add_argument(
        "--key-variable",
        metavar="NAME",
        help="the environment variable that holds a server's key (default for OpenAI's own: OPENAI_API_KEY)",
    )
    parser.add_argument("-n", type=int, default=256, metavar="N", help="tasks (default 256)")
    parser.add_argument("--k", type=int, nargs="+", default=[], metavar="K", help="for which k to estimate pass@k")
    parser.add_argument(
        "--samples", type=int, metavar="N", help="attempts at each task; by default the greatest k, or 1"
    )
    parser.add_argument(
        "--split",
        choices=("test", "train", "all", "none"),
        default="test",
        help="where tasks come from (default test); 'none' for environments that know no splits",
    )
    parser.add_argument(
        "--level",
        action="append",
        default=[],
        help="a difficulty level, by name or number; may be repeated; 'all' takes each; "
        "by default the environment's own",
    )
    parser.add_argument("--seed", type=int, default=0, help="decides tasks and actions (default 0)")
    parser.add_argument("--temperature", type=float, default=1.0, help="of a model; 0 is greedy (default 1)")
    parser.add_argument("--max-tokens", type=int, default=256, metavar="N", help="of one action (default 256)")
    parser.add_argument("--concurrency", type=int, default=32, metavar="N", help="episodes side by side (default 32)")
    parser.add_argument("--json", action="store_true", help="print JSON, every task included")
    parser.add_argument("--episodes", type=Path, metavar="FILE", help="write the episodes, for turnwise view")


def run(arguments: argparse.Namespace) -> int:
    """Evaluates the policy."""
    evaluation = asyncio.run(_evaluate(arguments))
    if arguments.episodes is not None:
        from turnwise.agents.rollout import append_episodes

        arguments.episodes.unlink(missing_ok=True)
        append_episodes(arguments.episodes, evaluation.episodes)
    if arguments.json:
        print_json(evaluation.to_json())
    else:
        print(evaluation)
    return 0 if evaluation.overall.judged else 1


async def _evaluate(arguments: argparse.Namespace) -> Evaluation:
    from turnwise.agents.commands._envs import find_spec, levels
    from turnwise.agents.commands._policies import Counted, load_policy
    from turnwise.agents.engines.base import Sampling
    from turnwise.agents.evaluation import aevaluate
    from turnwise.agents.rollout import RolloutConfig

    find_spec(arguments.env)
    sampling = Sampling(temperature=arguments.temperature, max_tokens=arguments.max_tokens)
    policy, engine = load_policy(
        arguments.policy,
        sampling,
        model=arguments.model,
        key_variable=arguments.key_variable,
        concurrency=arguments.concurrency,
    )
    counted = Counted(policy, arguments.n * (arguments.samples or max(arguments.k, default=1)))
    try:
        return await aevaluate(
            arguments.env,
            counted,
            n=arguments.n,
            split=None if arguments.split == "none" else arguments.split,
            difficulties=levels(arguments.env, arguments.level) or None,
            k=arguments.k,
            samples=arguments.samples,
            seed=arguments.seed,
            rollout=RolloutConfig(seed=arguments.seed, concurrency=arguments.concurrency),
        )
    finally:
        counted.done()
        if engine is not None:
            await engine.aclose()
