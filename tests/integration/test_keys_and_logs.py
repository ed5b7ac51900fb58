"""Who may ask, how often, and what the logs tell of it."""

import hashlib
import json
import socket
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import httpx
import pytest
from problems import assert_problem
from servers import ServerProcess
from starlette.testclient import TestClient

from boatyard.api import keys
from boatyard.api.jobs import store
from boatyard.api.settings import Settings
from boatyard.config.errors import UserError

pytestmark = pytest.mark.integration

Serve = Callable[..., TestClient]
KEY = "a-key-that-nobody-guesses"
ENTRY = f"tester:{hashlib.sha256(KEY.encode()).hexdigest()}"
QUESTION = {"text": "card"}


@pytest.mark.usefixtures("promoted")
def test_without_a_key_or_with_a_wrong_one_nothing_is_answered(serve: Serve) -> None:
    client = serve(api_keys=(ENTRY,))
    for method, path in [("POST", "/predict"), ("POST", "/feedback"), ("POST", "/jobs"), ("GET", "/models")]:
        assert_problem(client.request(method, path, content=b"{"), 401, "X-API-Key")
        assert_problem(client.request(method, path, headers={"X-API-Key": "guessed"}), 403)
    for key in (KEY, f"{KEY}  "):  # blanks at its end are none of a header
        assert client.post("/predict", json=QUESTION, headers={"X-API-Key": key}).status_code == 200
    for path in ("/healthz", "/readyz", "/metrics", "/openapi.json"):
        assert client.get(path).status_code == 200


@pytest.mark.usefixtures("promoted")
def test_a_key_that_asks_too_often_is_told_to_wait_and_others_are_not(
    serve: Serve, monkeypatch: pytest.MonkeyPatch
) -> None:
    now = [0.0]
    monkeypatch.setattr(keys, "monotonic", lambda: now[0])
    other = f"other:{hashlib.sha256(b'other').hexdigest()}"
    client = serve(api_keys=(ENTRY, other), requests_per_second=2)

    def ask(key: str) -> httpx.Response:
        return client.get("/models", headers={"X-API-Key": key})

    assert [ask(KEY).status_code for _ in range(3)] == [200, 200, 429]
    assert ask(KEY).headers["retry-after"] == "1"
    assert ask("other").status_code == 200
    now[0] = 0.5
    assert [ask(KEY).status_code for _ in range(2)] == [200, 429]


def test_a_new_key_is_shown_once_and_its_entry_lets_it_in() -> None:
    make = [sys.executable, "-m", "boatyard.api.keys"]
    made = subprocess.run([*make, "ana"], capture_output=True, text=True, check=True)
    key, entry = (line.split()[-1] for line in made.stdout.splitlines())
    assert keys.Keys([entry], 1).check(key) == "ana"
    assert key not in entry
    wrong = subprocess.run([*make, "a:b"], capture_output=True, text=True)
    assert (wrong.returncode, wrong.stdout) == (2, "")


def test_on_an_address_that_others_reach_keys_are_required(tmp_path: Path) -> None:
    everywhere = {"BOATYARD_HOST": "0.0.0.0", "BOATYARD_SPOOL": str(tmp_path)}  # noqa: S104
    with pytest.raises(UserError, match=r"BOATYARD_API_KEYS: on 0\.0\.0\.0 anybody could ask"):
        Settings.from_environment(everywhere)
    Settings.from_environment({**everywhere, "BOATYARD_ALLOW_ANONYMOUS": "1"})
    file = tmp_path / "keys"
    file.write_text(f"{ENTRY}\n\n")
    assert Settings.from_environment({**everywhere, "BOATYARD_API_KEYS_FILE": str(file)}).api_keys == (ENTRY,)


@pytest.mark.parametrize("variable", ["BOATYARD_API_KEYS", "BOATYARD_ADMIN_KEYS"])
def test_two_keys_of_one_name_or_one_key_of_two_names_are_refused(tmp_path: Path, variable: str) -> None:
    one, other = "a" * 64, "b" * 64
    for first, second, said in [
        (f"ana:{one}", f"ana:{other}", "is a second key named 'ana'"),
        (f"ana:{one}", f"ana:{one}", "second key named 'ana'"),
        (f"ana:{one}", f"ben:{one}", "'ben', is the same key as 'ana'"),
    ]:
        both, last = tmp_path / "both", tmp_path / "last"
        both.write_text(f"{first}\n\n {second} \n")
        last.write_text(second)
        for given in (
            {variable: f"{first},{second}"},
            {f"{variable}_FILE": str(both)},
            {variable: first, f"{variable}_FILE": str(last)},
        ):
            with pytest.raises(UserError, match=f"^{variable}(_FILE)?: entry 2.*{said}") as refused:
                Settings.from_environment({"BOATYARD_SPOOL": str(tmp_path), **given})
            assert one not in str(refused.value)
    Settings.from_environment({"BOATYARD_SPOOL": str(tmp_path), variable: f"ana:{one},ben:{other}"})


