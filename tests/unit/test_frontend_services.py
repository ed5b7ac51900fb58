"""How the web page speaks to the other services, and what it imports."""

import ast
import os
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest

import boatyard
from boatyard.config.errors import UserError
from boatyard.frontend.services import Trouble, addresses

pytestmark = pytest.mark.unit


def test_the_page_imports_nothing_of_the_package_but_what_is_small() -> None:
    imported = set()
    package = Path(boatyard.__file__).parent
    for file in (*package.glob("frontend/*.py"), *package.glob("inputs/*/page.py"), *package.glob("tasks/*/page.py")):
        for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
            if isinstance(node, ast.ImportFrom):
                imported |= {f"{node.module}.{alias.name}" for alias in node.names}
            elif isinstance(node, ast.Import):
                imported |= {alias.name for alias in node.names}
    ours = {name for name in imported if name.split(".")[0] == "boatyard" and not name.startswith("boatyard.frontend")}
    modules = {name if name in {"boatyard.inputs", "boatyard.tasks"} else name.rpartition(".")[0] for name in ours}
    assert modules <= {
        *("boatyard.config.addresses", "boatyard.config.console", "boatyard.config.environment"),
        *("boatyard.config.errors", "boatyard.config.plurals"),
        *("boatyard.inputs", "boatyard.tasks", "boatyard.tasks.score"),
        *("boatyard.inputs.image.overlay", "boatyard.inputs.image.pictures"),
    }


def test_all_pages_come_without_what_serves_and_what_learns() -> None:
    """The page's image has none of these."""
    script = """
import sys
from importlib import import_module
from pkgutil import iter_modules
from boatyard import frontend, inputs, tasks
for module in iter_modules(frontend.__path__):
    if module.name not in ("__main__", "app"):  # which serve the page when they are imported
        import_module(f"boatyard.frontend.{module.name}")
for package in (inputs, tasks):
    for name in package.names():
        package.page(name)
print(sorted({name.partition(".")[0] for name in sys.modules}))
"""
    ran = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, timeout=60)
    assert ran.returncode == 0, ran.stderr
    roots = set(ast.literal_eval(ran.stdout))
    assert not roots & {"fastapi", "onnxruntime", "tokenizers", "torch", "transformers", "scipy", "sklearn", "hydra"}


def test_addresses_are_read_from_the_environment() -> None:
    [api, *_] = addresses({"BOATYARD_API": "https://api.example/"})
    assert api.url == "https://api.example"


def test_the_monitors_is_another() -> None:
    [api, monitor] = addresses({"BOATYARD_MONITOR": "https://monitor.example/"})
    assert (api.url, monitor.url) == ("http://localhost:8000", "https://monitor.example")


def test_no_identity_is_shown_unless_it_is_asked_for_and_none_to_be_had_is_said() -> None:
    environment = {"GCE_METADATA_HOST": "127.0.0.1:9"}
    assert {service.identity for service in addresses(environment)} == {""}
    [api, *_] = addresses({**environment, "BOATYARD_GOOGLE_IDENTITY": "1"})
    with pytest.raises(Trouble, match="no identity token for the api"):
        api.get("/model")


@pytest.mark.parametrize("given", ["localhost:8000", "ftp://host", "http://", "http://host:port"])
def test_what_is_no_address_is_refused_by_its_variable(given: str) -> None:
    with pytest.raises(UserError, match="BOATYARD_API: "):
        addresses({"BOATYARD_API": given})


def test_a_key_is_not_shown_and_one_that_no_header_can_hold_is_refused() -> None:
    api = replace(addresses({})[0], key="ключ")
    assert "ключ" not in repr(api)
    with pytest.raises(Trouble, match="no key has"):
        api.get("/model")


@pytest.mark.parametrize("wrong", [{"BOATYARD_MONITOR": "monitor"}, {"PORT": "http"}])
def test_a_wrong_setting_ends_the_page_with_a_sentence(wrong: dict[str, str]) -> None:
    ran = subprocess.run(
        [sys.executable, "-m", "boatyard.frontend"], env=os.environ | wrong, capture_output=True, text=True, timeout=60
    )
    assert (ran.returncode, ran.stdout) == (2, "")
    assert ran.stderr.startswith(f"boatyard.frontend: {next(iter(wrong))}: ")
    assert "Traceback" not in ran.stderr
