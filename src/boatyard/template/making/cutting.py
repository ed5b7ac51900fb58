"""Pieces of a Python source: where they are, and the source without them."""

import ast
from collections.abc import Callable, Sequence

Span = tuple[int, int]
"""What is cut out of a source, by index; where it is empty, a comma goes in: a tuple of one member needs it."""
Located = ast.expr | ast.alias
Index = Callable[[int, int], int]
"""From a line and a column in bytes, as syntax trees have them, to an index."""
DEFINITIONS = (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef)


def offsets(source: str) -> Index:
    """The index of each place in the source."""
    lines = source.splitlines(keepends=True)
    starts = [0]
    for line in lines:
        starts.append(starts[-1] + len(line))

    def at(line: int, column: int) -> int:
        return starts[line - 1] + len(lines[line - 1].encode()[:column].decode()) if line <= len(lines) else starts[-1]

    return at


def without(source: str, spans: list[Span]) -> str:
    """The source less these spans."""
    kept, position = [], 0
    for start, end in sorted(spans):
        kept.append(source[position : max(position, start)])
        if start == end:
            kept.append(",")
        position = max(position, end)
    return "".join([*kept, source[position:]])


def is_python(source: str) -> bool:
    """Whether it can be parsed."""
    try:
        ast.parse(source)
    except SyntaxError:
        return False
    return True


def statement(node: ast.stmt, source: str, at: Index) -> Span:
    """The statement's lines, with its decorators and the comment above."""
    first = min([node.lineno, *(each.lineno for each in getattr(node, "decorator_list", []))])
    lines = source.splitlines()
    while first > 1 and lines[first - 2].startswith("#"):
        first -= 1
    last = node.end_lineno or node.lineno
    text = lines[last] if last < len(lines) else ""
    if text.startswith('"""') and not isinstance(node, DEFINITIONS):  # what is said of an assignment
        last += (
            1
            if text.endswith('"""') and len(text) > 3
            else 1 + next(number for number, line in enumerate(lines[last + 1 :], 1) if line.endswith('"""'))
        )
    return at(first, 0), at(last + 1, 0)


def all_but_one(node: ast.List | ast.Tuple | ast.Set, dying: Sequence[ast.expr], at: Index) -> list[Span]:
    """What surrounds the one member of a tuple that is not dying; after it goes a comma."""
    [kept] = [each for each in node.elts if each not in dying]
    start, end = at(kept.lineno, kept.col_offset), at(kept.end_lineno or 0, kept.end_col_offset or 0)
    first, last = node.elts[0], node.elts[-1]
    parentheses = (node.end_lineno, node.end_col_offset) != (last.end_lineno, last.end_col_offset)
    close = at(node.end_lineno or 0, node.end_col_offset or 0) - parentheses
    return [*_span(at(first.lineno, first.col_offset), start), (end, end), *_span(end, close)]


def _span(start: int, end: int) -> list[Span]:
    return [(start, end)] if start < end else []


def member_spans(nodes: Sequence[Located], lost: Sequence[Located], at: Index) -> list[Span]:
    """As `range_spans`, where each member is one node."""
    ranges = [(each, each) for each in nodes]
    return range_spans(ranges, [each in lost for each in nodes], at)


def range_spans(ranges: list[tuple[Located, Located]], lost: list[bool], at: Index) -> list[Span]:
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


def bound_names(node: ast.stmt) -> set[str]:
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
            return stored.union(*map(bound_names, inside))


def drop_definitions(source: str, names: set[str]) -> str:
    """The source of a module less these functions, classes and assignments at its top."""
    at = offsets(source)
    for node in reversed(ast.parse(source).body):
        if bound_names(node) & names:
            start, end = statement(node, source, at)
            source = source[:start] + source[end:]
    return source


def drop_imports(source: str, names: set[str]) -> str:
    """The source of a module less what the imports at its top bind to these names."""
    at, spans = offsets(source), []
    for node in ast.parse(source).body:
        if isinstance(node, ast.Import | ast.ImportFrom):
            lost = [each for each in node.names if (each.asname or each.name.partition(".")[0]) in names]
            whole = len(lost) == len(node.names)
            spans += [statement(node, source, at)] if whole else member_spans(node.names, lost, at)
    return without(source, spans)
