"""Proxies that the environment names stand before others, never before this machine's own services."""

import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread
from urllib.request import urlopen

import httpx
import pytest
import requests
from processes import free_port

from boatyard.config.addresses import reach_this_machine_directly

pytestmark = pytest.mark.unit

VARIABLES = ("HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY")


class Answer(BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        self.send_response(200)
        self.end_headers()
        self.wfile.write(b'{"here": true}')

    def log_message(self, *_: object) -> None:
        pass


@contextmanager
def service() -> Iterator[int]:
    with ThreadingHTTPServer(("127.0.0.1", 0), Answer) as server:
        Thread(target=server.serve_forever, daemon=True).start()
        yield server.server_port
        server.shutdown()


@pytest.mark.parametrize("host", ["localhost", "127.0.0.1"])
def test_every_client_reaches_this_machine(host: str, monkeypatch: pytest.MonkeyPatch) -> None:
    dead = f"http://127.0.0.1:{free_port()}"
    for name in VARIABLES:
        monkeypatch.setenv(name, dead)
        monkeypatch.setenv(name.lower(), dead)
    for name in ("NO_PROXY", "no_proxy"):
        monkeypatch.setenv(name, "intranet.example")
    with service() as port:
        url = f"http://{host}:{port}/"
        with pytest.raises(httpx.ConnectError):
            httpx.get(url)
        reach_this_machine_directly()
        assert httpx.get(url).is_success
        assert requests.get(url, timeout=5).ok
        assert urlopen(url).status == 200
    assert requests.utils.get_environ_proxies("http://elsewhere.example")["http"] == dead
    assert not requests.utils.get_environ_proxies("http://intranet.example")


@pytest.mark.parametrize("proxy", ["http://127.0.0.1:9", "socks5://127.0.0.1:9", "socks://127.0.0.1:9", "http://[::1"])
def test_the_web_page_reaches_its_services_whatever_proxy_is_named(proxy: str) -> None:
    code = (
        "import sys; from boatyard.frontend.services import Service;"
        "print(Service('api', sys.argv[1], 'invoke serve', 'BOATYARD_API').get('/'))"
    )
    with service() as port:
        asked = subprocess.run(
            [sys.executable, "-c", code, f"http://localhost:{port}"],
            env=os.environ | dict.fromkeys(VARIABLES, proxy),
            capture_output=True,
            text=True,
        )
    assert asked.stdout == "{'here': True}\n", asked.stderr


@pytest.mark.parametrize(
    ("named", "becomes"),
    [
        ({}, "127.0.0.1,::1,localhost"),
        ({"NO_PROXY": "a, b"}, "a,b,127.0.0.1,::1,localhost"),
        ({"no_proxy": "localhost", "NO_PROXY": "x"}, "localhost,127.0.0.1,::1"),
        ({"NO_PROXY": "*"}, "*"),
    ],
)
def test_what_was_exempt_already_stays_so(named: dict[str, str], becomes: str) -> None:
    reach_this_machine_directly(named)
    assert named == {"no_proxy": becomes, "NO_PROXY": becomes}
