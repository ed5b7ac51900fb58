"""The app, started on the test's own storage; and what the pipeline makes, once for all tests."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from bundles import publish_in_production
from plants import write_plants
from servers import Serve, client_as_served
from sharing import made_once
from starlette.testclient import TestClient

from boatyard.api import Application
from boatyard.api.settings import Settings
from boatyard.registry import Reference


@pytest.fixture(scope="session")
def plants_in_production(request: pytest.FixtureRequest) -> Path:
    """All that the pipeline on plants.csv leaves behind. Who would change it changes a copy."""

    def make(root: Path) -> None:
        from stages import plants_config

        from boatyard.pipeline.run import run_pipeline  # whoever asks for it loads torch anyway

        run_pipeline(plants_config(root, write_plants(root / "plants.csv")))

    return made_once(request, "plants", make)


@pytest.fixture
def serve(tmp_path: Path) -> Iterator[Serve]:
    """Starts the app on the test's storage."""
    started: list[TestClient] = []

    def start(**changes: Any) -> TestClient:
        settings = {
            "storage": str(tmp_path / "storage"),
            "model": Reference("ferry"),
            "spool": str(tmp_path / "spool"),
            "watch_seconds": 0.02,
            **changes,
        }
        app = Application(Settings(**settings))
        client = client_as_served(app, raise_server_exceptions=False)
        started.append(client.__enter__())
        return client

    yield start
    for client in started:
        client.__exit__(None, None, None)


@pytest.fixture
def promoted(tmp_path: Path) -> str:
    return publish_in_production(tmp_path)


@pytest.fixture
def client(promoted: str, serve: Serve) -> TestClient:  # noqa: ARG001 - published first
    return serve()
