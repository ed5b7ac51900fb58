"""Objects of one bucket of Cloud Storage, through Google's client, with its credentials and environment variables.

A retried request may already have succeeded. So every upload carries a token, by which a conditional write recognises
its own earlier attempt. Transfers are verified by checksum and repeated if they differ.
"""

import os
from base64 import b64encode
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from functools import partial
from io import BufferedReader, BytesIO, RawIOBase
from pathlib import Path
from secrets import token_hex
from typing import IO, Any, BinaryIO, TypeVar

import google_crc32c
from google.api_core import exceptions as api
from google.auth.exceptions import GoogleAuthError
from google.cloud.storage import Blob, Client
from google.cloud.storage.retry import DEFAULT_RETRY
from requests import RequestException

from boatyard.storage.interface import Refused, Unavailable

# otherwise a thread of the client requests the bucket's metadata, at first and after each 404
os.environ.setdefault("DISABLE_GCS_PYTHON_CLIENT_OTEL_BUCKET_METADATA", "true")

_TOKEN = "boatyard-write"  # noqa: S105 - the name of an object's metadata
_CHUNK = 2**20
_READ_AHEAD = 4 * 2**20  # bytes
_MOST_FOLDERS = 1000

# after 408, 429, 5xx and broken connections, for a minute
_RETRY = DEFAULT_RETRY.with_delay(initial=0.5, maximum=8.0, multiplier=2.0).with_timeout(60.0)
_ONCE = {"timeout": (5.0, 15.0), "retry": None}  # seconds to connect, and between bytes

T = TypeVar("T")


class _Corrupted(ConnectionError):  # noqa: N818 - a ConnectionError is retried
    def __init__(self, name: str) -> None:
        super().__init__(f"{name} was corrupted in transit")


class Overtaken(Unavailable):
    """Another writer changed the object, possibly after this write."""


