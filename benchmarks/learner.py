"""How fast the learner is, and how much memory it needs: packed against padded rows, chunked against full logits.

    python benchmarks/learner.py                # this machine's best device
    python benchmarks/learner.py --device cpu

All arms do the same work, one forward and backward pass over the same sequences and the same loss, and the run fails
unless their losses agree. Speed: the arms take turns in one process, pass by pass, and each is compared with the
learner's own pass of the same round, so that other load on the machine falls on all of them; the table shows medians.
Tokens are counted without padding, so that padding shows as lost speed. Memory: a process of its own for each arm; the
peak above the loaded model of `torch.cuda.max_memory_allocated` on CUDA, of the process's resident memory on a CPU.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch

from turnwise.agents.learner import ForwardOptions, pack, pack_sequences, token_logprobs
from turnwise.agents.learner.attention import Packing as RowPacking
from turnwise.agents.learner.attention import packed_attention, packed_forward
from turnwise.agents.learner.forward import output_head, resolve_precision, row_logprobs
from turnwise.agents.types import TokenSequence


@dataclass(frozen=True)
class Size:
    """A model and a batch."""

    hidden: int
    layers: int
    heads: int
    kv_heads: int
    vocabulary: int
    sequences: int
    shortest: int
    longest: int
    max_tokens: int


SIZES = {
    "cpu": Size(128, 4, 4, 2, 32_768, 16, 48, 768, 2_048),
    "cuda": Size(1_024, 28, 16, 8, 151_936, 64, 256, 4_096, 16_384),  # the shape of Qwen3-0.6B
}

ARMS = {
    "packed, chunked": "no padding; log-probabilities of action tokens in chunks (the learner)",
    "padded, chunked": "rows padded to their longest sequence, sequences in the order given",
    "sorted and padded, chunked": "the same, sequences sorted by length first",
    "packed, full logits": "no padding; logits and log-softmax of every token at once",
}


def make_model(size: Size, device: torch.device) -> Any:
    """A Qwen3 with random weights in float32."""
    from transformers import Qwen3Config, Qwen3ForCausalLM

    torch.manual_seed(0)
    config = Qwen3Config(
        vocab_size=size.vocabulary,
        hidden_size=size.hidden,
        intermediate_size=3 * size.hidden,
        num_hidden_layers=size.layers,
        num_attention_heads=size.heads,
        num_key_value_heads=size.kv_heads,
        head_dim=max(32, size.hidden // size.heads),
        max_window_layers=size.layers,
        tie_word_embeddings=True,
    )
    model: Any = Qwen3ForCausalLM(config)
    return model.to(device).eval()


def make_sequences(size: Size) -> list[TokenSequence]:
    """Episodes of several turns: lengths spread evenly on a logarithmic scale, about 40% of the tokens sampled."""
    draw = np.random.default_rng(0)
    lengths = np.exp(draw.uniform(np.log(size.shortest), np.log(size.longest), size.sequences)).astype(int)
    out = []
    for episode, length in enumerate(lengths):
        position = np.arange(length)
        turn = np.where(position % 50 >= 30, position // 50, -1).astype(np.int32)
        ids = draw.integers(0, size.vocabulary, length)
        out.append(TokenSequence(ids, turn, np.zeros(length, np.float32), episode))
    return out


Pass = Callable[[Any, list[TokenSequence], ForwardOptions], Iterator[torch.Tensor]]
"""Yields the sum of the action tokens' log-probabilities of each micro-batch, with gradient."""


def packed_chunked(model: Any, sequences: list[TokenSequence], options: ForwardOptions) -> Iterator[torch.Tensor]:
    """The learner's own path."""
    for row in pack_sequences(sequences, options.max_tokens):
        yield row_logprobs(model, row, options)[0].sum()


def packed_full(model: Any, sequences: list[TokenSequence], options: ForwardOptions) -> Iterator[torch.Tensor]:
    """Packed rows, but the model's own head on every token."""
    device = output_head(model).weight.device
    for row in pack_sequences(sequences, options.max_tokens):
        with packed_forward(RowPacking(row.lengths, device)) as extra, autocast(device):
            logits = model(
                input_ids=torch.from_numpy(row.input_ids)[None].to(device),
                position_ids=torch.from_numpy(row.positions)[None].to(device),
                use_cache=False,
                **extra,
            ).logits[0]
        logprobs = torch.log_softmax(logits.float(), -1)
        yield logprobs[torch.from_numpy(row.predictors).to(device), torch.from_numpy(row.targets).to(device)].sum()


