"""Batch jobs: every row of a file gets its line, in order, whatever becomes of the server."""

import csv
import errno
import io
import json
import subprocess
import time
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import httpx
import pytest
from bundles import Publish
from jobs import CSV, finished, kill_in_job, result, submit
from needs import needs
from problems import assert_problem
from servers import Serve, ServerProcess
from starlette.testclient import TestClient

from boatyard import registry
from boatyard.api.jobs import leases, routes, store, worker
from boatyard.api.jobs.store import Submission
from boatyard.bundle import rows as rows_of_files
from boatyard.journal import Journal, JournalFull, read, read_object, shipped
from boatyard.storage import Storage, Unavailable

pytestmark = pytest.mark.integration


@pytest.fixture
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing waits for long."""
    monkeypatch.setattr(leases, "FIRST_BACKOFF", 0.001)
    monkeypatch.setattr(worker, "POLL_SECONDS", 0.02)
    monkeypatch.setattr(worker, "JOURNAL_SECONDS", 0.01)


JSONL = {"content-type": "application/x-ndjson"}


def test_a_csv_gets_a_line_for_each_row_in_order_and_bad_rows_say_why(client: TestClient, promoted: str) -> None:
    content = b'\xef\xbb\xbfid,text\n1,card\n2,\n\n3,"two\nlines, one cell"\n4\n5,caf\xe9\n6,' + b"x" * 300 + b"\n7,fee"
    job = submit(client, content)
    state = finished(client, job)
    assert (state["rows"], state["bad"], state["share"], state["version"]) == (7, 4, 1.0, promoted)
    lines = result(client, job)
    assert [line["row"] for line in lines] == [1, 2, 3, 4, 5, 6, 7]
    assert {line["row"]: line["error"] for line in lines if "error" in line} == {
        2: '"text" is blank',
        4: "line 7 has 1 cell where the header names 2",
        5: '"text" is not UTF-8',
        6: '"text" has 300 characters and may have 200',
    }
    single = client.post("/predict", json={"text": "card"}).json()
    assert lines[0]["label"] == single["label"]
    assert lines[0]["score"] == pytest.approx(single["score"], abs=1e-6)
    assert lines[0]["top"] == [pytest.approx(choice) for choice in single["top"]]


@pytest.mark.parametrize("keep", ["stored", "hashed", "dropped"])
def test_a_jobs_answers_are_journalled_and_counted_as_any_others(
    storage: Storage, promoted: str, serve: Serve, keep: str
) -> None:
    client = serve(journal_input=keep)
    job = submit(client, "n,text\n1,card\n2,\n3,fee\n")
    finished(client, job)
    first, wrong, second = result(client, job)
    assert wrong.keys() == {"row", "error"}
    assert client.post("/feedback", json={"id": second["id"], "label": "transfer"}).status_code == 202
    counted = client.get("/metrics").text
    for label in ("card_lost", "fees"):
        assert f'boatyard_answers_total{{category="{label}",column="label",model="ferry"}} 1.0' in counted
    client.__exit__(None, None, None)
    lines = [line for line in read(storage) if line["event"] == "prediction"]
    assert [(line["id"], line["job"], line["row"]) for line in lines] == [(first["id"], job, 1), (second["id"], job, 3)]
    assert [line.get("request") for line in lines] == (
        [{"text": "card"}, {"text": "fee"}] if keep == "stored" else [None] * 2
    )
    assert ["request_sha256" in line for line in lines] == [keep == "hashed"] * 2
    for line, answer in zip(lines, (first, second), strict=True):
        assert line["answer"] == {key: answer[key] for key in ("label", "score", "top")}
        assert (line["version"], line["truncated"]) == (promoted, answer["truncated"])
        assert line["duration_ms"] > 0


@pytest.mark.usefixtures("quick")
def test_a_chunk_that_is_journalled_and_begun_again_is_read_once(
    client: TestClient, storage: Storage, monkeypatch: pytest.MonkeyPatch
) -> None:
    fails = iter([OSError("the storage is away")] * 2)
    write = store.write_chunk

    def away(*arguments: Any) -> None:
        if (why := next(fails, None)) is not None:
            raise why
        write(*arguments)

    monkeypatch.setattr(store, "write_chunk", away)
    job = submit(client, "text\ncard\nfee\n")
    finished(client, job)
    client.__exit__(None, None, None)
    ids = [
        json.loads(line)["id"] for key in storage.list(f"jobs/{job}/result/") for line in storage.read(key).splitlines()
    ]
    assert [line["id"] for line in read(storage)] == ids
    assert sum(len(list(read_object(storage, key))) for key in shipped(storage)) == 3 * len(ids)


@pytest.mark.usefixtures("quick")
def test_a_job_waits_until_the_journal_has_room(client: TestClient, monkeypatch: pytest.MonkeyPatch) -> None:
    refused = iter(range(3))
    append = Journal.append

    def full(journal: Journal, lines: Any) -> None:
        if next(refused, None) is not None:
            raise JournalFull("no room")
        append(journal, lines)

    monkeypatch.setattr(Journal, "append", full)
    finished(client, submit(client, "text\ncard\n"))
    assert next(refused, None) is None
    monkeypatch.setattr(Journal, "is_crowded", True)
    job = submit(client, "text\ncard\n")
    assert client.post("/predict", json={"text": "card"}).status_code == 200, "others need not wait"
    time.sleep(0.1)
    assert client.get(f"/jobs/{job}").json()["state"] == "running"
    monkeypatch.setattr(Journal, "is_crowded", False)
    finished(client, job)


# ---- rows and chunks that cannot be answered


def test_a_row_at_which_the_model_fails_is_bad_and_the_others_are_answered(
    storage: Storage, publish: Publish, serve: Serve, capfd: pytest.CaptureFixture[str]
) -> None:
    registry.promote(storage, "ferry", publish(poison=["poison"]).version)
    client = serve()
    job = submit(client, "text\n" + "card\n" * 70 + "a poison\n" + "fee\n" * 5 + "poison\n")
    state = finished(client, job)
    assert (state["rows"], state["bad"]) == (77, 2)
    wrong = {line["row"]: line["error"] for line in result(client, job) if "error" in line}
    assert wrong == dict.fromkeys((71, 77), "the model cannot answer this input")
    assert "onnxruntime" not in capfd.readouterr().err, "the log has lines of JSON alone"


@pytest.mark.usefixtures("quick")
@pytest.mark.parametrize(
    ("failure", "said"),
    [
        (RuntimeError("nobody foresaw it"), "the server failed; its log says why"),
        (OSError(errno.ENOSPC, "No space left on device", "/srv/jobs/1"), "the storage is full"),
        (Unavailable("storage 'gs://private' cannot be reached"), "the storage does not answer"),
    ],
)
def test_a_chunk_that_fails_each_time_fails_the_job_after_some_attempts(
    client: TestClient,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
    failure: Exception,
    said: str,
) -> None:
    tried = []

    def broken(*_: object) -> None:
        tried.append(1)
        raise failure

    monkeypatch.setattr(store, "write_chunk", broken)
    reason = finished(client, submit(client, "text\ncard\n"), "failed")["reason"]
    assert len(tried) == leases.MOST_ATTEMPTS
    assert reason == f"5 attempts in a row made no progress: {said}"
    waits = [record for record in caplog.records if "waits" in record.getMessage()]
    assert len(waits) == leases.MOST_ATTEMPTS
    assert {bool(record.exc_info) for record in waits} == {isinstance(failure, RuntimeError)}, "what can happen is said"


@pytest.mark.usefixtures("quick")
def test_a_job_that_takes_the_server_down_each_time_is_given_up(
    client: TestClient, storage: Storage, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(worker.Worker, "wake", lambda _: None)
    monkeypatch.setattr(worker, "POLL_SECONDS", 60)
    time.sleep(0.1)
    job = submit(client, "text\ncard\n")
    crashed = {"holder": "dead", "until": 0, "chunks": 0, "attempts": leases.MOST_ATTEMPTS}
    storage.write(f"jobs/{job}/lease.json", json.dumps(crashed).encode())
    monkeypatch.undo()
    client.app.state.worker.wake()  # type: ignore[attr-defined]
    assert "the server stopped during each of them" in finished(client, job, "failed")["reason"]


def test_json_lines_are_taken_too(client: TestClient) -> None:
    content = '{"text": "card", "more": 1}\n\nnonsense\n["card"]\n{"txt": "card"}\n{"text": "fee"}'
    job = submit(client, content, JSONL)
    assert finished(client, job)["bad"] == 3
    lines = result(client, job)
    assert [line["row"] for line in lines] == [1, 2, 3, 4, 5]
    assert [line["row"] for line in lines if "error" in line] == [2, 3, 4]
    assert "not JSON" in lines[1]["error"]


def test_the_result_is_csv_where_the_client_asks_for_it_with_the_same_values(
    client: TestClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(rows_of_files, "CHUNK", 2)
    job = submit(client, 'text\n""\ncard\n"=1+1"\nfee\n"é, ""fee"""\n')  # the first row has no answer
    finished(client, job)
    sent = client.get(f"/jobs/{job}/result", headers={"accept": "text/csv"})
    assert sent.headers["content-type"] == "text/csv; charset=utf-8"
    assert sent.headers["vary"] == "accept"
    header, *rows = csv.reader(io.StringIO(sent.content.decode(), newline=""))
    assert header == ["row", "id", "label", "score", "top", "truncated", "error"]
    for row, line in zip(rows, result(client, job), strict=True):
        cells = dict(zip(header, row, strict=True))
        texts = {name: cells.pop(name) or None for name in ("id", "label", "error")}
        values = {name: json.loads(cell) if cell else None for name, cell in cells.items()}
        assert {**texts, **values} == {name: line.get(name) for name in header}


