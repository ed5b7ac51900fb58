import gzip
import json
import math
import os
import random
import shutil
import signal
import subprocess
import sys
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, date, datetime
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
from cleaners import remove_at_once, replace_by_a_file

from boatyard.journal import Journal, JournalError, JournalFull, read
from boatyard.journal import spool as spool_module
from boatyard.storage import LocalStorage, Storage

pytestmark = pytest.mark.unit

START = """
import json, os, sys, time
from itertools import count
from pathlib import Path
from boatyard.journal import Journal, JournalError
from boatyard.storage import open_storage
storage, spool = open_storage(sys.argv[1]), Path(sys.argv[2])
"""
STARTS_AND_ENDS = f"""{START}
while not (spool / "go").exists():
    time.sleep(0.001)
sys.exit(not Journal(storage, spool).close(10))
"""
APPENDS_UNTIL_KILLED = f"""{START}
tag, segment_bytes = sys.argv[3], int(sys.argv[4])
journal = Journal(storage, spool, segment_bytes=segment_bytes)
for number in count():
    journal.append([{{"id": f"{{tag}}:{{number}}", "text": "x" * 200}}])
    os.write(1, f"{{tag}}:{{number}}\\n".encode())
    time.sleep(0.0005)
"""


class Doomed:
    """A process that appends numbered lines and reports each one after its append."""

    def __init__(self, root: Path, tag: str, segment_bytes: int) -> None:
        self._reports = root / f"reports-{tag}"
        places = [str(root / "storage"), str(root / "spool")]
        with self._reports.open("wb") as reports:
            command = [sys.executable, "-c", APPENDS_UNTIL_KILLED, *places, tag, str(segment_bytes)]
            self._process = subprocess.Popen(command, stdout=reports)

    def kill(self) -> list[str]:
        """kill -9, at some moment after its first report; what it had reported."""
        wait_until(lambda: self._reports.stat().st_size > 0)
        time.sleep(random.uniform(0, 0.2))
        assert self._process.poll() is None
        os.kill(self._process.pid, signal.SIGKILL)
        assert self._process.wait() == -signal.SIGKILL
        return self._reports.read_text().splitlines()


class Failing(LocalStorage):
    """Storage that is down until it is mended."""

    def __init__(self, root: Path) -> None:
        super().__init__(root)
        self.down = True
        self.attempts: list[str] = []

    def write_once(self, key: str, data: bytes) -> None:
        self.attempts.append(key)
        if self.down:
            raise OSError("storage is down")
        super().write_once(key, data)


class Stuck(LocalStorage):
    """Storage that answers no write until it is let go."""

    def __init__(self, root: Path) -> None:
        super().__init__(root)
        self.reached = threading.Event()
        self.let_go = threading.Event()

    def write_once(self, key: str, data: bytes) -> None:
        self.reached.set()
        self.let_go.wait(20)
        super().write_once(key, data)


def wait_until(happened: Callable[[], bool]) -> None:
    until = time.monotonic() + 20
    while not happened():
        assert time.monotonic() < until, "it did not happen in 20 seconds"
        time.sleep(0.005)


def journals() -> set[threading.Thread]:
    return {thread for thread in threading.enumerate() if thread.name == "journal"}


def ids(storage: Storage) -> list[Any]:
    return [line["id"] for line in read(storage)]


def end_unshipped(journal: Journal, others: set[threading.Thread]) -> None:
    """On a slow disk its thread, which holds the lock, needs longer than `close` waits."""
    assert not journal.close(0)
    wait_until(lambda: journals() <= others)


def left_behind(spool: Path, *identities: object) -> str:
    """An instance that ended with its lines in the spool; its name."""
    others = journals()
    journal = Journal(Failing(spool.parent / "nowhere"), spool)
    journal.append([{"id": identity} for identity in identities])
    end_unshipped(journal, others)
    return journal.instance


