"""Drift: whether the traffic still resembles the rows that the model was accepted on."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from numpy.typing import NDArray

from boatyard.bundle.manifest import LEAST_REFERENCE_ROWS, REFERENCE
from boatyard.bundle.predict import EMBEDDING, Predictor
from boatyard.config.errors import UserError
from boatyard.config.plurals import counted
from boatyard.inputs.protocol import InvalidInput
from boatyard.journal.columns import Column
from boatyard.monitor.finding import finding
from boatyard.monitor.looks import INPUTS, SUSPICIOUS
from boatyard.monitor.results import Verdict
from boatyard.monitor.spread import spread
from boatyard.monitor.statistics import MIN_ROWS, PERMUTATIONS, Permutations, Statistic, Tested, judge, permute
from boatyard.monitor.traffic import Sampled

MIN_EFFECT = 0.01
"""By default, a change of a smaller share of the inputs is irrelevant."""
_TRUNCATED = Column("truncated", "the share of inputs that were cut off")
_EMBEDDING = Column(EMBEDDING, "the mean embedding", group="embedding")
NO_EMBEDDING = "Not measured: this model makes no embeddings; its answers and inputs are compared column by column."
NO_INPUTS = "Not measured: the journal keeps too few inputs (BOATYARD_JOURNAL_INPUT), and embeddings need them."
_OLD_BUNDLE = f"Not measured: the bundle's {REFERENCE} does not hold it; export the model again."
_NOT_SUSPICIOUS = "within chance, or too small to matter"


@dataclass(frozen=True)
class Columns:
    """Rows by column, of the reference or of a window.

    `values`: by name an array with an entry for each row: float64, where NaN is a missing number, or strings.
    `embedding`: float32[rows, width]; or why it is not known, in a sentence.
    """

    values: dict[str, NDArray[Any]]
    embedding: NDArray[np.floating] | str

    def __len__(self) -> int:
        return len(next(iter(self.values.values()), ()))


def compared_columns(predictor: Predictor) -> list[Column]:
    """What is compared besides the embedding, in the order of the report."""
    return [*predictor.columns, _TRUNCATED, *predictor.input.described]


def read_reference(folder: Path, columns: Sequence[Column]) -> Columns:
    """The bundle's reference, without the columns that earlier versions of Boatyard did not write.

    Raises UserError: there is none, it cannot be read, or it lacks a column of the answer.
    """
    path = folder / REFERENCE
    if not path.is_file():
        raise UserError(f"{folder} has no {REFERENCE}, so there is nothing to compare with: export the model again")
    try:
        table = pq.read_table(path)
    except (pa.ArrowException, OSError) as error:
        raise UserError(f"{path} cannot be read: {' '.join(str(error).split())}; export the model again") from None
    present = set(table.column_names)
    if missing := {column.name for column in columns if _is_of_answer(column)} - present:
        raise UserError(f"{path} has no column {' or '.join(sorted(missing))}: export the model again")
    values = {}
    for column in columns:
        cells = _read_column(table[column.name], column) if column.name in present else None
        if cells is not None:
            values[column.name] = cells
        elif _is_of_answer(column):
            why = "must hold a string in each row" if column.category else "holds no numbers"
            raise UserError(f"{path}: column {column.name} {why}; export the model again")
    return Columns(values, _read_embedding(path, table[EMBEDDING]) if EMBEDDING in present else _OLD_BUNDLE)


def why_incomparable(reference: Columns) -> str | None:
    """Why nothing can be compared with this reference, in a sentence; None if it is large enough."""
    if len(reference) >= LEAST_REFERENCE_ROWS:
        return None
    return (
        f"Cannot compare: the reference has {counted(len(reference), 'row')}, and {LEAST_REFERENCE_ROWS} are needed; "
        "export the model again with more test rows, or name a file of such rows (export.reference)."
    )


def look_at(sample: Sequence[Sampled], predictor: Predictor) -> Columns:
    """The sampled predictions in the form of the reference.

    The journal holds no embeddings, so the model runs again. If the journal holds too few requests, because the
    server hashes or drops them, there is no embedding and no `described` column.
    """
    readable, rows = [], []
    for prediction in sample:
        if prediction.request is not None:
            try:
                rows.append(predictor.input.parse(prediction.request))
            except InvalidInput:  # from a version of this name that reads other fields
                continue
            readable.append(prediction)
    kept = readable if len(readable) >= MIN_ROWS else list(sample)
    values = {
        column.name: np.array([one.values[column.name] for one in kept], dtype=str if column.category else float)
        for column in predictor.columns
    }
    values[_TRUNCATED.name] = np.array([one.truncated for one in kept], dtype=float)
    if kept is not readable:
        return Columns(values, NO_INPUTS)
    encoded = predictor.input.encode(rows)
    values |= {name: np.array(each) for name, each in predictor.input.describe(rows, encoded).items()}
    embedding = predictor.run(encoded).get(EMBEDDING)
    return Columns(values, NO_EMBEDDING if embedding is None else np.asarray(embedding, dtype=np.float32))


def compare(
    reference: Columns,
    window: Columns,
    columns: Sequence[Column],
    permutations: int = PERMUTATIONS,
    min_effect: float = MIN_EFFECT,
) -> list[Verdict]:
    """A verdict on each column and the embedding, under one family-wise error rate.

    `min_effect`: the smallest relevant effect, as a share of inputs that differ. No verdict has `drifted`:
    `boatyard.monitor.looks` decides that.
    """
    if why := why_incomparable(reference) or _why_too_few(window):
        return [_unmeasured(columns[0], why)]
    shared_permutations = permute(len(reference), len(window), permutations)
    statistics, reasons = measure(reference, window, columns, shared_permutations, min_effect)
    tested = judge_columns(statistics, columns)
    verdicts = [
        _verdict(column, tested[column.name], reference, window)
        if column.name in tested
        else _unmeasured(column, reasons[column.name])
        for column in (*columns, _EMBEDDING)
        if column.name in tested or column.name in reasons
    ]
    return verdicts + [
        _missing(column, window.values[column.name])
        for column in columns
        if _is_of_answer(column) and not column.category
    ]


def measure(
    reference: Columns, window: Columns, columns: Sequence[Column], permutations: Permutations, min_effect: float
) -> tuple[dict[str, Statistic], dict[str, str]]:
    """By column, the statistics of those that can be compared, and for the others the reason."""
    statistics: dict[str, Statistic] = {}
    reasons: dict[str, str] = {}
    for column in columns:
        name = column.name
        if name not in window.values:
            continue
        if why := _why_unmeasured(column, reference):
            reasons[name] = why
            continue
        pooled = np.concatenate([reference.values[name], window.values[name]])
        statistics[name] = (permutations.growth if column.category else permutations.shift)(pooled, min_effect)
    points = _embeddings(reference, window)
    if isinstance(points, str):
        reasons[EMBEDDING] = points
    else:
        statistics[EMBEDDING] = permutations.distance(points, min_effect)
    return statistics, reasons


def judge_columns(statistics: dict[str, Statistic], columns: Sequence[Column]) -> dict[str, Tested]:
    """Tests each statistic, at the family-wise error rate that a look may spend on inputs."""
    weights = {column.name: column.weight for column in columns}
    return judge(statistics, weights, SUSPICIOUS * INPUTS) if statistics else {}


def are_categories(values: NDArray[Any]) -> bool:
    """Rather than numbers."""
    return values.dtype.kind == "U"


def _is_of_answer(column: Column) -> bool:
    return column.group != "input"


def _read_column(cells: pa.ChunkedArray, column: Column) -> NDArray[Any] | None:
    """None if they do not have the column's type."""
    if len(cells) and column.category != pa.types.is_string(cells.type):
        return None
    if column.category:
        if cells.null_count and _is_of_answer(column):
            return None
        return np.array(["" if cell is None else cell for cell in cells.to_pylist()], dtype=str)
    try:
        return np.array(cells.to_pylist(), dtype=float)
    except (TypeError, ValueError):
        return None


