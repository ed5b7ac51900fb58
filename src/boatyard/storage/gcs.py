"""Storage in a bucket of Cloud Storage, by Google's client, its credentials and its environment variables.

What is asked again after a failure may have been done the first time. So a write that depends on what lies there
carries a token, by which it knows its own work; and what is transferred is compared by checksum, then sent again.
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

# or the client asks, in a thread, what the bucket is: at first and after each 404
os.environ.setdefault("DISABLE_GCS_PYTHON_CLIENT_OTEL_BUCKET_METADATA", "true")

_ROOT = re.compile(r"gs://([a-z0-9][a-z0-9._-]{1,220}[a-z0-9])(?:/(.*?))?/?")
_GENERATION = re.compile(r"[1-9][0-9]{0,18}")
_TOKEN = "boatyard-write"  # noqa: S105 - the name of an object's metadata
_CHUNK = 2**20
_MOST_FOLDERS = 1000

# after 408, 429, 5xx and broken connections, for a minute
_RETRY = DEFAULT_RETRY.with_delay(initial=0.5, maximum=8.0, multiplier=2.0).with_timeout(60.0)
_ONCE = {"timeout": (5.0, 15.0), "retry": None}  # seconds to connect, and to hear something

T = TypeVar("T")


class _Garbled(ConnectionError):  # noqa: N818 - a ConnectionError is tried again
    def __init__(self, name: str) -> None:
        super().__init__(f"{name} was changed on its way")


class _Overtaken(Unavailable):
    pass


class BucketStorage(Storage):
    """Storage in `gs://BUCKET/PREFIX`. A generation is the object's own.

    Raises UserError: no such root can be, or there are no credentials. The bucket is not looked at.
    """

    root: str

    def __init__(self, root: str) -> None:
        named = _ROOT.fullmatch(root)
        if named is None:
            raise UserError(f"storage {root!r} is not gs://BUCKET or gs://BUCKET/PREFIX")
        self.root = root.rstrip("/")
        self._prefix = f"{check_key(named[2])}/" if named[2] else ""
        with self._explained():
            self._client = Client(project=None)
        self._bucket = self._client.bucket(named[1])

    def read_versioned(self, key: str) -> tuple[bytes, str] | None:
        name = self._name(key)

        def attempt() -> tuple[bytes, str]:
            blob = self._bucket.blob(name)
            data: bytes = blob.download_as_bytes(checksum=None, **_ONCE)
            if blob.crc32c != _checksum(data) or blob.generation is None:
                raise _Garbled(name)
            return data, str(blob.generation)

        try:
            return self._ask(attempt)
        except api.NotFound:
            return None

    def download(self, key: str, path: Path) -> None:
        """What lies whole in the file is not copied again."""
        missing = NotFound(f"nothing is stored under {key!r} in {self.root}")
        blob = self._ask(partial(self._bucket.get_blob, self._name(key), **_ONCE))
        if blob is None:
            raise missing
        with alone(path):
            if not path.is_file() or _checksum(path) != blob.crc32c:
                partly = path.with_name(f".{path.name}.part")
                try:
                    self._copy(blob, partly)
                except api.NotFound:  # it was removed or replaced just now
                    raise missing from None
                partly.replace(path)

    def write(self, key: str, data: bytes) -> None:
        self._put(key, data)

    def write_once(self, key: str, data: bytes) -> None:
        try:
            self._put(key, data, 0)
        except (api.PreconditionFailed, _Overtaken):
            raise AlreadyExists(f"{key!r} is already stored in {self.root}") from None

    def swap(self, key: str, data: bytes, expected: str | None) -> str:
        check_key(key)
        moved = f"{key!r} in {self.root} was changed meanwhile"
        if expected is not None and not _GENERATION.fullmatch(expected):  # of another storage's
            raise Conflict(moved)
        try:
            return self._put(key, data, int(expected or 0))
        except api.PreconditionFailed:
            raise Conflict(moved) from None

    def list(self, prefix: str = "") -> Keys:
        return sorted(self._blobs(prefix))

    def upload(self, folder: Path, prefix: str, names: Iterable[str] | None = None) -> None:
        for name in LocalStorage(folder).list() if names is None else names:
            self._put(f"{prefix.rstrip('/')}/{name}", folder / check_key(name))

    def remove(self, keys: Iterable[str]) -> None:
        for key in keys:
            with suppress(api.NotFound):
                self._ask(partial(self._bucket.delete_blob, self._name(key), **_ONCE))

    def folders(self, prefix: str = "") -> Keys:
        if prefix:
            check_key(prefix.removesuffix("/"))
        whole = f"{self._prefix}{prefix}"
        asked = {"prefix": whole, "delimiter": "/", "max_results": _MOST_FOLDERS, "fields": "prefixes,nextPageToken"}
        with self._explained(), self._named():
            pages = self._client.list_blobs(self._bucket, **asked, **_ONCE | {"retry": _RETRY})
            for _ in pages:  # the prefixes are known once it was walked through
                pass
        names = (name.removeprefix(whole).rstrip("/") for name in pages.prefixes)
        return sorted(name for name in names if KEY_PART.fullmatch(name))

    def fetch(self, prefix: str, cache: Path, names: Collection[str] | None = None) -> Path:
        """What lies whole in the cache is not copied again."""
        key = check_key(prefix.removesuffix("/"))
        blobs = {name.removeprefix(f"{key}/"): blob for name, blob in self._blobs(f"{key}/").items()}
        if names is not None:
            blobs = {name: blob for name, blob in blobs.items() if name in names}
        if not blobs:
            raise NotFound(f"nothing is stored under {prefix!r} in {self.root}")
        folder = cache / key
        with alone(folder):
            if _sums(folder) != {name: blob.crc32c for name, blob in blobs.items()}:
                with replacing(folder) as staging:
                    for name, blob in blobs.items():
                        self._copy(blob, staging / name)
        return folder

    def _name(self, key: str) -> str:
        check_key(key)
        return check_key(f"{self._prefix}{key}")

    def _blobs(self, prefix: str) -> dict[str, Blob]:
        """By key. What else lies in the bucket, such as a console's marks of empty folders, is passed over."""
        folder, slash, _ = prefix.rpartition("/")
        if slash:
            check_key(folder)
        asked = {
            "prefix": f"{self._prefix}{prefix}",
            "fields": "items(name,generation,crc32c),nextPageToken",
            **_ONCE,
            "retry": _RETRY,  # each page
        }
        with self._explained(), self._named():
            found = {
                blob.name.removeprefix(self._prefix): blob for blob in self._client.list_blobs(self._bucket, **asked)
            }
        return {key: blob for key, blob in found.items() if all(map(KEY_PART.fullmatch, key.split("/")))}

    def _put(self, key: str, source: bytes | Path, match: int | None = None) -> str:
        """Answers the generation. Raises PreconditionFailed unless the key holds generation `match` (0: nothing)."""
        name, token, failures = self._name(key), token_hex(16), list[Exception]()
        checksum = _checksum(source)

        def attempt() -> str:
            nonlocal match
            blob = self._bucket.blob(name)
            blob.crc32c = checksum  # which Cloud Storage compares before the object is there
            blob.metadata = {_TOKEN: token}
            with _opened(source) as file:
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
                match = None if match is None else blob.generation  # to be replaced
                raise _Garbled(name)
            return str(blob.generation)

        try:
            with self._named():
                return self._ask(attempt, failures.append)
        except api.PreconditionFailed:
            if all(isinstance(failure, api.TooManyRequests) for failure in failures):
                raise
            # an attempt whose answer was lost may be what changed it
            blob = self._ask(partial(self._bucket.get_blob, name, **_ONCE))
            if blob is not None and (blob.metadata or {}).get(_TOKEN) == token:
                return str(blob.generation)
            raise _Overtaken(
                f"{key!r} in {self.root} was changed by others, and whether this write came before them is not known"
            ) from None

    def _copy(self, blob: Blob, path: Path) -> None:
        path.parent.mkdir(parents=True, exist_ok=True)

        def attempt() -> None:
            listed = self._bucket.blob(blob.name, generation=blob.generation)  # and nothing that came since
            with path.open("wb") as file:
                listed.download_to_file(file, checksum=None, **_ONCE)
            if _checksum(path) != blob.crc32c:
                raise _Garbled(blob.name)

        self._ask(attempt)

    def _ask(
        self,
        attempt: Callable[[], T],
        on_failure: Callable[[Exception], None] | None = None,
    ) -> T:
        """Tries until it succeeds or the time is up. NotFound and PreconditionFailed are for the caller to explain."""
        with self._explained():
            answer: T = _RETRY(attempt, on_error=on_failure)()
            return answer

    @contextmanager
    def _named(self) -> Iterator[None]:
        """Inside, NotFound can but mean the bucket."""
        try:
            yield
        except api.NotFound:
            raise Refused(f"storage {self.root!r}: there is no bucket {self._bucket.name!r}") from None

    @contextmanager
    def _explained(self) -> Iterator[None]:
        try:
            yield
        except (api.NotFound, api.PreconditionFailed):
            raise
        except (api.RetryError, RequestException) as failed:
            raise Unavailable(f"storage {self.root!r} cannot be reached: {_said(failed)}") from failed
        except (GoogleAuthError, api.Unauthorized) as refused:
            raise Refused(
                f"storage {self.root!r}: no valid Google Cloud credentials ({_said(refused)}): "
                "`gcloud auth application-default login` makes some"
            ) from refused
        except api.Forbidden as refused:
            raise Refused(
                f"storage {self.root!r}: no permission ({_said(refused)}): "
                "roles/storage.objectUser on the bucket has it"
            ) from refused
        except api.GoogleAPIError as refused:
            raise Refused(f"storage {self.root!r}: Cloud Storage refused ({_said(refused)})") from refused


def _opened(source: bytes | Path) -> IO[bytes]:
    return source.open("rb") if isinstance(source, Path) else BytesIO(source)


def _checksum(source: bytes | Path) -> str:
    """As Cloud Storage writes it."""
    crc = 0
    with _opened(source) as file:
        while chunk := file.read(_CHUNK):
            crc = google_crc32c.extend(crc, chunk)
    return b64encode(crc.to_bytes(4, "big")).decode()


def _sums(folder: Path) -> dict[str, str]:
    return {name: _checksum(folder / name) for name in LocalStorage(folder).list()}


def _said(error: Any) -> str:
    """What went wrong, in a line: the service's own words if there are any.

    Without the address that was asked: it holds a key, of which a part may be a client's.
    """
    cause = getattr(error, "cause", None) or error
    with suppress(AttributeError, KeyError, TypeError, ValueError):
        return str(cause.response.json()["error"]["message"])
    if isinstance(cause, api.GoogleAPICallError) and cause.code is not None:
        return f"status {int(cause.code)}"
    with suppress(AttributeError, IndexError):
        cause = cause.args[0].reason  # of what urllib3 tried again and again
    said = str(cause).strip() or type(cause).__name__
    return said.splitlines()[0][:300]
