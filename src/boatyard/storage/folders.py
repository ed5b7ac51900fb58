"""Folders that appear whole or not at all."""

import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from filelock import FileLock

_ATTEMPTS = 10  # at taking a place that other processes take at the same time


@contextmanager
def replacing(folder: Path) -> Iterator[Path]:
    """A new folder that takes `folder`'s place when the block ends well.

    Whatever ends the process or the machine, the old one or the new one is whole: in its place, or set aside for
    `standing` to put back.
    """
    folder.parent.mkdir(parents=True, exist_ok=True)
    staging = Path(tempfile.mkdtemp(prefix=f".{folder.name}-", dir=folder.parent))
    staging.chmod(0o755)  # mkdtemp's own is for its owner alone
    try:
        yield staging
        _sync(staging)
        _put(staging, folder)
    finally:
        shutil.rmtree(staging, ignore_errors=True)


def standing(folder: Path) -> Path:
    """The same path, for who reads what other processes replace. If one of them died between taking the old folder
    away and putting the new one there, the old one is put back first.
    """
    if not folder.exists():
        for aside in _aside(folder):
            with suppress(OSError):  # another process was faster
                aside.rename(folder)
    return folder


def clear_up(parent: Path) -> None:
    """Put back what killed processes had set aside here, and remove what they had not finished.

    Only where no other process writes.
    """
    for left in list(parent.glob(".*~*")):
        standing(parent / left.name[1:].rpartition("~")[0])
    for left in list(parent.glob(".*[-~]*")):
        if left.is_dir():
            shutil.rmtree(left, ignore_errors=True)


def sync_folder(folder: Path) -> None:
    """Have the names in the folder on the disk."""
    if not hasattr(os, "O_DIRECTORY"):  # Windows opens no folders
        return
    handle = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


@contextmanager
def alone(folder: Path) -> Iterator[None]:
    """No other process is in such a block for this folder: who comes second waits, and finds it made."""
    folder.parent.mkdir(parents=True, exist_ok=True)
    with FileLock(folder.with_name(f".{folder.name}.lock")):
        yield


def _put(staging: Path, folder: Path) -> None:
    """At each step the old folder or the new one is whole, in its place or beside it."""
    for attempt in range(_ATTEMPTS):
        with suppress(FileNotFoundError):
            standing(folder).rename(folder.with_name(f".{folder.name}~{staging.name.rpartition('-')[2]}{attempt}"))
        try:
            staging.rename(folder)
            break
        except OSError:  # another process has put one there in between
            standing(folder)
            if attempt == _ATTEMPTS - 1:
                raise
    sync_folder(folder.parent)
    for old in _aside(folder):
        with suppress(OSError):
            old.rename(staging)  # so that what is half removed is never put back
            shutil.rmtree(staging)


def _aside(folder: Path) -> list[Path]:
    if not folder.parent.exists():
        return []
    return sorted(file for file in folder.parent.iterdir() if file.name.startswith(f".{folder.name}~"))


def _sync(folder: Path) -> None:
    for parent, _, names in os.walk(folder, topdown=False):
        for name in names:
            # Windows syncs only what it may write, and DVC's copies may be read-only
            with suppress(PermissionError), Path(parent, name).open("r+b" if os.name == "nt" else "rb") as file:
                os.fsync(file.fileno())
        sync_folder(Path(parent))
