"""What a test uses and was left out takes the test, or that case of it, along."""

import ast
import re
from collections import Counter
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path

from boatyard.template import TEMPLATE
from boatyard.template.making.cutting import (
    DEFINITIONS,
    Index,
    Located,
    Span,
    all_but_one,
    bound_names,
    drop_definitions,
    drop_imports,
    is_python,
    member_spans,
    offsets,
    range_spans,
    statement,
    without,
)

_CONTAINERS = (ast.List, ast.Tuple, ast.Set)
_FOUND = ("__init__.py", "conftest.py")  # by Python and pytest, without being named


@dataclass
class Gone:
    """What is no longer there."""

    words: re.Pattern[str]
    """In a string of a test, or in a command or a row of a table."""
    kinds: set[str]
    """Inputs and tasks: whole strings, among a test's cases or where an input or a task is meant."""
    modules: set[str]
    """By their dotted names; those below tests/ by their last."""
    names: dict[str, set[str]] = field(default_factory=dict)
    """By module, as above, what was taken out of it."""
    fixtures: dict[Path, set[str]] = field(default_factory=dict)
    """By the folder whose `conftest.py` had them."""

    def fixtures_of(self, file: Path) -> set[str]:
        """Those that its tests could ask for."""
        return set().union(*(self.fixtures.get(folder, ()) for folder in file.parents))

    def imports(self, node: ast.AST) -> Iterator[tuple[ast.alias, str]]:
        """What the statement binds by importing something that is gone."""
        if isinstance(node, ast.Import):
            yield from (
                (each, each.asname or each.name.partition(".")[0]) for each in node.names if each.name in self.modules
            )
        elif isinstance(node, ast.ImportFrom) and node.module:
            module = node.module if node.module.startswith(TEMPLATE) else node.module.rpartition(".")[2]
            out = self.names.get(module, set())
            for each in node.names:
                if node.module in self.modules or f"{node.module}.{each.name}" in self.modules or each.name in out:
                    yield each, each.asname or each.name


def prune_python(source: str, gone: Gone, fixtures: Collection[str] = ()) -> tuple[str, set[str]]:
    """The source less all that uses what is gone, and the names that it no longer defines.

    `fixtures`: those that are gone where the source is.
    """
    dead: set[str] = set()
    others = {*fixtures}.difference(*map(bound_names, ast.parse(source).body))
    while True:
        spans: list[Span] = []
        at, body = offsets(source), ast.parse(source).body
        cases = {each.id for node in body for part in getattr(node, "decorator_list", []) for each in _names_in(part)}
        for node in body:
            cut = _cut(node, gone, dead | others, at)
            if cut and _are_options(node) and "def test_" in source and not bound_names(node) & cases:
                cut = None  # with fewer of them it would be another command
            if cut is None or (cut and not is_python(without(source, cut))):
                dead |= bound_names(node)
                spans.append(statement(node, source, at))
            else:
                dead |= {name for _, name in gone.imports(node)}
                spans += cut
        if not spans:
            return source, dead
        source = without(source, spans)


def _names_in(decorator: ast.expr) -> Iterator[ast.Name]:
    """Names that it takes as they are: each stands for cases."""
    return (each for each in getattr(decorator, "args", []) if isinstance(each, ast.Name))


def _are_options(node: ast.stmt) -> bool:
    """Whether the statement gives a name to a list of strings."""
    return (
        isinstance(node, ast.Assign | ast.AnnAssign)
        and isinstance(node.value, ast.List | ast.Tuple)
        and all(isinstance(each, ast.Constant | ast.JoinedStr) for each in node.value.elts)
    )


def never_used(root: Path) -> set[tuple[Path, str | None]]:
    """What of tests/ only pytest finds: asked before anything is left out."""
    return {*_unused(_sources(root))}


def prune_tests(root: Path, gone: Gone, never_used: Collection[tuple[Path, str | None]]) -> None:
    """Prune all files below tests/, until none changes; what only the pruned used goes too, and files without tests."""
    before = _sources(root)
    files = dict(before)
    changed = True
    while changed:
        changed = _prune_each(files, gone)
        for file, name in {*_unused(files)}.difference(never_used):
            changed = True
            if name is None:
                del files[file]
            elif file in files:
                left = drop_definitions(files[file], {name})
                files[file] = drop_imports(left, _unused_imports(left) - _unused_imports(files[file]))
    for file, source in before.items():
        if file not in files:
            file.unlink()
        elif files[file] != source:
            file.write_text(files[file], encoding="utf-8")


