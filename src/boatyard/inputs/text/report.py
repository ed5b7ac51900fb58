"""The data report's part on texts: single cues that give a label away."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import pyarrow as pa

from boatyard.config.errors import UserError
from boatyard.config.schema import Data
from boatyard.evaluate.markdown import shorten, table
from boatyard.inputs.samples import spread
from boatyard.inputs.text.cues import MOST_ROWS, Cue, Found, find_cues
from boatyard.inputs.text.mask import masked
from boatyard.inputs.text.rows import row_format
from boatyard.inputs.text.settings import text_data
from boatyard.inputs.texts import is_blank
from boatyard.inputs.training_protocol import TARGET, Problem, RowReport
from boatyard.tasks.protocol import Section, Target

_MOST_WARNINGS = 5
_REMEDY = "data.mask trains without it"


def report_rows(
    data: Data,
    found: Mapping[str, Any],  # noqa: ARG001 - every input's signature
    rows: pa.Table,
    target: Target,
    folder: Path,  # noqa: ARG001
) -> RowReport:
    """Of some training rows, as a model sees them.

    Raises UserError where `data.mask` leaves it nothing to see.
    """
    few = spread(rows, MOST_ROWS)
    mask = text_data(data).mask
    texts = {field: few.column(field).to_pylist() for field in row_format(data).fields}
    fields = {field: masked(of_field, mask) for field, of_field in texts.items()}
    emptied = [*_emptied(fields), *_unfound(mask, texts)]
    told = find_cues(fields, few.column(TARGET).to_numpy(), target.get("labels", []))
    if told is None:
        return RowReport(warnings=emptied)
    of_case = [cue for cue in told.cues if cue.of_case]
    warned = [cue for cue in told.cues if cue not in of_case[1:]][:_MOST_WARNINGS]
    warnings = [Problem("leak", cue.field, _sentence(cue, told)) for cue in warned]
    facts = {"cues": [asdict(cue) for cue in told.cues], "accuracy_of_all_words": told.accuracy}
    return RowReport([_section(told)], facts, [*emptied, *warnings])


def _emptied(fields: Mapping[str, Sequence[str]]) -> list[Problem]:
    """What to say of rows that are blank: those a mask has emptied, as others are refused before."""
    blank = [all(map(is_blank, row)) for row in zip(*fields.values(), strict=True)]
    if not any(blank):
        return []
    if all(blank):
        raise UserError("data.mask leaves nothing of any row: a model would have nothing to learn from")
    return [Problem("masked", None, f"data.mask leaves nothing of {sum(blank):,} of {len(blank):,} rows")]


def _unfound(mask: Sequence[str], texts: Mapping[str, Sequence[str]]) -> list[Problem]:
    """What to say of patterns that may be misspelt."""
    every = [text for of_field in texts.values() for text in of_field]
    rows = len(next(iter(texts.values())))
    unfound = [pattern for pattern in mask if masked(every, [pattern]) == every]
    return [Problem("unmasked", None, f"data.mask: {one!r} is in none of {rows:,} training rows") for one in unfound]


def _sentence(cue: Cue, told: Found) -> str:
    if cue.label is None:
        return f"has lengths that alone tell the label of {cue.accuracy:.0%} of rows: is that so in the world too?"
    return (
        f"{cue.what} in {cue.rows:,} of {told.rows:,} rows, {cue.of_label:,} of them {cue.label!r}: is that so in the "
        f"world too? {'Only a model that tells capitals from small letters sees it' if cue.of_case else _REMEDY}"
    )


def _section(told: Found) -> Section:
    said = (
        f"What gives a label away by itself: it is in more than one row of twenty, and a label's odds are ten times "
        f"those in other rows; or it tells nearly as many labels as all words together ({told.accuracy:.3f}, naive "
        f"Bayes on rows that it has not seen). Of {told.rows:,} training rows."
    )
    if not told.cues:
        return Section("Single cues", [said, "None was found."])
    rows = [
        (
            cue.field,
            shorten(cue.what),
            f"{cue.rows:,}",
            "" if cue.label is None else shorten(cue.label),
            "" if cue.label is None else f"{cue.of_label:,}",
            "" if cue.odds is None else f"{cue.odds:,.0f}",
            f"{cue.accuracy:.3f}",
        )
        for cue in told.cues
    ]
    header = ("Field", "It...", "Rows", "Label", "of which", "Times the odds", "Right by this alone")
    how = (
        "Where a cue would not be there in the world, `data.mask=[...]` trains, and serves, without it. What a text "
        "*writes* in capitals is seen only by a model that tells them from small letters, as neither `model=tiny` nor "
        "the baseline does."
    )
    return Section("Single cues", [said, table(header, rows, align="llrlrrr"), how])
