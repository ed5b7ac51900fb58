"""The data report's part on proteins: letters that are none of the twenty residues, and families."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa

from boatyard.config.schema import Data
from boatyard.evaluate.markdown import table
from boatyard.inputs.protein.families import CONTAINMENT, MOST_EXACT
from boatyard.inputs.protein.sequences import unknown
from boatyard.inputs.protein.serving import SEQUENCE
from boatyard.inputs.protein.words import WORD
from boatyard.inputs.training_protocol import Relatives, RowReport
from boatyard.tasks.protocol import Section, Target

_MEANINGS = {
    "B": "D or N",
    "J": "I or L",
    "O": "pyrrolysine",
    "U": "selenocysteine",
    "X": "any",
    "Z": "E or Q",
}


def report_rows(
    data: Data,  # noqa: ARG001 - every input's signature
    found: Mapping[str, Any],
    rows: pa.Table,
    target: Target,  # noqa: ARG001
    folder: Path,  # noqa: ARG001
) -> RowReport:
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
    families, facts = _families(found.get("relatives"))
    return RowReport([Section("Residues", parts), *families], {"residues": total, "unknown_residues": counts, **facts})


def _families(related: Relatives | None) -> tuple[list[Section], dict[str, Any]]:
    if related is None:  # the rows were split by a column of their own
        return [], {}
    members = np.bincount(related.groups)
    members = np.sort(members[members > 0])[::-1]
    share = f"share {CONTAINMENT:.0%} of the {WORD}-mers of the one that has fewer"
    alone, largest = int((members == 1).sum()), int(members[:1].sum())
    said = (
        f"{members.sum():,} sequences of {len(members):,} families; {alone:,} have one, the largest {largest:,}. "
        f"Two sequences that {share} are of one family, as are the relatives of each. A family stays on one side of a "
        "split: by chance, near copies of test rows would be learnt, and every score would flatter. The evaluation "
        "report has the baseline on both."
    )
    how = f"Of more than {MOST_EXACT:,} sequences, likely pairs alone are compared (MinHash): this is approximate."
    facts = {"families": len(members), "largest_family": largest, "families_are_exact": related.exact}
    return [Section("Families", [said] if related.exact else [said, how])], facts
