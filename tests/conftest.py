"""Fixtures that several test files share."""

import signal
from pathlib import Path
from typing import Any

import pytest
from bundles import Publish, write_bundle
from sharing import Scheduling

from boatyard import registry
from boatyard.bundle.manifest import Manifest
from boatyard.storage import Storage, open_storage

pytest.register_assert_rewrite("conformance")

# started in the background or under nohup, the tests would hand on what is ignored there to all that they start
signal.signal(signal.SIGINT, signal.default_int_handler)
if hasattr(signal, "SIGHUP"):
    signal.signal(signal.SIGHUP, signal.SIG_DFL)


def pytest_xdist_make_scheduler(config: pytest.Config, log: Any) -> Scheduling:
    return Scheduling(config, log)


@pytest.fixture
def storage(tmp_path: Path) -> Storage:
    return open_storage(str(tmp_path / "storage"))


@pytest.fixture
def publish(storage: Storage, tmp_path: Path) -> Publish:
    """Seals and publishes a real bundle; each call that changes `bias` makes another version."""
    made = iter(range(1000))

    def make(**changes: object) -> Manifest:
        folder = tmp_path / f"sealed-{next(made)}"
        write_bundle(folder, **changes)
        return registry.publish(storage, folder)

    return make
