"""The map of a job: its rows among rows of the model whose kinds are known, as SVG that shows a row's name."""

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from html import escape
from typing import Any

from pydantic_core import from_json

from boatyard.bundle.map import Map, Point
from boatyard.config.plurals import counted

MEDIA_TYPE = "image/svg+xml"

_DIGITS = 4
_MOST_DRAWN = 5_000
_WIDTH, _HEIGHT, _MARGIN, _LEGEND = 720, 540, 20, 180
_COLOURS = ("#4269d0", "#efb118", "#ff725c", "#6cc5b0", "#3ca951", "#ff8ab7", "#a463f2", "#97bbf5", "#9c6b4e")
_OTHERS = "#9498a0"
_LONGEST_KIND = 24


def placed(row: int, place: Point, name: str | None) -> dict[str, Any]:
    """A row's line, as it is stored."""
    named = {} if name is None else {"name": name}
    return {"row": row, **named, "x": round(place.x, _DIGITS), "y": round(place.y, _DIGITS), "kind": place.kind}


def draw(model: Map, rows: int, lines: Iterable[bytes]) -> str:
    """`lines`: of so many rows, as stored; of more than can be told apart, some are drawn, spread over all."""
    every = -(-rows // _MOST_DRAWN) or 1
    drawn = [point for number, point in enumerate(_read(lines)) if number % every == 0]
    kinds = [kind for kind, _ in Counter(point.kind for point in model.points).most_common()]
    colours = dict(zip(kinds, _COLOURS, strict=False))
    shape = _fit([*model.points, *(Point(line["x"], line["y"], line["kind"]) for line in drawn)])
    marks = [
        *(_mark(shape, point._asdict(), colours, 'fill-opacity=".25" r="3"') for point in model.points),
        *(_mark(shape, line, colours, 'stroke="#fff" stroke-width=".6" r="4"') for line in drawn),
    ]
    some = f"{len(drawn):,} of {rows:,} rows" if every > 1 else counted(len(drawn), "row")
    said = f"{some}; pale: what the model was made with"
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {_WIDTH + _LEGEND} {_HEIGHT}" role="img" '
        f'font-family="sans-serif" font-size="12"><title>{said}</title>'
        f'<rect width="100%" height="100%" fill="#fff"/>{"".join(marks)}{_legend(colours, said)}</svg>'
    )


def _read(chunks: Iterable[bytes]) -> Iterator[Mapping[str, Any]]:
    return (from_json(line) for chunk in chunks for line in chunk.splitlines())


_Shape = tuple[float, float, float]
"""The smallest x, the largest y, and how much of the picture one takes."""


def _fit(points: Sequence[Point]) -> _Shape:
    """The same scale for both axes: distances count."""
    xs, ys = [point.x for point in points], [point.y for point in points]
    scales = [
        (room - 2 * _MARGIN) / max(max(values) - min(values), 1e-9) for values, room in ((xs, _WIDTH), (ys, _HEIGHT))
    ]
    return min(xs), max(ys), min(scales)


def _mark(shape: _Shape, line: Mapping[str, Any], colours: Mapping[str, str], look: str) -> str:
    left, top, scale = shape
    x, y = _MARGIN + (line["x"] - left) * scale, _MARGIN + (top - line["y"]) * scale
    named = f"{line['name']}: " if "name" in line else f"row {line['row']}: " if "row" in line else ""
    title = escape(f"{named}{line['kind']}")
    colour = colours.get(line["kind"], _OTHERS)
    return f'<circle cx="{x:.1f}" cy="{y:.1f}" fill="{colour}" {look}><title>{title}</title></circle>'


def _legend(colours: Mapping[str, str], said: str) -> str:
    entries = []
    for number, (kind, colour) in enumerate(colours.items()):
        y, shown = _MARGIN + 20 * number, kind if len(kind) <= _LONGEST_KIND else f"{kind[:_LONGEST_KIND]}…"
        entries.append(
            f'<circle cx="{_WIDTH + 8}" cy="{y}" r="5" fill="{colour}"/>'
            f'<text x="{_WIDTH + 20}" y="{y + 4}">{escape(shown)}</text>'
        )
    return f'{"".join(entries)}<text x="{_MARGIN}" y="{_HEIGHT - 6}" fill="#666">{said}</text>'
