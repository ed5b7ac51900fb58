"""Files of rows that a server answers: sent, waited for, and its process killed meanwhile."""

import json
import time
from collections.abc import Iterator
from typing import Any

import httpx
from servers import ServerProcess
from starlette.testclient import TestClient

from boatyard.storage import Storage

CSV = {"content-type": "text/csv"}


def finished(client: TestClient | httpx.Client, job: str, state: str = "finished") -> dict[str, Any]:
    limit = time.monotonic() + 120
    while (now := client.get(f"/jobs/{job}").json())["state"] == "running":
        assert time.monotonic() < limit
        time.sleep(0.05)
    assert now["state"] == state, now
    found: dict[str, Any] = now
    return found


def result(client: TestClient | httpx.Client, job: str) -> list[dict[str, Any]]:
    return [json.loads(line) for line in client.get(f"/jobs/{job}/result").text.splitlines()]


def submit(
    client: TestClient | httpx.Client, content: str | bytes | Iterator[bytes], headers: dict[str, str] = CSV
) -> str:
    taken = client.post("/jobs", content=content, headers=headers)
    assert taken.status_code == 202, taken.text
    assert taken.headers["location"] == f"/jobs/{taken.json()['id']}"
    found: str = taken.json()["id"]
    return found


def kill_in_job(server: ServerProcess, client: httpx.Client, storage: Storage, job: str, rows: int) -> int:
    """Kill -9 and start again once more rows than these are answered, as if the lease had ended. Returns how many."""
    while (now := client.get(f"/jobs/{job}").json())["rows"] <= rows:
        time.sleep(0.01)
    assert now["state"] == "running"
    server.kill()
    lease = json.loads(storage.read(f"jobs/{job}/lease.json"))
    storage.write(f"jobs/{job}/lease.json", json.dumps(lease | {"until": 0}).encode())
    server.start()
    answered: int = now["rows"]
    return answered