def ship_what_was_left(storage: Storage, spool: Path) -> None:
    assert Journal(storage, spool).close(10)
    assert [path.name for path in spool.iterdir()] == [".lock"], "nothing is left over"


@pytest.fixture
def spool(tmp_path: Path) -> Path:
    return tmp_path / "spool"


FORMAT_1 = Path(__file__).parents[1] / "fixtures" / "format-1" / "storage"


def test_lines_of_the_version_before_are_read_as_the_present_one_writes_them() -> None:
    lines = list(read(LocalStorage(FORMAT_1)))
    predictions = [line for line in lines if line["event"] == "prediction"]
    first = predictions[0]
    assert {key: first[key] for key in ("input", "task", "model", "request", "measured", "truncated")} == {
        "input": "text",
        "task": "classification",
        "model": "moorings",
        "request": {"text": "tie when is you mooring our we"},
        "measured": {"length": 9},
        "truncated": False,
    }
    assert first["answer"].keys() == {"label", "score", "top"}
    assert first["answer"]["top"][0] == {key: first["answer"][key] for key in ("label", "score")}
    assert first["answer"]["label"] == "berth"
    assert first.keys().isdisjoint({"kind", "label", "score", "top", "length"})
    assert {len(line) for line in predictions} == {12}
    feedback = next(line for line in lines if line["event"] == "feedback")
    assert feedback.keys() == {"event", "id", "time", "model", "version", "truth"}
    assert feedback["truth"] == {"label": "berth"}


def test_older_lines_of_jobs_and_of_hashed_requests_keep_what_they_have(storage: Storage) -> None:
    old = {"event": "prediction", "id": "1", "kind": "text", "input_sha256": "ab", "label": "a", "job": "j", "row": 1}
    storage.write_once("journal/date=2026-01-01/a-1.jsonl.gz", gzip.compress(json.dumps(old).encode()))
    assert list(read(storage)) == [
        {
            "event": "prediction",
            "id": "1",
            "input": "text",
            "task": "classification",
            "request_sha256": "ab",
            "measured": {},
            "answer": {"label": "a"},
            "job": "j",
            "row": 1,
        }
    ]


def test_what_is_appended_is_read(storage: Storage, spool: Path) -> None:
    lines = [{"id": 1, "text": "naïve\n\u2028\r\0", "top": [["a", 0.5]]}, {"id": 2, "kind": "feedback"}]
    journal = Journal(storage, spool)
    journal.append(lines)
    journal.append([])
    journal.append([{"id": 3, "score": math.nan}])
    assert journal.close(10)
    assert list(read(storage)) == [*lines, {"id": 3, "score": None}], "JSON knows no NaN"


def test_what_a_killed_process_reported_is_shipped_by_the_next_under_the_dead_ones_name(
    storage: Storage, spool: Path, tmp_path: Path
) -> None:
    reported = Doomed(tmp_path, "a", segment_bytes=2**20).kill()
    (dead,) = [folder.name for folder in spool.iterdir() if folder.is_dir()]
    assert storage.list("journal/") == []
    ship_what_was_left(storage, spool)
    (key,) = storage.list("journal/")
    assert key.endswith(f"/{dead}-000001.jsonl.gz")
    shipped = ids(storage)
    assert shipped[: len(reported)] == reported
    assert len(shipped) <= len(reported) + 1, "it may have been killed between an append and its report"


def test_two_processes_killed_and_restarted_again_and_again_lose_and_double_no_line(
    storage: Storage, spool: Path, tmp_path: Path
) -> None:
    reported: list[str] = []

    def die_again_and_again(who: str) -> None:
        for life in range(4):
            reported.extend(Doomed(tmp_path, f"{who}{life}", segment_bytes=5000).kill())

    with ThreadPoolExecutor(2) as pool:
        list(pool.map(die_again_and_again, "ab"))
    assert storage.list("journal/"), "they shipped while they lived"
    ship_what_was_left(storage, spool)
    shipped = Counter(ids(storage))
    assert set(shipped.values()) == {1}
    assert not set(reported) - set(shipped)
    assert len(shipped) <= len(reported) + 8


