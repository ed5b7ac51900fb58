"""Every prediction that a client received is in the journal once, whatever became of the server."""

import random
import threading
import time
from collections import Counter
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import httpx
import pytest
from cleaners import remove_at_once, replace_by_a_file
from problems import assert_problem
from servers import ServerProcess, client_as_served
from starlette.testclient import TestClient

from boatyard.api import Application
from boatyard.api.settings import Settings
from boatyard.journal import Journal, JournalFull, read
from boatyard.registry import Reference
from boatyard.storage import Storage

pytestmark = pytest.mark.integration

CLIENTS, PREDICTIONS = 20, 2_000


def served(tmp_path: Path, use: Callable[[TestClient], Any], **changes: Any) -> Any:
    """What `use` returns; the server has stopped by then."""
    stored = {"storage": str(tmp_path / "storage"), "spool": str(tmp_path / "spool")}
    settings = Settings(**stored, model=Reference("ferry"), **changes)
    with client_as_served(Application(settings)) as client:
        return use(client)


def test_predictions_and_feedback_are_in_the_storage_once_the_server_has_stopped(
    tmp_path: Path, storage: Storage, promoted: str
) -> None:
    def use(client: TestClient) -> Any:
        answers = client.post("/predict", json={"inputs": [{"text": "card"}, {"text": "fee " * 39}]}).json()
        first = answers["predictions"][0]["id"]
        taken = client.post("/feedback", json={"id": first, "label": "fees"})
        assert (taken.status_code, taken.json()) == (202, {"id": first, "label": "fees"})
        return answers["predictions"]

    answers = served(tmp_path, use)
    first, second, feedback = read(storage)
    assert [first["id"], second["id"]] == [answer["id"] for answer in answers]
    assert (first["request"], first["version"]) == ({"text": "card"}, promoted)
    assert (first["event"], first["input"], first["task"]) == ("prediction", "text", "classification")
    assert (first["model"], first["truncated"]) == ("ferry", False)
    assert first["answer"] == {key: answers[0][key] for key in ("label", "score", "top")}
    assert second["measured"]["length"] > first["measured"]["length"]
    assert second["truncated"] is True
    assert (feedback["event"], feedback["id"], feedback["truth"]) == ("feedback", first["id"], {"label": "fees"})


@pytest.mark.usefixtures("promoted")
@pytest.mark.parametrize("keep", ["hashed", "dropped"])
def test_what_clients_sent_need_not_be_kept(tmp_path: Path, storage: Storage, keep: str) -> None:
    inputs = [{"text": "a secret"}, {"text": "a secret"}, {"text": "another"}]
    served(tmp_path, lambda client: client.post("/predict", json={"inputs": inputs}), journal_input=keep)
    lines = list(read(storage))
    assert "secret" not in str(lines)
    hashes = [line.get("request_sha256") for line in lines]
    assert (hashes[0] == hashes[1] != hashes[2]) if keep == "hashed" else hashes == [None] * 3


@pytest.mark.usefixtures("promoted")
def test_without_room_for_the_journal_nothing_is_answered(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:

    def use(client: TestClient) -> httpx.Response:
        def full(*_: object) -> None:
            raise JournalFull("no room")

        assert client.post("/predict", json={"text": "card"}).status_code == 200
        monkeypatch.setattr(Journal, "append", full)
        refused: httpx.Response = client.post("/predict", json={"text": "card"})
        return refused

    refused = served(tmp_path, use)
    assert_problem(refused, 503, "cannot write its journal")
    assert refused.headers["retry-after"] == "10"


@pytest.mark.slow
@pytest.mark.usefixtures("promoted")
def test_a_spool_that_is_removed_is_made_anew_and_one_that_cannot_be_is_said_at_readyz(
    tmp_path: Path, storage: Storage
) -> None:
    spool, answered = tmp_path / "spool", []

    def ask(client: TestClient) -> httpx.Response:
        answer: httpx.Response = client.post("/predict", json={"text": "card"})
        answered.extend([answer.json()["id"]] if answer.is_success else [])
        return answer

    def use(client: TestClient) -> None:
        assert ask(client).is_success
        remove_at_once(spool)
        assert ask(client).is_success
        replace_by_a_file(spool)
        for refused in (ask(client), client.get("/readyz")):
            assert_problem(refused, 503)
        assert str(spool) in refused.json()["detail"]
        assert "boatyard_journal_refusing 1.0" in client.get("/metrics").text
        spool.unlink()
        assert client.get("/readyz").status_code == 200
        assert ask(client).is_success
        shown = client.get("/metrics").text
        assert "boatyard_journal_refusing 0.0" in shown
        assert "boatyard_journal_repairs_total 0.0" not in shown

    served(tmp_path, use)
    assert len(answered) == 3
    assert sorted(line["id"] for line in read(storage)) == sorted(answered)


@pytest.mark.usefixtures("promoted")
@pytest.mark.slow
def test_kill_9_of_a_server_loses_and_doubles_no_prediction_that_was_received(tmp_path: Path, storage: Storage) -> None:
    received: list[str] = []
    enough = threading.Event()

    def ask(server: ServerProcess, most: int) -> None:
        with httpx.Client(timeout=30) as client:
            asked = 0
            while asked < most and not enough.is_set():
                try:
                    answer = client.post(f"{server.url}/predict", json={"text": "my card was stolen"})
                except httpx.HTTPError:  # it was killed
                    time.sleep(0.1)
                    continue
                if answer.status_code == 200:
                    received.append(answer.json()["id"])
                    asked += 1

    log, pause = tmp_path / "server.log", random.Random(0)
    with ServerProcess(tmp_path / "storage", log) as first, ServerProcess(tmp_path / "storage", log) as second:
        with ThreadPoolExecutor(CLIENTS) as pool:
            asking = [pool.submit(ask, server, PREDICTIONS // CLIENTS) for server in [first, second] * (CLIENTS // 2)]
            for _ in range(2):
                time.sleep(pause.uniform(0.5, 1.5))
                first.kill()
                first.start()
            for each in asking:
                each.result()
        assert first.stop() == second.stop() == 0

    found = Counter(line["id"] for line in read(storage))
    assert len(received) == len(set(received)) == PREDICTIONS
    assert [one for one in received if found[one] != 1] == []
    assert set(found.values()) == {1}
