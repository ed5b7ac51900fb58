"""The whole cloud path again, in the built images."""

import subprocess
from collections.abc import Mapping, Sequence
from pathlib import Path
from uuid import uuid4

import pytest
from containers import HARDENED, Docker
from needs import needs
from whole_path import walk, world

pytestmark = pytest.mark.images


class Worker(subprocess.Popen[str]):
    """`docker run`, with which its container dies."""

    def __init__(self, docker: Docker, name: str, words: Sequence[str]) -> None:
        self._docker, self._name = docker, name
        pipe = {"stdout": subprocess.PIPE, "stderr": subprocess.STDOUT, "text": True}
        super().__init__(["docker", "run", "--rm", f"--name={name}", *words], env=docker.environment, **pipe)

    def kill(self) -> None:
        kill = ["docker", "kill", "--signal=KILL", self._name]
        subprocess.run(kill, env=self._docker.environment, capture_output=True, check=False)
        super().kill()


def given(environment: Mapping[str, str]) -> list[str]:
    return [f"--env={name}={value}" for name, value in environment.items()]


@needs("curl")
def test_the_images_walk_the_whole_path(
    images: Docker, bucket: tuple[str, dict[str, str]], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    reach = bucket[1]
    monkeypatch.setenv("STORAGE_EMULATOR_HOST", reach["STORAGE_EMULATOR_HOST"])

    def train(image: str, arguments: Sequence[str], environment: Mapping[str, str], folder: Path) -> Worker:  # noqa: ARG001
        assert "/trainer:" in image
        name = f"boatyard-trainer-{uuid4().hex[:8]}"
        return Worker(images, name, [*HARDENED, "--memory=4g", *given(environment), "boatyard-trainer", *arguments])

    def serve(
        image: str,
        environment: Mapping[str, str],
        folder: Path,  # noqa: ARG001
    ) -> tuple[Sequence[str], Mapping[str, str]]:
        assert "/api:" in image
        words = ["docker", "run", "--rm", *HARDENED, "--memory=2g", *given({**environment, **reach}), "boatyard-api"]
        return words, dict(images.environment)

    with world(tmp_path, reach["STORAGE_EMULATOR_HOST"], train, serve) as there:
        walk(there)
