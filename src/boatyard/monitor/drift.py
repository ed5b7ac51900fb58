"""Is what the model is asked now still like what its accuracy was accepted on?"""

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from numpy.typing import NDArray

from boatyard.errors import UserError
from boatyard.kinds.protocol import InvalidInput
from boatyard.monitor.results import Verdict
from boatyard.monitor.statistics import DEALS, Tested, deal, judge
from boatyard.monitor.traffic import Sampled
from boatyard.predict import Predictor

REFERENCE = "reference.parquet"
LEAST_ROWS = 100
"""Of fewer predictions nothing is said: they tell too little."""
_GENERAL = {"length": "the length of the input", "truncated": "the share of inputs that were cut off"}
_OLD_BUNDLE = f"Not measured: the bundle's {REFERENCE} does not hold it; export the model again."
_WEIGHTS = {"label": 3.0}  # it looks at each label, and so has most to lose


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
    """What the bundle holds of it; columns that an earlier version of Boatyard did not write are absent."""
    path = folder / REFERENCE
    if not path.is_file():
        raise UserError(f"{folder} has no {REFERENCE}, so there is nothing to compare with: export the model again")
    table = pq.read_table(path)
    there = set(table.column_names)
    if missing := {"label", "score"} - there:
        raise UserError(f"{path} has no column {' or '.join(sorted(missing))}: export the model again")
    columns = {name: _column(table[name]) for name in (*_GENERAL, *described) if name in there}
    embedding = None
    if "embedding" in there:
        values = table["embedding"].combine_chunks()
        embedding = np.asarray(values.flatten(), dtype=np.float32).reshape(len(values), -1)
    return Columns(table["label"].to_pylist(), _column(table["score"]), columns, embedding)


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


def compare(reference: Columns, window: Columns, described: Mapping[str, str], deals: int = DEALS) -> list[Verdict]:
    """A verdict on each aspect; the more there are, the more each must show, so that false alarms stay as rare."""
    phrases = {**_GENERAL, **described}
    if len(window) < LEAST_ROWS:
        few = f"Not enough rows: {len(window)} predictions, and {LEAST_ROWS} are needed to say anything."
        return [_unmeasured("label", "prediction", few)]
    dealt = deal(len(reference), len(window), deals)
    both = np.concatenate([reference.score, window.score])
    found = {
        "label": dealt.growth([*reference.label, *window.label]),
        "score": dealt.shift(np.nan_to_num(both, nan=-1)),
    }
    shared = [name for name in phrases if name in reference.described and name in window.described]
    for name in shared:
        values = np.concatenate([reference.described[name], window.described[name]])
        found[name] = dealt.growth(values.tolist()) if are_categories(values) else dealt.shift(values)
    if reference.embedding is not None and window.embedding is not None:
        found["embedding"] = dealt.distance(np.concatenate([reference.embedding, window.embedding]))
    tested = judge(found, _WEIGHTS)
    missing = int(np.isnan(window.score).sum())
    return [
        _told("label", "prediction", "growth of one label, -log10 p", tested, _label_sentence(reference, window)),
        _told(
            "score",
            "confidence",
            "Kolmogorov-Smirnov distance",
            tested,
            _number_sentence("the model's confidence", reference.score, window.score),
        ),
        *(_described(name, phrases[name], tested, reference, window) for name in shared),
        *(_unmeasured(name, "input", _OLD_BUNDLE) for name in phrases if name not in reference.described),
        _told("embedding", "embedding", "distance of the means", tested, _embedding_sentence(tested["embedding"]))
        if "embedding" in found
        else _unmeasured("embedding", "embedding", _why_no_embedding(window)),
        Verdict(
            name="missing_scores",
            group="data quality",
            statistic="share of predictions",
            value=missing / len(window),
            threshold=0.0,
            drifted=missing > 0,
            sentence=f"{missing} of {len(window)} predictions have no number for a score.",
        ),
    ]


def are_categories(values: NDArray[Any]) -> bool:
    """Rather than numbers."""
    return values.dtype.kind == "U"


def _column(column: pa.ChunkedArray) -> NDArray[Any]:
    return np.array(column.to_pylist(), dtype=str if pa.types.is_string(column.type) else float)


Sentence = Callable[[bool], str]


def _told(name: str, group: str, statistic: str, tested: Mapping[str, Tested], sentence: Sentence) -> Verdict:
    seen = tested[name]
    return Verdict(
        name=name,
        group=group,
        statistic=statistic,
        value=seen.value,
        threshold=seen.threshold,
        drifted=seen.drifted,
        sentence=sentence(seen.drifted),
    )


def _described(name: str, what: str, tested: Mapping[str, Tested], reference: Columns, window: Columns) -> Verdict:
    before, now = reference.described[name], window.described[name]
    if are_categories(now):
        sentence = _category_sentence(what, before, now)
        return _told(name, "input", "growth of one value, -log10 p", tested, sentence)
    return _told(name, "input", "Kolmogorov-Smirnov distance", tested, _number_sentence(what, before, now))


def _unmeasured(name: str, group: str, why: str) -> Verdict:
    return Verdict(name=name, group=group, statistic="none", value=None, threshold=None, drifted=False, sentence=why)


def _why_no_embedding(window: Columns) -> str:
    if window.embedding is None:
        return "Not measured: the journal keeps too few inputs (BOATYARD_JOURNAL_INPUT), and embeddings need them."
    return _OLD_BUNDLE


def _grown(reference: Sequence[str], window: Sequence[str]) -> tuple[str, float, float]:
    """What stands out most from what chance does to a value of its frequency; its share before, and now."""
    ours, theirs = Counter(window), Counter(reference)
    shares = {value: (theirs[value] / len(reference), ours[value] / len(window)) for value in ours}
    grown = max(shares, key=lambda value: (shares[value][1] - shares[value][0]) / (shares[value][0] + 0.01) ** 0.5)
    return grown, *shares[grown]


def _label_sentence(reference: Columns, window: Columns) -> Sentence:
    grown, before, now = _grown(reference.label, window.label)
    return lambda drifted: (
        f"{grown} is answered in {now:.1%} of cases, in the reference in {before:.1%}: more than chance explains."
        if drifted
        else f"Labels come as often as in the reference; {grown} grew most, from {before:.1%} to {now:.1%}."
    )


def _category_sentence(what: str, reference: NDArray[np.str_], window: NDArray[np.str_]) -> Sentence:
    grown, before, now = _grown(reference.tolist(), window.tolist())
    subject = what[0].upper() + what[1:]
    return lambda drifted: (
        f"{subject} is {grown} in {now:.1%} of cases, in the reference in {before:.1%}: more than chance explains."
        if drifted
        else f"{subject} is as in the reference; {grown} grew most, from {before:.1%} to {now:.1%}."
    )


def _number_sentence(what: str, reference: NDArray[np.floating], window: NDArray[np.floating]) -> Sentence:
    now, before = float(np.nanmean(window)), float(np.nanmean(reference))
    subject = what[0].upper() + what[1:]
    return lambda drifted: (
        f"{subject} is {now:.3g} on average, in the reference {before:.3g}: its distribution moved by more than chance."
        if drifted
        else f"{subject} is {now:.3g} on average, in the reference {before:.3g}: as chance has it."
    )


def _embedding_sentence(seen: Tested) -> Sentence:
    apart = f"{seen.value:.3f} of the reference's spread, and chance explains {seen.threshold:.3f}"
    return lambda drifted: (
        f"What is asked lies elsewhere than the reference: the means are apart by {apart}."
        if drifted
        else f"What is asked lies where the reference does: the means are apart by {apart}."
    )
