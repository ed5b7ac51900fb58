"""Reads the shipped journal: every line, or the lines of one object.

Lines of an older format are converted to the current one.
"""

import gzip
import re
import zlib
from collections import defaultdict
from collections.abc import Iterator
from datetime import date
from typing import Any

from pydantic_core import from_json

from boatyard.bundle import format_1
from boatyard.journal.segment import ROOT, JournalError
from boatyard.storage import Storage

_ENVELOPE = frozenset(("event", "id", "time", "model", "version", "truncated", "duration_ms", "job", "row"))
"""The keys of a line in any format, besides the request, the answer and the truth."""
_RENAMED = {"kind": "input", "input": "request", "input_sha256": "request_sha256"}
_MEASURED = "length"

_OBJECT = re.compile(rf"{ROOT}date=(\d{{4}}-\d\d-\d\d)/[^/]+\.jsonl\.gz")


def read(storage: Storage, *, since: date | None = None) -> Iterator[dict[str, Any]]:
    """Every line that was shipped (from day `since` on), in the order of the objects' names: by day, then instance.

    A row of a job that two servers answered is in the journal twice, with one id, and is returned once.

    Raises:
        JournalError: a line is not a JSON object; the message names object and line.
    """
    seen: defaultdict[str, bytearray] = defaultdict(bytearray)  # of each job, a bit for each row
    for key in shipped(storage, since=since):
        for line in read_object(storage, key):
            if "job" not in line or _add(seen[line["job"]], line["row"]):
                yield line


def shipped(storage: Storage, *, since: date | None = None) -> list[str]:
    """The keys of the journal's objects (from day `since` on), sorted. The objects are immutable."""
    named = ((key, _OBJECT.fullmatch(key)) for key in storage.list(ROOT))
    return [key for key, match in named if match and (since is None or match[1] >= since.isoformat())]


def read_object(storage: Storage, key: str) -> Iterator[dict[str, Any]]:
    """The lines of one object, in the current format. Raises JournalError, as `read`."""
    data = storage.read(key)
    try:
        lines = gzip.decompress(data).splitlines()
    except (OSError, EOFError, zlib.error) as wrong:
        raise JournalError(f"{key} is not gzip: {wrong}") from None
    for number, line in enumerate(lines, 1):
        try:
            content = from_json(line)
        except ValueError as wrong:
            raise JournalError(f"{key}, line {number} is not JSON: {wrong}") from None
        if not isinstance(content, dict):
            raise JournalError(f"{key}, line {number} is not a JSON object")
        yield _upgraded(content)


def _upgraded(line: dict[str, Any]) -> dict[str, Any]:
    """In the first format, the keys of the answer, or of the truth, were at the top level."""
    event = line.get("event")
    if event == "prediction" and "answer" not in line:
        return _upgraded_prediction(line)
    if event == "feedback" and "truth" not in line:
        return _envelope(line) | {"truth": {key: value for key, value in line.items() if key not in _ENVELOPE}}
    return line


def _upgraded_prediction(line: dict[str, Any]) -> dict[str, Any]:
    others = {*_ENVELOPE, *_RENAMED, _MEASURED}
    return {
        **_envelope(line),
        **{new: line[old] for old, new in _RENAMED.items() if old in line},
        "task": format_1.TASK,
        "measured": {_MEASURED: line[_MEASURED]} if _MEASURED in line else {},
        "answer": format_1.upgraded_answer({key: value for key, value in line.items() if key not in others}),
    }


def _envelope(line: dict[str, Any]) -> dict[str, Any]:
    return {key: value for key, value in line.items() if key in _ENVELOPE}


def _add(numbers: bytearray, number: int) -> bool:
    """Adds the number to a bit set; whether it is new."""
    at, bit = number >> 3, 1 << (number & 7)
    if at >= len(numbers):
        numbers.extend(bytes(at + 1 - len(numbers)))
    new = not numbers[at] & bit
    numbers[at] |= bit
    return new
