import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from boatyard.errors import UserError
from boatyard.storage import AlreadyExists, Conflict, LocalStorage, NotFound, Storage, check_key, open_storage

pytestmark = pytest.mark.unit

RACERS = 16


def race(attempt: Callable[[int], None]) -> list[int]:
    """Runs `attempt` in 16 threads at once; which of them did not lose."""
    start = threading.Barrier(RACERS)

    def run(racer: int) -> bool:
        start.wait()
        try:
            attempt(racer)
        except (AlreadyExists, Conflict):
            return False
        return True

    with ThreadPoolExecutor(RACERS) as pool:
        return [racer for racer, won in enumerate(pool.map(run, range(RACERS))) if won]


def test_what_is_written_is_read(storage: Storage) -> None:
    storage.write("a/b.json", b"one")
    storage.write("a/b.json", b"two")
    assert storage.read("a/b.json") == b"two"


def test_reading_nothing_says_what_is_missing(storage: Storage) -> None:
    with pytest.raises(NotFound, match=r"a/b\.json"):
        storage.read("a/b.json")
    assert storage.read_versioned("a/b.json") is None


def test_a_key_below_a_file_and_a_folder_hold_nothing(storage: Storage) -> None:
    storage.write("a/b", b"")
    assert storage.read_versioned("a/b/c") is None
    assert storage.read_versioned("a") is None


def test_writing_once_leaves_the_first(storage: Storage) -> None:
    storage.write_once("a", b"first")
    with pytest.raises(AlreadyExists):
        storage.write_once("a", b"second")
    assert storage.read("a") == b"first"


def test_of_racing_write_onces_exactly_one_wins_and_its_bytes_stand(storage: Storage) -> None:
    contents = [bytes([racer]) * 200_000 for racer in range(RACERS)]
    for attempt in range(5):
        key = f"race/{attempt}"
        winners = race(lambda racer, key=key: storage.write_once(key, contents[racer]))
        assert len(winners) == 1
        assert storage.read(key) == contents[winners[0]]


@pytest.mark.parametrize("there", [True, False], ids=["replacing", "creating"])
def test_of_racing_swaps_from_one_generation_exactly_one_wins(storage: Storage, there: bool) -> None:
    expected = None
    if there:
        storage.write("alias", b"start")
        _, expected = storage.read_versioned("alias") or pytest.fail("not there")
    winners = race(lambda racer: storage.swap("alias", b"%d" % racer, expected) and None)
    assert len(winners) == 1
    assert storage.read("alias") == b"%d" % winners[0]


def test_a_counter_moved_by_swaps_loses_no_step(storage: Storage) -> None:
    storage.write("counter", b"0")

    def step(_: int) -> None:
        while True:
            data, generation = storage.read_versioned("counter") or pytest.fail("gone")
            try:
                storage.swap("counter", b"%d" % (int(data) + 1), generation)
            except Conflict:
                continue
            return

    race(step)
    assert storage.read("counter") == b"%d" % RACERS


def test_a_swap_answers_the_generation_for_the_next_one(storage: Storage) -> None:
    first = storage.swap("alias", b"1", None)
    second = storage.swap("alias", b"2", first)
    assert storage.read_versioned("alias") == (b"2", second)
    with pytest.raises(Conflict):
        storage.swap("alias", b"3", first)


def test_a_swap_of_what_is_gone_conflicts(storage: Storage) -> None:
    with pytest.raises(Conflict):
        storage.swap("alias", b"1", "0" * 64)


def test_no_reader_sees_half_a_write(storage: Storage) -> None:
    whole = [bytes([value]) * 500_000 for value in range(8)]
    storage.write("key", whole[0])
    done = threading.Event()

    def write() -> None:
        for data in whole * 3:
            storage.write("key", data)
        done.set()

    with ThreadPoolExecutor(1) as pool:
        pool.submit(write)
        while not done.is_set():
            assert storage.read("key") in whole


