"""Settings, and `python -m boatyard.api` as a process."""

import os
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path

import httpx
import pytest
from problems import assert_problem

from boatyard.api.settings import Settings
from boatyard.errors import UserError
from boatyard.registry import Reference

pytestmark = pytest.mark.integration

JSON = {"content-type": "application/json"}


def test_settings_are_read_from_the_environment(tmp_path: Path) -> None:
    settings = Settings.from_environment(
        {
            "BOATYARD_STORAGE": str(tmp_path),
            "BOATYARD_MODEL": "news@staging",
            "PORT": "9000",
            "BOATYARD_HOST": "0.0.0.0",  # noqa: S104
        }
    )
    assert settings == Settings(str(tmp_path), Reference("news", "staging"), "0.0.0.0", 9000)  # noqa: S104
    assert Settings.from_environment({"PORT": ""}) == Settings()


@pytest.mark.parametrize(
    ("variable", "value"),
    [
        *(("PORT", port) for port in ("x", "0", "65536", "9" * 5000, "²")),
        ("BOATYARD_MODEL", "In Box"),
        ("BOATYARD_STORAGE", "s3://x"),
        ("BOATYARD_STORAGE", __file__),
    ],
)
def test_a_wrong_setting_is_named(variable: str, value: str) -> None:
    with pytest.raises(UserError, match=f"^{variable}: "):
        Settings.from_environment({variable: value})


def run_server(**environment: str) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-m", "boatyard.api"],
        env=os.environ | environment,
        stderr=subprocess.PIPE,
        text=True,
    )


def test_a_wrong_setting_ends_the_process_with_one_sentence_and_status_2() -> None:
    server = run_server(PORT="eighty")
    _, said = server.communicate(timeout=30)
    assert server.returncode == 2
    assert said == "boatyard.api: PORT: 'eighty' is not a port: it is a number from 1 to 65535\n"


def test_the_process_serves_over_a_real_socket_and_stops_when_told(tmp_path: Path, promoted: str) -> None:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    server = run_server(PORT=str(port), BOATYARD_STORAGE=str(tmp_path / "storage"), BOATYARD_MODEL="inbox")
    url = f"http://127.0.0.1:{port}"
    try:
        for _ in range(300):
            try:
                if httpx.get(f"{url}/readyz").status_code == 200:
                    break
            except httpx.TransportError:
                time.sleep(0.1)
        assert httpx.post(f"{url}/predict", json={"text": "card"}).json()["version"] == promoted
        endless = (b" " * 65536 for _ in range(64))
        assert_problem(httpx.post(f"{url}/predict", content=endless, headers=JSON), 413)
    finally:
        server.send_signal(signal.SIGTERM)
        _, log = server.communicate(timeout=30)
    assert server.returncode in (0, -signal.SIGTERM)
    assert "Traceback" not in log
