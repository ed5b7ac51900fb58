"""uvicorn's HTTP protocol, with limits on the size of a request's head and on the time it may take.

What is refused here never reaches the app, nor its log and metrics. Offers to upgrade to another protocol (h2c by curl
and Java, WebSocket) are ignored, as HTTP allows: the request is answered as if it had none.
"""

from asyncio import TimerHandle, Transport
from types import SimpleNamespace
from typing import Any

import uvicorn
from httptools import HttpParserError, HttpParserUpgrade, HttpRequestParser
from starlette.types import ASGIApp
from uvicorn.protocols.http.httptools_impl import STATUS_LINE, HttpToolsProtocol

from boatyard.api.problems import Problem
from boatyard.config.open_files import allow_open_files, most_open_files

MOST_HEAD_BYTES = 16 * 1024  # the request line and all headers
HEAD_SECONDS = 10.0  # from connecting, or from a later head's first byte; also for a body that arrives after its answer
# between an answer that ends the connection and closing it: unread bytes would reset it, and the answer be lost
LINGER_SECONDS = 2.0
IDLE_SECONDS = 620  # between requests; Google's load balancers keep a connection for 600, most clients for less
CROWD, CROWDED_IDLE_SECONDS = 4096, 5  # where more connections were open at its last answer, one waits less
READ_SECONDS = 0.001  # uvloop runs timers before it reads: what came while it was busy, it reads within this time


