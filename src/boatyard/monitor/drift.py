"""Is what the model is asked now still like what its accuracy was accepted on?"""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from numpy.typing import NDArray

from boatyard.bundle.manifest import LEAST_REFERENCE_ROWS, REFERENCE
from boatyard.bundle.predict import Predictor
from boatyard.config.errors import UserError
from boatyard.inputs.protocol import InvalidInput
from boatyard.monitor.looks import INPUTS, SUSPICIOUS
from boatyard.monitor.results import Verdict
from boatyard.monitor.statistics import DEALS, LEAST_ROWS, Deals, Statistic, Tested, deal, judge
from boatyard.monitor.traffic import Sampled

LEAST = 0.01
"""A change of fewer inputs than this is none, by default."""
_GENERAL = {"length": "the length of the input", "truncated": "the share of inputs that were cut off"}
_OLD_BUNDLE = f"Not measured: the bundle's {REFERENCE} does not hold it; export the model again."
_CHANCE = "as chance has it, or too little to matter"
_GROUPS = {"label": "prediction", "score": "confidence", "embedding": "embedding"}
WEIGHTS = {"label": 3.0}  # it looks at each label, and so has most to lose


@dataclass(frozen=True)
class Columns:
    """What is compared, a row for each prediction. `described` and `embedding` need the input."""

    label: list[str]
    score: NDArray[np.floating]
    described: dict[str, NDArray[Any]]
    """Numbers, or categories as strings."""
    embedding: NDArray[np.floating] | None

    def __len__(self) -> int:
        return len(self.label)


def read_reference(folder: Path, described: Mapping[str, str]) -> Columns:
    """What the bundle holds of it; columns that an earlier version of Boatyard did not write are absent.

    Raises UserError: there is none, or it cannot be read.
    """
    path = folder / REFERENCE
    if not path.is_file():
        raise UserError(f"{folder} has no {REFERENCE}, so there is nothing to compare with: export the model again")
    try:
        table = pq.read_table(path)
    except (pa.ArrowException, OSError) as wrong:
        raise UserError(f"{path} cannot be read: {_line(wrong)}; export the model again") from None
    there = set(table.column_names)
    if missing := {"label", "score"} - there:
        raise UserError(f"{path} has no column {' or '.join(sorted(missing))}: export the model again")
    label = table["label"]
    if len(label) and (label.null_count or not pa.types.is_string(label.type)):
        raise UserError(f"{path}: column label must hold a string in each row; export the model again")
    columns = {name: _column(path, table, name) for name in (*_GENERAL, *described) if name in there}
    embedding = _embedding(path, table["embedding"]) if "embedding" in there else None
    return Columns(label.to_pylist(), _column(path, table, "score", float), columns, embedding)


def why_incomparable(reference: Columns) -> str | None:
    """Why nothing is ever compared with it, in a sentence; None where something is."""
    if len(reference) >= LEAST_REFERENCE_ROWS:
        return None
    return (
        f"Cannot compare: the reference has {_rows(len(reference))}, and {LEAST_REFERENCE_ROWS} are needed; export "
        "the model again with more test rows, or name a file of such rows (export.reference)."
    )


def look_at(sample: Sequence[Sampled], predictor: Predictor) -> Columns:
    """The sampled predictions in the form of the reference: the graph runs once more over their inputs.

    The journal holds no embeddings. Where it holds too few inputs either (they are hashed or dropped, by a setting of
    the server), embeddings and what describes inputs are absent.
    """
    readable, rows = [], []
    for one in sample:
        if one.input is not None:
            try:
                rows.append(predictor.model.parse(one.input))
            except InvalidInput:  # a version of this name that reads other fields
                continue
            readable.append(one)
    kept = readable if len(readable) >= LEAST_ROWS else list(sample)
    described = {
        "length": np.array([one.length for one in kept], dtype=float),
        "truncated": np.array([one.truncated for one in kept], dtype=float),
    }
    embedding = None
    if kept is readable:
        encoded = predictor.model.encode(rows)
        described |= {name: np.array(each) for name, each in predictor.model.describe(rows, encoded).items()}
        embedding = np.asarray(predictor.run(encoded).embedding, dtype=np.float32)
    scores = np.array([one.score for one in kept], dtype=float)
    return Columns([one.label for one in kept], scores, described, embedding)


def compare(
    reference: Columns, window: Columns, described: Mapping[str, str], deals: int = DEALS, least: float = LEAST
) -> list[Verdict]:
    """A verdict on each aspect; the more there are, the more each must show, so that suspicions stay as rare.

    `least`: what is too small to matter, as a share of inputs that are other than before. None of them has `drifted`:
    `boatyard.monitor.looks` decides that.
    """
    if why := why_incomparable(reference):
        return [_unmeasured("label", why)]
    if len(window) < LEAST_ROWS:
        few = f"Not enough rows: {len(window)} predictions, and {LEAST_ROWS} are needed to say anything."
        return [_unmeasured("label", few)]
    statistics, without = measure(reference, window, deal(len(reference), len(window), deals), least)
    tested = judge(statistics, WEIGHTS, SUSPICIOUS * INPUTS)
    phrases = {"label": "the answer", "score": "the model's confidence", **_GENERAL, **described, "embedding": ""}
    before, now = _by_name(reference), _by_name(window)
    verdicts = [
        _verdict(name, what, tested[name], before.get(name), now.get(name))
        if name in tested
        else _unmeasured(name, without[name])
        for name, what in phrases.items()
        if name in tested or name in without
    ]
    missing = int(np.isnan(window.score).sum())
    verdicts.append(
        Verdict(
            name="missing_scores",
            group="data quality",
            statistic="share of predictions",
            value=missing / len(window),
            threshold=0.0,
            p=0.0 if missing else 1.0,
            suspicious=missing > 0,
            sentence=f"{missing} of {len(window)} predictions have no number for a score.",
        )
    )
    return verdicts


