"""A server writes its journal; the monitor, in processes of its own, looks at it."""

import json
import socket
import subprocess
import sys
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import httpx
import pytest
from bundles import LABELS
from problems import assert_problem
from references import messages, publish_watchable
from servers import MonitorProcess, ServerProcess

from boatyard.monitor.__main__ import main
from boatyard.storage import open_storage

pytestmark = pytest.mark.integration

OTHER = dict(zip(LABELS, LABELS[1:] + LABELS[:1], strict=True))  # a label that is wrong where this one is right


@pytest.fixture
def home(tmp_path: Path) -> Path:
    """A storage with ferry@production, whose reference is such messages."""
    publish_watchable(open_storage(str(tmp_path / "storage")), tmp_path, messages(600, seed=0))
    return tmp_path


def send(home: Path, texts: list[str], *, judged: bool = False, **environment: str) -> None:
    """A server answers, and has shipped its journal when this returns. `judged`: a third of 60 answers was wrong."""
    answers: list[dict[str, str]] = []
    with ServerProcess(home / "storage", home / "api.log", **environment) as server:
        for start in range(0, len(texts), 50):
            inputs = [{"text": text} for text in texts[start : start + 50]]
            answers += (
                httpx.post(f"{server.url}/predict", json={"inputs": inputs}).raise_for_status().json()["predictions"]
            )
        if judged:
            for number, answer in enumerate(answers[:60]):
                label = OTHER[answer["label"]] if number % 3 == 0 else answer["label"]
                httpx.post(f"{server.url}/feedback", json={"id": answer["id"], "label": label}).raise_for_status()
        server.stop()


Look = Callable[..., tuple[int, str, str]]