def test_processes_that_start_at_once_take_over_the_dead_without_disturbing_each_other(
    storage: Storage, spool: Path, tmp_path: Path
) -> None:
    for number in range(12):
        left_behind(spool, number)
    command = [sys.executable, "-c", STARTS_AND_ENDS, str(tmp_path / "storage"), str(spool)]
    racers = [subprocess.Popen(command, stderr=subprocess.PIPE, text=True) for _ in range(4)]
    time.sleep(0.5)
    (spool / "go").touch()
    assert [(racer.communicate()[1], racer.returncode) for racer in racers] == [("", 0)] * 4
    assert sorted(ids(storage)) == [*range(12)]
    assert sorted(path.name for path in spool.iterdir()) == [".lock", "go"]


def test_instances_that_come_and_go_at_once_share_a_spool(storage: Storage, spool: Path) -> None:
    def start(identity: int) -> Journal:
        journal = Journal(storage, spool)
        journal.append([{"id": identity}])
        return journal

    with ThreadPoolExecutor(8) as pool:
        assert all(pool.map(lambda journal: journal.close(10), [*pool.map(start, range(40))]))
    assert sorted(ids(storage)) == [*range(40)]
    assert [path.name for path in spool.iterdir()] == [".lock"]


def test_an_instance_that_lives_is_left_alone(storage: Storage, spool: Path) -> None:
    living = Journal(storage, spool)
    living.append([{"id": 1}])
    other = Journal(storage, spool)
    assert other.spooled_bytes == 0
    assert other.close(10)
    living.append([{"id": 2}])
    assert living.close(10)
    assert ids(storage) == [1, 2]


def test_what_is_taken_over_and_not_shipped_is_taken_over_again(storage: Storage, spool: Path, tmp_path: Path) -> None:
    first = left_behind(spool, 1)
    others = journals()
    second = Journal(Failing(tmp_path / "storage"), spool)
    second.append([{"id": 2}])
    end_unshipped(second, others)
    ship_what_was_left(storage, spool)
    assert sorted(ids(storage)) == [1, 2]
    names = {key.rpartition("/")[2] for key in storage.list("journal/")}
    assert names == {f"{first}-000001.jsonl.gz", f"{second.instance}-000001.jsonl.gz"}


def test_what_was_left_is_shipped_oldest_first(spool: Path, tmp_path: Path) -> None:
    dead = [left_behind(spool, number) for number in range(8)]
    storage = Failing(tmp_path / "storage")
    storage.down = False
    ship_what_was_left(storage, spool)
    assert [key.rpartition("/")[2] for key in storage.attempts] == [f"{name}-000001.jsonl.gz" for name in dead]


def test_what_is_no_instance_in_the_spool_is_left_alone(storage: Storage, spool: Path) -> None:
    (spool / "notes").mkdir(parents=True)
    (spool / "readme.jsonl").write_text("mine\n")
    assert Journal(storage, spool).close(10)
    assert sorted(path.name for path in spool.iterdir()) == [".lock", "notes", "readme.jsonl"]
    assert list((spool / "notes").iterdir()) == []
    assert storage.list() == []


def test_a_torn_last_line_is_dropped_and_counted(
    storage: Storage, spool: Path, caplog: pytest.LogCaptureFixture
) -> None:
    dead = left_behind(spool, 1, 2)
    (segment,) = (spool / dead).glob("*.jsonl")
    with segment.open("ab") as file:
        file.write(b'{"id": 3, "te')
    ship_what_was_left(storage, spool)
    assert ids(storage) == [1, 2]
    assert "ends with 13 bytes of a line that was never answered" in caplog.text


def test_a_segment_with_nothing_but_a_torn_line_makes_no_object(storage: Storage, spool: Path) -> None:
    dead = left_behind(spool, 1)
    (segment,) = (spool / dead).glob("*.jsonl")
    os.truncate(segment, 4)
    ship_what_was_left(storage, spool)
    assert storage.list() == []


