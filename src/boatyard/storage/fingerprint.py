"""What makes one run of a stage different from another: its settings, its inputs and its code."""

import ast
import hashlib
import json
from collections.abc import Iterable, Iterator
from functools import cache
from pathlib import Path
from typing import Literal

Stage = Literal["prepare", "encode", "train", "evaluate", "export"]

_HOME = Path(__file__).parents[1]
_PACKAGE = _HOME.name
# where each stage begins, and what of the kind it reaches by name only: `Kind.training` loads that late
_BEGINNINGS: dict[Stage, tuple[str, ...]] = {
    "prepare": ("data.prepare", "{kind}.training"),
    "encode": ("data.encode", "{kind}.training"),
    "train": ("train.fit", "{kind}.training", "{kind}.network"),
    "evaluate": ("evaluate.run", "{kind}.training", "{kind}.network", "{kind}.baseline"),
    "export": (
        "export.run",
        "bundle.manifest",
        "bundle.checksums",
        "{kind}.training",
        "{kind}.network",
        "{kind}.graph",
    ),
}
# what does not change the outcome: it reads settings, opens what an earlier stage made, which has a fingerprint of its
# own, or stores what was made
_WITHOUT_SAY = {
    *(modules[0] for modules in _BEGINNINGS.values()),
    "bundle.checksums",
    "bundle.manifest",
    "config.compose",
    "config.errors",
    "config.processes",
    "config.schema",
    "storage",
    "storage.fingerprint",
    "storage.folders",
    "train.tracking",
    "train.trained",
}


def fingerprint(settings: object, *, code: Iterable[Path] = ()) -> str:
    """16 hex digits over JSON-able settings and source files.

    The code is counted in, so that after an edit a stage runs again instead of showing yesterday's result.
    """
    parts = [json.dumps(settings, sort_keys=True), *(f"{file.name} {file_digest(file)}" for file in code)]
    return hashlib.sha256("\n".join(parts).encode()).hexdigest()[:16]


@cache
def code_of(stage: Stage, kind: str) -> tuple[Path, ...]:
    """The source of all that the stage imports of this package, however deep and late, sorted."""
    waiting = [name.format(kind=f"inputs.{kind}") for name in _BEGINNINGS[stage]]
    modules = set(waiting)
    while waiting:
        new = _imports(waiting.pop()) - modules - _WITHOUT_SAY
        modules |= new
        waiting += new
    return tuple(sorted(file for module in modules if (file := _source(module)) is not None))


def file_digest(path: Path) -> str:
    """SHA-256 of a file's bytes, in hex."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


@cache
def _imports(module: str) -> set[str]:
    """Modules of this package, named from within it, that the module's code imports, in functions too."""
    file = _source(module)
    tree = ast.parse(file.read_bytes()) if file is not None else ast.Module([], [])
    prefix = f"{_PACKAGE}."
    return {name.removeprefix(prefix) for name in _imported(tree) if name.startswith(prefix)}


def _imported(tree: ast.AST) -> Iterator[str]:
    """Of `from a import b` both a and a.b, which may be a module."""
    if isinstance(tree, ast.If) and isinstance(tree.test, ast.Name) and tree.test.id == "TYPE_CHECKING":
        return
    if isinstance(tree, ast.Import):
        yield from (name.name for name in tree.names)
    elif isinstance(tree, ast.ImportFrom) and tree.module is not None:
        yield tree.module
        yield from (f"{tree.module}.{name.name}" for name in tree.names)
    for child in ast.iter_child_nodes(tree):
        yield from _imported(child)


def _source(module: str) -> Path | None:
    """None for what is no module, as a function that a module was searched for."""
    place = _HOME.joinpath(*module.split("."))
    return next((file for file in (place / "__init__.py", place.with_suffix(".py")) if file.exists()), None)