class BoundedProtocol(HttpToolsProtocol):
    """A connection that slow or endless senders cannot hold open, and whose refusals are problem documents."""

    def __init__(self, *arguments: Any, **named: Any) -> None:
        super().__init__(*arguments, **named)
        self._in_head = True  # or before it; else in a body
        self._head_bytes = 0
        self._closing = False  # and what still comes is passed over
        self._timer: TimerHandle | None = None
        most = most_open_files()
        self._crowd = CROWD if most is None else min(CROWD, most // 2)

    def connection_made(self, transport: Transport) -> None:  # type: ignore[override]  # noqa: D102 - asyncio's own
        super().connection_made(transport)
        # of a request, for which uvicorn would close at once
        self._output = SimpleNamespace(write=transport.write, is_closing=transport.is_closing, close=self._close)
        self._start_timer()

    def connection_lost(self, exc: Exception | None) -> None:  # noqa: D102 - asyncio's own
        self._stop_timer()
        self._unset_keepalive_if_required()  # uvicorn does not if there was an error
        self._output.close = self.transport.close  # so that this is freed without the garbage collector
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:  # noqa: D102 - asyncio's own
        fed = 0
        while fed < len(data) and not self._closing:
            piece = data[fed : fed + MOST_HEAD_BYTES - self._head_bytes]
            fed += len(piece)
            self._head_bytes += len(piece) * self._in_head
            self._parse(piece)
            if self._closing or not self._head_bytes:
                continue
            if self._head_bytes >= MOST_HEAD_BYTES:
                self._refuse(431, f"the request line and headers may have {MOST_HEAD_BYTES} bytes")
            elif self._timer is None:
                self._start_timer()

    def on_message_begin(self) -> None:  # noqa: D102 - httptools' own
        super().on_message_begin()
        self._head_bytes = max(self._head_bytes, 1)  # one that begins behind another request has its time, too

    def on_headers_complete(self) -> None:  # noqa: D102 - httptools' own
        if self.parser.should_upgrade():  # called again, without the offer
            return
        super().on_headers_complete()
        self.cycle.transport = self._output  # type: ignore[assignment]
        self._in_head, self._head_bytes = False, 0
        self._stop_timer()
        self._unset_keepalive_if_required()

    def on_message_complete(self) -> None:  # noqa: D102 - httptools' own
        if self.parser.should_upgrade():  # called again, without the offer
            return
        super().on_message_complete()
        self._in_head = True
        self._stop_timer()
        if self.cycle.response_complete:  # before its body was: the wait for the next request begins again
            self.timeout_keep_alive_task = self.loop.call_later(
                self.timeout_keep_alive, self.timeout_keep_alive_handler
            )

    def on_response_complete(self) -> None:  # noqa: D102 - uvicorn's own
        crowded = len(self.connections) > self._crowd
        self.timeout_keep_alive = CROWDED_IDLE_SECONDS if crowded else IDLE_SECONDS
        super().on_response_complete()
        if self.cycle.response_complete:
            self.cycle.body.clear()  # what nobody has read: the connection may be idle for long
            if not (self._in_head or self._closing):  # nobody waits for the rest of it
                self._start_timer()

    def timeout_keep_alive_handler(self) -> None:  # noqa: D102 - uvicorn's own
        self.timeout_keep_alive_task = self.loop.call_later(READ_SECONDS, super().timeout_keep_alive_handler)

    def shutdown(self) -> None:  # noqa: D102 - uvicorn's own
        self.loop.call_later(READ_SECONDS, super().shutdown)

    def _parse(self, data: bytes) -> None:
        self._unset_keepalive_if_required()
        while data:
            try:
                self.parser.feed_data(data)
            except HttpParserUpgrade as offer:  # the parser takes what follows the head to be in the other protocol
                if self.parser.get_method() == b"CONNECT":
                    self._refuse(501, "this server is not a proxy")
                    return
                data = self._head_without_offer() + data[offer.args[0] :]
                self.parser = HttpRequestParser(self)  # the old one is at its end where the connection is to be closed
                self.parser.set_dangerous_leniencies(lenient_data_after_close=True)  # as uvicorn does
            except HttpParserError:
                self._refuse(400, "this is not an HTTP/1.1 request")
                return
            else:
                return

    def _head_without_offer(self) -> bytes:
        start = b"%b %b HTTP/%b" % (self.parser.get_method(), self.url, self.parser.get_http_version().encode())
        lines = [b"%b: %b" % header for header in self.headers if header[0] != b"upgrade"]
        return b"\r\n".join([start, *lines, b"", b""])

    def _start_timer(self) -> None:
        self._timer = self.loop.call_later(HEAD_SECONDS, self._read_once_more)

    def _read_once_more(self) -> None:
        self._timer = self.loop.call_later(READ_SECONDS, self._expire)

    def _stop_timer(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _expire(self) -> None:
        if self._head_bytes and not self.transport.is_closing():
            self._refuse(408, f"the request's head was not complete within {HEAD_SECONDS:g} seconds")
        else:  # no request came, or it was answered already
            self.transport.close()

    def _refuse(self, status: int, detail: str) -> None:
        self._closing = True
        self._stop_timer()
        cycle = self.cycle
        if cycle is not None and not cycle.response_complete:
            if self._in_head:  # of the next request, while this one is being answered
                cycle.keep_alive = False
                return
            if cycle.response_started or self.pipeline:  # a second response must not interrupt the first
                self.transport.close()
                return
            cycle.disconnected = True
            cycle.message_event.set()
        response = Problem(status, detail, headers={"connection": "close"}).response()
        headers = [*self.server_state.default_headers, *response.raw_headers]
        lines = b"".join(b"%b: %b\r\n" % header for header in headers)
        self.transport.write(STATUS_LINE[status] + lines + b"\r\n" + response.body)
        self._linger()

    def _close(self) -> None:
        """After an answer that says so. The rest of its request may be on its way."""
        if self.transport.is_closing() or (self._in_head and not self._closing):
            self.transport.close()
        else:
            self._linger()

    def _linger(self) -> None:
        """Passes over what still comes, and closes."""
        self._closing = True
        self._stop_timer()
        self.pipeline.clear()
        self._output.write = lambda _: None  # an app may not know yet
        self.flow.resume_reading()
        self.transport.write_eof()
        self._timer = self.loop.call_later(LINGER_SECONDS, self.transport.close)


def configured(app: ASGIApp, host: str, port: int, **options: Any) -> uvicorn.Config:
    """uvicorn with this protocol, for as many connections as the system allows; logging is left as it is."""
    allow_open_files()
    # there are no WebSocket routes, and uvicorn's protocol for them has no limits
    return uvicorn.Config(
        app, host, port, http=BoundedProtocol, ws="none", log_config=None, access_log=False, **options
    )