@pytest.mark.parametrize(
    ("accept", "media_type"),
    [
        (None, "application/jsonl"),
        ("*/*", "application/jsonl"),
        ("application/x-ndjson", "application/x-ndjson"),
        ("text/*", "text/csv"),
        ("application/json, text/csv;q=0.5", "text/csv"),
        ("text/csv, */*", "text/csv"),
        ("text/csv;q=0.1, */*", "application/jsonl"),
        ("application/*;q=0, TEXT/CSV ; header=present", "text/csv"),
    ],
)
def test_a_result_has_the_form_that_the_client_likes_best(
    client: TestClient, accept: str | None, media_type: str
) -> None:
    job = submit(client, "text\ncard\n")
    finished(client, job)
    client.headers.pop("accept")
    sent = client.get(f"/jobs/{job}/result", headers={"accept": accept} if accept else {})
    assert sent.headers["content-type"].partition(";")[0] == media_type


@pytest.mark.parametrize("accept", ["application/json", "text/csv;q=0", "*/*;q=0, text/html", "nonsense", ";;,"])
def test_a_result_in_no_form_that_the_client_accepts_is_a_problem(client: TestClient, accept: str) -> None:
    job = submit(client, "text\ncard\n")
    finished(client, job)
    assert_problem(client.get(f"/jobs/{job}/result", headers={"accept": accept}), 406, "text/csv")


