"""`invoke load-test`: people who ask a running server, and the report of it."""

import csv
import json
import subprocess
import sys
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest
from bundles import Publish
from servers import ServerProcess

from boatyard import journal
from boatyard.storage import open_storage

pytestmark = [pytest.mark.integration, pytest.mark.slow]

REPOSITORY = Path(__file__).parents[2]


def load_test(host: str, folder: Path, *options: str) -> tuple[subprocess.CompletedProcess[str], dict[str, int]]:
    """How it ended, and how often each thing was asked."""
    (folder / "reports").mkdir()
    words = ["-m", "locust", f"--locustfile={REPOSITORY / 'benchmarks/locustfile.py'}", f"--host={host}", "--headless"]
    words += ["--users=4", "--spawn-rate=4", "--run-time=3s", "--only-summary", "--stop-timeout=2"]
    words += [f"--html={folder / 'reports/report.html'}", f"--csv={folder / 'reports/report'}", *options]
    ran = subprocess.run([sys.executable, *words], cwd=folder, capture_output=True, text=True, check=False)
    stats = folder / "reports" / "report_stats.csv"
    with stats.open() if stats.exists() else (folder / "none.csv").open("w+") as file:
        asked = {row["Name"]: int(row["Request Count"]) for row in csv.DictReader(file)}
    return ran, asked


@pytest.fixture
def rows(tmp_path: Path) -> Path:
    file = tmp_path / "rows.csv"
    file.write_text("text,label\nmy card is lost,card_lost\nwhat are the fees,fees\n")
    return file


def test_people_ask_and_the_report_has_what_they_asked(publish: Publish, tmp_path: Path, rows: Path) -> None:
    publish()
    with ServerProcess(
        tmp_path / "storage", tmp_path / "server.log", BOATYARD_MODEL=f"ferry@{publish().version}"
    ) as server:
        ran, asked = load_test(server.url, tmp_path, f"--rows={rows}")
        server.stop()
    assert ran.returncode == 0, ran.stderr
    assert asked["/predict"] > 5
    assert "<html" in (tmp_path / "reports" / "report.html").read_text()
    lines = list(journal.read(open_storage(str(tmp_path / "storage"))))
    assert {line["request"]["text"] for line in lines if line["event"] == "prediction"} == {
        "my card is lost",
        "what are the fees",
    }


def test_rows_that_the_model_cannot_read_are_one_sentence(tmp_path: Path) -> None:
    (tmp_path / "rows.csv").write_text("text\n")
    ran, _ = load_test("http://127.0.0.1:9", tmp_path, f"--rows={tmp_path / 'rows.csv'}")
    assert ran.returncode != 0
    assert "load-test:" in ran.stderr
    assert "has no rows" in ran.stderr


class Full(BaseHTTPRequestHandler):
    """A server that has too much to do."""

    def do_GET(self) -> None:
        self._answer(200, {"request_schema": {"required": ["text"]}, "truth_schema": {"required": ["label"]}})

    def do_POST(self) -> None:
        self.rfile.read(int(self.headers["content-length"]))
        self._answer(503, {"detail": "too much"})

    def log_message(self, *_: object) -> None:
        pass

    def _answer(self, status: int, content: object) -> None:
        body = json.dumps(content).encode()
        self.send_response(status)
        self.send_header("content-length", str(len(body)))
        self.send_header("retry-after", "1")
        self.end_headers()
        self.wfile.write(body)


@pytest.fixture
def full() -> Iterator[str]:
    server = ThreadingHTTPServer(("127.0.0.1", 0), Full)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield f"http://127.0.0.1:{server.server_port}"
    server.shutdown()
    server.server_close()


def test_who_is_told_to_come_back_is_refused_and_not_failed(full: str, tmp_path: Path, rows: Path) -> None:
    ran, asked = load_test(full, tmp_path, f"--rows={rows}")
    assert ran.returncode == 0, ran.stdout + ran.stderr
    refused = {name: count for name, count in asked.items() if name.endswith(", refused")}
    assert refused
    assert sum(refused.values()) <= 4 * 4, "they do not wait"