def _sources(root: Path) -> dict[Path, str]:
    return {file: file.read_text(encoding="utf-8") for file in sorted((root / "tests").rglob("*.py"))}


def _prune_each(files: dict[Path, str], gone: Gone) -> bool:
    """Whether any changed."""
    changed = False
    for file, source in list(files.items()):
        pruned, dead = prune_python(source, gone, gone.fixtures_of(file))
        if pruned != source:
            pruned = drop_imports(pruned, _unused_imports(pruned) - _unused_imports(source))
        is_test = file.name.startswith("test_")
        if is_test and not re.search(r"^(async )?def test_|^class Test", pruned, re.MULTILINE):
            del files[file]
            gone.modules.add(file.stem)
            changed = True
        elif pruned != source:
            files[file] = pruned
            changed = True
            if file.name == "conftest.py":
                gone.fixtures.setdefault(file.parent, set()).update(dead)
            elif not is_test:
                gone.names.setdefault(file.stem, set()).update(dead)
    return changed


def _unused(files: Mapping[Path, str]) -> Iterator[tuple[Path, str | None]]:
    """Definitions that nothing else mentions: of a test's file nothing in it; None: a helper that no other imports."""
    everywhere: Counter[str] = Counter()
    imported: Counter[str] = Counter()
    for source in files.values():
        everywhere.update(_said_in(source))
        imported.update(_imported_by(source))
    for file, source in files.items():
        if "toys" in file.parts:  # found by the package without being named, file by file and name by name
            continue
        is_alone = imported[file.stem] == (file.stem in _imported_by(source))
        if is_alone and not file.name.startswith("test_") and file.name not in _FOUND:
            yield file, None
        known = _said_in(source) if is_alone and file.name.startswith("test_") else everywhere
        yield from ((file, name) for name, own in _definitions(source) if known[name] == own)


@cache
def _said_in(source: str) -> Counter[str]:
    return Counter(re.findall(r"\w+", source))


