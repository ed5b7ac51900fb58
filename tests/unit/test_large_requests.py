"""journal/large: what is large in a request lies beside the journal, once."""

import base64
import json
from pathlib import Path
from typing import Any

import pytest

from boatyard.journal import JournalError, large, read
from boatyard.journal.large import LEAST, put_aside, whole
from boatyard.journal.spool import Journal
from boatyard.storage import LocalStorage

pytestmark = pytest.mark.unit

LARGE = base64.b64encode(bytes(range(256)) * 200).decode()
assert len(LARGE) > LEAST


def prediction(number: int, request: Any) -> dict[str, Any]:
    return {"event": "prediction", "id": str(number), "request": request, "answer": {"found": 0.1}}


def test_a_large_part_is_shipped_once_and_read_whole(tmp_path: Path) -> None:
    storage = LocalStorage(tmp_path / "storage")
    requests: list[Any] = [{"image": LARGE}, {"image": LARGE}, {"image": "small"}, {"list": [{"deep": LARGE}, 1.5]}]
    journal = Journal(storage, tmp_path / "spool")
    journal.append([prediction(number, request) for number, request in enumerate(requests)])
    assert journal.close(10)
    (key,) = storage.list(large.ROOT)
    assert storage.read(key).decode() == LARGE
    lines = sorted(read(storage), key=lambda line: line["id"])
    assert all(len(json.dumps(line)) < 300 for line in lines)
    assert [whole(line["request"], storage) for line in lines] == requests


def test_lines_without_a_large_part_stay_as_they_are(tmp_path: Path) -> None:
    lines = b'{"event":"prediction","request":{"text":"' + b"x" * (LEAST - 100) + b'"}}\n{"event": "feedback"}\n'
    lines += b'{"event":"prediction","request_sha256":"00", "answer": {"text":"' + b"y" * 2 * LEAST + b'"}}\n'
    assert put_aside(lines, LocalStorage(tmp_path)) == lines


def test_a_part_that_is_gone_is_named(tmp_path: Path) -> None:
    storage = LocalStorage(tmp_path)
    lines = put_aside(json.dumps(prediction(1, {"image": LARGE})).encode() + b"\n", storage)
    storage.remove(storage.list(large.ROOT))
    with pytest.raises(JournalError, match=r"requests/[0-9a-f]{64} is missing"):
        whole(json.loads(lines)["request"], storage)


def test_what_is_put_aside_is_kept_out_of_git() -> None:
    assert f"/{large.ROOT}" in Path(".gitignore").read_text(encoding="utf-8").splitlines()
