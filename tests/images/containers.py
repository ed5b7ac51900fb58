"""Containers as production runs them: nothing to write on, no privilege, little memory."""

import json
import subprocess
import time
from dataclasses import dataclass
from typing import Any

HARDENED = [
    "--network=host",
    "--read-only",
    "--tmpfs=/tmp",
    "--cap-drop=all",
    "--security-opt=no-new-privileges",
]


@dataclass
class Docker:
    environment: dict[str, str]

    def run(self, *words: str, status: int = 0) -> subprocess.CompletedProcess[str]:
        """`docker WORDS`; it must end with `status`."""
        done = subprocess.run(["docker", *words], env=self.environment, capture_output=True, text=True)
        assert done.returncode == status, done.stdout + done.stderr
        return done

    def inspect(self, image: str) -> dict[str, Any]:
        images: list[dict[str, Any]] = json.loads(self.run("image", "inspect", image).stdout)
        return images[0]

    def start(self, image: str, *options: str) -> "Container":
        started = self.run("run", "--detach", *HARDENED, "--memory=1g", *options, image)
        return Container(self, started.stdout.strip())


@dataclass
class Compose:
    """A project of deploy/local/compose.yaml, by the compose that is here."""

    docker: Docker
    command: list[str]
    ports: dict[str, int]

    def run(self, *words: str) -> subprocess.CompletedProcess[str]:
        """`docker compose WORDS`; it must end with 0."""
        done = subprocess.run([*self.command, *words], env=self.docker.environment, capture_output=True, text=True)
        assert done.returncode == 0, done.stdout + done.stderr
        return done

    def container(self, service: str) -> "Container":
        container = self.run("ps", "--all", "--quiet", service).stdout.strip()
        return Container(self.docker, container, f"http://127.0.0.1:{self.ports[service]}")


@dataclass
class Container:
    docker: Docker
    id: str
    url: str = ""

    def state(self) -> dict[str, Any]:
        state: dict[str, Any] = json.loads(self.docker.run("inspect", "--format={{json .State}}", self.id).stdout)
        return state

    def logs(self) -> str:
        logged = self.docker.run("logs", self.id)
        return logged.stdout + logged.stderr

    def wait_until_healthy(self) -> None:
        limit = time.monotonic() + 60
        while (state := self.state())["Health"]["Status"] != "healthy":
            assert state["Running"], self.logs()
            assert time.monotonic() < limit, state
            time.sleep(0.2)

    def stop(self) -> tuple[int, bool]:
        """As a platform does it: the exit status, and whether memory ran out."""
        self.docker.run("stop", "--time=10", self.id)
        state = self.state()
        return state["ExitCode"], state["OOMKilled"]

    def shell(self, command: str, status: int = 0) -> str:
        return self.docker.run("exec", self.id, "sh", "-c", command, status=status).stdout.strip()
