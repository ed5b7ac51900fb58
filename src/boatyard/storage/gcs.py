"""Storage in a bucket of Cloud Storage, through Google's client, with its credentials and environment variables.

A retried request may already have succeeded. So every upload carries a token, by which a conditional write recognises
its own earlier attempt. Transfers are verified by checksum and repeated if they differ.
"""
# `Storage` documents the methods:
# ruff: noqa: D102

import os
import re
from base64 import b64encode
from collections.abc import Callable, Collection, Iterable, Iterator
from contextlib import contextmanager, suppress
from functools import partial
from io import BytesIO
from pathlib import Path
from secrets import token_hex
from typing import IO, Any, TypeVar

import google_crc32c
from google.api_core import exceptions as api
from google.auth.exceptions import GoogleAuthError
from google.cloud.storage import Blob, Client
from google.cloud.storage.retry import DEFAULT_RETRY
from requests import RequestException

from boatyard.config.errors import UserError
from boatyard.storage.folders import alone, replacing
from boatyard.storage.interface import (
    KEY_PART,
    AlreadyExists,
    Conflict,
    Keys,
    NotFound,
    Refused,
    Storage,
    Unavailable,
    check_key,
)
from boatyard.storage.local import LocalStorage

# otherwise a thread of the client requests the bucket's metadata, at first and after each 404
os.environ.setdefault("DISABLE_GCS_PYTHON_CLIENT_OTEL_BUCKET_METADATA", "true")

_ROOT = re.compile(r"gs://([a-z0-9][a-z0-9._-]{1,220}[a-z0-9])(?:/(.*?))?/?")
_GENERATION = re.compile(r"[1-9][0-9]{0,18}")
_TOKEN = "boatyard-write"  # noqa: S105 - the name of an object's metadata
_CHUNK = 2**20
_MOST_FOLDERS = 1000

# after 408, 429, 5xx and broken connections, for a minute
_RETRY = DEFAULT_RETRY.with_delay(initial=0.5, maximum=8.0, multiplier=2.0).with_timeout(60.0)
_ONCE = {"timeout": (5.0, 15.0), "retry": None}  # seconds to connect, and between bytes

T = TypeVar("T")


class _Corrupted(ConnectionError):  # noqa: N818 - a ConnectionError is retried
    def __init__(self, name: str) -> None:
        super().__init__(f"{name} was corrupted in transit")


