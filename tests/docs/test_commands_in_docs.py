"""The pages' commands: every ```bash block runs, in the page's order, or says in a comment above it why not.

<!-- not run: REASON -->      above a block, or as the page's first line for all of it
<!-- ends with status 2 -->   above a block that is meant to fail
<!-- file: PATH -->           above a block that is a file, which is written before the commands below it run
"""

import json
import os
import re
import signal
import subprocess
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import pytest
from needs import needs
from processes import free_port
from toyshop import TOYS, in_a_checkout

pytestmark = pytest.mark.docs

DOCS = Path(__file__).parents[2] / "docs"
PAGES = sorted(DOCS.rglob("*.md"))
LIMIT = 300  # seconds, for one block
_FENCE = re.compile(
    r"(?:^<!-- (?!part\b)(?P<note>[^\n]*) -->\n)?^ *```(?P<language>\w*)[^\n]*\n(?P<body>.*?)^ *```$", re.M | re.S
)
_NOT_RUN = re.compile(r"(?:<!-- )?not run: (?P<reason>.+?)(?: -->)?")


@dataclass(frozen=True)
class Block:
    """A fenced block. `note`: the comment above it."""

    where: str
    language: str
    body: str
    note: str

    @property
    def reason(self) -> str | None:
        """Why it is not run."""
        found = _NOT_RUN.fullmatch(self.note)
        return found["reason"] if found else None

    @property
    def file(self) -> str | None:
        """Where it lies, in the repository."""
        match = re.fullmatch(r"file: (\S+)", self.note)
        return match[1] if match else None

    @property
    def status(self) -> int:
        """What it should end with."""
        found = re.fullmatch(r"ends with status (\d+)", self.note)
        return int(found[1]) if found else 0


def blocks(page: Path) -> list[Block]:
    text = page.read_text(encoding="utf-8")
    first = text.partition("\n")[0]
    whole = first if _NOT_RUN.fullmatch(first) else ""
    name = page.relative_to(DOCS).as_posix()
    return [
        Block(
            f"{name}:{text.count(chr(10), 0, found.start('body'))}",
            found["language"],
            found["body"],
            whole or found["note"] or "",
        )
        for found in _FENCE.finditer(text)
    ]


ALL = [block for page in PAGES for block in blocks(page)]
RUN = [page for page in PAGES if any(block.language == "bash" and not block.reason for block in blocks(page))]
NOT_RUN = [block for block in ALL if block.language == "bash" and block.reason]


@contextmanager
def served(command: str, checkout: Path, environment: dict[str, str], log: Path) -> Iterator[None]:
    with log.open("w") as output:
        process = subprocess.Popen(
            ["bash", "-c", f"exec {command}"],
            cwd=checkout,
            env=environment,
            stdout=output,
            stderr=output,
            start_new_session=True,
        )
    try:
        limit = time.monotonic() + 60
        while not ready(environment["PORT"]):
            assert process.poll() is None, log.read_text()
            assert time.monotonic() < limit, log.read_text()
            time.sleep(0.1)
        yield
        assert process.poll() is None, log.read_text()
    finally:
        if process.poll() is None:
            os.killpg(process.pid, signal.SIGINT)  # as Ctrl-C does
            process.wait(30)


def ready(port: str) -> bool:
    try:
        return httpx.get(f"http://localhost:{port}/readyz", timeout=5).status_code == 200
    except httpx.TransportError:
        return False


def answers(output: str) -> list[Any]:
    """The JSON objects in what a block printed."""
    found, decoder = [], json.JSONDecoder()
    while (start := output.find("{")) >= 0:
        try:
            value, end = decoder.raw_decode(output[start:])
            found.append(value)
        except ValueError:
            end = 1
        output = output[start + end :]
    return found


@needs("curl")
@pytest.mark.parametrize("page", RUN, ids=lambda page: page.relative_to(DOCS).as_posix())
def test_the_commands_of_a_page_work_in_their_order(
    page: Path, checkout: Path, environment: dict[str, str], tmp_path: Path
) -> None:
    environment = environment | {"PORT": str(free_port())}
    said = ""
    with ExitStack() as until_the_end:
        for block in blocks(page):
            body = block.body.replace("localhost:8000", f"localhost:{environment['PORT']}")
            if block.file:
                (checkout / block.file).parent.mkdir(exist_ok=True)
                (checkout / block.file).write_text(body, encoding="utf-8")
            elif block.language == "json" and said:  # it shows what the block above it printed
                assert answers(said)[0].keys() == json.loads(body).keys(), block.where
            elif block.language == "bash" and "invoke serve" in body and not block.reason:
                until_the_end.enter_context(served(body.strip(), checkout, environment, tmp_path / "log"))
            elif block.language == "bash":
                said = "" if block.reason else output(block, body, checkout, environment)


def output(block: Block, body: str, checkout: Path, environment: dict[str, str]) -> str:
    ran = subprocess.run(
        ["bash", "-euo", "pipefail", "-c", body],
        cwd=checkout,
        env=environment,
        capture_output=True,
        text=True,
        timeout=LIMIT,
        check=False,
    )
    assert ran.returncode == block.status, f"{block.where}\n{ran.stdout}\n{ran.stderr}"
    assert "Traceback" not in ran.stderr, f"{block.where}\n{ran.stderr}"
    problems = [told for told in answers(ran.stdout) if isinstance(told.get("status"), int) and told["status"] >= 400]
    assert not problems, block.where
    return ran.stdout


@pytest.mark.parametrize("block", NOT_RUN, ids=lambda block: block.where)
def test_a_command_that_is_not_run_is_named_with_the_reason(block: Block) -> None:
    pytest.skip(f"{block.where}: {block.reason}")


def test_every_block_says_what_it_is_and_every_remark_is_understood() -> None:
    assert len(RUN) >= 5
    for block in ALL:
        assert block.language in {"bash", "json", "mermaid", "python", "text", "yaml"}, block.where
        assert not block.note or block.reason or block.status or block.file or block.language != "bash", block.where


def test_notebooks_are_kept_without_outputs_and_named_in_a_command() -> None:
    commands = " ".join(block.body for block in ALL if block.language == "bash" and not block.reason)
    notebooks = list((DOCS.parent / "notebooks").glob("*.ipynb"))
    assert notebooks
    for notebook in notebooks:
        assert f"jupyter execute notebooks/{notebook.name}" in commands
        cells = json.loads(notebook.read_text(encoding="utf-8"))["cells"]
        assert not [cell for cell in cells if cell.get("outputs") or cell.get("execution_count")]


def test_the_page_on_inputs_and_tasks_shows_those_that_the_tests_add() -> None:
    shown = {block.file: block.body for block in blocks(DOCS / "how-to" / "add-an-input-or-a-task.md") if block.file}
    added = [file for file in TOYS.rglob("*") if file.suffix in {".py", ".yaml"}]
    assert shown == {in_a_checkout(file): file.read_text(encoding="utf-8") for file in added}
