"""A bucket is held to what a folder is held to, and to what only a bucket can get wrong."""

import os
import shutil
import subprocess
import sys
import tracemalloc
from pathlib import Path

import pytest
from conformance import StorageConformance
from faults import FaultyProxy

from boatyard.config.compose import load_config
from boatyard.config.errors import UserError
from boatyard.data.sources import open_sources
from boatyard.storage import Conflict, Storage, open_storage

pytestmark = pytest.mark.cloud


class TestBucket(StorageConformance):
    """A bucket is a storage."""


def test_a_root_sees_nothing_of_its_neighbours_and_a_slash_more_is_no_other(storage: Storage, bucket_root: str) -> None:
    storage.write("a", b"")
    open_storage(f"{bucket_root}-more").write("b", b"")
    assert storage.list() == ["a"]
    assert open_storage(f"{bucket_root}/").list() == ["a"]
    assert f"{bucket_root.rpartition('/')[2]}/a" in open_storage(bucket_root.rpartition("/")[0]).list()


def test_what_is_no_key_is_not_listed_nor_fetched(storage: Storage, tmp_path: Path) -> None:
    storage.write("a/b", b"")
    for name in ("a/.hidden", "a/folder/"):  # a console makes the latter
        storage._bucket._bucket.blob(f"{storage._prefix}{name}").upload_from_string(b"")  # type: ignore[attr-defined]
    assert storage.list() == ["a/b"]
    assert sorted(path.name for path in storage.fetch("a", tmp_path).iterdir()) == ["b"]


def test_of_a_folder_only_what_is_hidden_is_passed_over_in_silence(storage: Storage) -> None:
    storage.write("a/b", b"")
    for name in ("a/.hidden", "a/folder/"):
        storage._bucket._bucket.blob(f"{storage._prefix}{name}").upload_from_string(b"")  # type: ignore[attr-defined]
    assert [*storage.describe("a")] == ["a/b"]
    storage._bucket._bucket.blob(f"{storage._prefix}a/12:30").upload_from_string(b"")  # type: ignore[attr-defined]
    with pytest.raises(UserError, match="'a/12:30' is not a storage key"):
        storage.describe("a")


@pytest.mark.parametrize("expected", ["0", "00", "0" * 64, "x", "", "1.5"])
def test_a_generation_that_no_bucket_gives_conflicts(storage: Storage, expected: str) -> None:
    with pytest.raises(Conflict):
        storage.swap("new", b"", expected)


@pytest.mark.parametrize(
    "root", ["gs://", "gs:///prefix", "gs://Bucket", "gs://b", "gs://bucket/../x", "gs://bucket//x"]
)
def test_roots_that_name_no_bucket_and_prefix_are_refused(bucket_root: str, root: str) -> None:  # noqa: ARG001
    with pytest.raises(UserError, match="is not"):
        open_storage(root)


def test_a_read_is_one_request(proxied: Storage, proxy: FaultyProxy) -> None:
    proxied.read_versioned("models/ferry/aliases/production.json")
    proxied.write("models/ferry/aliases/production.json", b"{}")
    proxy.requests.clear()
    for _ in range(3):
        proxied.read_versioned("models/ferry/aliases/production.json")
    assert len(proxy.requests) == 3


@pytest.mark.parametrize("size", [10, 9 * 2**20], ids=["small", "large"])
def test_a_write_once_says_what_it_expects_and_its_checksum(proxied: Storage, proxy: FaultyProxy, size: int) -> None:
    """The stand-in passes over the precondition of large uploads and over wrong checksums; Cloud Storage does not."""
    proxied.write_once("key", bytes(size))
    first = proxy.requests[0]
    assert "ifGenerationMatch=0" in first.path
    assert b'"crc32c": "' in first.body


