"""Settings, and `python -m boatyard.api` as a process."""

import gc
import os
import socket
import subprocess
import sys
from contextlib import ExitStack
from pathlib import Path

import httpx
import pytest
from problems import assert_problem
from servers import Serve, ServerProcess

from boatyard.api.settings import Settings
from boatyard.config.errors import UserError
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
            "BOATYARD_SPOOL": str(tmp_path / "spool"),
            "BOATYARD_JOURNAL_INPUT": "hashed",
            "BOATYARD_API_KEYS": f"one:{'a' * 64}, two:{'b' * 64}",
            "BOATYARD_REQUESTS_PER_SECOND": "5",
            "BOATYARD_REQUEST_MIB": "20",
            "BOATYARD_DRAIN_SECONDS": "2.5",
        }
    )
    assert settings == Settings(
        storage=str(tmp_path),
        model=Reference("news", "staging"),
        host="0.0.0.0",  # noqa: S104
        port=9000,
        spool=str(tmp_path / "spool"),
        journal_input="hashed",
        api_keys=(f"one:{'a' * 64}", f" two:{'b' * 64}"),
        requests_per_second=5,
        request_mib=20,
        drain_seconds=2.5,
    )
    spool = {"BOATYARD_SPOOL": str(tmp_path)}
    assert Settings.from_environment({"PORT": "", **spool}) == Settings(spool=str(tmp_path))


@pytest.mark.parametrize(
    ("variable", "value"),
    [
        *(("PORT", port) for port in ("x", "0", "65536", "9" * 5000, "²")),
        ("BOATYARD_MODEL", "In Box"),
        ("BOATYARD_MODEL", "gs://bucket/ferry"),
        ("BOATYARD_MODEL", "gs://bucket/models/In Box"),
        ("BOATYARD_MODEL", "s3://bucket/models/ferry"),
        ("BOATYARD_MODEL", "/models/"),
        ("BOATYARD_STORAGE", "s3://x"),
        ("BOATYARD_STORAGE", __file__),
        ("BOATYARD_SPOOL", f"{__file__}/spool"),
        ("BOATYARD_JOURNAL_INPUT", "kept"),
        ("BOATYARD_API_KEYS", "a secret that should be hashed"),
        ("BOATYARD_API_KEYS_FILE", "/nowhere"),
        ("BOATYARD_REQUESTS_PER_SECOND", "0"),
        *(("BOATYARD_REQUEST_MIB", mib) for mib in ("0", "33", "1.5", "2e1")),
        *(("BOATYARD_DRAIN_SECONDS", drain) for drain in ("soon", "-1", "inf", "1e3")),
    ],
)
def test_a_wrong_setting_is_named(variable: str, value: str, tmp_path: Path) -> None:
    with pytest.raises(UserError, match=f"^{variable}: "):
        Settings.from_environment({"BOATYARD_SPOOL": str(tmp_path), variable: value})


def test_a_model_may_be_named_with_the_storage_that_it_lies_in(tmp_path: Path) -> None:
    named = {"BOATYARD_MODEL": f"{tmp_path}/models/news@staging", "BOATYARD_SPOOL": str(tmp_path / "spool")}
    settings = Settings.from_environment(named)
    assert (settings.storage, settings.model) == (str(tmp_path), Reference("news", "staging"))
    assert Settings.from_environment({**named, "BOATYARD_STORAGE": f"{tmp_path}/"}).model == settings.model
    apart = Settings.from_environment({**named, "BOATYARD_STORAGE": "other"})
    assert (apart.registry, apart.storage) == (str(tmp_path), "other"), "what is said to an environment stays in it"


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


def test_garbage_that_a_start_does_not_look_for_is_collected_once_all_is_loaded(serve: Serve, promoted: str) -> None:
    gc.disable()  # as the process begins
    try:
        assert serve().get("/model").json()["version"] == promoted
        assert gc.isenabled()
    finally:
        gc.enable()


def test_the_process_serves_over_a_real_socket_and_stops_when_told(tmp_path: Path, promoted: str) -> None:
    log = tmp_path / "log"
    with ServerProcess(tmp_path / "storage", log) as server:
        assert httpx.post(f"{server.url}/predict", json={"text": "card"}).json()["version"] == promoted
        endless = (b" " * 65536 for _ in range(64))
        assert_problem(httpx.post(f"{server.url}/predict", content=endless, headers=JSON), 413)
        assert server.stop() == 0
    assert "Traceback" not in log.read_text()


@pytest.mark.skipif(os.name == "nt", reason="no such limit")
@pytest.mark.usefixtures("promoted")
def test_more_clients_than_the_shell_allows_open_files_are_answered(tmp_path: Path) -> None:
    server = ServerProcess(tmp_path / "storage", tmp_path / "log")
    server.command[:0] = ["sh", "-c", 'ulimit -Sn 60; exec "$@"', "sh"]
    with ExitStack() as clients:
        clients.enter_context(server)
        for _ in range(100):
            client = clients.enter_context(socket.create_connection(("127.0.0.1", server.port), timeout=20))
            client.sendall(b"GET /healthz HTTP/1.1\r\nhost: x\r\n\r\n")
            assert client.recv(4096).startswith(b"HTTP/1.1 200 ")


@pytest.mark.parametrize(
    "command",
    [
        ["boatyard.api"],
        ["boatyard.monitor", "serve"],  # part: monitor
    ],
    ids=lambda command: command[0],
)
def test_a_port_that_is_in_use_is_one_sentence(command: list[str], tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        own = {"PORT": str(port), "BOATYARD_STORAGE": str(tmp_path), "BOATYARD_SPOOL": str(tmp_path / "spool")}
        ran = subprocess.run(
            [sys.executable, "-m", *command], env=os.environ | own, capture_output=True, text=True, timeout=60
        )
    assert (ran.returncode, ran.stdout) == (2, "")
    assert ran.stderr.startswith(f"{command[0]}: port {port} of 127.0.0.1 is in use: stop what uses it, or choose ")
    assert ran.stderr.count("\n") == 1