def test_a_write_that_fails_leaves_the_old_bytes_and_no_litter(storage: Storage, tmp_path: Path) -> None:
    storage.write("folder/key", b"old")
    with pytest.raises(TypeError):
        storage.write("folder/key", "not bytes")  # type: ignore[arg-type]
    assert storage.read("folder/key") == b"old"
    assert [path.name for path in (tmp_path / "storage/folder").iterdir()] == ["key"]


def test_listing_is_sorted_by_prefix_and_hides_locks_and_temporary_files(storage: Storage, tmp_path: Path) -> None:
    for key in ["b/2", "b/1", "b/c/3", "bb/4", "a"]:
        storage.write(key, b"")
    storage.swap("b/1", b"new", (storage.read_versioned("b/1") or (b"", ""))[1])
    (tmp_path / "storage/b/.half.tmp").touch()
    (tmp_path / "storage/.git").mkdir()
    (tmp_path / "storage/.git/config").touch()
    assert storage.list("b/") == ["b/1", "b/2", "b/c/3"]
    assert storage.list("b") == ["b/1", "b/2", "b/c/3", "bb/4"]
    assert storage.list() == ["a", "b/1", "b/2", "b/c/3", "bb/4"]
    assert storage.list("nothing/") == []


def test_a_folder_goes_up_and_comes_back(storage: Storage, tmp_path: Path) -> None:
    folder = tmp_path / "folder"
    (folder / "plots").mkdir(parents=True)
    (folder / "one").write_bytes(b"1")
    (folder / "plots/two").write_bytes(b"2")
    storage.upload(folder, "kept/here")
    assert storage.list("kept/") == ["kept/here/one", "kept/here/plots/two"]
    back = storage.fetch("kept/here", tmp_path / "cache")
    assert (back / "plots/two").read_bytes() == b"2"


def test_an_upload_takes_only_the_names_it_is_given(storage: Storage, tmp_path: Path) -> None:
    for name in ("one", "two"):
        (tmp_path / name).touch()
    storage.upload(tmp_path, "kept", ["one"])
    assert storage.list() == ["kept/one"]


def test_fetching_nothing_says_so(storage: Storage, tmp_path: Path) -> None:
    with pytest.raises(NotFound, match="kept/here"):
        storage.fetch("kept/here", tmp_path)


OUTSIDE = [
    "",
    "..",
    "../x",
    "a/../../x",
    "/etc/passwd",
    "a//b",
    "a/",
    "a\\b",
    "a\0b",
    ".hidden",
    "a/.lock",
    "a\nb",
]


@pytest.mark.parametrize("key", [*OUTSIDE, "\ud800", "long/" * 300 + "x"])
def test_keys_that_leave_the_root_or_hide_in_it_are_refused(storage: Storage, tmp_path: Path, key: str) -> None:
    (tmp_path / "x").write_bytes(b"outside")
    attempts: list[Callable[[], object]] = [
        lambda: storage.read(key),
        lambda: storage.read_versioned(key),
        lambda: storage.write(key, b""),
        lambda: storage.write_once(key, b""),
        lambda: storage.swap(key, b"", None),
        lambda: storage.upload(tmp_path, "kept", [key]),
        lambda: storage.list(f"{key}/"),
    ]
    for attempt in attempts:
        with pytest.raises(UserError):
            attempt()


@given(st.text(max_size=20))
def test_an_accepted_key_always_lies_below_the_root(key: str) -> None:
    try:
        check_key(key)
    except UserError:
        return
    root = Path("/some/storage")
    assert root in Path(root, key).parents
    assert ".." not in Path(key).parts


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
        ("gs://bucket/prefix", "`cloud` extra"),
        ("s3://bucket", "no other scheme"),
        ("", "not a folder"),
        (__file__, "is a file"),
    ],
)
def test_roots_that_are_no_folder_are_refused(root: str, said: str) -> None:
    with pytest.raises(UserError, match=said):
        open_storage(root)


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
