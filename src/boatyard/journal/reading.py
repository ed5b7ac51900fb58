"""The journal as it was shipped: every line, or the lines of one object.

Lines that an older version wrote are read as the present one would have written them.
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
"""What a line of any version says beside the request, the answer and the truth."""
_RENAMED = {"kind": "input", "input": "request", "input_sha256": "request_sha256"}
_MEASURED = "length"

_OBJECT = re.compile(rf"{ROOT}date=(\d{{4}}-\d\d-\d\d)/[^/]+\.jsonl\.gz")


def read(storage: Storage, *, since: date | None = None) -> Iterator[dict[str, Any]]:
    """Every line that was shipped (from day `since` on), in the order of the objects' names: by day, then instance.

    A job's answer comes once, though a row that two servers began is in the journal twice, with one id. Raises
    JournalError, which names object and line, at what is no JSON object.
    """
    seen: defaultdict[str, bytearray] = defaultdict(bytearray)  # of each job, a bit for each row
    for key in shipped(storage, since=since):
        for line in read_object(storage, key):
            if "job" not in line or _add(seen[line["job"]], line["row"]):
                yield line


def shipped(storage: Storage, *, since: date | None = None) -> list[str]:
    """The keys of the journal's objects (from day `since` on), sorted. What lies under one never changes."""
    named = ((key, _OBJECT.fullmatch(key)) for key in storage.list(ROOT))
    return [key for key, match in named if match and (since is None or match[1] >= since.isoformat())]


def read_object(storage: Storage, key: str) -> Iterator[dict[str, Any]]:
    """The lines of one object, each with its keys as the present version names them. Raises JournalError, as `read`."""
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
    """Before there were inputs and tasks, a line held the answer's keys, or the truth's, among its own."""
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
    """Whether the number is new to the set, a bit for each."""
    at, bit = number >> 3, 1 << (number & 7)
    if at >= len(numbers):
        numbers.extend(bytes(at + 1 - len(numbers)))
    new = not numbers[at] & bit
    numbers[at] |= bit
    return new
