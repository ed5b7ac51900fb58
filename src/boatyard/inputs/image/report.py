"""The data report's part on pictures: formats, sizes and looks."""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute

from boatyard.config.schema import Data
from boatyard.evaluate.markdown import table
from boatyard.inputs.image.pictures import read_header, read_picture
from boatyard.inputs.image.serving import FIELD, look_of
from boatyard.inputs.training_protocol import Problem, RowReport
from boatyard.tasks.protocol import Section, Target
from boatyard.tasks.score import shown

_LOOKED_AT = 500  # pictures, of which looks are worked out
_SIDE = 128
_POINTS = (5, 50, 95)
_NAMED = 10


def report_rows(
    data: Data,  # noqa: ARG001 - every input's signature
    found: Mapping[str, Any],
    rows: pa.Table,
    target: Target,  # noqa: ARG001
    folder: Path,  # noqa: ARG001
) -> RowReport:
    """Warns of `surplus` pictures, of which nothing is said."""
    column = rows.column(FIELD)
    headers = [read_header(value.as_py()) for value in column]
    looks = _looks(column[place].as_py() for place in range(0, len(column), max(1, len(column) // _LOOKED_AT)))
    formats = Counter(header.format for header in headers)
    numbers: dict[str, list[float]] = {
        "width": [header.width for header in headers],
        "height": [header.height for header in headers],
        "width / height": [header.width / header.height for header in headers],
        "bytes": pa.compute.binary_length(column).to_pylist(),
        **looks,
    }
    facts = {name: _percentiles(values) for name, values in numbers.items() if len(values)}
    lines = [(name, *(shown(x, 2) for x in points.values())) for name, points in facts.items()]
    parts = [
        "Formats: " + (", ".join(f"{count:,} {name}" for name, count in formats.most_common()) or "none") + ".",
        table(("Training pictures", "5% up to", "Half up to", "95% up to"), lines, align="lrrr"),
    ]
    return RowReport(
        [Section("Pictures", parts)], {"pictures": {"formats": dict(formats), **facts}}, _warnings(found["surplus"])
    )


def _looks(contents: Iterable[bytes]) -> dict[str, list[float]]:
    looks: dict[str, list[float]] = {}
    for content in contents:
        picture = read_picture(content, _SIDE)
        picture.thumbnail((_SIDE, _SIDE))
        for name, value in look_of(np.asarray(picture)).items():
            looks.setdefault(name, []).append(value)
    return looks


def _percentiles(values: Sequence[float]) -> dict[str, float]:
    return dict(zip((f"p{point}" for point in _POINTS), np.percentile(values, _POINTS).tolist(), strict=True))


def _warnings(surplus: list[str]) -> list[Problem]:
    if not surplus:
        return []
    more = f" and {len(surplus) - _NAMED:,} more" if len(surplus) > _NAMED else ""
    message = f"nothing is said of {len(surplus):,} pictures that lie there: {', '.join(surplus[:_NAMED])}{more}"
    return [Problem("surplus", None, message)]
