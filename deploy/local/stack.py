"""Run all services on this machine until Ctrl-C or another ending signal: `uv run invoke stack`.

These are the api, those of the others that there are and, if installed, Prometheus. Each line of their output begins
with a name; if one of them exits, the others are stopped too.
"""

import os
import shutil
import signal
import subprocess
import sys
import threading
import time
from dataclasses import dataclass
from pathlib import Path

from pydantic import Field

from boatyard.config.environment import EnvironmentSettings, Port
from boatyard.config.errors import UserError
from boatyard.config.processes import ending_signals

ROOT = Path(__file__).parents[2]
GRACE_SECONDS = 15


@dataclass(frozen=True)
class Part:
    """A server process and its port."""

    name: str
    command: tuple[str, ...]
    port: int

    @property
    def url(self) -> str:
        """Its address, for people and for the other parts."""
        return f"http://localhost:{self.port}"


class Ports(EnvironmentSettings):
    """Where each server listens."""

    api: Port = Field(8000, validation_alias="API_PORT")
    monitor: Port = Field(8001, validation_alias="MONITOR_PORT")  # part: monitor
    frontend: Port = Field(8501, validation_alias="FRONTEND_PORT")  # part: frontend
    prometheus: Port = Field(9090, validation_alias="PROMETHEUS_PORT")


def parts() -> list[Part]:
    """The servers, on the ports that the environment names. Raises UserError."""
    ports = Ports.from_environment()

    def module(name: str, port: int, *words: str) -> Part:
        return Part(name, (sys.executable, "-m", f"boatyard.{name}", *words), port)

    servers = [module("api", ports.api)]
    servers.append(module("monitor", ports.monitor, "serve"))  # part: monitor
    servers.append(module("frontend", ports.frontend))  # part: frontend
    if binary := shutil.which("prometheus"):
        options = (f"--config.file={_configure(servers)}", "--storage.tsdb.path=runs/prometheus/data")
        command = (binary, *options, f"--web.listen-address=127.0.0.1:{ports.prometheus}")
        servers.append(Part("prometheus", command, ports.prometheus))
    return servers


def _configure(servers: list[Part]) -> Path:
    """Write Prometheus' configuration with the ports of this stack; returns the file."""
    source = ROOT / "deploy" / "prometheus"
    settings = (source / "prometheus.yml").read_text(encoding="utf-8")
    settings = settings.replace("alerts.yml", str(source / "alerts.yml"))
    for server in servers:
        settings = settings.replace(f"localhost:{Ports.model_fields[server.name].default}", f"localhost:{server.port}")
    file = ROOT / "runs" / "prometheus" / "prometheus.yml"
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(settings, encoding="utf-8")
    return file


def main() -> int:
    """Returns the exit status: 0 after a signal, 1 if a part ended by itself, 2 if a port is wrong."""
    stop = threading.Event()
    for number in ending_signals():
        signal.signal(number, lambda *_: stop.set())
    try:
        servers = parts()
    except UserError as error:
        print(f"stack: {error}", file=sys.stderr)
        return 2
    addresses = {f"BOATYARD_{part.name.upper()}": part.url for part in servers if part.name in ("api", "monitor")}
    width = max(len(part.name) for part in servers)
    running: dict[Part, subprocess.Popen[str]] = {}
    try:
        for part in servers:
            running[part] = _start(part, addresses)
            threading.Thread(target=_show, args=(part.name.ljust(width), running[part]), daemon=True).start()
            print(f"{part.name.ljust(width)} | {part.url}", flush=True)
        ended = None
        while not stop.is_set() and ended is None:
            stop.wait(0.2)
            ended = next((part for part, process in running.items() if process.poll() is not None), None)
        if ended is not None and not stop.is_set():
            print(f"{ended.name} ended with status {running[ended].returncode}: stopping the others", file=sys.stderr)
    finally:
        _end(list(running.values()))
    return 0 if stop.is_set() else 1


def _start(part: Part, addresses: dict[str, str]) -> "subprocess.Popen[str]":
    return subprocess.Popen(
        part.command,
        cwd=ROOT,
        env=os.environ | addresses | {"PORT": str(part.port), "PYTHONUNBUFFERED": "1"},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        start_new_session=True,  # only this process receives Ctrl-C, and forwards it
    )


def _show(name: str, process: "subprocess.Popen[str]") -> None:
    assert process.stdout is not None
    for line in process.stdout:
        print(f"{name} | {line}", end="", flush=True)


def _end(processes: "list[subprocess.Popen[str]]") -> None:
    for process in processes:
        if process.poll() is None:
            process.terminate()
    deadline = time.monotonic() + GRACE_SECONDS
    for process in processes:
        try:
            process.wait(max(0.0, deadline - time.monotonic()))
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


if __name__ == "__main__":
    sys.exit(main())