def _read_embedding(path: Path, cells: pa.ChunkedArray) -> NDArray[np.floating]:
    if cells.null_count or not pa.types.is_fixed_size_list(cells.type):
        raise UserError(f"{path}: column embedding must hold as many numbers in each row; export the model again")
    flat = np.asarray(cells.combine_chunks().flatten(), dtype=np.float32)
    return flat.reshape(len(cells), cells.type.list_size)


def _why_too_few(window: Columns) -> str | None:
    if len(window) >= MIN_ROWS:
        return None
    return f"Not enough rows: {counted(len(window), 'prediction')}, and {MIN_ROWS} are needed to say anything."


def _why_unmeasured(column: Column, reference: Columns) -> str | None:
    values = reference.values.get(column.name)
    if values is None:
        return _OLD_BUNDLE
    if not column.category and np.isnan(values).all():
        return f"Not measured: the bundle's {REFERENCE} holds no number for it; export the model again."
    return None


def _embeddings(reference: Columns, window: Columns) -> NDArray[np.floating] | str:
    """Those of the reference and then the window's, or why they cannot be compared."""
    before, now = reference.embedding, window.embedding
    if isinstance(now, str):
        return now
    if isinstance(before, str):
        return before
    for whose, points in (("the reference", before), ("the window", now)):
        if not np.isfinite(points).all():
            return f"Not measured: embeddings of {whose} hold what is no number."
    return np.concatenate([before, now])


def _verdict(column: Column, tested: Tested, reference: Columns, window: Columns) -> Verdict:
    name, spread_ = column.name, None
    if column is _EMBEDDING:
        statistic = "distance of the means"
        found = f"The mean input lies {tested.value:.3f} of the reference's spread from the reference's"
    else:
        statistic = "growth of one value, -log10 p" if column.category else "Kolmogorov-Smirnov distance"
        compared = reference.values[name], window.values[name]
        found, spread_ = finding(column, *compared), spread(*compared)
    return Verdict(
        name=name,
        group=column.group,
        statistic=statistic,
        value=tested.value,
        threshold=tested.threshold,
        p=min(1.0, tested.p / INPUTS),
        suspicious=tested.suspicious,
        sentence=f"{found}: {'more than chance explains' if tested.suspicious else _NOT_SUSPICIOUS}.",
        spread=spread_,
    )


def _unmeasured(column: Column, why: str) -> Verdict:
    return Verdict(name=column.name, group=column.group, statistic="none", value=None, threshold=None, sentence=why)


def _missing(column: Column, values: NDArray[np.floating]) -> Verdict:
    """An answer always has its numbers, so one that is missing is an error and not chance."""
    missing = int(np.isnan(values).sum())
    return Verdict(
        name=f"missing_{column.name}",
        group="data quality",
        statistic="share of predictions",
        value=missing / len(values),
        threshold=0.0,
        p=0.0 if missing else 1.0,
        suspicious=missing > 0,
        sentence=f"{column.phrase[0].upper()}{column.phrase[1:]} is missing in {missing} of {len(values)} predictions.",
    )
