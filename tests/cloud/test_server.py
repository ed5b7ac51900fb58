"""A real server process whose storage is a bucket."""

import tempfile
import time
from pathlib import Path
from urllib.parse import unquote

import httpx
import pytest
from bundles import Publish, write_bundle
from faults import FaultyProxy
from servers import ServerProcess, client_as_served

from boatyard import journal, registry
from boatyard.api import Application
from boatyard.api.models import NAMED_MODELS
from boatyard.api.settings import Settings
from boatyard.registry import Reference
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
    registry.promote(storage, "ferry", first)
    with ServerProcess(bucket_root, tmp_path / "log") as server, httpx.Client(base_url=server.url) as client:
        answer = client.post("/predict", json={"text": "send a transfer"}).json()
        assert (answer["label"], answer["version"]) == ("transfer", first)
        rows = "text\n" + "my card was stolen\n" * 1500
        sent = client.post("/jobs", content=rows, headers={"content-type": "text/csv"})
        assert sent.status_code == 202
        wait_for(f"{server.url}/jobs/{sent.json()['id']}", "state", "finished")
        assert client.get(f"/jobs/{sent.json()['id']}/result").text.count("card_lost") >= 1500
        registry.promote(storage, "ferry", second)
        wait_for(f"{server.url}/readyz", "version", second)
        assert client.post("/predict", json={"text": "send a transfer"}).json()["label"] == "card_lost"
        assert client.get("/models").json()["models"][0]["aliases"] == {"production": second}
        assert server.stop() == 0
    lines = list(journal.read(storage))
    assert [line["version"] for line in lines if "job" not in line] == [first, second]
    assert [line["row"] for line in lines if "job" in line] == list(range(1, 1501))
    log = (tmp_path / "log").read_text()
    assert "ERROR" not in log, log
    assert "WARNING" not in log, log


@pytest.mark.slow
def test_a_server_may_be_told_of_its_bucket_by_the_model(
    storage: Storage, bucket_root: str, publish: Publish, tmp_path: Path
) -> None:
    version = publish().version
    registry.promote(storage, "ferry", version)
    named = {"BOATYARD_MODEL": f"{bucket_root}/models/ferry@production"}
    with ServerProcess("", tmp_path / "log", **named) as server:
        assert httpx.get(f"{server.url}/readyz").json()["version"] == version


def test_models_that_requests_name_leave_nothing_on_the_disk_and_only_what_answers_is_fetched(
    storage: Storage,
    bucket_root: str,
    proxy: FaultyProxy,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    versions = []
    for number in range(NAMED_MODELS + 3):
        sealed = tmp_path / f"sealed-{number}"
        sealed.mkdir()
        for name in ("model.safetensors", "confusion.png", "reference.parquet"):
            (sealed / name).write_bytes(bytes(1000))
        write_bundle(sealed, bias=(number, 0, 0))
        versions.append(registry.publish(storage, sealed).version)
    registry.promote(storage, "ferry", versions[0])
    fetched = tmp_path / "fetched"
    fetched.mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(fetched))
    settings = Settings(storage=bucket_root, model=Reference("ferry"), spool=str(tmp_path / "spool"))
    with client_as_served(Application(settings)) as client:
        for version in [*versions, *versions]:
            answer = client.post(f"/predict?model=ferry@{version}", json={"text": "card"}).json()
            assert answer["version"] == version
            assert not list(fetched.rglob("*"))
        read = {unquote(request.path).partition("?")[0].rpartition("/")[2] for request in proxy.requests}
        assert {"bundle.json", "model.onnx", "tokenizer.json"} <= read
        assert not {"model.safetensors", "confusion.png", "reference.parquet"} & read
        before = len(proxy.requests)
        for unknown in ("fery", "ferry@newest", "ferry@20200101T000000Z-00000000"):
            for _ in range(20):
                assert client.post(f"/predict?model={unknown}", json={"text": "card"}).status_code == 404
        paths = [unquote(request.path) for request in proxy.requests[before:]]
        assert len(paths) < 30, paths  # a few on the first request, and one each second for the alias
        assert all("delimiter=/" in path or "/aliases/" in path for path in paths if "/o?" in path), paths
