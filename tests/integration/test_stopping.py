"""What becomes of requests when servers stop, models change and clients leave: real processes, real sockets."""

import socket
import threading
import time
from collections import Counter
from collections.abc import Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path

import httpx
import pytest
from bundles import Publish
from servers import ServerProcess, is_ready, server_here

from boatyard import registry
from boatyard.storage import Storage

pytestmark = [pytest.mark.integration, pytest.mark.slow]

QUESTION = {"text": "my card was stolen"}


class Load:
    """Clients that ask, one request after another, whichever address was last seen ready."""

    def __init__(self, urls: Sequence[str], clients: int = 8) -> None:
        self._urls = urls
        self._ready = list(urls)
        self._over = threading.Event()
        self._pool = ThreadPoolExecutor(clients + 1)
        self._probing = self._pool.submit(self._probe)
        self._asking: list[Future[tuple[Counter[str], list[str]]]] = [
            self._pool.submit(self._ask, number) for number in range(clients)
        ]

    def _probe(self) -> None:
        while not self._over.is_set():
            self._ready = [url for url in self._urls if is_ready(url)] or self._ready
            time.sleep(0.05)

    def _ask(self, number: int) -> tuple[Counter[str], list[str]]:
        versions: Counter[str] = Counter()
        failures: list[str] = []
        with httpx.Client(timeout=30) as client:
            while not self._over.is_set():
                time.sleep(0.01)  # the servers are to be under way, and not out of breath
                url = self._ready[number % len(self._ready)]
                try:
                    answer = client.post(f"{url}/predict", json=QUESTION)
                except httpx.HTTPError as failed:
                    failures.append(f"{url}: {failed!r}")
                    continue
                if answer.status_code == 200:
                    versions[answer.json()["version"]] += 1
                else:
                    failures.append(answer.text)
        return versions, failures

    def end(self) -> tuple[Counter[str], list[str]]:
        """Answers by version, and what failed."""
        self._over.set()
        self._probing.result()
        asked = [each.result() for each in self._asking]
        return sum((versions for versions, _ in asked), Counter()), [one for _, failed in asked for one in failed]


@pytest.mark.usefixtures("promoted")
def test_a_rolling_restart_fails_no_request(tmp_path: Path) -> None:
    storage = tmp_path / "storage"
    with ServerProcess(storage, tmp_path / "a.log") as first, ServerProcess(storage, tmp_path / "b.log") as second:
        load = Load([first.url, second.url])
        for server in (first, second, first, second):
            assert server.stop() == 0
            server.start()
        versions, failures = load.end()
    assert failures == []
    assert versions.total() > 100
    for log in ("a.log", "b.log"):
        assert "Traceback" not in (tmp_path / log).read_text()


def wait_for(url: str, version: str) -> None:
    limit = time.monotonic() + 30
    while httpx.get(f"{url}/readyz").json()["version"] != version:
        assert time.monotonic() < limit
        time.sleep(0.05)


def test_promotions_and_rollbacks_under_load_fail_no_request(
    tmp_path: Path, storage: Storage, promoted: str, publish: Publish
) -> None:
    other = publish(bias=(0, 0, 50)).version
    with server_here(tmp_path, watch_seconds=0.1) as url:
        load = Load([url])
        for _ in range(20):
            registry.promote(storage, "ferry", other)
            wait_for(url, other)
            registry.rollback(storage, "ferry")
            wait_for(url, promoted)
        versions, failures = load.end()
    assert failures == []
    assert versions.keys() == {promoted, other}
    assert min(versions.values()) > 50


@pytest.mark.usefixtures("promoted")
def test_a_client_that_hangs_up_while_it_waits_costs_no_run(tmp_path: Path) -> None:
    long = {"text": "card " * 3900}
    with ServerProcess(tmp_path / "storage", tmp_path / "log") as server:
        body = httpx.Request("POST", f"{server.url}/predict", json={"inputs": [long] * 50}).content
        head = "\r\n".join(
            [
                "POST /predict HTTP/1.1",
                "host: x",
                "content-type: application/json",
                f"content-length: {len(body)}",
                "",
                "",
            ]
        )
        sockets = []
        for _ in range(20):
            client = socket.create_connection(("127.0.0.1", server.port))
            client.sendall(head.encode() + body)
            sockets.append(client)
        for client in sockets:
            client.close()
        assert httpx.post(f"{server.url}/predict", json=QUESTION, timeout=60).status_code == 200
        page = httpx.get(f"{server.url}/metrics").text
        run = float(next(line for line in page.splitlines() if line.startswith("boatyard_batch_inputs_sum")).split()[1])
        queued = next(line for line in page.splitlines() if line.startswith("boatyard_queue_inputs"))
    assert run < 20 * 50  # those that had begun were finished, and no other
    assert queued == "boatyard_queue_inputs 0.0"
