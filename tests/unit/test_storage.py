import errno
import os
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from conformance import StorageConformance
from hypothesis import given
from hypothesis import strategies as st

from boatyard.config.errors import UserError
from boatyard.storage import AlreadyExists, LocalStorage, Storage, check_key, open_storage

pytestmark = pytest.mark.unit


class TestFolder(StorageConformance):
    """A folder is a storage."""


def test_a_write_that_fails_leaves_the_old_bytes_and_no_litter(storage: Storage, tmp_path: Path) -> None:
    storage.write("folder/key", b"old")
    with pytest.raises(TypeError):
        storage.write("folder/key", "not bytes")  # type: ignore[arg-type]
    assert storage.read("folder/key") == b"old"
    assert [path.name for path in (tmp_path / "storage/folder").iterdir()] == ["key"]


def test_listing_hides_locks_and_temporary_files(storage: Storage, tmp_path: Path) -> None:
    storage.write("b/1", b"")
    storage.swap("b/1", b"new", (storage.read_versioned("b/1") or (b"", ""))[1])
    (tmp_path / "storage/b/.half.tmp").touch()
    (tmp_path / "storage/.git").mkdir()
    (tmp_path / "storage/.git/config").touch()
    assert storage.list() == ["b/1"]


def test_of_a_folder_only_what_is_hidden_is_passed_over_in_silence(storage: Storage, tmp_path: Path) -> None:
    storage.write("a/b", b"")
    folder = tmp_path / "storage" / "a"
    (folder / ".hidden").mkdir()
    (folder / ".hidden" / "c").touch()
    (folder / ".d").touch()
    (tmp_path / "elsewhere").touch()
    (folder / "linked").symlink_to(tmp_path / "elsewhere")
    assert [*storage.describe("a")] == ["a/b", "a/linked"]
    (folder / "around").symlink_to(folder)
    with pytest.raises(UserError, match="around is a link to a folder, and none is followed"):
        storage.describe("a")
    (folder / "around").unlink()
    (folder / "12:30").touch()
    with pytest.raises(UserError, match="'a/12:30' is not a storage key"):
        storage.describe("a")


@given(st.text(max_size=20))
def test_an_accepted_key_always_lies_below_the_root(key: str) -> None:
    try:
        check_key(key)
    except UserError:
        return
    root = Path("/some/storage")
    assert root in Path(root, key).parents
    assert ".." not in Path(key).parts


@pytest.mark.parametrize(
    "key",
    [
        *("D:evil/x", "a/D:x", "a:stream", "C:/x", "a\\b", "a/../b"),
        *("nul", "NUL", "con.txt", "a/Com1", "lpt9.tar.gz", "aux /x", "a/prn", "com\u00b9", "conin$"),
        *("a.", "a /b", "a/b. ", "..."),
    ],
)
def test_what_windows_takes_for_something_else_is_no_key(key: str) -> None:
    with pytest.raises(UserError, match="is not a storage key"):
        check_key(key)


@pytest.mark.parametrize("key", ["console", "nullable/com", "com10", "lpt", "a b/c.d", "date=2026-01-01/x-1.jsonl.gz"])
def test_what_only_looks_like_it_is_one(key: str) -> None:
    assert check_key(key) == key


@pytest.mark.parametrize("number", [errno.EPERM, errno.EINVAL, errno.ENOTSUP])
def test_where_there_are_no_hard_links_one_writer_wins_all_the_same(
    number: int, storage: Storage, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: object) -> None:
        raise OSError(number, os.strerror(number))

    def write(data: bytes) -> bool:
        try:
            storage.write_once("key", data)
        except AlreadyExists:
            return False
        return True

    monkeypatch.setattr(os, "link", refuse)
    written = [str(writer).encode() for writer in range(16)]
    with ThreadPoolExecutor(16) as pool:
        won = list(pool.map(write, written))
    assert won.count(True) == 1
    assert storage.read("key") == written[won.index(True)]
    assert storage.list() == ["key"]


def test_a_folder_in_the_way_is_not_taken_for_an_object_that_is_there(storage: Storage) -> None:
    storage.write("taken", b"")
    with pytest.raises(OSError, match="taken"):
        storage.write_once("taken/key", b"")


def test_a_root_is_made_by_the_first_write_only(tmp_path: Path) -> None:
    root = tmp_path / "new"
    storage = open_storage(str(root))
    assert isinstance(storage, LocalStorage)
    assert storage.list() == []
    assert not root.exists()
    storage.write("a", b"")
    assert (root / "a").exists()


@pytest.mark.parametrize(
    ("root", "said"),
    [
        ("s3://bucket", "neither a folder nor gs://"),
        ("", "neither a folder"),
        (__file__, "is a file"),
    ],
)
def test_roots_that_are_no_folder_are_refused(root: str, said: str) -> None:
    with pytest.raises(UserError, match=said):
        open_storage(root)


@pytest.mark.parametrize("root", ["folder", "gs://bucket/prefix"])
def test_google_s_client_is_loaded_and_missed_only_where_a_bucket_is_named(root: str) -> None:
    code = """
import sys
sys.modules["google.cloud.storage"] = None  # as where it is not installed
from boatyard.registry.__main__ import main
sys.exit(main(["models"]))
"""
    environment = {**os.environ, "BOATYARD_STORAGE": root}
    ran = subprocess.run([sys.executable, "-c", code], env=environment, capture_output=True, text=True)
    if root == "folder":
        assert ran.returncode == 0, ran.stderr
    else:
        assert ran.returncode == 2
        assert "install boatyard[cloud]" in ran.stderr
        assert len(ran.stderr.splitlines()) == 1


def test_a_folder_that_is_taken_away_as_empty_meanwhile_stops_no_write(
    storage: Storage, monkeypatch: pytest.MonkeyPatch
) -> None:
    make, times = Path.mkdir, iter(range(3))

    def make_and_lose(folder: Path, **how: bool) -> None:
        make(folder, **how)
        if next(times, None) is not None:
            folder.rmdir()  # as `remove` does in another process

    storage.write_once("job", b"")
    monkeypatch.setattr(Path, "mkdir", make_and_lose)
    storage.write_once("open/job", b"")
    assert storage.list() == ["job", "open/job"]
