"""Between here and a bucket anything can happen: nothing is lost by it, and nothing done twice."""

import json
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from itertools import repeat
from pathlib import Path
from random import Random

import pytest
from faults import PASSING, Fault, FaultyProxy

from boatyard import journal
from boatyard.journal import Journal
from boatyard.storage import AlreadyExists, Conflict, Storage, Unavailable
from boatyard.storage import bucket as module

pytestmark = pytest.mark.cloud

LARGE = b"intact" * 1_600_000  # bytes, past what goes up in one request


def weather(seed: int, share: float) -> Iterator[Fault | None]:
    """A passing fault in a `share` of the requests."""
    chance = Random(seed)
    while True:
        yield chance.choice(PASSING) if chance.random() < share else None


@pytest.mark.parametrize("fault", PASSING)
def test_what_fails_in_passing_is_done_all_the_same(proxied: Storage, proxy: FaultyProxy, fault: Fault) -> None:
    proxy.faults = iter([fault])
    proxied.write("key", b"1")
    first = proxied.read_versioned("key")
    assert first is not None
    for change in (lambda: proxied.swap("key", b"2", first[1]), lambda: proxied.write_once("once", b"once")):
        proxy.faults = iter([fault])
        change()
    proxy.faults = iter([fault])
    assert proxied.read("key") == b"2"
    proxy.faults = iter([fault])
    assert proxied.list() == ["key", "once"]
    proxy.faults = iter([fault])
    proxied.remove(["key"])
    assert proxied.list() == ["once"]
    with pytest.raises(AlreadyExists):
        proxied.write_once("once", b"once")


def test_a_write_once_whose_answer_was_lost_succeeded(proxied: Storage, proxy: FaultyProxy, storage: Storage) -> None:
    proxy.faults = iter(["lost", "lost", "503"])
    proxied.write_once("key", b"ours")
    assert storage.read("key") == b"ours"


@pytest.mark.parametrize("theirs", [b"theirs", b"ours"], ids=["other bytes", "the same bytes"])
def test_a_write_once_that_another_was_faster_with_did_not_succeed(
    proxied: Storage, proxy: FaultyProxy, storage: Storage, theirs: bytes
) -> None:
    def overtaken() -> Iterator[Fault]:
        storage.write_once("key", theirs)
        yield "503"

    proxy.faults = overtaken()
    with pytest.raises(AlreadyExists):
        proxied.write_once("key", b"ours")
    assert storage.read("key") == theirs


def test_a_swap_whose_answer_was_lost_answers_its_generation(
    proxied: Storage, proxy: FaultyProxy, storage: Storage
) -> None:
    first = storage.swap("key", b"1", None)
    proxy.faults = iter(["lost", "503"])
    second = proxied.swap("key", b"2", first)
    assert storage.read_versioned("key") == (b"2", second)


def test_a_swap_that_another_was_faster_with_conflicts_after_a_refusal(
    proxied: Storage, proxy: FaultyProxy, storage: Storage
) -> None:
    first = storage.swap("key", b"1", None)

    def overtaken() -> Iterator[Fault]:
        storage.swap("key", b"theirs", first)
        yield "429"

    proxy.faults = overtaken()
    with pytest.raises(Conflict):
        proxied.swap("key", b"ours", first)


@pytest.mark.parametrize("there", [True, False], ids=["replacing", "creating"])
def test_a_swap_that_may_have_been_overtaken_claims_neither(
    proxied: Storage, proxy: FaultyProxy, storage: Storage, there: bool
) -> None:
    first = storage.swap("key", b"1", None) if there else None

    def overtaken() -> Iterator[Fault | None]:
        yield "lost"
        storage.swap("key", b"3", (storage.read_versioned("key") or ("", None))[1])
        yield None

    proxy.faults = overtaken()
    with pytest.raises(Unavailable, match="is not known"):
        proxied.swap("key", b"2", first)
    assert storage.read("key") == b"3"