def test_a_segment_that_was_shipped_and_not_yet_deleted_is_not_doubled(storage: Storage, spool: Path) -> None:
    dead = left_behind(spool, 1, 2)
    shutil.copytree(spool / dead, spool.parent / "copy")
    ship_what_was_left(storage, spool)
    (key,) = storage.list()
    first = storage.read(key)
    (spool.parent / "copy").rename(spool / dead)
    ship_what_was_left(storage, spool)
    assert ids(storage) == [1, 2]
    assert storage.read(key) == first
    assert first[4:8] == bytes(4), "the same lines make the same object at any time"


def test_a_name_used_again_loses_nothing(storage: Storage, spool: Path) -> None:
    for life in (1, 2):
        journal = Journal(storage, spool, instance="web")
        journal.append([{"id": life}])
        assert journal.close(10)
    assert sorted(ids(storage)) == [1, 2]
    assert all(key.rpartition("/")[2].startswith("web-") for key in storage.list())


@pytest.mark.parametrize("name", ["../x", "a/b", ".a", "a b", "a" * 65])
def test_a_name_that_could_leave_the_spool_is_refused(storage: Storage, spool: Path, name: str) -> None:
    with pytest.raises(JournalError, match="no name for an instance"):
        Journal(storage, spool, instance=name)
    assert not spool.exists()


def test_a_spool_that_cannot_be_used_is_refused_at_the_start(storage: Storage, spool: Path) -> None:
    spool.write_text("a file")
    with pytest.raises(JournalError, match=r"spool .* cannot be used"):
        Journal(storage, spool)


def test_a_segment_closes_when_it_is_full(storage: Storage, spool: Path) -> None:
    journal = Journal(storage, spool, segment_bytes=100)
    for number in range(5):
        journal.append([{"id": number, "text": "x" * 40}])
    wait_until(lambda: len(storage.list()) == 2)
    assert ids(storage) == [0, 1, 2, 3], "two lines fill a segment; the last one waits"
    assert journal.close(10)
    assert ids(storage) == [0, 1, 2, 3, 4]
    assert [key.rpartition("-")[2] for key in storage.list()] == [f"00000{n}.jsonl.gz" for n in (1, 2, 3)]


def test_a_segment_closes_when_its_time_has_come_and_nothing_more_is_appended(storage: Storage, spool: Path) -> None:
    journal = Journal(storage, spool, segment_seconds=0.1)
    for number in (1, 2):
        journal.append([{"id": number}])
        assert journal.lag_seconds > 0
        wait_until(lambda number=number: ids(storage) == [*range(1, number + 1)])
    wait_until(lambda: (journal.spooled_bytes, journal.lag_seconds) == (0, 0))
    assert journal.close(10)