@cache
def _imported_by(source: str) -> set[str]:
    """Names of modules: helpers have no dots in theirs."""
    found = set()
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Import):
            found |= {each.name for each in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module:
            found.add(node.module)
    return found


def _unused_imports(source: str) -> set[str]:
    """Names that are imported at the top of the module and said nowhere else, also in no string but a docstring."""
    tree, said = ast.parse(source), set()
    remarks = {node.value for node in ast.walk(tree) if isinstance(node, ast.Expr)}
    imported = {
        name for node in tree.body if isinstance(node, ast.Import | ast.ImportFrom) for name in bound_names(node)
    }
    for node in ast.walk(tree):
        match node:
            case ast.Name(id=name) | ast.arg(arg=name):
                said.add(name)
            case ast.Constant(value=str(text)) if node not in remarks:
                said |= {*re.findall(r"\w+", text)}
    return imported - said


@cache
def _definitions(source: str) -> list[tuple[str, int]]:
    """What is defined at the top of a module and imported from nowhere, and how often the definition itself says it."""
    at, found = offsets(source), []
    for node in ast.parse(source).body:
        if isinstance(node, (*DEFINITIONS, ast.Assign, ast.AnnAssign)) and len(names := bound_names(node)) == 1:
            start, end = statement(node, source, at)
            found += [(name, _said_in(source[start:end])[name]) for name in names]
    return found


def _cut(node: ast.stmt, gone: Gone, dead: set[str], at: Index) -> list[Span] | None:
    """What to cut from the statement; None: all of it."""
    if isinstance(node, ast.Import | ast.ImportFrom):
        lost = [each for each, _ in gone.imports(node)]
        return None if len(lost) == len(node.names) else member_spans(node.names, lost, at)
    if isinstance(node, DEFINITIONS):
        signature = (
            node.bases if isinstance(node, ast.ClassDef) else [node.args, *([node.returns] if node.returns else [])]
        )
        own = set() if isinstance(node, ast.ClassDef) else {*_bound_inside(node)}
        uses = any(_uses(each, gone, dead - own) for each in node.body) or any(
            _uses(each, gone, dead) for each in signature
        )
        if uses or dead.intersection(_fixtures_of(node)):
            return None
        return _cut_all(node.decorator_list, gone, dead, at)
    unpacks = isinstance(node, ast.Assign) and isinstance(node.targets[0], ast.Tuple)  # as many as there are names
    if isinstance(node, ast.Assign | ast.AnnAssign) and node.value is not None and not unpacks:
        return _cut_all([node.value], gone, dead, at)
    return None if _uses(node, gone, dead) else []


def _bound_inside(node: ast.FunctionDef | ast.AsyncFunctionDef) -> Iterator[str]:
    """Names of a function's own, whatever else has them."""
    return (each.id for each in ast.walk(node) if isinstance(each, ast.Name) and isinstance(each.ctx, ast.Store))


def _fixtures_of(node: ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef) -> Iterator[object]:
    """Those that its decorators name."""
    for each in node.decorator_list:
        if isinstance(each, ast.Call) and isinstance(each.func, ast.Attribute) and each.func.attr == "usefixtures":
            yield from (name.value for name in each.args if isinstance(name, ast.Constant))


def _cut_all(nodes: list[ast.expr], gone: Gone, dead: set[str], at: Index) -> list[Span] | None:
    spans: list[Span] = []
    for node in nodes:
        cut = _cut_cases(node, gone, dead, at)
        if cut is None:
            return None
        spans += cut
    return spans


def _cut_cases(node: ast.expr, gone: Gone, dead: set[str], at: Index) -> list[Span] | None:
    """What to cut from the outermost lists in the expression; None: it cannot do without what is gone."""
    if not _is_case_of(node, gone, dead):
        return []
    if isinstance(node, ast.Dict):
        pairs = list(zip(node.keys, node.values, strict=True))
        lost = [pair for pair in pairs if any(each is not None and _is_case_of(each, gone, dead) for each in pair)]
        if len(lost) == len(pairs):
            return None
        ranges: list[tuple[Located, Located]] = [(key or value, value) for key, value in pairs]
        return range_spans(ranges, [pair in lost for pair in pairs], at)
    if isinstance(node, _CONTAINERS):
        inside = {each: _cut_cases(each, gone, dead, at) for each in node.elts if _is_made(each)}
        dying = [each for each in node.elts if _is_case_of(each, gone, dead) and not inside.get(each)]
        if len(dying) == len(node.elts) or any(_is_spread(each) for each in dying):
            return None
        members = all_but_one(node, dying, at) if _leaves_one(node, dying) else member_spans(node.elts, dying, at)
        return [*members, *(span for spans in inside.values() for span in spans or ())]
    if isinstance(node, ast.Call):
        return (
            None
            if _is_case_of(node.func, gone, dead)
            else _cut_all([*_values(node), *(each.value for each in node.keywords)], gone, dead, at)
        )
    return None


def _values(call: ast.Call) -> list[ast.expr]:
    """The arguments, less the names of a test's parameters."""
    names = isinstance(call.func, ast.Attribute) and call.func.attr == "parametrize"
    return call.args[names:]


def _is_made(node: ast.expr) -> bool:
    """Whether the member is something that a call makes, which can do with less, and no case of a test."""
    return isinstance(node, ast.Call) and not (isinstance(node.func, ast.Attribute) and node.func.attr == "param")


def _is_spread(node: ast.expr) -> bool:
    """Whether the member stands for others that are named elsewhere, without which the rest is something else."""
    return isinstance(node, ast.Starred) and isinstance(node.value, ast.Name | ast.Attribute)


def _leaves_one(node: ast.expr, dying: Sequence[ast.expr]) -> bool:
    return isinstance(node, ast.Tuple) and bool(dying) and len(node.elts) - len(dying) == 1


def _is_case_of(node: ast.expr, gone: Gone, dead: set[str]) -> bool:
    return _uses(node, gone, dead) or any(_is_kind(each, gone) for each in ast.walk(node))


def _is_kind(node: ast.AST | None, gone: Gone) -> bool:
    return isinstance(node, ast.Constant) and isinstance(node.value, str) and node.value in gone.kinds


def _uses(node: ast.AST, gone: Gone, dead: set[str]) -> bool:
    for each in ast.walk(node):
        match each:
            case ast.keyword(arg="input" | "task", value=value) if _is_kind(value, gone):
                return True
            case ast.Call(func=ast.Name() | ast.Attribute(value=ast.Name(id="inputs" | "tasks")), args=args) if any(
                _is_kind(value, gone) for value in args
            ):
                return True
            case ast.arguments(defaults=defaults) if any(_is_kind(value, gone) for value in defaults):
                return True
            case ast.Dict(keys=keys, values=values) if any(
                isinstance(key, ast.Constant) and key.value in ("input", "task") and _is_kind(value, gone)
                for key, value in zip(keys, values, strict=True)
            ):
                return True
            case ast.Name(id=name) | ast.arg(arg=name) if name in dead:
                return True
            case ast.arg(annotation=ast.Constant(value=name)) if name in dead:
                return True
            case ast.Constant(value=str(text)) if gone.words.search(text):
                return True
            case ast.Import() | ast.ImportFrom() if any(gone.imports(each)):
                return True
    return False
