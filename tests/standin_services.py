"""An api and a monitor at one address that answer what a test puts in, and the pages before them, without a browser."""

import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from unittest import mock
from urllib.parse import urlsplit

from streamlit.testing.v1 import AppTest

LIMIT = 60  # seconds, to draw a page: its imports take a few on a busy machine


class Services:
    """By path, what is answered as JSON, or as it is where it is bytes. A path that is not there is unknown."""

    def __init__(self) -> None:
        self.url = ""
        self.answers: dict[str, Any] = {}
        self.posted: list[tuple[str, Any]] = []
        """The path with its query and the body of each POST."""

    def read(self, path: str) -> bytes | None:
        answer = self.answers.get(urlsplit(path).path)
        return answer if answer is None or isinstance(answer, bytes) else json.dumps(answer).encode()


@contextmanager
def running(services: Services) -> Iterator[None]:
    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            content = services.read(self.path)
            self.send_response(404 if content is None else 200)
            self.end_headers()
            self.wfile.write(content or b"")

        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["content-length"]))
            services.posted.append((self.path, json.loads(body)))
            self.do_GET()

        def log_message(self, *_: object) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True).start()
        services.url = f"http://127.0.0.1:{server.server_port}"
        addresses = dict.fromkeys(("BOATYARD_API", "BOATYARD_MONITOR"), services.url)
        # the charts' colours are in a file that only Streamlit's server reads
        with (
            mock.patch.dict("os.environ", addresses),
            mock.patch("boatyard.frontend.charts.theme", return_value="#ffffff"),
        ):
            yield
        server.shutdown()


def open_page(page: str) -> AppTest:
    """`boatyard.frontend.<page>`, drawn once."""

    def script(page: str) -> None:
        from importlib import import_module

        from boatyard.frontend.services import addresses

        import_module(f"boatyard.frontend.{page}").show(*addresses())

    return drawn(AppTest.from_function(script, args=(page,), default_timeout=LIMIT).run())


def drawn(page: AppTest) -> AppTest:
    """The page, on which nothing went wrong."""
    assert not page.exception
    assert not page.error
    return page


def content(page: AppTest) -> str:
    """What is on the page without charts and tables, as Markdown without its escapes."""
    metrics = [f"{metric.label}: {metric.value}" for metric in page.metric]
    kinds = ("info", "success", "warning", "caption", "markdown", "subheader", "text")
    return "\n".join([*(element.value for kind in kinds for element in page.get(kind)), *metrics]).replace("\\", "")
