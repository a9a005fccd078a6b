"""Directories that appear whole or not at all, whenever the process or the machine stops."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

UNFINISHED = ".unfinished-"
"""What the names of folders that are being written or removed begin with."""


@contextmanager
def new_directory(final: Path) -> Iterator[Path]:
    """Gives a folder to fill, which becomes `final` when the block ends without an exception.

    Its files reach the disk before it gets its name, and the name reaches the disk before this returns.

    Raises:
        FileExistsError: `final` exists.
    """
    if final.exists():
        raise FileExistsError(f"{final} exists")
    draft = final.with_name(UNFINISHED + final.name)
    shutil.rmtree(draft, ignore_errors=True)
    draft.mkdir(parents=True)
    try:
        yield draft
        for folder, _, names in os.walk(draft):
            for name in names:
                _sync(Path(folder, name))
            _sync(Path(folder))
        os.rename(draft, final)
        _sync(final.parent)
    except BaseException:
        shutil.rmtree(draft, ignore_errors=True)
        raise


def write_text(path: Path, text: str) -> None:
    """Writes a small file: readers see the old text or the new one, never a part."""
    draft = path.with_name(UNFINISHED + path.name)
    draft.write_text(text, encoding="utf-8")
    _sync(draft)
    os.replace(draft, path)
    _sync(path.parent)


def remove_directory(path: Path) -> None:
    """Removes a folder; stopped half-way, what is left no longer bears its name."""
    doomed = path.with_name(UNFINISHED + path.name)
    shutil.rmtree(doomed, ignore_errors=True)
    os.rename(path, doomed)
    shutil.rmtree(doomed, ignore_errors=True)


def remove_unfinished(parent: Path) -> None:
    """Removes what interrupted calls left behind."""
    for path in parent.glob(UNFINISHED + "*"):
        if path.is_dir():
            shutil.rmtree(path, ignore_errors=True)
        else:
            path.unlink(missing_ok=True)


def _sync(path: Path) -> None:
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