def test_a_file_of_many_parts_and_chunks_is_answered_whole(
    client: TestClient, storage: Storage, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(store, "PART_BYTES", 1000)
    monkeypatch.setattr(rows_of_files, "CHUNK", 100)
    texts = [("card", "fee, please", 'a "transfer"', "two\nlines")[n % 4] + f" {n}" for n in range(1234)]
    written = io.StringIO()
    csv.writer(written).writerows([["text"], *([text] for text in texts)])
    content = written.getvalue().encode()
    job = submit(client, (content[start : start + 333] for start in range(0, len(content), 333)))
    assert finished(client, job)["rows"] == len(texts)
    assert len(storage.list(f"jobs/{job}/input/")) > 10
    assert len(storage.list(f"jobs/{job}/result/")) == 13
    lines = result(client, job)
    assert [line["row"] for line in lines] == list(range(1, len(texts) + 1))
    assert store.open_ids(storage) == []


@pytest.mark.slow
def test_a_job_keeps_the_version_that_it_was_submitted_to(
    client: TestClient, storage: Storage, publish: Publish, promoted: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(worker.Worker, "wake", lambda _: None)
    monkeypatch.setattr(worker, "POLL_SECONDS", 0.3)
    job = submit(client, "text\ncard\n")
    registry.promote(storage, "ferry", publish(bias=(0, 0, 50)).version)
    time.sleep(0.1)
    assert finished(client, job)["version"] == promoted
    assert result(client, job)[0]["label"] == "card_lost"


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (b"", "no header line"),
        (b"body\ncard\n", "no column 'text'"),
        (b"body\n", "no column 'text'"),
        (b'body\n"card\nlost\n', "no column 'text'"),
        (b"text,text\ncard,fee\n", "names column 'text' twice"),
    ],
)
def test_a_file_that_cannot_be_answered_fails_and_says_why(client: TestClient, content: bytes, reason: str) -> None:
    job = submit(client, content)
    assert reason in finished(client, job, "failed")["reason"]


