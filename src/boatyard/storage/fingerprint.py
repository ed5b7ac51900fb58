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
# where each stage begins; what it asks of its input and its task is found by name, as `training` loads it late
_BEGINNINGS: dict[Stage, tuple[str, ...]] = {
    "prepare": ("data.prepare",),
    "encode": ("data.encode",),
    "train": ("train.fit",),
    "evaluate": ("evaluate.run",),
    "export": ("export.run", "bundle.manifest", "bundle.checksums", "{input}.serving", "{task}.serving"),
}
_LATE = ("{input}.training", "{task}.training")
# what does not change the outcome: it reads settings, opens what an earlier stage made, which has a fingerprint of its
# own, or stores what was made
_WITHOUT_SAY = {
    *(modules[0] for modules in _BEGINNINGS.values()),
    "config.plugins",
    "tasks.layout",
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
def code_of(stage: Stage, input_: str, task: str) -> tuple[Path, ...]:
    """The source of all that the stage imports of this package, however deep and late, sorted.

    Of what the input's and the task's `training` load late, it counts what the stage's code has an attribute's name of.
    """
    names = {"input": f"inputs.{input_}", "task": f"tasks.{task}"}
    late = [name.format(**names) for name in _LATE]
    members = {name: f"{module.rpartition('.')[0]}.{part}" for module in late for name, part in _members(module)}
    waiting = [*(name.format(**names) for name in _BEGINNINGS[stage]), *late]
    modules = set(waiting)
    while waiting:
        module = waiting.pop()
        needed = {members[name] for name in _attributes(module) if name in members}
        new = (_imports(module) | needed) - modules - _WITHOUT_SAY
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
    prefix = f"{_PACKAGE}."
    return {name.removeprefix(prefix) for name in _imported(_tree(module)) if name.startswith(prefix)}


@cache
def _attributes(module: str) -> frozenset[str]:
    """The names that follow a point in the module's code."""
    return frozenset(node.attr for node in ast.walk(_tree(module)) if isinstance(node, ast.Attribute))


def _members(module: str) -> list[tuple[str, str]]:
    """What `boatyard.config.plugins.lazily` gives the module: names, and the modules beside it that have them."""
    for node in ast.walk(_tree(module)):
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id == "lazily":
            table = node.args[1]
            return list(ast.literal_eval(_assigned(module, table.id) if isinstance(table, ast.Name) else table).items())
    return []


def _assigned(module: str, name: str) -> ast.expr:
    """The value of a constant that the module imports."""
    prefix = f"{_PACKAGE}."
    for node in ast.walk(_tree(module)):
        if isinstance(node, ast.ImportFrom) and node.module and any(one.name == name for one in node.names):
            for statement in _tree(node.module.removeprefix(prefix)).body:
                if isinstance(statement, ast.AnnAssign) and getattr(statement.target, "id", None) == name:
                    assert statement.value is not None
                    return statement.value
    raise LookupError(f"{module} imports no constant {name}")


@cache
def _tree(module: str) -> ast.Module:
    file = _source(module)
    return ast.parse(file.read_bytes()) if file is not None else ast.Module([], [])


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