@pytest.fixture
def far_east(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setenv("TZ", "EAST-14")
    time.tzset()
    yield
    monkeypatch.undo()
    time.tzset()


@pytest.mark.usefixtures("far_east")
def test_a_segments_day_is_the_day_in_utc_when_it_was_opened(
    storage: Storage, spool: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    journal = Journal(storage, spool, segment_bytes=100)
    midnight = datetime(2026, 1, 3, tzinfo=UTC).timestamp()
    for number, now in enumerate([midnight - 1, midnight + 1, midnight + 2]):
        monkeypatch.setattr(spool_module, "time", lambda now=now: now)
        journal.append([{"id": number, "text": "x" * 40}])
    assert journal.close(10)
    assert [key.split("/")[1] for key in storage.list()] == ["date=2026-01-02", "date=2026-01-03"]
    assert ids(storage) == [0, 1, 2]


def test_storage_that_fails_for_a_while_delays_and_loses_nothing(spool: Path, tmp_path: Path) -> None:
    storage = Failing(tmp_path / "storage")
    journal = Journal(storage, spool, segment_bytes=1)
    for number in range(5):
        journal.append([{"id": number}])
    wait_until(lambda: journal.failures >= 2)
    journal.append([{"id": 5}])
    assert journal.spooled_bytes == 6 * len(b'{"id":0}\n')
    assert journal.lag_seconds >= 0.1
    storage.down = False
    wait_until(lambda: len(storage.list()) == 6)
    assert journal.close(10)
    assert ids(storage) == [*range(6)]
    assert (journal.spooled_bytes, journal.lag_seconds) == (0, 0)


def test_failing_storage_is_asked_ever_more_rarely(spool: Path, tmp_path: Path) -> None:
    others = journals()
    storage = Failing(tmp_path / "storage")
    journal = Journal(storage, spool, segment_bytes=1)
    for number in range(100):
        journal.append([{"id": number}])
    time.sleep(0.6)
    assert 1 <= len(storage.attempts) <= 3, "at 0, 0.1 and 0.3 s; then at 0.7"
    assert journal.failures == len(storage.attempts)
    end_unshipped(journal, others)


def test_one_segment_that_cannot_be_shipped_does_not_hold_up_the_others(storage: Storage, spool: Path) -> None:
    dead = left_behind(spool, 1)
    (segment,) = (spool / dead).glob("*.jsonl")
    segment.unlink()
    segment.mkdir()
    journal = Journal(storage, spool)
    journal.append([{"id": 2}])
    assert not journal.close(0.5)
    assert ids(storage) == [2]


def test_closing_does_not_sit_out_a_pause(spool: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(spool_module, "_FIRST_BACKOFF", 60)
    storage = Failing(tmp_path / "storage")
    journal = Journal(storage, spool, segment_bytes=1)
    journal.append([{"id": 1}])
    wait_until(lambda: journal.failures == 1)
    storage.down = False
    assert journal.close(10)
    assert ids(storage) == [1]


def test_slow_storage_holds_up_no_append_and_no_close(spool: Path, tmp_path: Path) -> None:
    others = journals()
    storage = Stuck(tmp_path / "storage")
    journal = Journal(storage, spool, segment_bytes=1)
    journal.append([{"id": 0}])
    assert storage.reached.wait(10)
    started = time.monotonic()
    for number in range(1, 50):
        journal.append([{"id": number}])
    assert not journal.close(0.1)
    assert time.monotonic() - started < 5
    assert Journal(LocalStorage(tmp_path / "storage"), spool).close(10)
    assert LocalStorage(tmp_path / "storage").list() == [], "what is being written is not taken over"
    storage.let_go.set()
    wait_until(lambda: journals() <= others)
    ship_what_was_left(LocalStorage(tmp_path / "storage"), spool)
    assert ids(storage) == [*range(50)]


def test_segments_close_in_time_while_storage_is_stuck(spool: Path, tmp_path: Path) -> None:
    storage = Stuck(tmp_path / "storage")
    journal = Journal(storage, spool, segment_seconds=0.05)
    journal.append([{"id": 0}])
    assert storage.reached.wait(10)
    for number in (1, 2):
        journal.append([{"id": number}])
        time.sleep(0.06)
    storage.let_go.set()
    assert journal.close(10)
    assert ids(storage) == [0, 1, 2]
    assert len(storage.list()) == 3


def test_when_the_spool_is_full_nothing_more_is_taken_until_something_is_shipped(spool: Path, tmp_path: Path) -> None:
    storage = Failing(tmp_path / "storage")
    journal = Journal(storage, spool, segment_bytes=200, most_spooled_bytes=1000)
    line = {"id": 0, "text": "x" * 80}
    for _ in range(10):
        journal.append([line])
    with pytest.raises(JournalFull, match=r"\d+ bytes of the journal wait to be shipped, of at most 1000"):
        journal.append([line])
    assert not journal.close(0)

    heir = Journal(storage, spool, most_spooled_bytes=1000)
    with pytest.raises(JournalFull):  # what the dead left counts
        heir.append([line])
    storage.down = False
    wait_until(lambda: heir.spooled_bytes == 0)
    heir.append([line])
    assert heir.close(10)
    assert len(ids(storage)) == 11


FILLS_THE_DISK = f"""{START}
ballast = spool / "ballast"
ballast.write_bytes(bytes(64 * 1024))
journal = Journal(storage, spool)
write_once, storage.write_once = storage.write_once, None  # it is down
taken, refused, checked = [], [], ""
for number in range(200):
    if number == 150:
        try:
            journal.check()
        except JournalError as error:
            checked = str(error)
        ballast.unlink()
    try:
        journal.append([{{"id": 2 * number, "text": "x" * 500}}, {{"id": 2 * number + 1, "text": "y" * 500}}])
        taken += [2 * number, 2 * number + 1]
    except JournalError as error:
        refused.append(str(error))
spooled, storage.write_once = journal.spooled_bytes, write_once
print(json.dumps([taken, refused, checked, spooled, journal.close(10)]))
"""
APPENDS_MORE_THAN_THE_DISK_HOLDS = f"""{START}
journal, limit = Journal(storage, spool), time.monotonic() + 20
for number in range(600):
    while True:
        try:
            journal.append([{{"id": number, "text": "x" * 1000}}])
            break
        except JournalError:
            assert time.monotonic() < limit, f"line {{number}} finds no room"
            time.sleep(0.01)
print(json.dumps(journal.close(10)))
"""


def run_on_small_disk(script: str, spool: Path, storage: Path) -> Any:
    """What the script prints at last, where the spool may have 192 kB."""
    if shutil.which("unshare") is None or subprocess.run(["unshare", "-Urm", "true"], capture_output=True).returncode:
        pytest.skip("needs unshare and user namespaces, for a small file system of its own")
    spool.mkdir()
    mounted = ["unshare", "-Urm", "sh", "-c", 'mount -t tmpfs -o size=192k tmpfs "$0" && exec "$@"', str(spool)]
    child = [sys.executable, "-c", script, str(storage), str(spool)]
    ended = subprocess.run([*mounted, *child], capture_output=True, text=True)
    assert ended.returncode == 0, ended.stderr
    return json.loads(ended.stdout)


def test_a_full_disk_refuses_whole_appends_and_tears_no_line(storage: Storage, spool: Path, tmp_path: Path) -> None:
    taken, refused, checked, spooled, shipped = run_on_small_disk(FILLS_THE_DISK, spool, tmp_path / "storage")
    assert any("bytes could be written" in error for error in refused), "a write that went in by half"
    assert all(f"the journal's spool {spool} cannot be written" in error for error in refused)
    assert "No space left" in checked
    assert {298, 299, 300, 301, 398, 399} - set(taken) == {298, 299}, "it went on when there was room again"
    assert shipped
    lines = list(read(storage))
    assert [line["id"] for line in lines] == taken
    assert spooled == sum(len(f'{{"id":{line["id"]},"text":"{line["text"]}"}}\n') for line in lines)


def test_a_disk_that_the_journal_fills_is_emptied_before_the_segments_time_has_come(
    storage: Storage, spool: Path, tmp_path: Path
) -> None:
    assert run_on_small_disk(APPENDS_MORE_THAN_THE_DISK_HOLDS, spool, tmp_path / "storage")
    assert ids(storage) == list(range(600))


def test_appends_from_many_threads_keep_each_ones_order_and_each_lists_lines_together(
    storage: Storage, spool: Path
) -> None:
    journal = Journal(storage, spool, segment_bytes=20_000)

    def work(thread: int) -> None:
        for number in range(0, 200, 2):
            journal.append([{"id": [thread, number]}, {"id": [thread, number + 1]}])

    with ThreadPoolExecutor(8) as pool:
        list(pool.map(work, range(8)))
    assert journal.close(10)
    shipped = ids(storage)
    for thread in range(8):
        assert [number for owner, number in shipped if owner == thread] == [*range(200)]
    assert all(second == [first[0], first[1] + 1] for first, second in pairwise(shipped) if first[1] % 2 == 0)


def test_of_lines_of_which_one_is_no_json_none_is_written(storage: Storage, spool: Path) -> None:
    journal = Journal(storage, spool)
    with pytest.raises(ValueError, match="serialize"):
        journal.append([{"id": 1}, {"id": object()}])
    assert journal.spooled_bytes == 0
    assert journal.close(10)
    assert ids(storage) == []


def test_a_closed_journal_takes_nothing_and_can_be_closed_again(storage: Storage, spool: Path) -> None:
    journal = Journal(storage, spool)
    assert journal.close(10)
    assert journal.close(10)
    with pytest.raises(JournalError, match="the journal is closed"):
        journal.append([{"id": 1}])


def test_reading_begins_at_a_day_and_passes_over_what_is_no_part_of_the_journal(storage: Storage) -> None:
    for day in ("2026-01-01", "2026-01-02", "2026-01-03"):
        storage.write_once(f"journal/date={day}/a-000001.jsonl.gz", gzip.compress(b'{"id": "%b"}\n' % day.encode()))
    storage.write("journal/README.md", b"what this is")
    assert ids(storage) == ["2026-01-01", "2026-01-02", "2026-01-03"]
    assert [line["id"] for line in read(storage, since=date(2026, 1, 2))] == ["2026-01-02", "2026-01-03"]


@pytest.mark.parametrize(
    ("data", "said"),
    [
        (gzip.compress(b'{"id": 1}\n{"id": \n', mtime=0), "line 2 is not JSON"),
        (gzip.compress(b'{"id": 1}\n\n{"id": 2}\n', mtime=0), "line 2 is not JSON"),
        (gzip.compress(b'{"id": 1}\n[2]\n', mtime=0), "line 2 is not a JSON object"),
        (gzip.compress(b'{"id": 1}\n', mtime=0)[:-9], "is not gzip"),
        (b'{"id": 1}\n', "is not gzip"),
    ],
)
def test_what_is_no_line_is_named_with_its_object(storage: Storage, data: bytes, said: str) -> None:
    storage.write("journal/date=2026-01-02/a-000001.jsonl.gz", data)
    with pytest.raises(JournalError, match=rf"journal/date=2026-01-02/a-000001\.jsonl\.gz,? {said}"):
        list(read(storage))


# ---- what becomes of a spool that something else empties, as cleaners of temporary files do


def remove_segments(own: Path) -> None:
    for segment in own.glob("*.jsonl"):
        segment.unlink()


def replace_segments(own: Path) -> None:
    for segment in own.glob("*.jsonl"):
        segment.unlink()
        segment.write_bytes(b"not ours")


REMOVALS: dict[str, Callable[[Path], object]] = {
    "segments": remove_segments,
    "segments, and others put there": replace_segments,
    "lock": lambda own: (own / ".lock").unlink(),
    "folder": remove_at_once,
    "spool": lambda own: remove_at_once(own.parent),
    "spool, by another name": lambda own: own.parent.rename(own.parent.with_name("moved")),
}


@pytest.mark.parametrize("closed", [False, True])
@pytest.mark.parametrize("remove", REMOVALS.values(), ids=REMOVALS.keys())
def test_what_is_removed_from_the_spool_is_made_anew_and_no_line_is_lost(
    spool: Path, tmp_path: Path, remove: Callable[[Path], object], closed: bool
) -> None:
    others, down = journals(), Failing(tmp_path / "storage")
    journal = Journal(down, spool, segment_bytes=1 if closed else 1000)
    journal.append([{"id": 0}])
    remove(spool / journal.instance)
    journal.append([{"id": 1}])
    journal.check()
    assert journal.trouble is None
    wait_until(lambda: journal.repairs > 0)
    end_unshipped(journal, others)
    ship_what_was_left(LocalStorage(tmp_path / "storage"), spool)
    assert sorted(ids(LocalStorage(tmp_path / "storage"))) == [0, 1], "from the disk, as after kill -9"


def test_it_is_noticed_where_nothing_is_appended(
    storage: Storage, spool: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(spool_module, "CHECK_SECONDS", 0.05)
    journal = Journal(storage, spool)
    journal.append([{"id": 0}])
    remove_at_once(spool)
    wait_until(lambda: journal.repairs > 0 and ids(storage) == [0])
    lock = spool / journal.instance / ".lock"
    lock.unlink()
    wait_until(lock.exists)
    assert Journal(storage, spool).close(10), "nobody takes over what lives"
    assert lock.exists()
    assert journal.close(10)


def test_a_lock_never_looks_old(storage: Storage, spool: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(spool_module, "CHECK_SECONDS", 0.02)
    journal = Journal(storage, spool)
    lock = spool / journal.instance / ".lock"
    os.utime(lock, (0, 0))
    wait_until(lambda: time.time() - lock.stat().st_mtime < 60)
    assert journal.close(10)


def test_what_another_took_from_its_living_owner_and_shipped_is_not_doubled(storage: Storage, spool: Path) -> None:
    journal = Journal(storage, spool)
    journal.append([{"id": 0}])
    (segment,) = (spool / journal.instance).glob("*.jsonl")
    taker = spool / f"taker-{'0' * 16}"
    taker.mkdir()
    segment.rename(taker / segment.name)
    assert Journal(storage, spool).close(10)
    assert ids(storage) == [0]
    journal.append([{"id": 1}])
    assert journal.close(10)
    assert sorted(ids(storage)) == [0, 1]


def test_lines_that_an_object_lacks_because_it_was_shipped_too_soon_are_shipped(storage: Storage, spool: Path) -> None:
    dead = left_behind(spool, 0, 1)
    (segment,) = (spool / dead).glob("*.jsonl")
    stamp, _, name = segment.name.partition(".")
    storage.write_once(f"journal/date={stamp[:10]}/{name}.gz", gzip.compress(b'{"id":0}\n'))
    ship_what_was_left(storage, spool)
    assert sorted(ids(storage)) == [0, 1]


def test_a_spool_that_cannot_be_made_anew_refuses_and_says_so_until_it_can(spool: Path, tmp_path: Path) -> None:
    others = journals()
    journal = Journal(Failing(tmp_path / "storage"), spool)
    journal.append([{"id": 0}])
    journal.check()
    replace_by_a_file(spool)
    for ask in (journal.check, lambda: journal.append([{"id": 1}])):
        with pytest.raises(JournalError, match=rf"spool {spool} cannot be written"):
            ask()
        assert journal.trouble is not None
    spool.unlink()
    journal.check()
    assert journal.trouble is None
    journal.append([{"id": 2}])
    wait_until(lambda: journal.repairs > 1)
    end_unshipped(journal, others)
    ship_what_was_left(LocalStorage(tmp_path / "storage"), spool)
    assert sorted(ids(LocalStorage(tmp_path / "storage"))) == [0, 2]


def test_a_full_spool_is_said_before_a_request_is_refused_and_no_longer_than_it_is(spool: Path, tmp_path: Path) -> None:
    storage = Failing(tmp_path / "storage")
    journal = Journal(storage, spool, segment_bytes=1, most_spooled_bytes=10_000)
    assert not journal.is_crowded
    journal.append([{"id": 0, "text": "x" * 9_900}])
    journal.append([{"id": 1}])
    journal.append([{"id": 2, "text": "x" * 50}])
    assert journal.is_crowded
    with pytest.raises(JournalFull):
        journal.check()
    assert journal.trouble is not None
    storage.down = False
    wait_until(lambda: journal.spooled_bytes == 0)
    wait_until(lambda: journal.trouble is None)
    assert journal.close(10)
