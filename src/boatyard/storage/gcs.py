"""Storage in a bucket of Cloud Storage."""
# `Storage` documents the methods:
# ruff: noqa: D102

import re
from collections.abc import Collection, Iterable
from pathlib import Path
from typing import BinaryIO

from google.api_core import exceptions as api
from google.cloud.storage import Blob

from boatyard.config.errors import UserError
from boatyard.storage.bucket import Bucket, Overtaken, checksum
from boatyard.storage.folders import locked, replacing
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
from boatyard.storage.local import LocalStorage

_ROOT = re.compile(r"gs://([a-z0-9][a-z0-9._-]{1,220}[a-z0-9])(?:/(.*?))?/?")
_GENERATION = re.compile(r"[1-9][0-9]{0,18}")


class BucketStorage(Storage):
    """Storage in `gs://BUCKET/PREFIX`. A generation is that of Cloud Storage.

    Raises UserError: the root is invalid, or there are no credentials. The bucket is not accessed.
    """

    root: str

    def __init__(self, root: str) -> None:
        match = _ROOT.fullmatch(root)
        if match is None:
            raise UserError(f"storage {root!r} is not gs://BUCKET or gs://BUCKET/PREFIX")
        self.root = root.rstrip("/")
        self._prefix = f"{check_key(match[2])}/" if match[2] else ""
        self._bucket = Bucket(match[1], root)

    def read_versioned(self, key: str) -> tuple[bytes, str] | None:
        try:
            return self._bucket.read(self._name(key))
        except api.NotFound:
            return None

    def download(self, key: str, path: Path) -> None:
        """A file with the right checksum is not copied again."""
        missing = NotFound(f"nothing is stored under {key!r} in {self.root}")
        blob = self._bucket.get(self._name(key))
        if blob is None:
            raise missing
        with locked(path):
            if not path.is_file() or checksum(path) != blob.crc32c:
                partial_file = path.with_name(f".{path.name}.part")
                try:
                    self._bucket.download(blob, partial_file)
                except api.NotFound:  # it has been removed or replaced
                    raise missing from None
                partial_file.replace(path)

    def open(self, key: str) -> BinaryIO:
        blob = self._bucket.get(self._name(key))
        if blob is None:
            raise NotFound(f"nothing is stored under {key!r} in {self.root}")
        return self._bucket.open(blob)

    def describe(self, key: str) -> dict[str, Stored]:
        start = len(self._prefix)
        named = {blob.name[start:]: blob for blob in self._bucket.list(self._name(key))}
        there = sorted(name for name in named if name == key or (name.startswith(f"{key}/") and not is_hidden(name)))
        return {check_key(name): Stored(named[name].size, named[name].crc32c) for name in there}

    def write(self, key: str, data: bytes) -> None:
        self._bucket.upload(self._name(key), data)

    def write_once(self, key: str, data: bytes) -> None:
        try:
            self._bucket.upload(self._name(key), data, 0)
        except (api.PreconditionFailed, Overtaken):
            raise AlreadyExists(f"{key!r} is already stored in {self.root}") from None

    def swap(self, key: str, data: bytes, expected: str | None) -> str:
        name = self._name(key)
        changed = f"{key!r} in {self.root} was changed meanwhile"
        if expected is not None and not _GENERATION.fullmatch(expected):  # a generation of another storage
            raise Conflict(changed)
        try:
            return self._bucket.upload(name, data, int(expected or 0))
        except api.PreconditionFailed:
            raise Conflict(changed) from None

    def list(self, prefix: str = "") -> Keys:
        return sorted(self._blobs(prefix))

    def upload(self, folder: Path, prefix: str, names: Iterable[str] | None = None) -> None:
        for name in LocalStorage(folder).list() if names is None else names:
            self._bucket.upload(self._name(f"{prefix.rstrip('/')}/{name}"), folder / check_key(name))

    def remove(self, keys: Iterable[str]) -> None:
        for key in keys:
            self._bucket.delete(self._name(key))

    def folders(self, prefix: str = "") -> Keys:
        if prefix:
            check_key(prefix.removesuffix("/"))
        start = f"{self._prefix}{prefix}"
        names = (name.removeprefix(start).rstrip("/") for name in self._bucket.folders(start))
        return sorted(name for name in names if KEY_PART.fullmatch(name))

    def fetch(self, prefix: str, cache: Path, names: Collection[str] | None = None) -> Path:
        """A cache with the right checksums is not copied again."""
        key = check_key(prefix.removesuffix("/"))
        blobs = {name.removeprefix(f"{key}/"): blob for name, blob in self._blobs(f"{key}/").items()}
        if names is not None:
            blobs = {name: blob for name, blob in blobs.items() if name in names}
        if not blobs:
            raise NotFound(f"nothing is stored under {prefix!r} in {self.root}")
        folder = cache / key
        with locked(folder):
            if _checksums(folder) != {name: blob.crc32c for name, blob in blobs.items()}:
                with replacing(folder) as staging:
                    for name, blob in blobs.items():
                        self._bucket.download(blob, staging / name)
        return folder

    def _name(self, key: str) -> str:
        check_key(key)
        return check_key(f"{self._prefix}{key}")

    def _blobs(self, prefix: str) -> dict[str, Blob]:
        """By key. Objects whose names are not keys are skipped, such as the console's empty-folder placeholders."""
        folder, slash, _ = prefix.rpartition("/")
        if slash:
            check_key(folder)
        blobs = {blob.name.removeprefix(self._prefix): blob for blob in self._bucket.list(f"{self._prefix}{prefix}")}
        return {key: blob for key, blob in blobs.items() if all(map(KEY_PART.fullmatch, key.split("/")))}


def _checksums(folder: Path) -> dict[str, str]:
    return {name: checksum(folder / name) for name in LocalStorage(folder).list()}
