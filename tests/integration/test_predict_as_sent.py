"""POST /predict goes past the router: it means the same however a client writes it, and so does all that is not it."""

import json
from pathlib import Path

import pytest
from problems import assert_problem
from servers import client_as_served, server_here
from test_slow_clients import CHUNKS, LAST, QUESTION, connect, converse, post

from boatyard.api import Application
from boatyard.api.batching import QueueFull
from boatyard.api.settings import Settings
from boatyard.journal import read
from boatyard.registry import Reference
from boatyard.storage import open_storage

pytestmark = pytest.mark.integration

SIZED = b"content-length: %d\r\n" % len(QUESTION)
TYPED = b"content-type: application/json\r\n"


def application(folder: Path) -> Application:
    stored = {"storage": str(folder / "storage"), "spool": str(folder / "spool")}
    return Application(Settings(**stored, model=Reference("ferry")))


def written(target: bytes, *lines: bytes, method: bytes = b"POST", version: bytes = b"1.1") -> bytes:
    return b"%b %b HTTP/%b\r\nhost: x\r\n%b\r\n" % (method, target, version, b"".join(lines))


@pytest.mark.usefixtures("promoted")
def test_a_request_means_the_same_however_it_is_written(tmp_path: Path) -> None:
    whole = written(b"/predict", TYPED, SIZED) + QUESTION
    ways = {
        "plainly": [whole],
        "byte by byte": [bytes([byte]) for byte in whole],
        "other cases": [written(b"/predict", TYPED.title(), SIZED.upper()) + QUESTION],
        "encoded path": [written(b"/%70redict", TYPED, SIZED) + QUESTION],
        "absolute target": [written(b"http://x/predict", TYPED, SIZED) + QUESTION],
        "query": [written(b"/predict?top_k=2&model=ferry", TYPED, SIZED) + QUESTION],
        "empty query": [written(b"/predict?", TYPED, SIZED) + QUESTION],
        "chunks": [written(b"/predict", TYPED, b"transfer-encoding: chunked\r\n"), CHUNKS],
        "expectation": [written(b"/predict", TYPED, SIZED, b"Expect: 100-continue\r\n"), QUESTION],
        "all at once": [whole * 20],
    }
    with server_here(tmp_path) as url:
        port = int(url.rpartition(":")[2])
        for way, pieces in ways.items():
            *answered, last = converse(port, [*pieces, LAST])
            answered = [answer for answer in answered if answer.status_code != 100]
            assert len(answered) == (20 if way == "all at once" else 1), way
            assert {(answer.status_code, answer.json()["label"]) for answer in answered} == {(200, "card_lost")}, way
            assert last.json() == {"status": "ok"}, way
        (old,) = converse(port, [written(b"/predict", TYPED, SIZED, version=b"1.0") + QUESTION])
        assert (old.json()["label"], old.headers["connection"]) == ("card_lost", "close")
        for method in (b"GET", b"OPTIONS", b"PUT"):
            refused, _ = converse(port, [written(b"/predict", method=method), LAST])
            assert_problem(refused, 405)
            assert refused.headers["allow"] == "POST"
        for target in (b"/predict/", b"//predict", b"/Predict", b"/predict%2f", b"/predict;x"):
            nothing, _ = converse(port, [written(target, TYPED, SIZED) + QUESTION, LAST])
            assert_problem(nothing, 404)
        for cut in (post("/predict", 100), post("/predict", 100) + b"{"):  # and hangs up
            with connect(port) as client:
                client.sendall(cut)
        (well,) = converse(port, [LAST])
        assert well.status_code == 200
    lines = read(open_storage(str(tmp_path / "storage")))
    assert sum(line["event"] == "prediction" for line in lines) == len(ways) + 19 + 1


@pytest.mark.usefixtures("promoted")
def test_behind_a_proxy_that_has_a_path_of_its_own_it_is_the_same_route(tmp_path: Path) -> None:
    with client_as_served(application(tmp_path), root_path="/models") as client:
        assert client.post("/models/predict", json=json.loads(QUESTION)).json()["label"] == "card_lost"
        assert 'boatyard_requests_total{route="/predict",status="200"} 1.0' in client.get("/models/metrics").text


@pytest.mark.usefixtures("promoted")
def test_while_the_server_drains_each_answer_closes_its_connection(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    app = application(tmp_path)
    with client_as_served(app) as client:

        def asked() -> list[tuple[int, str | None]]:
            sent = [client.post("/predict", json=json.loads(QUESTION)), client.get("/models"), client.get("/nothing")]
            return [(answer.status_code, answer.headers.get("connection")) for answer in sent]

        assert asked() == [(200, None), (200, None), (404, None)]
        app.state.draining = True
        assert asked() == [(200, "close"), (200, "close"), (404, "close")]

        def full(*_: object) -> None:
            raise QueueFull(2)

        monkeypatch.setattr(app.state.batcher, "admit", full)
        assert asked()[0] == (503, "close")
