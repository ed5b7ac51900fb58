"""Storage in a local folder."""
# `Storage` documents the methods:
# ruff: noqa: D102

import errno
import hashlib
import os
import shutil
import stat
from collections.abc import Callable, Collection, Iterable, Iterator
from contextlib import contextmanager, suppress
from itertools import takewhile
from pathlib import Path
from time import sleep
from typing import BinaryIO, NoReturn
from uuid import uuid4

from filelock import FileLock, Timeout

from boatyard.config.errors import UserError
from boatyard.storage.folders import sync_folder
from boatyard.storage.interface import (
    KEY_PART,
    AlreadyExists,
    Conflict,
    Keys,
    NotFound,
    Storage,
    Stored,
    check_key,
    is_hidden,
)

_LOCK_SECONDS = 30
# how FAT, some network folders and some systems refuse a hard link
_NO_LINKS = {errno.EPERM, errno.EINVAL, errno.ENOSYS, errno.ENOTSUP, errno.EOPNOTSUPP, errno.EMLINK}


def write_atomically(path: Path, data: bytes) -> None:
    """Write the file so that it is complete or absent, even after a crash."""
    with _atomic(path) as file:
        file.write(data)


class LocalStorage(Storage):
    """Storage in a folder. A generation is the digest of the content, so it survives copying the folder."""

    root: Path

    def __init__(self, root: Path) -> None:
        self.root = root.absolute()

    def read_versioned(self, key: str) -> tuple[bytes, str] | None:
        try:
            data = self._path(key).read_bytes()
        except (FileNotFoundError, NotADirectoryError, IsADirectoryError):
            return None
        return data, _generation(data)

    def download(self, key: str, path: Path) -> None:
        try:
            with self._path(key).open("rb") as source, _atomic(path) as copy:
                shutil.copyfileobj(source, copy)
        except (FileNotFoundError, NotADirectoryError, IsADirectoryError):
            raise NotFound(f"nothing is stored under {key!r} in {self.root}") from None

    def open(self, key: str) -> BinaryIO:
        try:
            return self._path(key).open("rb")
        except (FileNotFoundError, NotADirectoryError, IsADirectoryError):
            raise NotFound(f"nothing is stored under {key!r} in {self.root}") from None

    def describe(self, key: str) -> dict[str, Stored]:
        path = self._path(key)
        files = [path] if path.is_file() else _all_below(path) if path.is_dir() else []
        stats = {check_key(file.relative_to(self.root).as_posix()): file.stat() for file in files}
        regular = sorted(key for key, its in stats.items() if stat.S_ISREG(its.st_mode))  # a pipe's open never returns
        return {key: Stored(stats[key].st_size, str(stats[key].st_mtime_ns)) for key in regular}

    def write(self, key: str, data: bytes) -> None:
        write_atomically(self._path(key), data)

    def write_once(self, key: str, data: bytes) -> None:
        def move(temporary: Path, path: Path) -> None:
            try:
                _move_once(temporary, path)
            except FileExistsError:
                raise AlreadyExists(f"{key!r} is already stored in {self.root}") from None

        with _atomic(self._path(key), move) as file:
            file.write(data)

    def swap(self, key: str, data: bytes, expected: str | None) -> str:
        path = self._path(key)
        changed = f"{key!r} in {self.root} was changed meanwhile"
        if expected is None:
            try:
                self.write_once(key, data)
            except AlreadyExists:
                raise Conflict(changed) from None
            return _generation(data)
        path.parent.mkdir(parents=True, exist_ok=True)
        try:
            with _locked(path):
                versioned = self.read_versioned(key)
                if versioned is None or versioned[1] != expected:
                    raise Conflict(changed)
                write_atomically(path, data)
        except Timeout:
            raise Conflict(f"{key!r} in {self.root} stayed locked for {_LOCK_SECONDS} s") from None
        return _generation(data)

    def list(self, prefix: str = "") -> Keys:
        folder, slash, _ = prefix.rpartition("/")
        start = self._path(folder) if slash else self.root
        keys = (file.relative_to(self.root).as_posix() for file in _files_below(start))
        return sorted(key for key in keys if key.startswith(prefix))

    def upload(self, folder: Path, prefix: str, names: Iterable[str] | None = None) -> None:
        for name in LocalStorage(folder).list() if names is None else names:
            path, target = folder / check_key(name), self._path(f"{prefix.rstrip('/')}/{name}")
            with path.open("rb") as source, _atomic(target) as copy:
                shutil.copyfileobj(source, copy)

    def remove(self, keys: Iterable[str]) -> None:
        for key in keys:
            path = self._path(key)
            path.unlink(missing_ok=True)
            with suppress(OSError):  # it holds other keys
                for folder in takewhile(lambda folder: folder != self.root, path.parents):
                    folder.rmdir()

    def folders(self, prefix: str = "") -> Keys:
        folder = self._path(prefix.removesuffix("/")) if prefix else self.root
        if not folder.is_dir():
            return []
        with os.scandir(folder) as entries:
            return sorted(entry.name for entry in entries if KEY_PART.fullmatch(entry.name) and entry.is_dir())

    def fetch(self, prefix: str, cache: Path, names: Collection[str] | None = None) -> Path:  # noqa: ARG002 - is local
        folder = self._path(prefix.rstrip("/"))
        if not folder.is_dir():
            raise NotFound(f"nothing is stored under {prefix!r} in {self.root}")
        return folder

    def _path(self, key: str) -> Path:
        return self.root / check_key(key)


