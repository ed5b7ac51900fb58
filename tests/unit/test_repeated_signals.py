"""One order to end may come several times at once: to the whole process group, and passed on by each parent."""

import asyncio
import signal
from pathlib import Path

import pytest

from boatyard.api import Application, server
from boatyard.api.settings import Settings
from boatyard.train import stopping

pytestmark = pytest.mark.unit


@pytest.mark.parametrize(("together", "ends"), [(60.0, False), (0.0, True)])
def test_a_server_drains_unless_it_is_told_again_later(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, together: float, ends: bool
) -> None:
    monkeypatch.setattr(server, "REPEAT_SECONDS", together)
    settings = Settings(storage=str(tmp_path), drain_seconds=60)
    draining = server.make_server(Application(settings), settings)
    for _ in range(3):
        draining.handle_exit(signal.SIGTERM, None)
    asyncio.run(draining.on_tick(1))
    assert draining.should_exit == ends


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT, signal.SIGHUP])
def test_training_finishes_its_step_unless_it_is_told_again_later(
    monkeypatch: pytest.MonkeyPatch, number: signal.Signals
) -> None:
    before = signal.signal(number, lambda *_: ended.append(number))
    ended: list[int] = []
    try:
        with stopping.StopOnSignal() as stop:
            for _ in range(3):
                signal.raise_signal(number)
            assert (stop.received, ended) == (number, [])
            monkeypatch.setattr(stopping, "REPEAT_SECONDS", 0.0)
            signal.raise_signal(number)
            assert ended == [number]
    finally:
        signal.signal(number, before)


def test_what_nohup_ignores_training_ignores() -> None:
    before = signal.signal(signal.SIGHUP, signal.SIG_IGN)
    try:
        with stopping.StopOnSignal() as stop:
            signal.raise_signal(signal.SIGHUP)
            assert not stop.received
    finally:
        signal.signal(signal.SIGHUP, before)