def padded_chunked(
    model: Any, sequences: list[TokenSequence], options: ForwardOptions, *, ordered: bool = False
) -> Iterator[torch.Tensor]:
    """Rectangles within the same budget of tokens, padding included."""
    head = output_head(model)
    device = head.weight.device
    order = sorted(sequences, key=lambda s: len(s.ids)) if ordered else sequences
    for members in rectangles([len(s.ids) for s in order], options.max_tokens):
        longest = max(len(order[index].ids) for index in members)
        ids = torch.zeros(len(members), longest, dtype=torch.int64)
        known = torch.zeros_like(ids)
        sampled = torch.zeros(len(members), longest, dtype=torch.bool)
        for line, index in enumerate(members):
            length = len(order[index].ids)
            ids[line, :length] = torch.from_numpy(order[index].ids)
            known[line, :length] = 1
            sampled[line, :length] = torch.from_numpy(order[index].mask)
        ids, sampled = ids.to(device), sampled.to(device)
        with autocast(device):
            out = model.base_model(input_ids=ids, attention_mask=known.to(device), use_cache=False)
        hidden = out.last_hidden_state[:, :-1][sampled[:, 1:]]
        narrow = torch.bfloat16 if device.type == "cuda" else None
        yield token_logprobs(hidden, head.weight, ids[:, 1:][sampled[:, 1:]], compute_dtype=narrow)[0].sum()


def rectangles(lengths: list[int], budget: int) -> list[list[int]]:
    """Cuts a list, in its order, into runs whose padded size stays within the budget."""
    out: list[list[int]] = []
    for index, length in enumerate(lengths):
        if out and (len(out[-1]) + 1) * max(length, *(lengths[i] for i in out[-1])) <= budget:
            out[-1].append(index)
        else:
            out.append([index])
    return out


def autocast(device: torch.device) -> Any:
    """The learner's precision."""
    return torch.autocast(device.type, dtype=torch.bfloat16, enabled=resolve_precision("auto", device) == "bfloat16")


PASSES: dict[str, Pass] = {
    "packed, chunked": packed_chunked,
    "padded, chunked": padded_chunked,
    "sorted and padded, chunked": lambda *arguments: padded_chunked(*arguments, ordered=True),
    "packed, full logits": packed_full,
}


class PeakMemory:
    """Peak memory above what is used now, in bytes."""

    def __init__(self, device: torch.device) -> None:
        self.device = device
        if device.type == "cuda":
            torch.cuda.reset_peak_memory_stats(device)
            self.base = torch.cuda.memory_allocated(device)
        else:
            Path("/proc/self/clear_refs").write_text("5")  # resets the peak of resident memory
            self.base = self.resident("VmRSS")

    def read(self) -> int:
        """The peak since construction."""
        if self.device.type == "cuda":
            return torch.cuda.max_memory_allocated(self.device) - self.base
        return self.resident("VmHWM") - self.base

    @staticmethod
    def resident(field: str) -> int:
        """A field of /proc/self/status, in bytes."""
        line = next(line for line in Path("/proc/self/status").read_text().splitlines() if line.startswith(field))
        return int(line.split()[1]) * 1024


class Bench:
    """A model, a batch, and passes over it."""

    def __init__(self, device: torch.device, size: Size) -> None:
        self.device = device
        self.model = make_model(size, device)
        self.sequences = make_sequences(size)
        self.options = ForwardOptions(max_tokens=size.max_tokens)

    def run(self, arm: str, sequences: list[TokenSequence]) -> dict[str, float]:
        """One pass; seconds, and mean cross-entropy of the action tokens."""
        self.model.zero_grad(set_to_none=True)
        start = time.perf_counter()
        total = 0.0
        with packed_attention(self.model):
            for value in PASSES[arm](self.model, sequences, self.options):
                (-value).backward()
                total -= float(value.detach())
        if self.device.type == "cuda":
            torch.cuda.synchronize()
        return {"seconds": time.perf_counter() - start, "loss": total / sum(int(s.mask.sum()) for s in sequences)}

    def warm_up(self, arm: str) -> None:
        """A pass over the three shortest sequences."""
        self.run(arm, sorted(self.sequences, key=lambda s: len(s.ids))[:3])
        self.model.zero_grad(set_to_none=True)

    def speed(self, rounds: int) -> dict[str, list[dict[str, float]]]:
        """Passes of all arms in turn."""
        runs: dict[str, list[dict[str, float]]] = {arm: [] for arm in ARMS}
        for arm in ARMS:
            self.warm_up(arm)
        for number in range(rounds):
            for arm in list(ARMS)[number % len(ARMS) :] + list(ARMS)[: number % len(ARMS)]:
                runs[arm].append(self.run(arm, self.sequences))
                print(f"round {number + 1}/{rounds} {arm}: {runs[arm][-1]['seconds']:.2f} s", flush=True)
        return runs

    def memory(self, arm: str) -> int:
        """Peak bytes of a pass."""
        self.warm_up(arm)
        peak = PeakMemory(self.device)
        self.run(arm, self.sequences)
        return peak.read()


