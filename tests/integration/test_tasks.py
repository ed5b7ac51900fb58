"""What a supervisor starts by `invoke` it can stop: no process is left behind, no port held."""

import os
import pty
import re
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path

import pytest
from servers import ServiceProcess

pytestmark = pytest.mark.integration

ROOT = Path(__file__).parents[2]


def is_free(port: int) -> bool:
    with socket.socket() as tried:
        tried.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            tried.bind(("127.0.0.1", port))
        except OSError:
            return False
        return True


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGHUP])
def test_a_signal_to_the_task_ends_the_server(number: signal.Signals, tmp_path: Path) -> None:
    own = {"BOATYARD_STORAGE": str(tmp_path), "BOATYARD_SPOOL": str(tmp_path / "spool"), "BOATYARD_MODEL": "ferry"}
    served = ServiceProcess("invoke", "serve", ready="/healthz", log=tmp_path / "log", **own)
    with served:
        served.process.send_signal(number)
        status = served.process.wait(30)
    assert status == (128 + number if number == signal.SIGHUP else 0), served.log.read_text()
    assert is_free(served.port)


SLEEPER = """
import signal, sys, time
times = []
signal.signal(signal.SIGINT, lambda *_: times.append(1))
print("ready", flush=True)
while not times:
    time.sleep(0.01)
time.sleep(0.3)
print("heard", len(times), flush=True)
sys.exit(7)
"""
TASK = """
import sys
sys.path.insert(0, ".")
import invoke, tasks
try:
    tasks._run(invoke.Context(), sys.executable, "-c", sys.argv[1])
except invoke.Exit as end:
    sys.exit(end.code)
"""


def test_ctrl_c_at_a_terminal_reaches_the_command_once_and_its_status_goes_out() -> None:
    pid, terminal = pty.fork()
    if pid == 0:
        os.chdir(ROOT)
        os.execv(sys.executable, [sys.executable, "-c", TASK, SLEEPER])  # noqa: S606
    said, limit = b"", time.monotonic() + 30
    while b"ready" not in said and time.monotonic() < limit:
        said += os.read(terminal, 1000)
    os.write(terminal, b"\x03")
    while not re.search(rb"heard \d", said) and time.monotonic() < limit:
        said += os.read(terminal, 1000)
    assert os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == 7
    assert b"heard 1" in said


STACK = """
import importlib.util, sys
spec = importlib.util.spec_from_file_location("stack", "deploy/local/stack.py")
stack = importlib.util.module_from_spec(spec)
sys.modules["stack"] = stack
spec.loader.exec_module(stack)
sleep = "import os, time; print('pid', os.getpid(), flush=True); time.sleep(60)"
stack.parts = lambda: [stack.Part(name, (sys.executable, "-c", sleep), 1) for name in ("api", "monitor")]
sys.exit(stack.main())
"""


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGHUP])
def test_a_signal_to_the_stack_ends_all_of_it(number: signal.Signals) -> None:
    with subprocess.Popen([sys.executable, "-c", STACK], cwd=ROOT, stdout=subprocess.PIPE, text=True) as stack:
        assert stack.stdout is not None
        parts: list[int] = []
        while len(parts) < 2:
            line = stack.stdout.readline()
            assert line, "it ended"
            parts += [int(line.split()[-1])] if " pid " in line else []
        stack.send_signal(number)
        assert stack.wait(30) == 0
    for part in parts:
        with pytest.raises(ProcessLookupError):
            os.kill(part, 0)


@pytest.mark.slow
def test_ctrl_c_ends_the_monitor_in_order(tmp_path: Path) -> None:
    own = {"BOATYARD_STORAGE": str(tmp_path), "BOATYARD_MODEL": "ferry"}
    with ServiceProcess("invoke", "monitor", ready="/healthz", log=tmp_path / "log", **own) as watching:
        watching.process.send_signal(signal.SIGINT)
        assert watching.process.wait(30) == 0
    assert "Traceback" not in watching.log.read_text()
    assert is_free(watching.port)


def test_what_nohup_ignores_the_command_ignores_as_well() -> None:
    ignores = "import signal, sys; sys.exit(signal.getsignal(signal.SIGHUP) is not signal.SIG_IGN)"
    command = ["nohup", sys.executable, "-c", TASK, ignores]
    assert subprocess.run(command, cwd=ROOT, check=False).returncode == 0


def test_what_nohup_ignores_the_stack_ignores_until_it_is_told_to_end() -> None:
    with subprocess.Popen(["nohup", sys.executable, "-c", STACK], cwd=ROOT, stdout=subprocess.PIPE, text=True) as stack:
        assert stack.stdout is not None
        while " pid " not in stack.stdout.readline():
            assert stack.poll() is None
        stack.send_signal(signal.SIGHUP)
        with pytest.raises(subprocess.TimeoutExpired):
            stack.wait(0.5)
        stack.send_signal(signal.SIGTERM)
        assert stack.wait(30) == 0


@pytest.mark.parametrize("port", ["abc", "0", "70000"])
def test_what_is_no_port_is_one_sentence_before_anything_is_started(port: str) -> None:
    command = [sys.executable, str(ROOT / "deploy" / "local" / "stack.py")]
    ran = subprocess.run(command, env=os.environ | {"MONITOR_PORT": port}, capture_output=True, text=True, check=False)
    assert (ran.returncode, ran.stdout) == (2, "")
    assert ran.stderr == f"stack: MONITOR_PORT: {port!r} is not a port: it is a number from 1 to 65535\n"