def measure(
    reference: Columns, window: Columns, dealt: Deals, least: float
) -> tuple[dict[str, Statistic], dict[str, str]]:
    """By name the statistics of what can be compared, and why the others cannot."""
    before, now = _by_name(reference), _by_name(window)
    without = {name: why for name in now if (why := _why_not(before.get(name), now[name]))}
    statistics = {}
    for name in (name for name in now if name not in without):
        values = np.concatenate([before[name], now[name]])
        statistics[name] = (dealt.growth if are_categories(values) else dealt.shift)(values, least)
    if why := _why_no_embedding(reference, window):
        without["embedding"] = why
    else:
        statistics["embedding"] = dealt.distance(np.concatenate([reference.embedding, window.embedding]), least)
    return statistics, without


def are_categories(values: NDArray[Any]) -> bool:
    """Rather than numbers."""
    return values.dtype.kind == "U"


def _column(path: Path, table: pa.Table, name: str, kind: type | None = None) -> NDArray[Any]:
    """Numbers or, unless `kind` says otherwise, categories; what is missing is no number, or an empty category."""
    column = table[name]
    kind = kind or (str if pa.types.is_string(column.type) else float)
    try:
        return np.array(["" if kind is str and value is None else value for value in column.to_pylist()], dtype=kind)
    except (TypeError, ValueError):
        raise UserError(f"{path}: column {name} holds no numbers; export the model again") from None


def _embedding(path: Path, column: pa.ChunkedArray) -> NDArray[np.floating]:
    if column.null_count or not pa.types.is_fixed_size_list(column.type):
        raise UserError(f"{path}: column embedding must hold as many numbers in each row; export the model again")
    flat = np.asarray(column.combine_chunks().flatten(), dtype=np.float32)
    return flat.reshape(len(column), column.type.list_size)


def _line(wrong: Exception) -> str:
    return " ".join(str(wrong).split())


def _rows(count: int) -> str:
    return "1 row" if count == 1 else f"{count} rows"


def _by_name(columns: Columns) -> dict[str, NDArray[Any]]:
    return {"label": np.array(columns.label, dtype=str), "score": columns.score, **columns.described}


def _verdict(name: str, what: str, seen: Tested, before: NDArray[Any] | None, now: NDArray[Any] | None) -> Verdict:
    """`before` and `now`: the column in the reference and in the window; of embeddings None."""
    if before is None or now is None:
        statistic = "distance of the means"
        sentence = f"The mean input lies {seen.value:.3f} of the reference's spread from the reference's"
    elif are_categories(now):
        statistic = "growth of one value, -log10 p"
        value, then, share = _grown(before.tolist(), now.tolist())
        sentence = f"{_subject(what)} is {value} in {share:.1%} of cases, in the reference in {then:.1%}"
    else:
        statistic = "Kolmogorov-Smirnov distance"
        sentence = f"{_subject(what)} is {_mean(now)} on average, in the reference {_mean(before)}"
    return Verdict(
        name=name,
        group=_GROUPS.get(name, "input"),
        statistic=statistic,
        value=seen.value,
        threshold=seen.threshold,
        p=min(1.0, seen.p / INPUTS),
        suspicious=seen.suspicious,
        sentence=f"{sentence}: {'more than chance explains' if seen.suspicious else _CHANCE}.",
    )


def _unmeasured(name: str, why: str) -> Verdict:
    return Verdict(
        name=name, group=_GROUPS.get(name, "input"), statistic="none", value=None, threshold=None, sentence=why
    )


def _why_not(reference: NDArray[Any] | None, window: NDArray[Any]) -> str | None:
    """Why the column is not compared."""
    if reference is None or are_categories(reference) != are_categories(window):
        return _OLD_BUNDLE
    if not are_categories(reference) and np.isnan(reference).all():
        return f"Not measured: the bundle's {REFERENCE} holds no number for it; export the model again."
    return None


def _why_no_embedding(reference: Columns, window: Columns) -> str | None:
    if window.embedding is None:
        return "Not measured: the journal keeps too few inputs (BOATYARD_JOURNAL_INPUT), and embeddings need them."
    if reference.embedding is None:
        return _OLD_BUNDLE
    for whose, points in (("the reference", reference.embedding), ("the window", window.embedding)):
        if not np.isfinite(points).all():
            return f"Not measured: embeddings of {whose} hold what is no number."
    return None


def _grown(reference: Sequence[str], window: Sequence[str]) -> tuple[str, float, float]:
    """What stands out most from what chance does to a value of its frequency; its share before, and now."""
    ours, theirs = Counter(window), Counter(reference)
    shares = {value: (theirs[value] / len(reference), ours[value] / len(window)) for value in ours}
    grown = max(shares, key=lambda value: (shares[value][1] - shares[value][0]) / (shares[value][0] + 0.01) ** 0.5)
    return grown, *shares[grown]


def _subject(what: str) -> str:
    return what[0].upper() + what[1:]


def _mean(values: NDArray[np.floating]) -> str:
    numbers = values[np.isfinite(values)]
    return f"{numbers.mean():.3g}" if len(numbers) else "no number"
