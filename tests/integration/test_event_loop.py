"""The event loop waits for no storage: while a bucket is slow, everybody else is answered."""

import asyncio
import time
import traceback
from collections.abc import Callable
from contextlib import suppress
from functools import wraps
from pathlib import Path
from typing import Any

import pytest
from bundles import Publish
from starlette.testclient import TestClient

from boatyard.api import Application
from boatyard.api.jobs import store
from boatyard.api.keys import Keys
from boatyard.api.settings import Settings
from boatyard.registry import Reference
from boatyard.storage.local import LocalStorage

pytestmark = pytest.mark.integration

CALLS = ("read", "read_versioned", "write", "write_once", "swap", "list", "upload", "remove", "fetch")
CSV = {"content-type": "text/csv"}


def noted(call: Callable[..., Any], blocked: list[str]) -> Callable[..., Any]:
    @wraps(call)
    def noting(*arguments: Any, **named: Any) -> Any:
        with suppress(RuntimeError):  # no loop runs in this thread
            asyncio.get_running_loop()
            blocked.append("".join(traceback.format_stack(limit=6)))
        return call(*arguments, **named)

    return noting


def wait_for_end(client: TestClient, job: str) -> dict[str, Any]:
    limit = time.monotonic() + 60
    while (state := client.get(f"/jobs/{job}").json())["state"] == "running":
        assert time.monotonic() < limit
        time.sleep(0.01)
    found: dict[str, Any] = state
    return found


def test_no_storage_is_called_on_the_event_loop(
    tmp_path: Path, promoted: str, publish: Publish, monkeypatch: pytest.MonkeyPatch
) -> None:
    other = publish(bias=(0, 0, 1)).version
    blocked: list[str] = []
    for name in CALLS:
        monkeypatch.setattr(LocalStorage, name, noted(getattr(LocalStorage, name), blocked))
    app = Application(
        Settings(
            storage=str(tmp_path / "storage"),
            model=Reference("ferry"),
            spool=str(tmp_path / "spool"),
            watch_seconds=0.02,
        )
    )
    with TestClient(app, backend_options={"use_uvloop": True}) as client:
        monkeypatch.setattr(Keys, "__bool__", lambda _: True)
        monkeypatch.setattr(Keys, "check", lambda *_: "ana")
        for version in (promoted, other):
            answer = client.post(f"/predict?model=ferry@{version}", json={"text": "card"}).json()
            assert client.post("/feedback", json={"id": answer["id"], "label": "fees"}).status_code == 202
            assert client.get(f"/models/ferry/{version}").status_code == 200
        assert client.post("/feedback", json={"id": "0" * 32, "label": "fees"}).status_code == 422
        job = client.post("/jobs", content="text\ncard\nfee\n", headers=CSV).json()["id"]
        assert wait_for_end(client, job)["state"] == "finished"
        assert client.get(f"/jobs/{job}/result").text.count("\n") == 2
        failing = client.post("/jobs", content="body\ncard\n", headers=CSV).json()["id"]
        assert wait_for_end(client, failing)["state"] == "failed"
        monkeypatch.setattr(store, "MOST_BYTES", 1)
        assert client.post("/jobs", content="text\ncard\n", headers=CSV).status_code == 413
        for path in ("/readyz", "/models", "/model", "/metrics", f"/models/ferry/{other}/files/data.json"):
            client.get(path)
        assert client.post("/models/ferry/aliases/production", json={"version": other}).status_code == 200
        assert client.post("/models/ferry/aliases/production/rollback").status_code == 200
    assert blocked == []