def test_what_was_fetched_whole_is_not_fetched_again(proxied: Storage, proxy: FaultyProxy, tmp_path: Path) -> None:
    for name in ("one", "two"):
        proxied.write(f"kept/{name}", b"intact")
    folder = proxied.fetch("kept", tmp_path)
    proxy.requests.clear()
    assert proxied.fetch("kept", tmp_path) == folder
    assert len(proxy.requests) == 1, "what there is"
    (folder / "two").write_bytes(b"damage")
    (folder / "three").touch()
    assert (proxied.fetch("kept", tmp_path) / "two").read_bytes() == b"intact"
    assert sorted(path.name for path in folder.iterdir()) == ["one", "two"]


def test_a_file_of_rows_is_copied_as_it_comes(storage: Storage, tmp_path: Path) -> None:
    rows = b"body,topic\n" + b"is the card lost,card\n" * 500_000
    storage.write("rows.csv", rows)
    words = ["data=csv", f"data.path={storage.root}/rows.csv", "data.name=x", f"paths.processed={tmp_path}"]
    config = load_config(words)
    open_sources(config)  # which imports pyarrow, whose memory is not the rows'
    shutil.rmtree(tmp_path / "fetched")
    tracemalloc.start()
    open_sources(config)
    most = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    (copied,) = (tmp_path / "fetched").rglob("rows.csv")
    assert copied.read_bytes() == rows
    assert most < len(rows) / 2


def test_a_download_that_is_whole_is_not_made_again(proxied: Storage, proxy: FaultyProxy, tmp_path: Path) -> None:
    proxied.write("rows.csv", b"intact")
    for content, requests in ((None, 2), (b"intact", 1), (b"damage", 2)):
        if content is not None:
            (tmp_path / "rows.csv").write_bytes(content)
        proxy.requests.clear()
        proxied.download("rows.csv", tmp_path / "rows.csv")
        assert (tmp_path / "rows.csv").read_bytes() == b"intact"
        assert len(proxy.requests) == requests


COMMANDS = {
    "registry": ["boatyard.registry", "models"],
    "promote": ["boatyard.registry", "promote", "plants", "20260102T030405Z-0a1b2c3d"],
}


def run(command: str, **environment: str) -> "subprocess.CompletedProcess[str]":
    words = [sys.executable, "-m", *COMMANDS[command]]
    return subprocess.run(words, env={**os.environ, **environment}, capture_output=True, text=True, timeout=60)


@pytest.mark.parametrize("command", COMMANDS)
def test_a_bucket_that_is_not_there_is_named_and_ends_a_command_with_2(stand_in: str, command: str) -> None:
    ran = run(command, BOATYARD_STORAGE="gs://nobodys-bucket/x", STORAGE_EMULATOR_HOST=stand_in)
    assert ran.returncode == 2
    assert "there is no bucket 'nobodys-bucket'" in ran.stderr
    assert len(ran.stderr.splitlines()) == 1


@pytest.mark.parametrize(
    ("status", "message"),
    [("403", "roles/storage.objectUser"), ("401", "gcloud auth application-default login")],
)
def test_a_missing_permission_is_reported_in_one_sentence(
    proxy: FaultyProxy, bucket_root: str, status: str, message: str
) -> None:
    proxy.faults = iter([status] * 9)  # type: ignore[list-item]
    ran = run("promote", BOATYARD_STORAGE=bucket_root)
    assert ran.returncode == 2
    assert message in ran.stderr
    assert len(ran.stderr.splitlines()) == 1


@pytest.mark.parametrize("file", ["", "missing.json"])
def test_without_credentials_commands_and_servers_say_how_to_get_some(tmp_path: Path, file: str) -> None:
    nowhere = {
        "BOATYARD_STORAGE": "gs://bucket/x",
        "HOME": str(tmp_path),
        "CLOUDSDK_CONFIG": str(tmp_path),
        "NO_GCE_CHECK": "true",
        "STORAGE_EMULATOR_HOST": "",
        "GOOGLE_APPLICATION_CREDENTIALS": file and str(tmp_path / file),
    }
    ran = run("registry", **nowhere)
    assert ran.returncode == 2
    assert "gcloud auth application-default login" in ran.stderr
    assert len(ran.stderr.splitlines()) == 1
