"""What serves and what trains never meet: a server must start in a second, without torch."""

import subprocess
import sys
from pkgutil import iter_modules

import pytest

from boatyard import inputs, tasks

pytestmark = pytest.mark.unit

TRAINING_ONLY = {
    "torch",
    "transformers",
    "datasets",
    "hydra",
    "omegaconf",
    "pandas",
    "py3langid",  # part: text
    "pyarrow",
    "sklearn",
    "onnx",
}
SERVING_ONLY = {"fastapi", "uvicorn", "prometheus_client"}
STREAMLIT_BRINGS = {"pandas", "pyarrow"}
PLUGINS = [
    *(f"boatyard.inputs.{name}" for name in inputs.names()),
    *(f"boatyard.tasks.{name}" for name in tasks.names()),
]
SERVING = [
    "boatyard.api.application",
    "boatyard.api.jobs.worker",
    "boatyard.bundle.manifest",
    "boatyard.bundle.predict",
    "boatyard.journal",
    "boatyard.registry",
    "boatyard.storage",
    *(f"{plugin}.serving" for plugin in PLUGINS),
]

PREPARED_WITHOUT_TORCH = sorted({"table", "text"} & {*inputs.names()})  # a small input may be a module with all
PREPARING = ("open_sources", "row_format", "report_rows", "digest_of_start", "make_inputs", "open_encoder")


def loaded_by(*modules: str) -> set[str]:
    """All modules that a new process has once it has imported these."""
    (loaded,) = loaded_after(f"import {', '.join(modules)}")
    assert loaded.issuperset(modules)
    return loaded


def loaded_after(*steps: str) -> list[set[str]]:
    """All modules that a new process has after each of these lines of Python."""
    code = "import sys\n" + "".join(f"{step}\nprint(*sys.modules)\n" for step in steps)
    ran = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True)
    return [set(line.split()) for line in ran.stdout.splitlines()]


def packages(modules: set[str]) -> set[str]:
    return {name.partition(".")[0] for name in modules}


def modules_of(plugin: str) -> list[str]:
    folder = {"inputs": inputs, "tasks": tasks}[plugin.split(".")[1]].__path__[0]
    return [module.name for module in iter_modules([f"{folder}/{plugin.rpartition('.')[2]}"])]


def test_what_serves_loads_nothing_that_only_training_needs() -> None:
    loaded = loaded_by(*SERVING)
    assert TRAINING_ONLY.isdisjoint(packages(loaded))
    assert "google.cloud.storage" not in loaded, "only where a bucket is named"


@pytest.fixture(scope="module")
def training() -> list[set[str]]:
    """What a process has loaded that prepares rows, and once it has all that trains."""
    pages = {"page"}
    modules = [f"{plugin}.{name}" for plugin in PLUGINS for name in modules_of(plugin) if name not in pages]
    return loaded_after(
        "from boatyard import inputs\n"
        + "\n".join(f"inputs.training({name!r}).{each}" for name in PREPARED_WITHOUT_TORCH for each in PREPARING),
        f"import {', '.join(modules)}",
    )


@pytest.mark.slow
def test_whoever_prepares_rows_loads_no_torch(training: list[set[str]]) -> None:
    assert "torch" not in training[0]


@pytest.mark.slow
def test_what_an_input_or_a_task_trains_with_loads_nothing_of_a_server(training: list[set[str]]) -> None:
    loaded = training[1]
    assert "torch" in loaded
    assert SERVING_ONLY.isdisjoint(packages(loaded))
    assert not {name for name in loaded if name.startswith(("boatyard.api", "boatyard.frontend", "streamlit"))}


@pytest.mark.slow
def test_what_an_input_or_a_task_shows_loads_nothing_that_learns_or_serves() -> None:
    pages = [f"{plugin}.page" for plugin in PLUGINS if "page" in modules_of(plugin)]
    loaded = loaded_by("boatyard.frontend.input_page", "boatyard.frontend.task_page", *pages)
    assert "streamlit" in loaded
    elsewhere = TRAINING_ONLY - STREAMLIT_BRINGS | {"fastapi", "uvicorn", "onnxruntime", "tokenizers"}
    assert elsewhere & packages(loaded) == set()
    assert not {name for name in loaded if name.startswith(("boatyard.api", "boatyard.monitor", "boatyard.train"))}
    assert not {name for name in loaded if name.endswith((".serving", ".training"))}


def test_what_scores_files_loads_nothing_that_learns_and_nothing_of_the_api() -> None:
    loaded = loaded_by("boatyard.score.work")
    assert {"torch", "transformers", "datasets", "sklearn", "ray"}.isdisjoint(packages(loaded))
    assert SERVING_ONLY.isdisjoint(packages(loaded))
    assert not {name for name in loaded if name.startswith("boatyard.api")}


@pytest.mark.slow
def test_what_watches_loads_nothing_that_learns_and_nothing_of_the_api() -> None:
    loaded = loaded_by("boatyard.monitor.__main__", "boatyard.monitor.service")
    assert "boatyard.monitor.run" in loaded
    assert {"torch", "transformers", "datasets", "hydra", "omegaconf"}.isdisjoint(loaded)
    assert "boatyard.config.compose" not in loaded
    shared = {"boatyard.api", *(f"boatyard.api.{name}" for name in ("documentation", "problems", "protocol", "routes"))}
    assert not {name for name in loaded if name.startswith(("boatyard.api", "boatyard.export"))} - shared
