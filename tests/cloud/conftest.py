"""Storages in a stand-in for Cloud Storage, whole and faulty."""

from collections.abc import Iterator
from uuid import uuid4

import pytest
from buckets import BUCKET, serve_buckets
from faults import FaultyProxy

from boatyard.storage import Storage, open_storage
from boatyard.storage import bucket as module


@pytest.fixture(scope="session")
def stand_in(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """Its address; one bucket is there."""
    with serve_buckets(tmp_path_factory.mktemp("buckets")) as url:
        yield url


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
