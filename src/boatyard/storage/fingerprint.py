"""A stage's fingerprint: a digest of its settings, its inputs and its code."""

import ast
import hashlib
import json
from collections.abc import Iterable, Iterator
from functools import cache
from pathlib import Path
from typing import Literal

Stage = Literal["prepare", "encode", "train", "evaluate", "export"]

_PACKAGE_FOLDER = Path(__file__).parents[1]
_PACKAGE = _PACKAGE_FOLDER.name
# the modules that each stage starts from; members of the input's and the task's `training`, which loads them lazily,
# are found by attribute name
_ENTRY_MODULES: dict[Stage, tuple[str, ...]] = {
    "prepare": ("data.prepare",),
    "encode": ("data.encode",),
    "train": ("train.fit",),
    "evaluate": ("evaluate.run",),
    "export": ("export.run", "bundle.manifest", "bundle.checksums", "{input}.serving", "{task}.serving"),
}
_LAZY = ("{input}.training", "{task}.training")
# what cannot change the outcome: it reads settings, opens an earlier stage's output, which has its own fingerprint,
# stores the outcome, or is grammar
_IRRELEVANT = {
    *(modules[0] for modules in _ENTRY_MODULES.values()),
    "config.plugins",
    "tasks.layout",
    "bundle.checksums",
    "bundle.manifest",
    "config.compose",
    "config.errors",
    "config.owned",
    "config.plurals",
    "config.processes",
    "config.schema",
    "data.workers",
    "storage",
    "storage.fingerprint",
    "storage.folders",
    "train.tracking",
    "train.trained",
}


def fingerprint(settings: object, *, code: Iterable[Path] = ()) -> str:
    """16 hex digits over JSON-able settings and source files.

    The code is part of it, so that a stage runs again after an edit instead of showing a stale result.
    """
    parts = [json.dumps(settings, sort_keys=True), *(f"{file.name} {file_digest(file)}" for file in code)]
    return hashlib.sha256("\n".join(parts).encode()).hexdigest()[:16]


@cache
def code_of(stage: Stage, input_: str, task: str) -> tuple[Path, ...]:
    """The source files of this package that the stage imports, directly or not, also inside functions, sorted.

    A member that the input's or the task's `training` loads lazily counts if the stage's code has an attribute of its
    name.
    """
    names = {"input": f"inputs.{input_}", "task": f"tasks.{task}"}
    lazy = [name.format(**names) for name in _LAZY]
    members = {name: f"{module.rpartition('.')[0]}.{part}" for module in lazy for name, part in _members(module)}
    queue = [*(name.format(**names) for name in _ENTRY_MODULES[stage]), *lazy]
    modules = set(queue)
    while queue:
        module = queue.pop()
        needed = {members[name] for name in _attributes(module) if name in members}
        new = (_imports(module) | needed) - modules - _IRRELEVANT
        modules |= new
        queue += new
    return tuple(sorted(file for module in modules if (file := _source(module)) is not None))


def file_digest(path: Path) -> str:
    """SHA-256 of a file's bytes, in hex."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


@cache
def _imports(module: str) -> set[str]:
    """Modules of this package, relative to it, that the module's code imports, also inside functions."""
    prefix = f"{_PACKAGE}."
    return {name.removeprefix(prefix) for name in _imported(_tree(module)) if name.startswith(prefix)}


@cache
def _attributes(module: str) -> frozenset[str]:
    """The attribute names in the module's code."""
    return frozenset(node.attr for node in ast.walk(_tree(module)) if isinstance(node, ast.Attribute))


def _members(module: str) -> list[tuple[str, str]]:
    """The members that `boatyard.config.plugins.lazily` adds to the module: name and sibling module."""
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
    """None if it is not a module, such as an imported function."""
    path = _PACKAGE_FOLDER.joinpath(*module.split("."))
    return next((file for file in (path / "__init__.py", path.with_suffix(".py")) if file.exists()), None)
