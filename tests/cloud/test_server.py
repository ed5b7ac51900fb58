"""A real server process whose storage is a bucket."""

import time
from pathlib import Path

import httpx
import pytest
from bundles import Publish
from servers import ServerProcess

from boatyard import journal, registry
from boatyard.storage import Storage

pytestmark = pytest.mark.cloud


def wait_for(url: str, part: str, value: str) -> None:
    limit = time.monotonic() + 30
    while httpx.get(url).json()[part] != value:
        assert time.monotonic() < limit
        time.sleep(0.05)


def test_a_server_on_a_bucket_answers_journals_works_on_jobs_and_follows_its_alias(
    storage: Storage, bucket_root: str, publish: Publish, tmp_path: Path
) -> None:
    first, second = (publish(bias=(bias, 0, 0)).version for bias in (0, 100))
    registry.promote(storage, "inbox", first)
    with ServerProcess(bucket_root, tmp_path / "log") as server, httpx.Client(base_url=server.url) as client:
        answer = client.post("/predict", json={"text": "send a transfer"}).json()
        assert (answer["label"], answer["version"]) == ("transfer", first)
        rows = "text\n" + "my card was stolen\n" * 1500
        sent = client.post("/jobs", content=rows, headers={"content-type": "text/csv"})
        assert sent.status_code == 202
        wait_for(f"{server.url}/jobs/{sent.json()['id']}", "state", "finished")
        assert client.get(f"/jobs/{sent.json()['id']}/result").text.count("card_lost") >= 1500
        registry.promote(storage, "inbox", second)
        wait_for(f"{server.url}/readyz", "version", second)
        assert client.post("/predict", json={"text": "send a transfer"}).json()["label"] == "card_lost"
        assert client.get("/models").json()["models"][0]["aliases"] == {"production": second}
        assert server.stop() == 0
    assert [line["version"] for line in journal.read(storage)] == [first, second]
    log = (tmp_path / "log").read_text()
    assert "ERROR" not in log, log
    assert "WARNING" not in log, log


def test_a_server_may_be_told_of_its_bucket_by_the_model(
    storage: Storage, bucket_root: str, publish: Publish, tmp_path: Path
) -> None:
    version = publish().version
    registry.promote(storage, "inbox", version)
    named = {"BOATYARD_MODEL": f"{bucket_root}/models/inbox@production"}
    with ServerProcess("", tmp_path / "log", **named) as server:
        assert httpx.get(f"{server.url}/readyz").json()["version"] == version
