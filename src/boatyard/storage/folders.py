"""Folders that are replaced atomically."""

import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from filelock import FileLock

_ATTEMPTS = 10  # to replace a folder that other processes replace at the same time


@contextmanager
def replacing(folder: Path) -> Iterator[Path]:
    """A new folder, which replaces `folder` if the block succeeds.

    After a crash at any point the old or the new folder is complete: in its place, or as a backup that
    `recovered` restores.
    """
    folder.parent.mkdir(parents=True, exist_ok=True)
    staging = Path(tempfile.mkdtemp(prefix=f".{folder.name}-", dir=folder.parent))
    staging.chmod(0o755)  # mkdtemp's default is owner only
    try:
        yield staging
        _sync(staging)
        _move_in(staging, folder)
    finally:
        shutil.rmtree(staging, ignore_errors=True)


def recovered(folder: Path) -> Path:
    """The same path, for readers of a folder that other processes replace.

    If one of them died between backing up the old folder and moving the new one in, the old one is restored first.
    """
    if not folder.exists():
        for backup in _backups(folder):
            with suppress(OSError):  # another process was faster
                backup.rename(folder)
    return folder


def clean_up(parent: Path) -> None:
    """Restore the backups that killed processes left in `parent`, and remove their unfinished folders.

    Only safe while no other process writes there.
    """
    for leftover in list(parent.glob(".*~*")):
        recovered(parent / leftover.name[1:].rpartition("~")[0])
    for leftover in list(parent.glob(".*[-~]*")):
        if leftover.is_dir():
            shutil.rmtree(leftover, ignore_errors=True)


def sync_folder(folder: Path) -> None:
    """Flush the folder's directory entries to disk."""
    if not hasattr(os, "O_DIRECTORY"):  # Windows cannot open folders
        return
    handle = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


@contextmanager
def locked(folder: Path) -> Iterator[None]:
    """Hold a lock on the folder: a second process waits until the work is done."""
    folder.parent.mkdir(parents=True, exist_ok=True)
    with FileLock(folder.with_name(f".{folder.name}.lock")):
        yield


def _move_in(staging: Path, folder: Path) -> None:
    """Replace `folder` by `staging`; after each step the old or the new folder is complete, in place or as a backup."""
    for attempt in range(_ATTEMPTS):
        with suppress(FileNotFoundError):
            recovered(folder).rename(folder.with_name(f".{folder.name}~{staging.name.rpartition('-')[2]}{attempt}"))
        try:
            staging.rename(folder)
            break
        except OSError:  # another process moved its own in first
            recovered(folder)
            if attempt == _ATTEMPTS - 1:
                raise
    sync_folder(folder.parent)
    for backup in _backups(folder):
        with suppress(OSError):
            backup.rename(staging)  # so that a partly removed folder is never restored
            shutil.rmtree(staging)


def _backups(folder: Path) -> list[Path]:
    if not folder.parent.exists():
        return []
    return sorted(file for file in folder.parent.iterdir() if file.name.startswith(f".{folder.name}~"))


def _sync(folder: Path) -> None:
    for parent, _, names in os.walk(folder, topdown=False):
        for name in names:
            # Windows can only sync writable files, and DVC's copies may be read-only
            with suppress(PermissionError), Path(parent, name).open("r+b" if os.name == "nt" else "rb") as file:
                os.fsync(file.fileno())
        sync_folder(Path(parent))