def test_racing_swaps_in_bad_weather_lose_no_step_and_repeat_none(proxied: Storage, proxy: FaultyProxy) -> None:
    proxied.write("steps", b"[]")
    proxy.faults = weather(1, 0.3)

    def run(racer: int) -> None:
        for step in range(5):
            mine = f"{racer}.{step}"
            while True:
                data, generation = proxied.read_versioned("steps") or pytest.fail("gone")
                if mine in json.loads(data):  # of an attempt that knew not how it ended
                    break
                try:
                    proxied.swap("steps", json.dumps([*json.loads(data), mine]).encode(), generation)
                    break
                except Conflict:
                    assert mine not in json.loads(proxied.read("steps"))
                except Unavailable:
                    continue

    with ThreadPoolExecutor(8) as pool:
        list(pool.map(run, range(8)))
    steps = json.loads(proxied.read("steps"))
    assert sorted(steps) == sorted(f"{racer}.{step}" for racer in range(8) for step in range(5))


def test_in_bad_weather_exactly_one_of_16_writes_once(proxied: Storage, proxy: FaultyProxy) -> None:
    proxy.faults = weather(2, 0.3)
    for attempt in range(5):
        start = threading.Barrier(16)

        def write(_: int, key: str = f"race/{attempt}", start: threading.Barrier = start) -> bool:
            start.wait()
            try:
                proxied.write_once(key, b"the same of each")
            except AlreadyExists:
                return False
            return True

        with ThreadPoolExecutor(16) as pool:
            assert sum(pool.map(write, range(16))) == 1


def test_a_journal_in_bad_weather_keeps_each_line_once(proxied: Storage, proxy: FaultyProxy, tmp_path: Path) -> None:
    proxy.faults = weather(3, 0.4)
    writing = Journal(proxied, tmp_path / "spool", segment_bytes=100)
    for number in range(100):
        writing.append([{"n": number, "text": "x" * 20}])
    assert writing.close(30)
    assert sorted(line["n"] for line in journal.read(proxied)) == list(range(100))


@pytest.mark.parametrize("data", [b"intact", LARGE], ids=["small", "large"])
def test_what_is_changed_on_its_way_up_is_sent_again(
    proxied: Storage, proxy: FaultyProxy, storage: Storage, tmp_path: Path, data: bytes
) -> None:
    (tmp_path / "file").write_bytes(data)
    requests = 1 if data != LARGE else 2  # the first of two opens a session
    for upload in (
        lambda: proxied.upload(tmp_path, "kept", ["file"]),
        lambda: proxied.write_once("kept/once", data),
        lambda: proxied.swap("kept/swapped", data, None),
    ):
        proxy.requests.clear()
        proxy.faults = repeat("garbled request", requests)
        upload()
        assert len(proxy.requests) == 2 * requests
    for name in ("file", "once", "swapped"):
        assert storage.read(f"kept/{name}") == data


@pytest.mark.parametrize("fault", ["garbled", "torn", "503", "cut"])
def test_a_large_file_comes_down_whole(
    proxied: Storage, proxy: FaultyProxy, storage: Storage, tmp_path: Path, fault: Fault
) -> None:
    storage.write("kept/file", LARGE)
    proxy.faults = iter([None, fault, fault])  # what is there is listed first
    assert (proxied.fetch("kept", tmp_path) / "file").read_bytes() == LARGE


@pytest.mark.parametrize("fault", ["garbled", "stalled", "503"])
def test_what_does_not_pass_is_refused_in_time_and_leaves_nothing(
    proxied: Storage,
    proxy: FaultyProxy,
    storage: Storage,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    fault: Fault,
) -> None:
    monkeypatch.setattr(module, "_RETRY", module._RETRY.with_timeout(0.3))
    monkeypatch.setitem(module._ONCE, "timeout", (0.2, 0.2))
    storage.write("kept/file", b"intact")
    for ask in (lambda: proxied.read("kept/file"), lambda: proxied.fetch("kept", tmp_path / "cache")):
        proxy.faults = repeat(fault)
        with pytest.raises(Unavailable, match="cannot be reached") as refused:
            ask()
        assert isinstance(refused.value, OSError), "as where a folder's disk fails"
    assert not [path for path in tmp_path.rglob("*") if path.name == "file"]