def say_everywhere(client: httpx.Client, said: str) -> None:
    """In each place of a request, in requests that are answered and in those that are refused."""
    text = {"text": f"card {said}"}
    for path in ("/predict", "/feedback", "/jobs", f"/{said}", f"/jobs/{said}", f"/models/{said}/{said}"):
        for method in ("GET", "POST", "HEAD", "DELETE"):
            client.request(method, path)
            client.request(method, f"{path}?{said}={said}", content=said)
    for model in (said, f"ferry@{said}", f"{said}@20260101T000000Z-00000000", f"{said}@"):
        client.post(f"/predict?model={model}", json=text)
        client.post(f"/jobs?model={model}", content="text\n", headers={"content-type": "text/csv"})
    for name in (
        "x-request-timeout-ms",
        "x-api-key",
        "content-type",
        "content-encoding",
        "traceparent",
        "x-request-id",
    ):
        client.post("/predict", json=text, headers={name: said})
    for sent in ({"id": said, "label": "card_lost"}, {"id": "0" * 32, "label": said}, {"id": "0" * 32, said: said}):
        client.post("/feedback", json=sent)
    for kind, content in [("text/csv", f"text,{said}\n{said},\n"), ("text/csv", said), ("application/jsonl", said)]:
        taken = client.post("/jobs", content=content, headers={"content-type": kind})
        assert taken.status_code == 202
    client.get(f"/models/ferry/20260101T000000Z-00000000/files/{said}")
    for path in (f"/models/{said}/aliases/{said}", f"/models/ferry/aliases/{said}"):
        client.post(path, json={"version": said}, headers={"X-API-Key": KEY})
        client.post(path, json={"version": "20260101T000000Z-00000000"}, headers={"X-API-Key": KEY})
        client.post(f"{path}/rollback", headers={"X-API-Key": KEY})
    port = client.base_url.port
    assert port is not None
    for start in (f"{said} / HTTP/1.1", f"GET http://{said}:{said}/ HTTP/1.1", f"GET /{said} HTTP/{said}", said):
        with socket.create_connection(("127.0.0.1", port)) as raw:
            raw.sendall(f"{start}\r\n{said}: {said}\r\nconnection: upgrade\r\nupgrade: {said}\r\n\r\n".encode())
            raw.recv(1000)


def test_an_unexpected_error_is_logged_with_the_route_and_not_the_path(
    client: TestClient, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def fail(*_: object) -> None:
        raise RuntimeError

    monkeypatch.setattr(store, "find", fail)
    assert_problem(client.get("/jobs/marker"), 500)
    assert "GET /jobs/{job} failed unexpectedly" in caplog.text
    assert "marker" not in "".join(record.getMessage() for record in caplog.records if record.name != "httpx")


def test_every_request_is_a_line_of_json_with_its_id_and_no_text_of_the_client(tmp_path: Path, promoted: str) -> None:
    trace = "4bf92f3577b34da6a3ce929d0e0e4736"
    log = tmp_path / "log"
    with (
        ServerProcess(tmp_path / "storage", log, BOATYARD_ADMIN_KEYS=ENTRY) as server,
        httpx.Client(base_url=server.url) as client,
    ):
        parent = {"traceparent": f"00-{trace}-00f067aa0ba902b7-01"}
        traced = httpx.post(f"{server.url}/predict?model=ferry", json={"text": "secret"}, headers=parent)
        google = httpx.get(f"{server.url}/secret", headers={"X-Cloud-Trace-Context": f"{trace}/1;o=1"})
        plain = httpx.get(f"{server.url}/healthz", headers={"traceparent": f"00-{'0' * 32}-00f067aa0ba902b7-01"})
        say_everywhere(client, "secret")
        assert server.stop() == 0
    lines = [json.loads(line) for line in log.read_text().splitlines()]
    assert "secret" not in log.read_text()
    assert any(promoted in line["message"] and line["severity"] == "INFO" for line in lines)
    answered = [line for line in lines if line["logger"] == "boatyard.access" and line["route"] != "/readyz"]
    assert len(answered) > 60
    assert not [line for line in lines if "exception" in line]
    assert [(line["route"], line["status"], line["request_id"]) for line in answered[:3]] == [
        ("/predict", 200, trace),
        ("other", 404, trace),
        ("/healthz", 200, plain.headers["x-request-id"]),
    ]
    assert traced.headers["x-request-id"] == google.headers["x-request-id"] == trace
    assert set(plain.headers["x-request-id"]) != {"0"}
