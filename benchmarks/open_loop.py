"""Open-loop load: requests at a fixed rate, however slow the answers are, which wrk cannot do. Sockets on uvloop."""

import asyncio
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from itertools import cycle
from time import perf_counter, process_time
from typing import cast

import uvloop

TICK_SECONDS = 0.002
PATIENCE_SECONDS = 30
_HEAD = b"POST /predict HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n%s"


@dataclass
class Outcome:
    """The seconds that each answer took, by status, and the requests without an answer, by what became of them."""

    seconds: dict[int, list[float]] = field(default_factory=dict)
    unanswered: Counter[str] = field(default_factory=Counter)
    asker_cores: float = 0.0
    """The cores that sending the requests used."""


class _Connection(asyncio.Protocol):
    def __init__(self, idle: "list[_Connection]", outcome: Outcome, first: bytes) -> None:
        self._idle = idle
        self._outcome = outcome
        self._first = first
        self._waits = False
        self._sent_at = 0.0
        self._used = "a new connection"
        self._received = b""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)
        self.send(self._first)

    def send(self, request: bytes) -> None:
        now = perf_counter()
        if self._sent_at:
            self._used = f"a connection last used {now - self._sent_at:.0f} s before"
        self._waits, self._sent_at = True, now
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
        self._outcome.seconds.setdefault(int(head[9:12]), []).append(perf_counter() - self._sent_at)
        self._waits, self._received = False, b""
        if b"connection: close" in lowered:
            self._transport.close()
        else:
            self._idle.append(self)

    def connection_lost(self, exc: Exception | None) -> None:
        if self in self._idle:
            self._idle.remove(self)
        if self._waits:
            self._outcome.unanswered[f"{type(exc).__name__ if exc else 'closed'}: {self._used}"] += 1


def ask_at_rate(port: int, bodies: Sequence[bytes], rate: float, seconds: float) -> Outcome:
    """POST /predict `rate` times a second; opens a connection whenever none is idle."""
    return uvloop.run(_send(port, bodies, rate, seconds))


async def _send(port: int, bodies: Sequence[bytes], rate: float, seconds: float) -> Outcome:
    requests = cycle([_HEAD % (len(body), body) for body in bodies])
    loop, outcome = asyncio.get_running_loop(), Outcome()
    idle: list[_Connection] = []
    opening: set[asyncio.Task[None]] = set()

    async def send_anew(request: bytes) -> None:
        try:
            await loop.create_connection(lambda: _Connection(idle, outcome, request), "127.0.0.1", port)
        except OSError as failed:
            outcome.unanswered[f"{type(failed).__name__}: no connection"] += 1

    start, cpu_start, sent = perf_counter(), process_time(), 0
    while (elapsed := perf_counter() - start) < seconds:
        for _ in range(int(elapsed * rate) - sent):
            if idle:
                idle.pop().send(next(requests))
            else:
                opening.add(task := asyncio.create_task(send_anew(next(requests))))
                task.add_done_callback(opening.discard)
            sent += 1
        await asyncio.sleep(TICK_SECONDS)
    outcome.asker_cores = (process_time() - cpu_start) / seconds
    deadline = perf_counter() + PATIENCE_SECONDS

    def waiting() -> int:
        return sent - sum(map(len, outcome.seconds.values())) - outcome.unanswered.total()

    while waiting() and perf_counter() < deadline:
        await asyncio.sleep(0.05)
    if late := waiting():
        outcome.unanswered[f"not within {PATIENCE_SECONDS} s"] = late
    return outcome
