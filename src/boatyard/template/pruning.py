"""What a test uses and was left out takes the test, or that case of it, along."""

import ast
import re
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path

from boatyard.template.names import TEMPLATE

Span = tuple[int, int]
"""What is cut out of a source, by index; where it is empty, a comma goes in: a tuple of one member needs it."""
Located = ast.expr | ast.alias
_CONTAINERS = (ast.List, ast.Tuple, ast.Set)
_FOUND = ("__init__.py", "conftest.py")  # by Python and pytest, without being named
_DEFINITIONS = (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef)


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
    fixtures: set[str] = field(default_factory=set)

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


def prune_python(source: str, gone: Gone) -> tuple[str, set[str]]:
    """The source less all that uses what is gone, and the names that it no longer defines."""
    dead: set[str] = set()
    while True:
        spans: list[Span] = []
        at, body = _offsets(source), ast.parse(source).body
        cases = {each.id for node in body for part in getattr(node, "decorator_list", []) for each in _names_in(part)}
        for node in body:
            cut = _cut(node, gone, dead | gone.fixtures, at)
            if cut and _are_options(node) and "def test_" in source and not _bound(node) & cases:
                cut = None  # with fewer of them it would be another command
            if cut is None or (cut and not _is_python(_without(source, cut))):
                dead |= _bound(node)
                spans.append(_whole(node, source, at))
            else:
                dead |= {name for _, name in gone.imports(node)}
                spans += cut
        if not spans:
            return source, dead
        source = _without(source, spans)


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


def prune_tests(root: Path, gone: Gone) -> None:
    """Prune all files below tests/, until none changes; what only the pruned used goes too, and files without tests."""
    before = {file: file.read_text(encoding="utf-8") for file in sorted((root / "tests").rglob("*.py"))}
    files, never_used = dict(before), {*_unused(before)}
    changed = True
    while changed:
        changed = _prune_each(files, gone)
        for file, name in {*_unused(files)} - never_used:
            changed = True
            if name is None:
                del files[file]
            elif file in files:
                files[file] = drop_definitions(files[file], {name})
    for file, source in before.items():
        if file not in files:
            file.unlink()
        elif files[file] != source:
            file.write_text(files[file], encoding="utf-8")


def _prune_each(files: dict[Path, str], gone: Gone) -> bool:
    """Whether any changed."""
    changed = False
    for file, source in list(files.items()):
        pruned, dead = prune_python(source, gone)
        is_test = file.name.startswith("test_")
        if is_test and not re.search(r"^(async )?def test_|^class Test", pruned, re.MULTILINE):
            del files[file]
            changed = True
        elif pruned != source:
            files[file] = pruned
            changed = True
            if file.name == "conftest.py":
                gone.fixtures |= dead
            elif not is_test:
                gone.names.setdefault(file.stem, set()).update(dead)
    return changed


def _unused(files: Mapping[Path, str]) -> Iterator[tuple[Path, str | None]]:
    """Definitions that nothing else mentions: of a test's file nothing in it; None: a file that no other mentions."""
    everywhere: Counter[str] = Counter()
    for source in files.values():
        everywhere.update(_said_in(source))
    for file, source in files.items():
        if "toys" in file.parts:  # found by the package without being named, file by file and name by name
            continue
        is_alone = everywhere[file.stem] == _said_in(source)[file.stem]
        if is_alone and not file.name.startswith("test_") and file.name not in _FOUND:
            yield file, None
        known = _said_in(source) if is_alone and file.name.startswith("test_") else everywhere
        yield from ((file, name) for name, own in _definitions(source) if known[name] == own)


@cache
def _said_in(source: str) -> Counter[str]:
    return Counter(re.findall(r"\w+", source))


@cache
def _definitions(source: str) -> list[tuple[str, int]]:
    """What is defined at the top of a module and imported from nowhere, and how often the definition itself says it."""
    at, found = _offsets(source), []
    for node in ast.parse(source).body:
        if isinstance(node, (*_DEFINITIONS, ast.Assign, ast.AnnAssign)) and len(names := _bound(node)) == 1:
            start, end = _whole(node, source, at)
            found += [(name, _said_in(source[start:end])[name]) for name in names]
    return found


def _without(source: str, spans: list[Span]) -> str:
    kept, position = [], 0
    for start, end in sorted(spans):
        kept.append(source[position : max(position, start)])
        if start == end:
            kept.append(",")
        position = max(position, end)
    return "".join([*kept, source[position:]])


def _is_python(source: str) -> bool:
    try:
        ast.parse(source)
    except SyntaxError:
        return False
    return True


def _offsets(source: str) -> Callable[[int, int], int]:
    """From a line and a column in bytes, as syntax trees have them, to an index."""
    lines = source.splitlines(keepends=True)
    starts = [0]
    for line in lines:
        starts.append(starts[-1] + len(line))

    def at(line: int, column: int) -> int:
        return starts[line - 1] + len(lines[line - 1].encode()[:column].decode()) if line <= len(lines) else starts[-1]

    return at


def _whole(node: ast.stmt, source: str, at: Callable[[int, int], int]) -> Span:
    """The statement's lines, with its decorators and the comment above."""
    first = min([node.lineno, *(each.lineno for each in getattr(node, "decorator_list", []))])
    lines = source.splitlines()
    while first > 1 and lines[first - 2].startswith("#"):
        first -= 1
    last = node.end_lineno or node.lineno
    text = lines[last] if last < len(lines) else ""
    if text.startswith('"""') and not isinstance(node, _DEFINITIONS):  # what is said of an assignment
        last += (
            1
            if text.endswith('"""') and len(text) > 3
            else 1 + next(number for number, line in enumerate(lines[last + 1 :], 1) if line.endswith('"""'))
        )
    return at(first, 0), at(last + 1, 0)