def machine(device: torch.device) -> str:
    """The machine in words."""
    processor = platform.processor() or platform.machine()
    info = Path("/proc/cpuinfo")
    if info.exists():
        names = [line.split(":")[1].strip() for line in info.read_text().splitlines() if line.startswith("model name")]
        processor = names[0] if names else processor
    parts = [f"{processor}, {os.cpu_count()} cores, {torch.get_num_threads()} torch threads"]
    if device.type == "cuda":
        parts.append(torch.cuda.get_device_name(device))
    parts.append(f"Python {platform.python_version()}, torch {torch.__version__}")
    return "; ".join(parts)


def report(runs: dict[str, list[dict[str, float]]], memory: dict[str, int], device: torch.device, size: Size) -> str:
    """The table, as Markdown."""
    sequences = make_sequences(size)
    lengths = [len(s.ids) for s in sequences]
    padded = rectangles(lengths, size.max_tokens)
    waste = 1 - sum(lengths) / sum(len(r) * max(lengths[i] for i in r) for r in padded)
    learner = next(iter(ARMS))
    rounds = len(runs[learner])
    lines = [
        "# Learner: packed against padded, chunked against full logits",
        "",
        f"Command: `{command()}`  ",
        f"Machine: {machine(device)}  ",
        f"Model: Qwen3, width {size.hidden}, {size.layers} layers, vocabulary {size.vocabulary:,}, "
        f"{'bfloat16 autocast' if resolve_precision('auto', device) == 'bfloat16' else 'float32'}  ",
        f"Batch: {len(sequences)} sequences of {min(lengths)} to {max(lengths)} tokens, {sum(lengths):,} in all, "
        f"{sum(int(s.mask.sum()) for s in sequences):,} of them actions; {size.max_tokens:,} tokens per micro-batch "
        f"({len(pack(lengths, size.max_tokens))} packed rows; {len(padded)} padded ones, {waste:.0%} padding)  ",
        f"A pass is forward and backward over the batch, without the optimizer. Medians of {rounds} rounds, lowest and "
        "highest in brackets; speeds relative to the first arm's pass of the same round.",
        "",
        "| arm | tokens/s | relative speed | peak memory above the model | relative |",
        "|---|---|---|---|---|",
    ]
    for arm, passes in runs.items():
        speeds = [sum(lengths) / run["seconds"] for run in passes]
        ratios = [ours["seconds"] / run["seconds"] for run, ours in zip(passes, runs[learner], strict=True)]
        lines.append(
            f"| {arm} | {spread(speeds, ',.0f')} | {spread(ratios, '.2f')} | {memory[arm] / 2**20:,.0f} MiB | "
            f"{memory[arm] / memory[learner]:.2f} |"
        )
    lines += ["", *(f"- {arm}: {text}." for arm, text in ARMS.items()), ""]
    return "\n".join(lines)


def command() -> str:
    """How this run was started."""
    threads = os.environ.get("OMP_NUM_THREADS")
    return f"{f'OMP_NUM_THREADS={threads} ' if threads else ''}python {' '.join(sys.argv)}"


def spread(values: list[float], style: str) -> str:
    """Median (lowest-highest)."""
    return f"{statistics.median(values):{style}} ({min(values):{style}}-{max(values):{style}})"


def main() -> None:
    """Runs the benchmark, or measures the memory of one arm."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--device", default="cuda" if torch.cuda.is_available() else "cpu", choices=["cpu", "cuda"])
    parser.add_argument("--rounds", type=int, default=5, help="passes of each arm")
    parser.add_argument("--output", type=Path, default=Path(__file__).parent / "results", help="folder of the results")
    parser.add_argument("--memory", choices=list(ARMS), help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    device, size = torch.device(arguments.device), SIZES[arguments.device]
    if arguments.memory:
        print(Bench(device, size).memory(arguments.memory))
        return
    memory = {}
    for arm in ARMS:
        child = [sys.executable, __file__, "--device", device.type, "--memory", arm]
        done = subprocess.run(child, check=True, stdout=subprocess.PIPE, text=True)
        memory[arm] = int(done.stdout.splitlines()[-1])
    runs = Bench(device, size).speed(arguments.rounds)
    losses = {arm: passes[-1]["loss"] for arm, passes in runs.items()}
    if max(losses.values()) - min(losses.values()) > (1e-4 if device.type == "cpu" else 1e-2) * max(losses.values()):
        sys.exit(f"the arms disagree about the loss: {losses}")
    table = report(runs, memory, device, size)
    arguments.output.mkdir(parents=True, exist_ok=True)
    name = "learner" if device.type == "cpu" else f"learner-{device.type}"
    (arguments.output / f"{name}.md").write_text(table)
    record = {
        "command": command(),
        "machine": machine(device),
        "size": vars(size),
        "passes": runs,
        "peak_bytes": memory,
    }
    (arguments.output / f"{name}.json").write_text(json.dumps(record, indent=2) + "\n")
    print(table)


if __name__ == "__main__":
    main()
