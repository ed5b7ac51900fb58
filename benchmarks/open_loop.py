"""Asks at a fixed rate, however slow the answers: what wrk, which waits for them, cannot.  Raw sockets on uvloop."""

import asyncio
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from itertools import cycle
from time import perf_counter, process_time
from typing import cast

import uvloop

TICK_SECONDS = 0.002
PATIENCE_SECONDS = 30
_HEAD = b"POST /predict HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n%s"


@dataclass
class Asked:
    """What became of the requests: by status, the seconds that each answer took; and how many got none."""

    seconds: dict[int, list[float]] = field(default_factory=dict)
    broken: int = 0
    asker_cores: float = 0.0
    """What asking took itself."""


class _Connection(asyncio.Protocol):
    def __init__(self, idle: "list[_Connection]", asked: Asked) -> None:
        self._idle = idle
        self._asked = asked
        self._began = 0.0
        self._received = b""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)

    def ask(self, request: bytes) -> None:
        self._began = perf_counter()
        self._transport.write(request)

    def data_received(self, data: bytes) -> None:
        self._received += data
        head, ended, body = self._received.partition(b"\r\n\r\n")
        if not ended:
            return
        lowered = head.lower()
        _, _, rest = lowered.partition(b"content-length:")
        if len(body) < int(rest.split(b"\r\n", 1)[0]):
            return
        self._asked.seconds.setdefault(int(head[9:12]), []).append(perf_counter() - self._began)
        self._received = b""
        if b"connection: close" in lowered:
            self._transport.close()
        else:
            self._idle.append(self)

    def connection_lost(self, exc: Exception | None) -> None:  # noqa: ARG002
        if self in self._idle:
            self._idle.remove(self)


def ask_at_rate(port: int, bodies: Sequence[bytes], rate: float, seconds: float) -> Asked:
    """POST /predict so many times a second; a request for which no connection is idle opens one."""
    return uvloop.run(_ask(port, bodies, rate, seconds))


async def _ask(port: int, bodies: Sequence[bytes], rate: float, seconds: float) -> Asked:
    requests = cycle([_HEAD % (len(body), body) for body in bodies])
    loop, asked = asyncio.get_running_loop(), Asked()
    idle: list[_Connection] = []
    opening: set[asyncio.Task[None]] = set()

    async def ask_anew(request: bytes) -> None:
        with suppress(OSError):
            _, opened = await loop.create_connection(lambda: _Connection(idle, asked), "127.0.0.1", port)
            opened.ask(request)

    began, computed, sent = perf_counter(), process_time(), 0
    while (passed := perf_counter() - began) < seconds:
        for _ in range(int(passed * rate) - sent):
            if idle:
                idle.pop().ask(next(requests))
            else:
                opening.add(task := asyncio.create_task(ask_anew(next(requests))))
                task.add_done_callback(opening.discard)
            sent += 1
        await asyncio.sleep(TICK_SECONDS)
    asked.asker_cores = (process_time() - computed) / seconds
    limit = perf_counter() + PATIENCE_SECONDS
    while (answered := sum(map(len, asked.seconds.values()))) < sent and perf_counter() < limit:
        await asyncio.sleep(0.05)
    asked.broken = sent - answered
    return asked
