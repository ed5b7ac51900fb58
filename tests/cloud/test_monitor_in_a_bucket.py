"""The scheduled look where everything lies in a bucket: model, journal, reports."""

import gzip
import json
import os
import subprocess
import sys
from datetime import UTC, datetime
from pathlib import Path

import pytest
from references import publish_watchable

from boatyard.storage import Storage, open_storage

pytestmark = pytest.mark.cloud


@pytest.mark.slow
def test_the_job_reads_the_journal_there_writes_its_reports_there_and_exits_with_3(
    bucket_root: str, storage: Storage, tmp_path: Path
) -> None:
    version = publish_watchable(storage, tmp_path, [f"where is my card {number % 7}" for number in range(300)])
    now = datetime.now(UTC)
    prediction = {
        "event": "prediction",
        "time": now.isoformat(),
        "input": "text",
        "task": "classification",
        "model": "ferry",
        "version": version,
        "request": {"text": "ANOTHER WORLD!"},
        "truncated": False,
        "measured": {"length": 3},
        "answer": {"label": "fees", "score": 0.4},
        "duration_ms": 1.0,
    }
    lines = "".join(json.dumps(prediction | {"id": f"{number:032x}"}) + "\n" for number in range(150))
    storage.write_once(f"journal/date={now:%Y-%m-%d}/a-1.jsonl.gz", gzip.compress(lines.encode()))
    look = subprocess.run(
        [sys.executable, "-m", "boatyard.monitor", f"--reports={bucket_root}/mornings"],
        env=os.environ | {"BOATYARD_STORAGE": bucket_root, "BOATYARD_MODEL": "ferry"},
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=False,
    )
    assert look.returncode == 3, look.stderr
    report = json.loads(open_storage(bucket_root).read("mornings/ferry.json"))
    assert report["alarm"]
    assert report["window"]["rows"] == 150
    assert b"capital_share" in storage.read("mornings/ferry.html")
    kept = storage.list("monitor/ferry/")
    assert [key.rpartition(".")[2] for key in kept if "/days/" not in key] == ["json", "html"]
    assert [key for key in kept if "/days/" in key] == [f"monitor/ferry/days/{now:%Y-%m-%d}"]
