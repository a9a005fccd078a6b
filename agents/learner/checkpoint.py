"""Checkpoints that hold everything a run needs to continue as if it had never stopped.

    checkpoints/
        latest                  the name of the newest checkpoint
        000007-step700/
            manifest.json       format, versions, and the size of every file
            model/              weights (safetensors), configuration and tokenizer: loads with `from_pretrained`
            optimizer.pt        AdamW's state and the step counters, which are the schedule's clock
            random.json         every random state
            state.pt            whatever the trainer gave

A checkpoint appears whole or not at all: it is written under another name, forced to disk and renamed, and only then
does `latest` name it. A process killed at any moment leaves the one before it valid. Nothing that is loaded can run
code.
"""

from __future__ import annotations

import json
import logging
import platform
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
import transformers
from torch import Tensor

from turnwise.agents.errors import CheckpointError, InvalidInput
from turnwise.agents.learner import atomic, random_state
from turnwise.agents.learner.learner import Learner
from turnwise.agents.learner.random_state import Generators
from turnwise.agents.quiet import without_progress_bars

logger = logging.getLogger(__name__)

FORMAT = 1
"""Changes whenever older checkpoints can no longer be read."""

_NAME = re.compile(r"(\d{6})-step(\d+)")


@dataclass(frozen=True, slots=True, eq=False)
class Restored:
    """What a checkpoint says about the run.

    Attributes:
        path: The checkpoint's folder; `path / "model"` loads with `from_pretrained`.
        step: The step that it was saved at.
        state: What the trainer had given.
    """

    path: Path
    step: int
    state: dict[str, Any]


class Checkpoints:
    """The checkpoints of one run, written by one process at a time.

    Args:
        directory: Where they are; made when the first is saved.
        keep: How many of the newest are kept.
    """

    def __init__(self, directory: str | Path, keep: int = 2) -> None:
        if keep < 1:
            raise InvalidInput(f"keep is {keep!r}; at least the newest checkpoint must be kept")
        self.directory = Path(directory)
        self.keep = keep

    def save(
        self,
        step: int,
        learner: Learner,
        *,
        state: Mapping[str, Any] | None = None,
        generators: Generators | None = None,
        tokenizer: Any = None,
    ) -> Path:
        """Saves a checkpoint, makes it the latest, and removes the oldest beyond `keep`.

        Args:
            step: The trainer's step, for its name and for `Restored.step`.
            learner: Its model, optimizer and schedule are saved.
            state: Anything JSON-able, tensors among it: curriculum, positions of log files, what else the trainer has.
            generators: Random generators beyond the global ones.
            tokenizer: Saved beside the model.

        Returns:
            The checkpoint's folder.

        Raises:
            InvalidInput: `state` holds something that cannot be loaded back safely.
            OSError: The disk is full or the folder cannot be written; earlier checkpoints stay as they were.
        """
        plain = dict(state or {})
        _check_plain(plain, "state")
        self.directory.mkdir(parents=True, exist_ok=True)
        atomic.remove_unfinished(self.directory)
        serial = max((_serial(path) for path in self._finished()), default=0) + 1
        final = self.directory / f"{serial:06d}-step{step}"
        with atomic.new_directory(final) as draft:
            with without_progress_bars():
                learner.model.save_pretrained(draft / "model")
                if tokenizer is not None:
                    tokenizer.save_pretrained(draft / "model")
            torch.save(learner.state_dict(), draft / "optimizer.pt")
            torch.save(plain, draft / "state.pt")
            (draft / "random.json").write_text(json.dumps(random_state.capture(generators)), encoding="utf-8")
            (draft / "manifest.json").write_text(json.dumps(_manifest(step, draft), indent=2), encoding="utf-8")
        atomic.write_text(self.directory / "latest", final.name + "\n")
        for old in self._finished()[: -self.keep]:
            atomic.remove_directory(old)
        return final

    def latest(self) -> Path | None:
        """The newest checkpoint, or None where nothing was saved.

        Raises:
            CheckpointError: The pointer names a checkpoint that is not there.
        """
        pointer = self.directory / "latest"
        if not pointer.exists():
            return None
        path = self.directory / pointer.read_text(encoding="utf-8").strip()
        if not path.is_dir():
            others = ", ".join(other.name for other in self._finished()) or "none"
            raise CheckpointError(
                f"{pointer} names {path.name!r}, which is not there; write the name of another one into it "
                f"(there are: {others}), or start in another folder"
            )
        return path

    def peek(self, path: Path | None = None) -> Restored:
        """Reads what the trainer gave, and touches nothing.

        Args:
            path: Which checkpoint; the latest by default.

        Raises:
            CheckpointError: There is none, or it cannot be read.
        """
        path = path or self.latest()
        if path is None:
            raise CheckpointError(f"there is no checkpoint in {self.directory}: start a new run")
        manifest = _verified(path)
        return Restored(path, int(manifest["step"]), _load_tensors(path / "state.pt"))

    def load(self, learner: Learner, *, generators: Generators | None = None, path: Path | None = None) -> Restored:
        """Puts a run back where it was: weights (in place), optimizer, schedule and every random state.

        Args:
            learner: Made as the saved run made it; its model's parameters are overwritten, not replaced.
            generators: Generators of the same names as those that were saved; they are set.
            path: Which checkpoint; the latest by default.

        Raises:
            CheckpointError: There is none, it cannot be read, or it does not fit the learner; the message says what
                to do.
        """
        restored = self.peek(path)
        _load_weights(learner.model, restored.path / "model")
        try:
            learner.load_state_dict(_load_tensors(restored.path / "optimizer.pt"))
        except (ValueError, KeyError) as error:
            raise CheckpointError(
                f"{restored.path / 'optimizer.pt'} does not fit the model's trainable parameters: resume with the "
                f"configuration that saved it ({error})"
            ) from error
        # Last, because loading may draw random numbers.
        random_state.restore(json.loads((restored.path / "random.json").read_text(encoding="utf-8")), generators)
        return restored

    def _finished(self) -> list[Path]:
        """All checkpoints, in the order in which they were saved."""
        return sorted((path for path in self.directory.glob("*-step*") if _NAME.fullmatch(path.name)), key=_serial)