def _generation(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()


def _files_below(folder: Path) -> Iterator[Path]:
    for parent, folders, names in os.walk(folder):
        folders[:] = [name for name in folders if KEY_PART.fullmatch(name)]
        yield from (Path(parent, name) for name in names if KEY_PART.fullmatch(name))


def _all_below(folder: Path) -> Iterator[Path]:
    """Unless they are hidden. Raises OSError or UserError where a folder cannot be entered."""

    def stop(error: OSError) -> NoReturn:
        raise error

    for parent, folders, names in os.walk(folder, onerror=stop):
        folders[:] = [name for name in folders if not is_hidden(name)]
        for path in (Path(parent, name) for name in folders):
            if path.is_symlink():  # perhaps to a folder around it
                raise UserError(f"{path} is a link to a folder, and none is followed: move the folder here")
        yield from (Path(parent, name) for name in names if not is_hidden(name))


def _move_once(temporary: Path, path: Path) -> None:
    """Raises FileExistsError; of several concurrent calls exactly one succeeds."""
    try:
        os.link(temporary, path)  # unlike a rename, it refuses to replace
    except OSError as error:
        if error.errno not in _NO_LINKS:
            raise
        with _locked(path):
            if path.exists():
                raise FileExistsError(path) from None
            temporary.replace(path)


@contextmanager
def _locked(path: Path) -> Iterator[None]:
    with FileLock(path.with_name(f".{path.name}.lock"), timeout=_LOCK_SECONDS, poll_interval=0.01):
        yield


def _replace(temporary: Path, path: Path, attempts: int = 100) -> None:
    """Retries while Windows refuses because a reader has the old file open."""
    try:
        temporary.replace(path)
    except PermissionError:
        if os.name != "nt" or attempts == 1:
            raise
        sleep(0.01)
        _replace(temporary, path, attempts - 1)


@contextmanager
def _atomic(path: Path, publish: Callable[[Path, Path], None] = _replace) -> Iterator[BinaryIO]:
    """A file to write to, which `publish` moves to `path` once it is complete on disk."""
    temporary = path.with_name(f".{uuid4().hex}.tmp")
    try:
        with _create(temporary) as file:
            yield file
            file.flush()
            os.fsync(file.fileno())
        publish(temporary, path)
        sync_folder(path.parent)
    finally:
        temporary.unlink(missing_ok=True)


def _create(path: Path, attempts: int = 10) -> BinaryIO:
    """Retries if a concurrent `remove` deletes the empty folder."""
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        return path.open("xb")
    except (FileNotFoundError, FileExistsError):
        if attempts == 1:
            raise
    return _create(path, attempts - 1)
