"""Everything on this machine at once, until Ctrl-C or another signal to end: `uv run invoke stack`.

The api, the monitor, the web page, and Prometheus where it is installed. What they say comes out line by line under
their names; where one of them ends by itself, the others are ended too.
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

from boatyard.config.addresses import read_port
from boatyard.config.errors import UserError
from boatyard.config.processes import ending_signals

ROOT = Path(__file__).parents[2]
GRACE_SECONDS = 15


@dataclass(frozen=True)
class Part:
    """A server, and where it listens."""

    name: str
    command: tuple[str, ...]
    port: int

    @property
    def url(self) -> str:
        """For a person, and for the other parts."""
        return f"http://localhost:{self.port}"


def parts() -> list[Part]:
    """Ports may be named: API_PORT, MONITOR_PORT, FRONTEND_PORT, PROMETHEUS_PORT. Raises UserError: one is none."""

    def module(name: str, default: int, *arguments: str) -> Part:
        return Part(name, (sys.executable, "-m", f"boatyard.{name}", *arguments), _port(name, default))

    api, monitor, frontend = module("api", 8000), module("monitor", 8001, "serve"), module("frontend", 8501)
    if binary := shutil.which("prometheus"):
        port = _port("prometheus", 9090)
        options = (f"--config.file={_configure(api, monitor)}", "--storage.tsdb.path=runs/prometheus/data")
        command = (binary, *options, f"--web.listen-address=127.0.0.1:{port}")
        return [api, monitor, frontend, Part("prometheus", command, port)]
    return [api, monitor, frontend]


def _port(name: str, default: int) -> int:
    return read_port(os.environ, default, f"{name.upper()}_PORT")


def _configure(api: Part, monitor: Part) -> Path:
    """Prometheus' configuration, with the ports of this stack."""
    source = ROOT / "deploy" / "prometheus"
    configuration = (source / "prometheus.yml").read_text(encoding="utf-8")
    for default, own in (
        ("localhost:8000", f"localhost:{api.port}"),
        ("localhost:8001", f"localhost:{monitor.port}"),
        ("alerts.yml", str(source / "alerts.yml")),
    ):
        configuration = configuration.replace(default, own)
    written = ROOT / "runs" / "prometheus" / "prometheus.yml"
    written.parent.mkdir(parents=True, exist_ok=True)
    written.write_text(configuration, encoding="utf-8")
    return written


def main() -> int:
    """0 when it was stopped; 1 where a part ended by itself; 2 where a port is wrong."""
    stop = threading.Event()
    for number in ending_signals():
        signal.signal(number, lambda *_: stop.set())
    try:
        chosen = parts()
    except UserError as wrong:
        print(f"stack: {wrong}", file=sys.stderr)
        return 2
    where = {f"BOATYARD_{part.name.upper()}": part.url for part in chosen if part.name in ("api", "monitor")}
    width = max(len(part.name) for part in chosen)
    running: dict[Part, subprocess.Popen[str]] = {}
    try:
        for part in chosen:
            running[part] = _start(part, where)
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


def _start(part: Part, where: dict[str, str]) -> "subprocess.Popen[str]":
    return subprocess.Popen(
        part.command,
        cwd=ROOT,
        env=os.environ | where | {"PORT": str(part.port), "PYTHONUNBUFFERED": "1"},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        start_new_session=True,  # Ctrl-C is ours alone to pass on
    )


def _show(name: str, process: "subprocess.Popen[str]") -> None:
    assert process.stdout is not None
    for line in process.stdout:
        print(f"{name} | {line}", end="", flush=True)


def _end(processes: "list[subprocess.Popen[str]]") -> None:
    for process in processes:
        if process.poll() is None:
            process.terminate()
    limit = time.monotonic() + GRACE_SECONDS
    for process in processes:
        try:
            process.wait(max(0.0, limit - time.monotonic()))
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


if __name__ == "__main__":
    sys.exit(main())
