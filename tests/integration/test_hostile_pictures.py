"""Whatever is sent as a picture, the server answers or says why not, and its memory stays bounded."""

import json
from base64 import b64encode
from pathlib import Path
from typing import Any

import httpx
import pytest
from hostile_pictures import hostile
from pictures import RED, plain, publish_pictures
from servers import Serve, ServerProcess
from starlette.testclient import TestClient

pytestmark = pytest.mark.integration

FEW, MANY = 60, 500
MOST_GROWTH = 400e6
"""Bytes: two pictures of 25 megapixels are decoded at once, and turned, or put on white."""


def send(client: TestClient | httpx.Client, number: int, largest: int) -> Any:
    content, sent = hostile(number, largest)
    if sent == "multipart/form-data":
        return client.post("/predict", files={"file": ("picture", content, "application/octet-stream")})
    if sent == "application/json":
        return client.post("/predict", json={"inputs": [{"image": b64encode(content).decode()}] * (1 + number % 3)})
    return client.post("/predict", content=content, headers={"content-type": sent})


def assert_answered(answer: Any, number: int) -> None:
    assert answer.status_code in (200, 400, 413, 415, 422), (number, answer.status_code, answer.text)
    if answer.status_code != 200:
        assert answer.headers["content-type"] == "application/problem+json"
        assert "Traceback" not in answer.json()["detail"]


def test_whatever_is_sent_as_a_picture_is_answered_or_refused(tmp_path: Path, serve: Serve) -> None:
    publish_pictures(tmp_path)
    client = serve(model="colours")
    for number in range(FEW):
        assert_answered(send(client, number, largest=200), number)


@pytest.mark.slow
def test_memory_is_bounded_whatever_is_sent_as_a_picture(tmp_path: Path) -> None:
    publish_pictures(tmp_path)
    with (
        ServerProcess(tmp_path / "storage", tmp_path / "log", BOATYARD_MODEL="colours") as server,
        httpx.Client(base_url=server.url, timeout=60) as client,
    ):
        client.post("/predict", content=plain(RED), headers={"content-type": "image/png"}).raise_for_status()
        before = peak(server)
        for number in range(MANY):
            assert_answered(send(client, number, largest=4_999), number)
        assert peak(server) - before < MOST_GROWTH
    logged = [json.loads(line) for line in (tmp_path / "log").read_text().splitlines() if line.startswith("{")]
    assert not [line for line in logged if line.get("level") == "error"]


def peak(server: ServerProcess) -> int:
    status = Path(f"/proc/{server.process.pid}/status").read_text()
    return int(status.partition("VmHWM:")[2].split()[0]) * 1024
