"""A proxy that fails as networks and busy services do."""

import http.client
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from types import TracebackType
from typing import Literal, Self, get_args
from urllib.parse import urlsplit

Fault = Literal["429", "500", "503", "cut", "lost", "torn", "garbled", "garbled request", "401", "403", "stalled"]
"""A status; the connection cut before the request is passed on, or after it (its answer lost, or torn in half); a byte
changed, of the answer or, where the request has the word `intact`, of that; no answer for a second."""

PASSING: tuple[Fault, ...] = get_args(Fault)[:6]


@dataclass(frozen=True)
class Request:
    method: str
    path: str
    body: bytes


class FaultyProxy:
    """Passes requests on; each takes the next of `faults`, if any is left."""

    def __init__(self, target: str) -> None:
        self.target = urlsplit(target).netloc
        self.faults: Iterator[Fault | None] = iter(())
        self.requests: list[Request] = []
        self._lock = threading.Lock()
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), _Handler)
        self._server.daemon_threads = True
        self._server.proxy = self  # type: ignore[attr-defined]
        self.url = f"http://127.0.0.1:{self._server.server_port}"

    def take(self, request: Request) -> Fault | None:
        with self._lock:
            self.requests.append(request)
            return next(self.faults, None)

    def __enter__(self) -> Self:
        threading.Thread(target=self._server.serve_forever, args=(0.05,), daemon=True).start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, raised: BaseException | None, at: TracebackType | None
    ) -> None:
        self._server.shutdown()
        self._server.server_close()


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True

    def pass_on(self) -> None:
        proxy: FaultyProxy = self.server.proxy  # type: ignore[attr-defined]
        body = self.rfile.read(int(self.headers.get("content-length") or 0))
        fault = proxy.take(Request(self.command, self.path, body))
        if fault is not None and fault.isdigit():
            self._answer(int(fault), {"content-type": "application/json"}, b'{"error": {"message": "said the proxy"}}')
            return
        if fault == "stalled":
            time.sleep(1)
        if fault in ("cut", "stalled"):
            self.close_connection = True
            return
        if fault == "garbled request":
            body = body.replace(b"intact", b"intacT")
        upstream = http.client.HTTPConnection(proxy.target, timeout=30)
        upstream.request(self.command, self.path, body, {**self.headers, "Host": proxy.target})
        answer = upstream.getresponse()
        content = answer.read()
        headers = {
            name.lower(): value.replace(proxy.target, urlsplit(proxy.url).netloc)
            for name, value in answer.headers.items()
        }
        upstream.close()
        if fault == "lost":
            self.close_connection = True
            return
        if fault == "garbled" and content:
            content = content[:-1] + bytes([content[-1] ^ 1])
        self._answer(answer.status, headers, content, torn=fault == "torn")

    do_GET = do_POST = do_PUT = do_DELETE = pass_on  # noqa: N815 - http.server's names

    def _answer(self, status: int, headers: dict[str, str], content: bytes, torn: bool = False) -> None:
        self.send_response_only(status)
        for name, value in headers.items():
            if name not in ("connection", "content-length", "transfer-encoding"):
                self.send_header(name, value)
        self.send_header("content-length", str(len(content)))
        self.end_headers()
        self.wfile.write(content[: len(content) // 2] if torn else content)
        self.close_connection = torn

    def handle_one_request(self) -> None:
        try:
            super().handle_one_request()
        except OSError:  # the client is gone
            self.close_connection = True
