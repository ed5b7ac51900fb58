"""`invoke stack`: everything on one machine, started and ended together."""

import os
import re
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import httpx
import pytest
from bundles import publish_in_production
from processes import free_port

pytestmark = pytest.mark.integration

STACK = Path(__file__).parents[2] / "deploy" / "local" / "stack.py"
HEALTH = {"api": "/readyz", "monitor": "/healthz", "frontend": "/_stcore/health"}
PARTS = [*HEALTH, *(["prometheus"] if shutil.which("prometheus") else [])]  # which is not on every machine


def answers(url: str) -> bool:
    try:
        return httpx.get(url, timeout=5).is_success
    except httpx.TransportError:
        return False


def scraped(port: int) -> dict[str, str]:
    """By address, the health of what this Prometheus asks."""
    url = f"http://127.0.0.1:{port}/api/v1/targets"
    told = httpx.get(url).json() if answers(url) else {"data": {"activeTargets": []}}
    return {target["scrapeUrl"]: target["health"] for target in told["data"]["activeTargets"]}


def start(tmp_path: Path, **environment: str) -> "tuple[subprocess.Popen[str], dict[str, int]]":
    ports = {name: free_port() for name in (*HEALTH, "prometheus")}
    given = {f"{name.upper()}_PORT": str(port) for name, port in ports.items()}
    given |= {
        "BOATYARD_MODEL": "ferry",
        "BOATYARD_STORAGE": str(tmp_path / "storage"),
        "BOATYARD_SPOOL": str(tmp_path / "spool"),
    }
    pipe = subprocess.PIPE
    stack = subprocess.Popen(
        [sys.executable, STACK], env=os.environ | given | environment, stdout=pipe, stderr=pipe, text=True
    )
    return stack, ports


def end(stack: "subprocess.Popen[str]") -> None:
    """With all of its parts, which a killed one would leave behind."""
    if stack.poll() is None:
        stack.terminate()
        stack.wait(60)


@pytest.mark.slow
def test_all_of_it_starts_and_one_ctrl_c_ends_it(tmp_path: Path) -> None:
    publish_in_production(tmp_path)
    stack, ports = start(tmp_path)
    urls = [f"http://127.0.0.1:{ports[name]}{path}" for name, path in HEALTH.items()]
    try:
        limit = time.monotonic() + 120
        while not all(map(answers, urls)):
            assert stack.poll() is None, stack.communicate()
            assert time.monotonic() < limit
            time.sleep(0.2)
        if "prometheus" in PARTS:
            well = {f"http://localhost:{ports[name]}/metrics": "up" for name in ("api", "monitor")}
            while scraped(ports["prometheus"]) != well:
                assert time.monotonic() < limit, scraped(ports["prometheus"])
                time.sleep(0.2)
        stack.send_signal(signal.SIGINT)
        said, told = stack.communicate(timeout=60)
    finally:
        end(stack)
    assert stack.returncode == 0, told
    assert not any(map(answers, urls))
    announced = dict(re.findall(r"^(\w+) *\| (http://localhost:\d+)$", said, re.MULTILINE))
    assert announced == {name: f"http://localhost:{ports[name]}" for name in PARTS}
    assert "Finished server process" in said


def test_where_one_part_ends_by_itself_the_others_are_ended(tmp_path: Path) -> None:
    stack, ports = start(tmp_path, BOATYARD_JOURNAL_INPUT="nonsense")
    said, told = stack.communicate(timeout=120)
    assert stack.returncode == 1
    assert "api ended with status 2: stopping the others" in told
    assert "BOATYARD_JOURNAL_INPUT: 'nonsense' is none of" in said
    assert not answers(f"http://127.0.0.1:{ports['frontend']}/_stcore/health")
