"""What is large in a request lies beside the journal, once, under its SHA-256: the lines stay small.

A line is whole until it is shipped, so that a crash loses no part of it.
"""

import hashlib
from typing import Any

from pydantic_core import from_json, to_json

from boatyard.journal.segment import JournalError
from boatyard.storage import AlreadyExists, NotFound, Storage

ROOT = "requests/"
LEAST = 32_768
"""Characters of a string from which on it is large."""
_REFERENCE = "boatyard.sha256"


def put_aside(lines: bytes, storage: Storage) -> bytes:
    """The lines with a reference for each large string in a request, once that is in the storage."""
    return b"".join(_put_aside(line, storage) if len(line) > LEAST else line for line in lines.splitlines(True))


def whole(request: Any, storage: Storage) -> Any:
    """The request as it was sent. Raises JournalError where a part of it is no longer there."""
    if isinstance(request, list):
        return [whole(each, storage) for each in request]
    if not isinstance(request, dict):
        return request
    if request.keys() != {_REFERENCE}:
        return {name: whole(value, storage) for name, value in request.items()}
    key = f"{ROOT}{request[_REFERENCE]}"
    try:
        return storage.read(key).decode("utf-8", "surrogatepass")
    except NotFound:
        raise JournalError(f"{key} is missing: a request in the journal is no longer whole") from None


def _put_aside(line: bytes, storage: Storage) -> bytes:
    content = from_json(line)
    if "request" not in content:
        return line
    taken: dict[str, bytes] = {}
    content["request"] = _referring(content["request"], taken)
    if not taken:
        return line
    for digest, value in taken.items():
        try:
            storage.write_once(f"{ROOT}{digest}", value)
        except AlreadyExists:  # sent before
            continue
    return to_json(content) + b"\n"


def _referring(request: Any, taken: dict[str, bytes]) -> Any:
    if isinstance(request, str) and len(request) >= LEAST:
        value = request.encode("utf-8", "surrogatepass")
        digest = hashlib.sha256(value).hexdigest()
        taken[digest] = value
        return {_REFERENCE: digest}
    if isinstance(request, list):
        return [_referring(each, taken) for each in request]
    if isinstance(request, dict):
        return {name: _referring(value, taken) for name, value in request.items()}
    return request