def _serial(path: Path) -> int:
    return int(path.name.split("-")[0])


def _versions() -> dict[str, str]:
    return {
        "python": platform.python_version(),
        "torch": torch.__version__,
        "transformers": transformers.__version__,
        "numpy": np.__version__,
    }


def _manifest(step: int, folder: Path) -> dict[str, Any]:
    sizes = {str(file.relative_to(folder)): file.stat().st_size for file in folder.rglob("*") if file.is_file()}
    return {"format": FORMAT, "step": step, "versions": _versions(), "files": dict(sorted(sizes.items()))}


def _verified(path: Path) -> dict[str, Any]:
    """The manifest of a checkpoint whose files are all there."""
    try:
        manifest: dict[str, Any] = json.loads((path / "manifest.json").read_text(encoding="utf-8"))
        written, files, versions = manifest["format"], manifest["files"], manifest["versions"]
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise CheckpointError(f"{path} is not a checkpoint: its manifest.json cannot be read ({error})") from error
    if written != FORMAT:
        raise CheckpointError(
            f"{path} has format {written!r}, this version reads {FORMAT}: resume with the version of turnwise that "
            "saved it"
        )
    for name, size in files.items():
        file = path / name
        found = file.stat().st_size if file.is_file() else None
        if found != size:
            raise CheckpointError(
                f"{file} is damaged: {size} bytes were saved, {'it is missing' if found is None else f'it has {found}'}"
                "; delete the checkpoint and name another one in 'latest'"
            )
    differing = [name for name, version in _versions().items() if versions.get(name) != version]
    if differing:
        logger.warning(
            "%s was saved with other versions of %s: the run continues, but not bit for bit", path, ", ".join(differing)
        )
    return manifest


def _load_tensors(file: Path) -> dict[str, Any]:
    try:
        loaded: dict[str, Any] = torch.load(file, map_location="cpu", weights_only=True)
    except Exception as error:
        raise CheckpointError(
            f"{file} cannot be read ({error}); delete the checkpoint and name another one in 'latest'"
        ) from error
    return loaded


@torch.no_grad()
def _load_weights(model: Any, folder: Path) -> None:
    """Overwrites a model's weights and buffers in place."""
    # Half precision passes through float32 unchanged; the copy below restores each weight's own.
    wide = any(parameter.dtype == torch.float64 for parameter in model.parameters())
    dtype = torch.float64 if wide else torch.float32
    try:
        with without_progress_bars():
            saved, info = type(model).from_pretrained(
                folder, dtype=dtype, local_files_only=True, output_loading_info=True
            )
    except Exception as error:
        raise CheckpointError(
            f"{folder} does not load as {type(model).__name__}: resume with the model that saved it ({error})"
        ) from error
    theirs, ours = saved.state_dict(), model.state_dict()
    differing = sorted(set(info["missing_keys"]) | (set(theirs) ^ set(ours)))
    differing += [name for name in ours if name in theirs and ours[name].shape != theirs[name].shape]
    if differing:
        raise CheckpointError(
            f"{folder} holds another model: {len(differing)} weights are missing or have another shape, "
            f"{differing[0]!r} among them; resume with the model that saved it, or start in another folder"
        )
    for name, value in ours.items():
        value.copy_(theirs[name])


def _check_plain(value: Any, where: str) -> None:
    if isinstance(value, Tensor) or type(value) in (str, int, float, bool, type(None)):
        return
    if type(value) in (list, tuple):
        for index, item in enumerate(value):
            _check_plain(item, f"{where}[{index}]")
        return
    if type(value) is dict and all(type(key) is str for key in value):
        for key, item in value.items():
            _check_plain(item, f"{where}[{key!r}]")
        return
    raise InvalidInput(
        f"{where} is a {type(value).__name__}; a checkpoint holds numbers, text, lists, dicts with text keys, and "
        "tensors: use .item(), .tolist() or torch.from_numpy"
    )
