"""One small interface over a folder of files now, and buckets of objects later.

A key is a '/'-separated path below the root. A part that starts with '.' is never a key: that keeps `..`, the
temporary files and the locks out with one rule.
"""
# `Storage` documents the methods of `LocalStorage`, and an error's name says what happened:
# ruff: noqa: D102, N818

import hashlib
import os
import re
import shutil
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import BinaryIO, Protocol
from uuid import uuid4

from filelock import FileLock, Timeout

from boatyard.errors import UserError

_KEY_PART = re.compile(r"[^./\\\x00-\x1f\x7f\ud800-\udfff][^/\\\x00-\x1f\x7f\ud800-\udfff]*")
_MOST_KEY_BYTES = 1024  # what Cloud Storage allows
_LOCK_SECONDS = 30

Keys = list[str]  # a name of its own, because a method called `list` hides the type in the classes below


class NotFound(UserError):
    """Nothing lies under the key."""


class AlreadyExists(UserError):
    """The key is taken, and was to be written once."""


class Conflict(UserError):
    """The key no longer holds the generation that the swap expected."""


class Storage(Protocol):
    """What every storage offers. Writes are all or nothing: no reader ever sees half an object."""

    def read(self, key: str) -> bytes:
        """Raises NotFound."""

    def read_versioned(self, key: str) -> tuple[bytes, str] | None:
        """The bytes and their generation, to hand to `swap`; None where nothing lies."""

    def write(self, key: str, data: bytes) -> None:
        """Replaces what is there: the last writer wins. For keys that `swap` moves, only `swap` is safe."""

    def write_once(self, key: str, data: bytes) -> None:
        """Raises AlreadyExists; of several writers at once exactly one succeeds."""

    def swap(self, key: str, data: bytes, expected: str | None) -> str:
        """Writes if the key still holds generation `expected` (None: nothing), else raises Conflict.

        Answers the new generation.
        """

    def list(self, prefix: str = "") -> Keys:
        """Every key that starts with `prefix`, sorted."""

    def upload(self, folder: Path, prefix: str, names: Iterable[str] | None = None) -> None:
        """Copies the files `names` of `folder` (all of them by default) to keys below `prefix`."""

    def remove(self, keys: Iterable[str]) -> None:
        """Removes the keys, in their order; those that hold nothing are passed over."""

    def fetch(self, prefix: str, cache: Path) -> Path:
        """A local folder, to be read only, with what lies under `prefix`. Raises NotFound."""


def open_storage(root: str) -> Storage:
    """The storage that BOATYARD_STORAGE names. Touches nothing yet: a folder is made by the first write."""
    if root.startswith("gs://"):
        raise UserError(f"storage {root!r}: gs:// comes with a later version's `cloud` extra; name a folder")
    if "://" in root or not root.strip() or "\0" in root:
        raise UserError(f"storage {root!r} is not a folder, and no other scheme is known")
    folder = Path(root).expanduser()
    if folder.exists() and not folder.is_dir():
        raise UserError(f"storage {root!r} is a file and must be a folder")
    return LocalStorage(folder)


def check_key(key: str) -> str:
    """The key itself, if it can never point outside the root; UserError otherwise."""
    if not all(_KEY_PART.fullmatch(part) for part in key.split("/")):
        raise UserError(f"{key!r} is not a storage key: parts joined by '/', none empty or starting with '.'")
    if len(key.encode()) > _MOST_KEY_BYTES:
        raise UserError(f"the storage key {key[:40]!r}... is longer than {_MOST_KEY_BYTES} bytes")
    return key


def write_atomically(path: Path, data: bytes) -> None:
    """The file appears whole or not at all, whatever stops the process or the machine."""
    with _appearing(path) as file:
        file.write(data)


class LocalStorage:
    """Storage in a folder. A generation is the content's digest: it survives copying the folder elsewhere."""

    def __init__(self, root: Path) -> None:
        self.root = root.absolute()

    def read(self, key: str) -> bytes:
        found = self.read_versioned(key)
        if found is None:
            raise NotFound(f"nothing is stored under {key!r} in {self.root}")
        return found[0]

    def read_versioned(self, key: str) -> tuple[bytes, str] | None:
        try:
            data = self._path(key).read_bytes()
        except (FileNotFoundError, NotADirectoryError, IsADirectoryError):
            return None
        return data, _generation(data)

    def write(self, key: str, data: bytes) -> None:
        write_atomically(self._path(key), data)

    def write_once(self, key: str, data: bytes) -> None:
        def link(temporary: Path, path: Path) -> None:
            try:
                os.link(temporary, path)  # unlike a rename, it refuses to replace
            except FileExistsError:
                raise AlreadyExists(f"{key!r} is already stored in {self.root}") from None

        with _appearing(self._path(key), link) as file:
            file.write(data)

    def swap(self, key: str, data: bytes, expected: str | None) -> str:
        path = self._path(key)
        moved = f"{key!r} in {self.root} was changed meanwhile"
        if expected is None:
            try:
                self.write_once(key, data)
            except AlreadyExists:
                raise Conflict(moved) from None
            return _generation(data)
        path.parent.mkdir(parents=True, exist_ok=True)
        try:
            with FileLock(path.with_name(f".{path.name}.lock"), timeout=_LOCK_SECONDS, poll_interval=0.01):
                found = self.read_versioned(key)
                if found is None or found[1] != expected:
                    raise Conflict(moved)
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
            source, target = folder / check_key(name), self._path(f"{prefix.rstrip('/')}/{name}")
            with source.open("rb") as whole, _appearing(target) as copy:
                shutil.copyfileobj(whole, copy)

    def remove(self, keys: Iterable[str]) -> None:
        for key in keys:
            path = self._path(key)
            path.unlink(missing_ok=True)
            if path.parent != self.root:
                with suppress(OSError):  # other keys lie in it
                    path.parent.rmdir()

    def fetch(self, prefix: str, cache: Path) -> Path:  # noqa: ARG002 - what is local needs no cache
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
        folders[:] = [name for name in folders if _KEY_PART.fullmatch(name)]
        yield from (Path(parent, name) for name in names if _KEY_PART.fullmatch(name))


@contextmanager
def _appearing(path: Path, publish: Callable[[Path, Path], None] = os.replace) -> Iterator[BinaryIO]:
    """A file to write to, which `publish` moves to `path` once all of it is on the disk."""
    temporary = path.with_name(f".{uuid4().hex}.tmp")
    try:
        with _create(temporary) as file:
            yield file
            file.flush()
            os.fsync(file.fileno())
        publish(temporary, path)
        _sync_folder(path.parent)
    finally:
        temporary.unlink(missing_ok=True)


def _create(path: Path, attempts: int = 10) -> BinaryIO:
    """Again where `remove` takes the folder, empty as it is, away in between."""
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        return path.open("xb")
    except (FileNotFoundError, FileExistsError):
        if attempts == 1:
            raise
    return _create(path, attempts - 1)


def _sync_folder(folder: Path) -> None:
    if not hasattr(os, "O_DIRECTORY"):  # Windows opens no folders
        return
    handle = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