class _Overtaken(Unavailable):
    """Others changed the object, possibly after this write."""


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
        with self._translated_errors():
            self._client = Client(project=None)
        self._bucket = self._client.bucket(match[1])

    def read_versioned(self, key: str) -> tuple[bytes, str] | None:
        name = self._name(key)

        def attempt() -> tuple[bytes, str]:
            blob = self._bucket.blob(name)
            data: bytes = blob.download_as_bytes(checksum=None, **_ONCE)
            if blob.crc32c != _checksum(data) or blob.generation is None:
                raise _Corrupted(name)
            return data, str(blob.generation)

        try:
            return self._retry(attempt)
        except api.NotFound:
            return None

    def download(self, key: str, path: Path) -> None:
        """A file with the right checksum is not copied again."""
        missing = NotFound(f"nothing is stored under {key!r} in {self.root}")
        blob = self._retry(partial(self._bucket.get_blob, self._name(key), **_ONCE))
        if blob is None:
            raise missing
        with alone(path):
            if not path.is_file() or _checksum(path) != blob.crc32c:
                partial_file = path.with_name(f".{path.name}.part")
                try:
                    self._copy(blob, partial_file)
                except api.NotFound:  # it was removed or replaced meanwhile
                    raise missing from None
                partial_file.replace(path)

    def write(self, key: str, data: bytes) -> None:
        self._put(key, data)

    def write_once(self, key: str, data: bytes) -> None:
        try:
            self._put(key, data, 0)
        except (api.PreconditionFailed, _Overtaken):
            raise AlreadyExists(f"{key!r} is already stored in {self.root}") from None

    def swap(self, key: str, data: bytes, expected: str | None) -> str:
        check_key(key)
        changed = f"{key!r} in {self.root} was changed meanwhile"
        if expected is not None and not _GENERATION.fullmatch(expected):  # a generation of another storage
            raise Conflict(changed)
        try:
            return self._put(key, data, int(expected or 0))
        except api.PreconditionFailed:
            raise Conflict(changed) from None

    def list(self, prefix: str = "") -> Keys:
        return sorted(self._blobs(prefix))

    def upload(self, folder: Path, prefix: str, names: Iterable[str] | None = None) -> None:
        for name in LocalStorage(folder).list() if names is None else names:
            self._put(f"{prefix.rstrip('/')}/{name}", folder / check_key(name))

    def remove(self, keys: Iterable[str]) -> None:
        for key in keys:
            with suppress(api.NotFound):
                self._retry(partial(self._bucket.delete_blob, self._name(key), **_ONCE))

    def folders(self, prefix: str = "") -> Keys:
        if prefix:
            check_key(prefix.removesuffix("/"))
        start = f"{self._prefix}{prefix}"
        query = {"prefix": start, "delimiter": "/", "max_results": _MOST_FOLDERS, "fields": "prefixes,nextPageToken"}
        with self._translated_errors(), self._bucket_required():
            pages = self._client.list_blobs(self._bucket, **query, **_ONCE | {"retry": _RETRY})
            for _ in pages:  # iterating collects the prefixes
                pass
        names = (name.removeprefix(start).rstrip("/") for name in pages.prefixes)
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
        with alone(folder):
            if _checksums(folder) != {name: blob.crc32c for name, blob in blobs.items()}:
                with replacing(folder) as staging:
                    for name, blob in blobs.items():
                        self._copy(blob, staging / name)
        return folder

    def _name(self, key: str) -> str:
        check_key(key)
        return check_key(f"{self._prefix}{key}")

    def _blobs(self, prefix: str) -> dict[str, Blob]:
        """By key. Objects whose names are no keys are skipped, such as the console's placeholders for empty folders."""
        folder, slash, _ = prefix.rpartition("/")
        if slash:
            check_key(folder)
        query = {
            "prefix": f"{self._prefix}{prefix}",
            "fields": "items(name,generation,crc32c),nextPageToken",
            **_ONCE,
            "retry": _RETRY,  # each page
        }
        with self._translated_errors(), self._bucket_required():
            blobs = {
                blob.name.removeprefix(self._prefix): blob for blob in self._client.list_blobs(self._bucket, **query)
            }
        return {key: blob for key, blob in blobs.items() if all(map(KEY_PART.fullmatch, key.split("/")))}

    def _put(self, key: str, source: bytes | Path, match: int | None = None) -> str:
        """Returns the generation. Raises PreconditionFailed unless the key has generation `match` (0: no object)."""
        name, token, failures = self._name(key), token_hex(16), list[Exception]()
        checksum = _checksum(source)

        def attempt() -> str:
            nonlocal match
            blob = self._bucket.blob(name)
            blob.crc32c = checksum  # which Cloud Storage verifies before it creates the object
            blob.metadata = {_TOKEN: token}
            with _open(source) as file:
                size = file.seek(0, os.SEEK_END)
                blob.upload_from_file(
                    file,
                    rewind=True,
                    size=size,
                    content_type="application/octet-stream",
                    if_generation_match=match,
                    checksum=None,
                    **_ONCE,
                )
            if blob.crc32c != checksum:
                match = None if match is None else blob.generation  # the next attempt replaces it
                raise _Corrupted(name)
            return str(blob.generation)

        try:
            with self._bucket_required():
                return self._retry(attempt, failures.append)
        except api.PreconditionFailed:
            if all(isinstance(failure, api.TooManyRequests) for failure in failures):
                raise
            # an earlier attempt whose response was lost may have changed it
            blob = self._retry(partial(self._bucket.get_blob, name, **_ONCE))
            if blob is not None and (blob.metadata or {}).get(_TOKEN) == token:
                return str(blob.generation)
            raise _Overtaken(
                f"{key!r} in {self.root} was changed by others, and whether this write came before them is not known"
            ) from None

    def _copy(self, blob: Blob, path: Path) -> None:
        path.parent.mkdir(parents=True, exist_ok=True)

        def attempt() -> None:
            listed = self._bucket.blob(blob.name, generation=blob.generation)  # not a newer one
            with path.open("wb") as file:
                listed.download_to_file(file, checksum=None, **_ONCE)
            if _checksum(path) != blob.crc32c:
                raise _Corrupted(blob.name)

        self._retry(attempt)

    def _retry(
        self,
        attempt: Callable[[], T],
        on_failure: Callable[[Exception], None] | None = None,
    ) -> T:
        """Retries until it succeeds or the time is up. NotFound and PreconditionFailed are left to the caller."""
        with self._translated_errors():
            result: T = _RETRY(attempt, on_error=on_failure)()
            return result

    @contextmanager
    def _bucket_required(self) -> Iterator[None]:
        """Within this block NotFound can only mean the bucket."""
        try:
            yield
        except api.NotFound:
            raise Refused(f"storage {self.root!r}: there is no bucket {self._bucket.name!r}") from None

    @contextmanager
    def _translated_errors(self) -> Iterator[None]:
        try:
            yield
        except (api.NotFound, api.PreconditionFailed):
            raise
        except (api.RetryError, RequestException) as error:
            raise Unavailable(f"storage {self.root!r} cannot be reached: {_reason(error)}") from error
        except (GoogleAuthError, api.Unauthorized) as error:
            raise Refused(
                f"storage {self.root!r}: no valid Google Cloud credentials ({_reason(error)}): "
                "run `gcloud auth application-default login`"
            ) from error
        except api.Forbidden as error:
            raise Refused(
                f"storage {self.root!r}: no permission ({_reason(error)}): "
                "roles/storage.objectUser on the bucket grants it"
            ) from error
        except api.GoogleAPIError as error:
            raise Refused(f"storage {self.root!r}: Cloud Storage refused ({_reason(error)})") from error


def _open(source: bytes | Path) -> IO[bytes]:
    return source.open("rb") if isinstance(source, Path) else BytesIO(source)


def _checksum(source: bytes | Path) -> str:
    """CRC32C, encoded as by Cloud Storage."""
    crc = 0
    with _open(source) as file:
        while chunk := file.read(_CHUNK):
            crc = google_crc32c.extend(crc, chunk)
    return b64encode(crc.to_bytes(4, "big")).decode()


def _checksums(folder: Path) -> dict[str, str]:
    return {name: _checksum(folder / name) for name in LocalStorage(folder).list()}


def _reason(error: Any) -> str:
    """The error in one line, in the service's own words if it has any.

    The URL is left out: it holds a key, part of which may come from a client.
    """
    cause = getattr(error, "cause", None) or error
    with suppress(AttributeError, KeyError, TypeError, ValueError):
        return str(cause.response.json()["error"]["message"])
    if isinstance(cause, api.GoogleAPICallError) and cause.code is not None:
        return f"status {int(cause.code)}"
    with suppress(AttributeError, IndexError):
        cause = cause.args[0].reason  # behind the exhausted retries of urllib3
    message = str(cause).strip() or type(cause).__name__
    return message.splitlines()[0][:300]
