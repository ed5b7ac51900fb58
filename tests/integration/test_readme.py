"""The README's promises: its commands exist, its curl examples answer."""

import json
import re
import shlex
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from bundles import publish_in_production
from needs import needs
from servers import ServerProcess

from boatyard.config.compose import load_config

pytestmark = pytest.mark.integration

ROOT = Path(__file__).parents[2]
TEXT = (ROOT / "README.md").read_text(encoding="utf-8")
LINES = [line for block in re.findall(r"```bash\n(.*?)```", TEXT, re.DOTALL) for line in block.splitlines()]
CURLS = [line for line in LINES if line.startswith("curl ")]


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """A real server process with a real small bundle, published as the README's."""
    root = tmp_path_factory.mktemp("readme")
    publish_in_production(root, name="inbox")
    with ServerProcess(root / "storage", root / "log", BOATYARD_MODEL="inbox") as process:
        yield process.url


def curl(line: str, server: str) -> str:
    words = shlex.split(line.replace("http://localhost:8000", server))
    return subprocess.run(words, capture_output=True, text=True, check=True).stdout


def answer(path: str, server: str, *having: str) -> Any:
    (line,) = [line for line in CURLS if f":8000{path}" in line and all(part in line for part in having)]
    return json.loads(curl(line, server))


@needs("curl")
def test_one_message_gets_one_answer(server: str) -> None:
    found = answer("/predict ", server, "stolen")
    assert found["label"] == "card_lost"
    assert found.keys() >= {"id", "score", "top", "model", "version", "truncated", "duration_ms"}


@needs("curl")
def test_a_list_gets_an_answer_for_each_with_as_many_labels_as_asked(server: str) -> None:
    found = answer("/predict?top_k=2", server)
    assert [prediction["label"] for prediction in found["predictions"]] == ["card_lost", "transfer"]
    assert [len(prediction["top"]) for prediction in found["predictions"]] == [2, 2]


@needs("curl")
def test_a_mistake_in_a_request_is_a_problem_document(server: str) -> None:
    assert answer("/predict ", server, "typo")["status"] == 422


@needs("curl")
def test_the_other_routes_answer(server: str) -> None:
    routes = {line.rpartition(":8000")[2]: curl(line, server) for line in CURLS if "-H" not in line}
    assert routes.keys() == {"/readyz", "/model", "/models", "/metrics"}
    assert json.loads(routes["/model"])["name"] == "inbox"
    assert "inbox" in routes["/models"]
    assert "# HELP" in routes["/metrics"]


def test_every_override_in_a_command_composes() -> None:
    commands = [shlex.split(line) for line in LINES if " -o " in line]
    assert len(commands) >= 5
    for words in commands:
        load_config([words[i + 1] for i, word in enumerate(words) if word == "-o"])


def test_every_task_that_is_named_exists() -> None:
    listed = subprocess.run(
        [sys.executable, "-m", "invoke", "--list"], cwd=ROOT, capture_output=True, text=True, check=True
    ).stdout
    tasks = re.findall(r"^  (\S+)", listed, re.MULTILINE)
    assert len(tasks) == len(set(tasks))
    assert set(re.findall(r"invoke ([a-z][\w.-]*\w)", TEXT)) <= set(tasks)
    groups = [line for line in listed.splitlines() if line and not line.startswith(" ")]
    assert groups == ["work", "serve", "watch", "cloud", "maintain"]


def test_every_selection_of_tests_selects_some() -> None:
    names = " ".join(f"{file.stem} {file.read_text(encoding='utf-8')}" for file in ROOT.glob("tests/*/test_*.py"))
    chosen = re.findall(r"invoke test --select (\w+)", TEXT)
    assert len(chosen) >= 4
    assert not [words for words in chosen if not re.search(rf"\btest_\w*{words}", names)]


def test_every_folder_on_the_map_exists_and_the_page_stays_short() -> None:
    folders = re.findall(r"`([\w/.]+(?:/|\.py))`", TEXT.partition("| folder |")[2].partition("\n\n")[0])
    assert len(folders) >= 9
    assert all((ROOT / folder).exists() for folder in folders)
    assert len(TEXT.splitlines()) < 200
