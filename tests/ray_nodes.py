"""Ray nodes on this machine: one that leads, and others that are killed and come back."""

import os
import signal
import subprocess
import sys
import time
from contextlib import suppress
from pathlib import Path
from secrets import token_hex
from typing import Self

from processes import free_port

RAY = str(Path(sys.executable).with_name("ray"))


class Cluster:
    """Each node has a core and an address of its own; all have one key."""

    def __init__(self, folder: Path) -> None:
        self.port = free_port()
        self.environment = {
            **os.environ,
            "RAY_ADDRESS": f"127.0.0.1:{self.port}",
            "RAY_AUTH_MODE": "token",
            "RAY_AUTH_TOKEN": token_hex(32),
            "RAY_TMPDIR": str(folder),  # of the head, and so of all: sockets lie there, whose paths must be short
            "RAY_USAGE_STATS_ENABLED": "0",
        }
        self._nodes: dict[int, subprocess.Popen[bytes]] = {}

    def __enter__(self) -> Self:
        self.start(1)
        return self

    def __exit__(self, *raised: object) -> None:
        for number in [*self._nodes]:
            self.kill(number)

    def start(self, number: int) -> None:
        """The first leads."""
        own = ["--head", f"--port={self.port}", "--include-dashboard=false"]
        joins = [f"--address=127.0.0.1:{self.port}"]
        words = ["start", *(own if number == 1 else joins), f"--node-ip-address=127.0.0.{number}", "--num-cpus=1"]
        environment = {key: value for key, value in self.environment.items() if key != "RAY_ADDRESS"}
        memory = f"--object-store-memory={100 * 2**20}"
        self._nodes[number] = subprocess.Popen(
            [RAY, *words, memory, "--block"],
            env=environment,
            start_new_session=True,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )

    def await_nodes(self, number: int) -> None:
        """Until so many have joined; one that has given up, as Ray does on a busy machine, is started again."""
        count = "import ray; ray.init(logging_level='ERROR'); print(sum(node['Alive'] for node in ray.nodes()))"
        for _ in range(60):
            asked = subprocess.run(
                [sys.executable, "-c", count], env=self.environment, capture_output=True, text=True, check=False
            )
            if asked.stdout.strip() == str(number):
                return
            for each in [each for each, node in self._nodes.items() if node.poll() is not None]:
                self.kill(each)
                self.start(each)
            time.sleep(1)
        raise TimeoutError(f"{number} nodes did not join:\n{asked.stderr[-2000:]}")

    def kill(self, number: int) -> None:
        """With all of its processes, as if its machine were taken away."""
        node = self._nodes.pop(number)
        with suppress(ProcessLookupError):
            os.killpg(node.pid, signal.SIGKILL)
        node.wait()