def test_no_row_of_a_file_with_stray_quotes_or_a_line_too_long_goes_without_an_answer(client: TestClient) -> None:
    rows = ["my card was stolen", '"5 inch pipe is broken', "how much is a transfer", "x" * 2_000_000, "card broken"]
    job = submit(client, "\n".join(["text", *rows]))
    assert finished(client, job)["bad"] == 2
    lines = result(client, job)
    assert [line["row"] for line in lines] == [1, 2, 3, 4, 5]
    assert [line["row"] for line in lines if "error" in line] == [2, 4]
    assert lines[1]["error"].startswith("line 3 opens a quote that is never closed")


def test_tab_separated_values_are_taken_too(client: TestClient) -> None:
    job = submit(client, "id\ttext\r\n1\tcard, please\r\n2\tfee\r\n", {"content-type": "text/tab-separated-values"})
    assert finished(client, job)["bad"] == 0
    assert [line["label"] for line in result(client, job)] == ["card_lost", "fees"]


def test_too_many_rows_fail_the_job(client: TestClient, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(store, "MOST_ROWS", 3)
    assert "more than 3 rows" in finished(client, submit(client, "text\n" + "card\n" * 4), "failed")["reason"]
    assert finished(client, submit(client, "text\n" + "card\n" * 3))["rows"] == 3


def test_limits_and_wrong_asks_are_problems(
    client: TestClient, storage: Storage, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert_problem(client.post("/jobs", content="x", headers={"content-type": "text/plain"}), 415, "text/csv")
    assert_problem(client.post("/jobs", content="text\n".encode("utf-16"), headers=CSV), 415, "the file is UTF-16 text")
    for job in ("x", "20260101T000000Z-" + "0" * 16, "%2e%2e", "a" * 500):
        assert_problem(client.get(f"/jobs/{job}"), 404)
        assert_problem(client.get(f"/jobs/{job}/result"), 404)
    monkeypatch.setattr(store, "MOST_BYTES", 10_000)
    monkeypatch.setattr(store, "PART_BYTES", 1_000)

    def endless() -> Iterator[bytes]:
        yield b"text\n"
        for _ in range(100):
            yield b"card\n" * 100

    assert_problem(client.post("/jobs", content=endless(), headers=CSV), 413, "10,000 bytes")
    assert storage.list("jobs/") == []
    monkeypatch.setattr(routes, "MOST_OPEN", 0)
    refused = client.post("/jobs", content="text\ncard\n", headers=CSV)
    assert_problem(refused, 429)
    assert refused.headers["retry-after"] == "60"


def test_wide_rows_are_answered_few_at_a_time(
    client: TestClient, storage: Storage, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(rows_of_files, "CHUNK_BYTES", 1000)
    content = "".join(f'{{"text": "card {n}", "more": {[0] * 100}}}\n' for n in range(50))
    job = submit(client, content, JSONL)
    assert finished(client, job)["bad"] == 0
    assert len(storage.list(f"jobs/{job}/result/")) == 13
    assert [line["row"] for line in result(client, job)] == list(range(1, 51))


def test_what_a_killed_server_had_taken_of_a_file_is_removed_in_time(
    storage: Storage, promoted: str, serve: Serve
) -> None:
    ids = [f"20200101T000000Z-{'0' * 16}", f"{datetime.now(UTC):%Y%m%dT%H%M%SZ}-{'1' * 16}"]
    for job in ids:
        submission = Submission(storage, "ferry", promoted, "csv", job)
        submission.add(b"text\n" + b"card\n" * 10**6)
        submission.store()
    client = serve()
    finished(client, submit(client, "text\ncard\n"))  # it looks through all that is open, the oldest first
    assert storage.list(f"jobs/{ids[0]}/") == []
    assert len(storage.list(f"jobs/{ids[1]}/input/")) == 2
    limit = time.monotonic() + 60
    while store.open_ids(storage) != ids[1:]:  # the finished one is closed a moment after it says so
        assert time.monotonic() < limit
        time.sleep(0.05)


def test_a_file_that_takes_too_long_to_come_is_refused(
    client: TestClient, storage: Storage, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(store, "UPLOAD_SECONDS", 0)
    assert_problem(client.post("/jobs", content="text\ncard\n", headers=CSV), 408, "within 0 seconds")
    assert storage.list("jobs/") == []


def test_a_job_that_cannot_be_read_does_not_hold_up_the_others(storage: Storage, promoted: str, serve: Serve) -> None:
    for job in "01":
        submission = Submission(storage, "ferry", promoted, "csv", f"20260101T000000Z-{job * 16}")
        submission.add(b"text\ncard\n")
        submission.finish()
    storage.remove(storage.list(f"jobs/20260101T000000Z-{'0' * 16}/input/"))
    client = serve()
    finished(client, submission.id)
    assert client.get(f"/jobs/20260101T000000Z-{'0' * 16}").json()["state"] == "running"


def test_a_job_that_is_not_finished_has_no_result_yet(client: TestClient, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(worker.Worker, "wake", lambda _: None)
    job = submit(client, "text\ncard\n")
    assert client.get(f"/jobs/{job}").json()["state"] == "running"
    assert_problem(client.get(f"/jobs/{job}/result"), 409, "0 rows")


@pytest.mark.slow
@pytest.mark.usefixtures("promoted")
@needs("curl")
def test_a_job_survives_kill_9_and_goes_on_where_it_was(tmp_path: Path, storage: Storage) -> None:
    rows = 40_000
    file = tmp_path / "rows.csv"
    file.write_text("n,text\n" + "".join(f"{n},my card was stolen {n}\n" for n in range(rows)))
    with ServerProcess(tmp_path / "storage", tmp_path / "log") as server, httpx.Client(base_url=server.url) as client:
        sent = subprocess.run(
            ["curl", "-sS", "-H", "content-type: text/csv", "-T", str(file), "-X", "POST", f"{server.url}/jobs"],
            check=True,
            capture_output=True,
        )
        job = json.loads(sent.stdout)["id"]
        seen = 0
        for _ in range(2):
            seen = kill_in_job(server, client, storage, job, seen)
        assert client.get(f"/jobs/{job}").json()["rows"] >= seen
        finished(client, job)
        lines = result(client, job)
        assert server.stop() == 0
    assert [line["row"] for line in lines] == list(range(1, rows + 1))
    assert sorted(line["id"] for line in read(storage)) == sorted(line["id"] for line in lines)
    assert len(storage.list(f"jobs/{job}/result/")) == -(-rows // rows_of_files.CHUNK)
