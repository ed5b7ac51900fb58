"""The toy input and the toy task in tests/toys: what somebody writes who adds an input and a task of their own."""

import ast
import json
import math
import os
import random
import shutil
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from checkout import ROOT

from boatyard import inputs, tasks

TOYS = ROOT / "tests" / "toys"
PLUGINS = {"inputs": "clicks", "tasks": "count"}
CHOSEN = ("data=clicks", "model=clicks", "data.path=visits.jsonl", "tracking=none")
PAGES = ("home", "search", "shirt", "shoes", "cart", "help")


def in_a_checkout(file: Path) -> str:
    """Where a file of the toys belongs."""
    path = file.relative_to(TOYS)
    return (path if path.parts[0] == "configs" else Path("src", "boatyard", path)).as_posix()


def copy_with_toys(folder: Path) -> Path:
    """What a checkout needs to run, and the toys' files where they belong."""
    for part in ("src", "configs"):
        shutil.copytree(ROOT / part, folder / part, ignore=shutil.ignore_patterns("__pycache__"))
    for file in TOYS.rglob("*.*"):
        if file.suffix in {".py", ".yaml"}:
            place = folder / in_a_checkout(file)
            place.parent.mkdir(exist_ok=True)
            shutil.copy(file, place)
    return folder


@contextmanager
def toys_in_this_process() -> Iterator[None]:
    """As if the toys' folders lay beside the others."""
    paths = {inputs: TOYS / "inputs", tasks: TOYS / "tasks"}
    for package, path in paths.items():
        package.__path__.append(str(path))
    try:
        yield
    finally:
        for package, path in paths.items():
            package.__path__.remove(str(path))
        toys = tuple(f"boatyard.{part}.{toy}" for part, toy in PLUGINS.items())
        for module in [name for name in sys.modules if name.startswith(toys)]:
            del sys.modules[module]


def lines_of_code() -> int:
    """Of the toys' modules: lines that are neither blank nor a docstring."""
    return sum(_lines_of_code(file.read_text(encoding="utf-8")) for file in TOYS.rglob("*.py"))


def _lines_of_code(source: str) -> int:
    docstrings = [
        line
        for node in ast.walk(ast.parse(source))
        if isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef) and ast.get_docstring(node) is not None
        for line in range(node.body[0].lineno, (node.body[0].end_lineno or 0) + 1)
    ]
    return sum(1 for line in source.splitlines() if line.strip()) - len(docstrings)


def visits(rows: int, seed: int, *, sale: bool = False) -> Iterator[tuple[list[str], int]]:
    """Visits, each with what was bought; in a `sale`, of which there is a new page, it is five times as much."""
    chance = random.Random(seed)
    for _ in range(rows):
        clicks = ["sale" if sale else "home", *chance.choices(PAGES, k=chance.randint(8, 16))]  # hardly any twice
        rate = math.exp(0.3 * clicks.count("cart") + 0.2 * clicks.count("shoes") - 0.4 * clicks.count("help"))
        yield clicks, _poisson(rate * (5 if sale else 1), chance)


def _poisson(rate: float, chance: random.Random) -> int:
    """By Knuth."""
    count, product = 0, chance.random()
    while product > math.exp(-rate):
        count, product = count + 1, product * chance.random()
    return count


def write_visits(file: Path, rows: int = 1_500) -> Path:
    """JSON Lines."""
    lines = [json.dumps({"clicks": clicks, "bought": bought}) for clicks, bought in visits(rows, seed=0)]
    file.write_text("\n".join(lines) + "\n", encoding="utf-8")
    return file


def environment(checkout: Path) -> dict[str, str]:
    """In which processes run the checkout's code, on its storage."""
    return {"PYTHONPATH": str(checkout / "src"), "BOATYARD_STORAGE": str(checkout), "HF_HUB_OFFLINE": "1"}


def run(checkout: Path, *words: str, status: int = 0, **variables: str) -> str:
    """`python -m WORDS` in the checkout; what it printed."""
    ran = subprocess.run(
        [sys.executable, "-m", *words],
        cwd=checkout,
        env=os.environ | environment(checkout) | variables,
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )
    assert ran.returncode == status, ran.stdout + ran.stderr
    assert "Traceback" not in ran.stderr, ran.stderr
    return ran.stdout + (ran.stderr if status else "")


def make_shop(folder: Path) -> None:
    """A checkout with the toys, in which the pipeline ran. Who would change it changes a copy."""
    copy_with_toys(folder)
    write_visits(folder / "visits.jsonl")
    run(folder, "boatyard.pipeline", *CHOSEN)