class Bucket:
    """The bucket of a storage whose root is shown as `root` in messages. Nothing is accessed before a method is called.

    Raises Refused: there are no credentials. All methods raise Unavailable or Refused.
    """

    def __init__(self, name: str, root: str) -> None:
        self._root = root
        with self._translated_errors():
            self._client = Client(project=None)
        self._bucket = self._client.bucket(name)

    def read(self, name: str) -> tuple[bytes, str]:
        """An object's bytes and generation. Raises api_core's NotFound."""

        def attempt() -> tuple[bytes, str]:
            blob = self._bucket.blob(name)
            data: bytes = blob.download_as_bytes(checksum=None, **_ONCE)
            if blob.crc32c != checksum(data) or blob.generation is None:
                raise _Corrupted(name)
            return data, str(blob.generation)

        return self._retry(attempt)

    def get(self, name: str) -> Blob | None:
        """An object's metadata."""
        return self._retry(partial(self._bucket.get_blob, name, **_ONCE))

    def download(self, blob: Blob, path: Path) -> None:
        """Copies the generation that `blob` names. Raises api_core's NotFound."""
        path.parent.mkdir(parents=True, exist_ok=True)

        def attempt() -> None:
            listed = self._bucket.blob(blob.name, generation=blob.generation)  # not a newer one
            with path.open("wb") as file:
                listed.download_to_file(file, checksum=None, **_ONCE)
            if checksum(path) != blob.crc32c:
                raise _Corrupted(blob.name)

        self._retry(attempt)

    def open(self, blob: Blob) -> BinaryIO:
        """The generation that `blob` names, fetched in pieces as it is read."""
        return BufferedReader(_Pieces(self, blob, blob.size), _READ_AHEAD)

    def read_piece(self, blob: Blob, start: int, end: int) -> bytes:
        """Bytes from `start` up to `end` of the generation that `blob` names."""

        def attempt() -> bytes:
            listed = self._bucket.blob(blob.name, generation=blob.generation)
            data: bytes = listed.download_as_bytes(start=start, end=end - 1, checksum=None, **_ONCE)
            if len(data) != end - start:
                raise _Corrupted(blob.name)
            return data

        return self._retry(attempt)

    def upload(self, name: str, source: bytes | Path, match: int | None = None) -> str:
        """Returns the generation.

        Raises:
            PreconditionFailed (of api_core): the object does not have generation `match` (0: no object).
            Overtaken: another writer changed it, and whether this write came first is not known.
        """
        token, failures = token_hex(16), list[Exception]()
        expected_checksum = checksum(source)

        def attempt() -> str:
            nonlocal match
            blob = self._bucket.blob(name)
            blob.crc32c = expected_checksum  # which Cloud Storage verifies before it creates the object
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
            if blob.crc32c != expected_checksum:
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
            blob = self.get(name)
            if blob is not None and (blob.metadata or {}).get(_TOKEN) == token:
                return str(blob.generation)
            raise Overtaken(
                f"gs://{self._bucket.name}/{name} was changed by another writer, and whether this write came first "
                "is not known"
            ) from None

    def delete(self, name: str) -> None:
        """Nothing happens if there is no such object."""
        with suppress(api.NotFound):
            self._retry(partial(self._bucket.delete_blob, name, **_ONCE))

    def list(self, prefix: str) -> Iterator[Blob]:
        """The objects whose names start with `prefix`, with their checksums and generations."""
        query = {"prefix": prefix, "fields": "items(name,size,generation,crc32c),nextPageToken"}
        with self._translated_errors(), self._bucket_required():
            yield from self._client.list_blobs(self._bucket, **query, **_ONCE | {"retry": _RETRY})  # each page

    def folders(self, prefix: str) -> set[str]:
        """The first thousand prefixes directly below `prefix`, each with a '/' at its end."""
        query = {"prefix": prefix, "delimiter": "/", "max_results": _MOST_FOLDERS, "fields": "prefixes,nextPageToken"}
        with self._translated_errors(), self._bucket_required():
            pages = self._client.list_blobs(self._bucket, **query, **_ONCE | {"retry": _RETRY})
            for _ in pages:  # iterating collects the prefixes
                pass
        return set(pages.prefixes)

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
        """NotFound inside this block can only mean the bucket."""
        try:
            yield
        except api.NotFound:
            raise Refused(f"storage {self._root!r}: there is no bucket {self._bucket.name!r}") from None

    @contextmanager
    def _translated_errors(self) -> Iterator[None]:
        try:
            yield
        except (api.NotFound, api.PreconditionFailed):
            raise
        except (api.RetryError, RequestException) as error:
            raise Unavailable(f"storage {self._root!r} cannot be reached: {_reason(error)}") from error
        except (GoogleAuthError, api.Unauthorized) as error:
            raise Refused(
                f"storage {self._root!r}: no valid Google Cloud credentials ({_reason(error)}): "
                "run `gcloud auth application-default login`"
            ) from error
        except api.Forbidden as error:
            raise Refused(
                f"storage {self._root!r}: no permission ({_reason(error)}): "
                "roles/storage.objectUser on the bucket grants it"
            ) from error
        except api.GoogleAPIError as error:
            raise Refused(f"storage {self._root!r}: Cloud Storage refused ({_reason(error)})") from error


class _Pieces(RawIOBase):
    """An object's bytes, by a request for each piece, which is tried again like any other."""

    def __init__(self, bucket: Bucket, blob: Blob, size: int) -> None:
        self._bucket, self._blob, self._size, self._at = bucket, blob, size, 0

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def seek(self, offset: int, whence: int = os.SEEK_SET) -> int:
        self._at = offset + {os.SEEK_SET: 0, os.SEEK_CUR: self._at, os.SEEK_END: self._size}[whence]
        return self._at

    def readinto(self, buffer: Any) -> int:
        end = min(self._at + len(buffer), self._size)
        if end <= self._at:
            return 0
        piece = self._bucket.read_piece(self._blob, self._at, end)
        buffer[: len(piece)] = piece
        self._at += len(piece)
        return len(piece)


def _open(source: bytes | Path) -> IO[bytes]:
    return source.open("rb") if isinstance(source, Path) else BytesIO(source)


def checksum(source: bytes | Path) -> str:
    """CRC32C, encoded as by Cloud Storage."""
    crc = 0
    with _open(source) as file:
        while chunk := file.read(_CHUNK):
            crc = google_crc32c.extend(crc, chunk)
    return b64encode(crc.to_bytes(4, "big")).decode()


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
