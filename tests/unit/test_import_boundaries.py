"""What serves and what trains never meet: a server must start in a second, without torch."""

import subprocess
import sys

import pytest

pytestmark = pytest.mark.unit

TRAINING_ONLY = {
    "torch",
    "transformers",
    "datasets",
    "hydra",
    "omegaconf",
    "pandas",
    "py3langid",
    "pyarrow",
    "sklearn",
    "onnx",
}
SERVING = [
    "boatyard.api.application",
    "boatyard.api.jobs.worker",
    "boatyard.bundle.manifest",
    "boatyard.bundle.predict",
    "boatyard.inputs.text.serving",
    "boatyard.journal",
    "boatyard.registry",
    "boatyard.storage",
]


@pytest.mark.parametrize("module", SERVING)
def test_what_serves_loads_nothing_that_only_training_needs(module: str) -> None:
    code = f"import sys, {module}; print(*sys.modules)"
    ran = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True)
    loaded = set(ran.stdout.split())
    assert module in loaded
    assert TRAINING_ONLY.isdisjoint(name.partition(".")[0] for name in loaded)
    assert "google.cloud.storage" not in loaded, "only where a bucket is named"


def test_what_watches_loads_nothing_that_learns_and_nothing_of_the_api() -> None:
    code = "import sys, boatyard.monitor.__main__, boatyard.monitor.service; print(*sys.modules)"
    ran = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True)
    loaded = set(ran.stdout.split())
    assert "boatyard.monitor.run" in loaded
    assert {"torch", "transformers", "datasets", "hydra", "omegaconf"}.isdisjoint(loaded)
    assert "boatyard.config.compose" not in loaded
    shared = {"boatyard.api", "boatyard.api.problems", "boatyard.api.routes"}
    assert not {name for name in loaded if name.startswith(("boatyard.api", "boatyard.export"))} - shared