@pytest.fixture
def look(home: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Look:
    """The scheduled job, in this process: its exit status, and what it printed."""
    monkeypatch.chdir(home)
    monkeypatch.setenv("BOATYARD_STORAGE", str(home / "storage"))
    monkeypatch.setenv("BOATYARD_MODEL", "ferry")

    def run(*options: str, **environment: str) -> tuple[int, str, str]:
        with monkeypatch.context() as changed:
            for name, value in environment.items():
                changed.setenv(name, value)
            status = main(options)
        return (status, *capsys.readouterr())

    return run


@pytest.mark.slow
def test_the_job_is_quiet_on_like_messages_and_exits_with_3_on_others(home: Path, look: Look) -> None:
    send(home, messages(400, seed=1))
    before = set((home / "storage").rglob("*"))
    quiet, *output = look()
    assert quiet == 0, output
    written = {file.relative_to(home / "storage").parts[0] for file in {*(home / "storage").rglob("*")} - before}
    assert written == {"monitor"}, "all that boatyard-check may write (docs/automation.md)"
    send(home, ["ПЕРЕВОД ГДЕ МОЙ", "WHERE IS MY STOLEN CARD?!"] * 200)
    command = [sys.executable, "-m", "boatyard.monitor"]
    alarm = subprocess.run(command, capture_output=True, text=True, check=False)  # as a scheduler starts it
    assert alarm.returncode == 3, alarm.stdout + alarm.stderr
    report = json.loads((home / "reports/drift/ferry.json").read_text())
    assert report["alarm"]
    assert report["window"]["rows"] == 800
    drifted = {verdict["name"] for verdict in report["verdicts"] if verdict["drifted"]}
    assert {"capital_share", "foreign_letter_share", "language"} <= drifted, "in the day's second look"
    assert "embedding" in {verdict["name"] for verdict in report["verdicts"] if verdict["suspicious"]}
    page = (home / "reports/drift/ferry.html").read_text()
    assert "ferry: drift" in page
    assert "foreign_letter_share" in page
    reports = sorted((home / "storage/monitor/ferry").glob("*.json"))
    assert [json.loads(path.read_text())["alarm"] for path in reports] == [False, True]


def test_a_reports_folder_that_is_none_is_said_before_the_look(look: Look) -> None:
    status, _, message = look("--reports=s3://bucket")
    assert status == 2
    assert message == "boatyard.monitor: storage 's3://bucket' is neither a folder nor gs://BUCKET/PREFIX\n"


def test_a_journal_without_inputs_is_compared_by_the_answers(home: Path, look: Look) -> None:
    send(home, ["my card was stolen"] * 200, BOATYARD_JOURNAL_INPUT="dropped")
    assert look()[0] == 3
    report = json.loads((home / "reports/drift/ferry.json").read_text())
    verdicts = {verdict["name"]: verdict for verdict in report["verdicts"]}
    assert verdicts["label"]["drifted"]
    assert verdicts["embedding"]["value"] is None


@pytest.mark.parametrize(
    ("variable", "value", "reason"),
    [
        ("BOATYARD_MODEL", "nothing", "there is no model 'nothing'"),
        ("BOATYARD_DRIFT_ROWS", "5", "BOATYARD_DRIFT_ROWS: '5' is not a number from 100 to 10000"),
        ("BOATYARD_HOST", "0.0.0.0", "BOATYARD_HOST: on 0.0.0.0 anybody could ask"),  # noqa: S104
    ],
)
def test_a_wrong_setting_is_one_sentence(look: Look, variable: str, value: str, reason: str) -> None:
    status, _, message = look(**{variable: value})
    assert status == 2
    assert message.count("\n") == 1
    assert reason in message


@pytest.fixture
def service(home: Path) -> Iterator[httpx.Client]:
    with (
        MonitorProcess(home / "storage", home / "monitor.log") as monitor,
        httpx.Client(base_url=monitor.url, timeout=60) as client,
    ):
        yield client


@pytest.mark.slow
def test_the_service_has_the_latest_report_its_history_and_figures(
    home: Path, service: httpx.Client, look: Look
) -> None:
    assert service.get("/healthz").json() == {"status": "ok"}
    with socket.create_connection((service.base_url.host, service.base_url.port or 0), timeout=20) as client:
        client.sendall(b"no HTTP\r\n\r\n")
        assert b"application/problem+json" in client.recv(65536)
    assert_problem(service.get("/drift"), 404, "there is no report yet")
    assert_problem(service.get("/drift.json"), 404, "there is no report yet")
    assert service.get("/history.json").json() == []
    send(home, messages(300, seed=1), judged=True)

    report = service.post("/drift/run").raise_for_status().json()
    assert report["model"] == "ferry"
    assert report["window"].keys() >= {"rows", "from", "to"}
    assert report["window"]["rows"] == 300
    assert report["quality"]["feedback"] == 60
    assert report["quality"]["score"]["name"] == "accuracy"
    assert report["quality"]["score"]["value"] == pytest.approx(2 / 3)
    assert report["quality"]["accepted"]["value"] == 0.95
    assert report["alarm"], "a third of the judged answers was wrong"
    assert [verdict["name"] for verdict in report["verdicts"] if verdict["drifted"]] == ["quality"]
    assert service.get("/drift.json").json() == report
    assert "ferry: drift" in service.get("/drift").text
    past = service.get("/history.json").json()
    assert [(one["alarm"], one["drifted"]) for one in past] == [(True, ["quality"])]

    figures = service.get("/statistics").json()
    assert figures["rows"] == sum(figures["counts"]) == 300
    assert sum(map(sum, figures["categories"]["label"].values())) == 300
    assert figures["latency_ms"]["p50"] > 0
    assert figures["quality"]["feedback"] == 60

    scraped = service.get("/metrics").text
    for line in (
        'boatyard_drift_alarm{model="ferry"} 1.0',
        'boatyard_drift_drifted{group="live quality",model="ferry",verdict="quality"} 1.0',
        'boatyard_drift_drifted{group="prediction",model="ferry",verdict="label"} 0.0',
        'boatyard_drift_suspicious{group="live quality",model="ferry",verdict="quality"} 1.0',
        'boatyard_drift_comparable{model="ferry"} 1.0',
        "boatyard_monitor_rows_total 360.0",
    ):
        assert line in scraped
    assert 'boatyard_live_score{model="ferry",score="accuracy"} 0.66' in scraped
    assert 'boatyard_accepted_score{model="ferry",score="accuracy"} 0.95' in scraped

    look()  # a report of the job's is the service's latest, too
    assert len(service.get("/history.json").json()) == 2


@pytest.mark.slow
def test_one_run_at_a_time(service: httpx.Client) -> None:
    with ThreadPoolExecutor(4) as clients:
        runs = [clients.submit(service.post, "/drift/run") for _ in range(4)]
    statuses = sorted(each.result().status_code for each in runs)
    assert statuses[0] == 200
    assert set(statuses) <= {200, 409}