def _cut(node: ast.stmt, gone: Gone, dead: set[str], at: Callable[[int, int], int]) -> list[Span] | None:
    """What to cut from the statement; None: all of it."""
    if isinstance(node, ast.Import | ast.ImportFrom):
        lost = [each for each, _ in gone.imports(node)]
        return None if len(lost) == len(node.names) else _members(node.names, lost, at)
    if isinstance(node, _DEFINITIONS):
        signature = (
            node.bases if isinstance(node, ast.ClassDef) else [node.args, *([node.returns] if node.returns else [])]
        )
        if any(_uses(each, gone, dead) for each in [*node.body, *signature]):
            return None
        return _cut_all(node.decorator_list, gone, dead, at)
    unpacks = isinstance(node, ast.Assign) and isinstance(node.targets[0], ast.Tuple)  # as many as there are names
    if isinstance(node, ast.Assign | ast.AnnAssign) and node.value is not None and not unpacks:
        return _cut_all([node.value], gone, dead, at)
    return None if _uses(node, gone, dead) else []


def _cut_all(nodes: list[ast.expr], gone: Gone, dead: set[str], at: Callable[[int, int], int]) -> list[Span] | None:
    spans: list[Span] = []
    for node in nodes:
        cut = _cut_cases(node, gone, dead, at)
        if cut is None:
            return None
        spans += cut
    return spans


def _cut_cases(node: ast.expr, gone: Gone, dead: set[str], at: Callable[[int, int], int]) -> list[Span] | None:
    """What to cut from the outermost lists in the expression; None: it cannot do without what is gone."""
    if not _is_case_of(node, gone, dead):
        return []
    if isinstance(node, ast.Dict):
        pairs = list(zip(node.keys, node.values, strict=True))
        lost = [pair for pair in pairs if any(each is not None and _is_case_of(each, gone, dead) for each in pair)]
        if len(lost) == len(pairs):
            return None
        ranges: list[tuple[Located, Located]] = [(key or value, value) for key, value in pairs]
        return _ranges(ranges, [pair in lost for pair in pairs], at)
    if isinstance(node, _CONTAINERS):
        inside = {each: _cut_cases(each, gone, dead, at) for each in node.elts if _is_made(each)}
        dying = [each for each in node.elts if _is_case_of(each, gone, dead) and not inside.get(each)]
        if len(dying) == len(node.elts) or any(_is_spread(each) for each in dying):
            return None
        members = _alone(node, dying, at) if _leaves_one(node, dying) else _members(node.elts, dying, at)
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


def _alone(
    node: ast.List | ast.Tuple | ast.Set, dying: Sequence[ast.expr], at: Callable[[int, int], int]
) -> list[Span]:
    """The only member of a tuple that is kept, and a comma."""
    [kept] = [each for each in node.elts if each not in dying]
    start, end = at(kept.lineno, kept.col_offset), at(kept.end_lineno or 0, kept.end_col_offset or 0)
    first, last = node.elts[0], node.elts[-1]
    parentheses = (node.end_lineno, node.end_col_offset) != (last.end_lineno, last.end_col_offset)
    close = at(node.end_lineno or 0, node.end_col_offset or 0) - parentheses
    return [*_span(at(first.lineno, first.col_offset), start), (end, end), *_span(end, close)]


def _span(start: int, end: int) -> list[Span]:
    return [(start, end)] if start < end else []


def _members(nodes: Sequence[Located], lost: Sequence[Located], at: Callable[[int, int], int]) -> list[Span]:
    ranges = [(each, each) for each in nodes]
    return _ranges(ranges, [each in lost for each in nodes], at)


def _ranges(ranges: list[tuple[Located, Located]], lost: list[bool], at: Callable[[int, int], int]) -> list[Span]:
    """From each lost member of a list to the next member; from the end of the last that is kept, where none follows."""
    spans = []
    for number, (first, last) in enumerate(ranges):
        if lost[number]:
            start, end = at(first.lineno, first.col_offset), at(last.end_lineno or 0, last.end_col_offset or 0)
            if number + 1 < len(ranges):
                following = ranges[number + 1][0]
                end = at(following.lineno, following.col_offset)
            elif kept := [each for each, is_lost in zip(ranges, lost, strict=True) if not is_lost]:
                start = at(kept[-1][1].end_lineno or 0, kept[-1][1].end_col_offset or 0)
            spans.append((start, end))
    return spans


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


def _bound(node: ast.stmt) -> set[str]:
    """The names that the statement defines at the top of its module."""
    match node:
        case ast.FunctionDef(name=name) | ast.AsyncFunctionDef(name=name) | ast.ClassDef(name=name):
            return {name}
        case ast.Import(names=names) | ast.ImportFrom(names=names):
            return {each.asname or each.name.partition(".")[0] for each in names}
        case _:
            inside = [each for each in ast.walk(node) if isinstance(each, ast.Import | ast.ImportFrom)]
            stored = {
                each.id for each in ast.walk(node) if isinstance(each, ast.Name) and isinstance(each.ctx, ast.Store)
            }
            return stored.union(*map(_bound, inside))


def drop_definitions(source: str, names: set[str]) -> str:
    """The source of a module less these functions, classes and assignments at its top."""
    at = _offsets(source)
    for node in reversed(ast.parse(source).body):
        if _bound(node) & names:
            start, end = _whole(node, source, at)
            source = source[:start] + source[end:]
    return source
