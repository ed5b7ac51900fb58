"""The images, built once by the project's own command, and containers of them."""

import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import httpx
import pytest
from buckets import BUCKET, serve_buckets
from containers import Container, Docker
from engine import NoEngineError, engine
from processes import free_port

ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="session")
def docker() -> Iterator[Docker]:
    try:
        with engine() as there:
            yield Docker(os.environ | there)
    except NoEngineError as why:
        pytest.skip(str(why))


@pytest.fixture(scope="session")
def images(docker: Docker, capfd_session: None) -> Docker:  # noqa: ARG001 - the builds are seen as they go on
    """boatyard-NAME:latest is there for each of dockerfiles/."""
    subprocess.run([sys.executable, "-m", "invoke", "images"], cwd=ROOT, env=docker.environment, check=True)
    return docker


@pytest.fixture(scope="session")
def capfd_session(request: pytest.FixtureRequest) -> Iterator[None]:
    capture = request.config.pluginmanager.getplugin("capturemanager")
    with capture.global_and_fixture_disabled():
        yield


@pytest.fixture(scope="session")
def bucket(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[str, dict[str, str]]]:
    """The root of a storage, and the variable that says where its stand-in listens."""
    with serve_buckets(tmp_path_factory.mktemp("buckets")) as url:
        yield f"gs://{BUCKET}/path", {"STORAGE_EMULATOR_HOST": url}


Serve = Callable[..., Container]


@pytest.fixture
def serve(images: Docker) -> Iterator[Serve]:
    """A hardened container of a service's image, the api's unless another is named, which listens on `url`."""
    running: list[Container] = []

    def start(*options: str, image: str = "boatyard-api", **environment: str) -> Container:
        port = free_port()
        words = [f"--env={name}={value}" for name, value in {"PORT": str(port), **environment}.items()]
        container = images.start(image, *options, *words)
        container.url = f"http://127.0.0.1:{port}"
        running.append(container)
        return container

    yield start
    for container in running:
        images.run("rm", "--force", "--volumes", container.id)


@pytest.fixture
def client() -> Iterator[httpx.Client]:
    with httpx.Client(timeout=30) as client:
        yield client
