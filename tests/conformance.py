"""What every storage is held to: a test class for each kind inherits these tests and has its `storage` fixture."""

import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from random import Random

import pytest

from boatyard.config.errors import UserError
from boatyard.storage import AlreadyExists, Conflict, NotFound, Storage

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


class StorageConformance:
    def test_what_is_written_is_read(self, storage: Storage) -> None:
        storage.write("a/b.json", b"one")
        storage.write("a/b.json", b"two")
        assert storage.read("a/b.json") == b"two"

    def test_reading_nothing_says_what_is_missing(self, storage: Storage) -> None:
        with pytest.raises(NotFound, match=r"a/b\.json"):
            storage.read("a/b.json")
        assert storage.read_versioned("a/b.json") is None

    def test_a_key_below_a_file_and_a_folder_hold_nothing(self, storage: Storage) -> None:
        storage.write("a/b", b"")
        assert storage.read_versioned("a/b/c") is None
        assert storage.read_versioned("a") is None

    def test_writing_once_leaves_the_first(self, storage: Storage) -> None:
        storage.write_once("a", b"first")
        with pytest.raises(AlreadyExists):
            storage.write_once("a", b"second")
        assert storage.read("a") == b"first"

    def test_of_racing_write_onces_exactly_one_wins_and_its_bytes_stand(self, storage: Storage) -> None:
        contents = [bytes([racer]) * 200_000 for racer in range(RACERS)]
        for attempt in range(5):
            key = f"race/{attempt}"
            winners = race(lambda racer, key=key: storage.write_once(key, contents[racer]))
            assert len(winners) == 1
            assert storage.read(key) == contents[winners[0]]

    @pytest.mark.parametrize("there", [True, False], ids=["replacing", "creating"])
    def test_of_racing_swaps_from_one_generation_exactly_one_wins(self, storage: Storage, there: bool) -> None:
        expected = None
        if there:
            storage.write("alias", b"start")
            _, expected = storage.read_versioned("alias") or pytest.fail("not there")
        winners = race(lambda racer: storage.swap("alias", b"%d" % racer, expected) and None)
        assert len(winners) == 1
        assert storage.read("alias") == b"%d" % winners[0]

    def test_a_counter_moved_by_swaps_loses_no_step(self, storage: Storage) -> None:
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

    def test_a_swap_answers_the_generation_for_the_next_one(self, storage: Storage) -> None:
        first = storage.swap("alias", b"1", None)
        second = storage.swap("alias", b"2", first)
        assert storage.read_versioned("alias") == (b"2", second)
        with pytest.raises(Conflict):
            storage.swap("alias", b"3", first)

    def test_a_swap_of_what_is_gone_conflicts(self, storage: Storage) -> None:
        with pytest.raises(Conflict):
            storage.swap("alias", b"1", "0" * 64)

    def test_no_reader_sees_half_a_write(self, storage: Storage) -> None:
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

    def test_listing_is_sorted_and_by_prefix(self, storage: Storage) -> None:
        for key in ["b/2", "b/1", "b/c/3", "bb/4", "a", "b/ü #?%2F"]:
            storage.write(key, b"")
        assert storage.list("b/") == ["b/1", "b/2", "b/c/3", "b/ü #?%2F"]
        assert storage.list("b") == ["b/1", "b/2", "b/c/3", "b/ü #?%2F", "bb/4"]
        assert storage.list() == ["a", "b/1", "b/2", "b/c/3", "b/ü #?%2F", "bb/4"]
        assert storage.list("nothing/") == []

    def test_folders_are_what_comes_next_in_the_keys_and_no_more(self, storage: Storage) -> None:
        for key in ["b/c/1", "b/c/d/2", "b/ü #?/3", "b/4", "bb/5", "6"]:
            storage.write(key, b"")
        assert storage.folders() == ["b", "bb"]
        assert storage.folders("b/") == ["c", "ü #?"]
        assert storage.folders("b/c/d/") == storage.folders("nothing/") == []

    def test_an_object_is_read_from_any_place_in_it(self, storage: Storage) -> None:
        content = Random(1).randbytes(5 * 2**20)  # more than is fetched at once
        storage.write("a/b.bin", content)
        with storage.open("a/b.bin") as opened:
            for place in (0, 4 * 2**20 - 5, 17, len(content) - 3, len(content)):
                opened.seek(place)
                assert opened.read(10) == content[place : place + 10]
            assert opened.seek(-4, 2) == len(content) - 4
            assert opened.read() == content[-4:]
        with pytest.raises(NotFound, match=r"a/c\.bin"):
            storage.open("a/c.bin")

    def test_what_lies_at_a_key_is_described_without_its_neighbours(self, storage: Storage) -> None:
        for key in ("a/b", "a/c/d", "ab", "e"):
            storage.write(key, key.encode())
        assert {key: stored.size for key, stored in storage.describe("a").items()} == {"a/b": 3, "a/c/d": 5}
        assert [*storage.describe("e")] == ["e"]
        assert storage.describe("nothing") == {}
        before = storage.describe("e")["e"].mark
        assert storage.describe("e")["e"].mark == before
        storage.write("e", b"f")
        assert storage.describe("e")["e"].mark != before

    def test_removing_passes_over_what_is_not_there(self, storage: Storage) -> None:
        for key in ("a/1", "a/2", "b"):
            storage.write(key, b"")
        storage.remove(["a/1", "nothing", "b"])
        assert storage.list() == ["a/2"]
        storage.write_once("b", b"again")

    def test_removing_all_leaves_no_folders(self, storage: Storage) -> None:
        for key in ("a/b/c/1", "a/b/2", "d"):
            storage.write(key, b"")
        storage.remove(["a/b/c/1"])
        assert storage.folders("a/b/") == []
        storage.remove(["a/b/2"])
        assert storage.folders() == []

    def test_large_objects_are_whole(self, storage: Storage, tmp_path: Path) -> None:
        data = Random(0).randbytes(50_000_000)
        storage.write("large/bytes", data)
        assert storage.read("large/bytes") == data
        (tmp_path / "file").write_bytes(data)
        storage.upload(tmp_path, "large", ["file"])
        assert (storage.fetch("large", tmp_path / "cache") / "file").read_bytes() == data
        storage.download("large/bytes", tmp_path / "copied/file")
        assert (tmp_path / "copied/file").read_bytes() == data

    def test_a_folder_goes_up_and_comes_back(self, storage: Storage, tmp_path: Path) -> None:
        folder = tmp_path / "folder"
        (folder / "plots").mkdir(parents=True)
        (folder / "one").write_bytes(b"1")
        (folder / "plots/two").write_bytes(b"2")
        storage.upload(folder, "kept/here")
        assert storage.list("kept/") == ["kept/here/one", "kept/here/plots/two"]
        back = storage.fetch("kept/here", tmp_path / "cache")
        assert (back / "plots/two").read_bytes() == b"2"

    def test_an_upload_takes_only_the_names_it_is_given(self, storage: Storage, tmp_path: Path) -> None:
        for name in ("one", "two"):
            (tmp_path / name).touch()
        storage.upload(tmp_path, "kept", ["one"])
        assert storage.list() == ["kept/one"]

    def test_of_what_is_fetched_the_names_may_be_chosen(self, storage: Storage, tmp_path: Path) -> None:
        for name in ("one", "plots/two", "three"):
            storage.write(f"kept/here/{name}", name.encode())
        back = storage.fetch("kept/here", tmp_path / "cache", ["plots/two", "three", "nothing"])
        assert (back / "plots/two").read_bytes() == b"plots/two"
        assert (back / "three").read_bytes() == b"three"
        with pytest.raises(NotFound, match="kept/there"):
            storage.fetch("kept/there", tmp_path / "cache", ["one"])

    def test_fetching_nothing_says_so(self, storage: Storage, tmp_path: Path) -> None:
        with pytest.raises(NotFound, match="kept/here"):
            storage.fetch("kept/here", tmp_path)

    def test_a_download_replaces_what_is_there_or_leaves_it(self, storage: Storage, tmp_path: Path) -> None:
        file = tmp_path / "cache/rows.csv"
        for content in (b"old", b"new", b"new"):
            storage.write("data/rows.csv", content)
            storage.download("data/rows.csv", file)
            assert file.read_bytes() == content
        with pytest.raises(NotFound, match="data/none"):
            storage.download("data/none", file)
        with pytest.raises(NotFound):
            storage.download("data", file)
        assert file.read_bytes() == b"new"
        assert [path.name for path in file.parent.iterdir() if path.suffix != ".lock"] == ["rows.csv"]

    @pytest.mark.parametrize("key", [*OUTSIDE, "\ud800", "long/" * 300 + "x"])
    def test_keys_that_leave_the_root_or_hide_in_it_are_refused(
        self, storage: Storage, tmp_path: Path, key: str
    ) -> None:
        (tmp_path / "x").write_bytes(b"outside")
        attempts: list[Callable[[], object]] = [
            lambda: storage.read(key),
            lambda: storage.read_versioned(key),
            lambda: storage.download(key, tmp_path / "copy"),
            lambda: storage.write(key, b""),
            lambda: storage.write_once(key, b""),
            lambda: storage.swap(key, b"", None),
            lambda: storage.upload(tmp_path, "kept", [key]),
            lambda: storage.list(f"{key}/"),
            lambda: storage.folders(f"{key}/"),
        ]
        for attempt in attempts:
            with pytest.raises(UserError):
                attempt()
