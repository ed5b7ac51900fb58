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
    "pyarrow",
    "sklearn",
    "onnx",
}
SERVING = [
    "boatyard.api",
    "boatyard.bundle",
    "boatyard.jobs",
    "boatyard.journal",
    "boatyard.kinds.text.serving",
    "boatyard.predict",
    "boatyard.registry",
    "boatyard.storage",
]


@pytest.mark.parametrize("module", SERVING)
def test_what_serves_loads_nothing_that_only_training_needs(module: str) -> None:
    code = f"import sys, {module}; print(*{{name.partition('.')[0] for name in sys.modules}})"
    ran = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True)
    loaded = ran.stdout.split()
    assert module.partition(".")[0] in loaded
    assert TRAINING_ONLY.isdisjoint(loaded)
