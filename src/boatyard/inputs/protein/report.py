"""The data report's part on proteins: letters that are none of the twenty residues."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pyarrow as pa

from boatyard.config.schema import Data
from boatyard.evaluate.markdown import table
from boatyard.inputs.protein.sequences import unknown
from boatyard.inputs.protein.serving import SEQUENCE
from boatyard.inputs.protocol import RowReport
from boatyard.tasks.protocol import Section

_MEANINGS = {
    "B": "D or N",
    "J": "I or L",
    "O": "pyrrolysine",
    "U": "selenocysteine",
    "X": "any",
    "Z": "E or Q",
}


def report_rows(data: Data, found: Mapping[str, Any], rows: pa.Table, folder: Path) -> RowReport:  # noqa: ARG001
    """Counts them in all training rows."""
    sequences = rows.column(SEQUENCE)
    counts: dict[str, int] = {}
    total = 0
    for chunk in sequences.chunks:
        written = chunk.to_pylist()
        total += sum(map(len, written))
        for letter, count in unknown(written).items():
            counts[letter] = counts.get(letter, 0) + count
    said = (
        f"{total:,} residues, of which {sum(counts.values()):,} are none of the twenty: to a model these are all alike."
    )
    shown = [(letter, _MEANINGS[letter], f"{counts[letter]:,}") for letter in sorted(counts)]
    parts = [said, *([table(("Letter", "Stands for", "Found"), shown, "llr")] if shown else [])]
    return RowReport([Section("Residues", parts)], {"residues": total, "unknown_residues": counts})
