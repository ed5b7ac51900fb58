"""Preparing by several processes: the same bytes, and what becomes of processes that are killed."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest
from plants import write_plants
from stages import plants_config

from boatyard.config.errors import Failed
from boatyard.data import reading, workers
from boatyard.data.encode import encode
from boatyard.data.prepare import prepare
from boatyard.data.workers import in_order

pytestmark = [pytest.mark.integration, pytest.mark.slow]

_BAD = b'caf\xe9 light,light\n,pests\ntiny flies sit on my fern,pests\n"never closed,light\nsome, too, many\n'
_WORK = """
import os, time
def make():
    def work(thing):
        os.write(1, f"{os.getpid()}\\n".encode())  # in one piece, whatever else writes there
        time.sleep(0.1)
        return thing
    return work
"""
_SCRIPT = """
from boatyard.data import workers
from work import make
workers._ALONE, workers._workers = 0, lambda: 2
try:
    for _ in workers.in_order(make, (), range(1_000)): pass
except KeyboardInterrupt:
    raise SystemExit(130)
"""  # without a guard: workers do not run it


@pytest.fixture
def at_once(monkeypatch: pytest.MonkeyPatch) -> Callable[[int], None]:
    """Let so many workers start with the second piece of work."""

    def let(processes: int) -> None:
        monkeypatch.setattr(workers, "_ALONE", 0)
        monkeypatch.setattr(workers, "_workers", lambda: processes)

    return let


def content(folder: Path) -> dict[str, bytes]:
    return {str(file.relative_to(folder)): file.read_bytes() for file in sorted(folder.rglob("*")) if file.is_file()}


def test_rows_are_the_same_to_the_byte_however_many_processes_prepare_them(
    tmp_path: Path, at_once: Callable[[int], None], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(reading, "_PIECE", 7)
    found = []
    for processes in (1, 2):
        at_once(processes)
        root = tmp_path / str(processes)
        root.mkdir()
        rows = write_plants(root / "plants.csv")
        with rows.open("ab") as file:
            file.write(_BAD)
        config = plants_config(root, rows, "data.on_bad_row=quarantine")
        prepared = prepare(config)
        encoded = encode(config, prepared)
        found.append(
            (prepared.fingerprint, encoded.fingerprint, content(root / "processed"), content(root / "reports"))
        )
    assert found[0] == found[1]
    assert any(name.endswith("quarantine.csv") for name in found[0][3])


def killed(_: str) -> Callable[[int], int]:
    def work(thing: int) -> int:
        if thing == 5:
            os.kill(os.getpid(), signal.SIGKILL)
        return thing

    return work


def test_a_killed_worker_is_told_in_one_sentence(at_once: Callable[[int], None]) -> None:
    at_once(2)
    done = []
    with pytest.raises(Failed, match=r"a worker process was killed.*OMP_NUM_THREADS=1"):
        done.extend(in_order(killed, ("",), range(50)))


@pytest.mark.skipif(os.name == "nt", reason="other signals")
@pytest.mark.parametrize(("ending", "status"), [(signal.SIGINT, 130), (signal.SIGKILL, -signal.SIGKILL)])
def test_workers_end_with_their_parent(tmp_path: Path, ending: signal.Signals, status: int) -> None:
    (tmp_path / "work.py").write_text(_WORK)
    (script := tmp_path / "script.py").write_text(_SCRIPT)
    with subprocess.Popen(
        [sys.executable, script], stdout=subprocess.PIPE, text=True, start_new_session=True
    ) as parent:
        assert parent.stdout is not None
        seen = {parent.pid}
        while len(seen) < 3:
            seen.add(int(parent.stdout.readline()))
        if ending == signal.SIGINT:
            os.killpg(parent.pid, ending)  # as Ctrl-C does
        else:
            parent.send_signal(ending)
        assert parent.wait(10) == status
    deadline = time.monotonic() + 10
    while any(map(alive, seen)):
        assert time.monotonic() < deadline, "a worker is left"
        time.sleep(0.05)


def alive(process: int) -> bool:
    try:
        os.kill(process, 0)
    except ProcessLookupError:
        return False
    return "\nState:\tZ" not in Path(f"/proc/{process}/status").read_text()
