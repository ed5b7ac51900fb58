"""The rows as Arrow files: one a split for what can be used, and a CSV for what cannot."""

import codecs
import csv
from collections.abc import Iterable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Protocol

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from boatyard.data.read import SPLITS
from boatyard.data.validate import TRAIN, Ledger

_SAMPLES = 3  # rows of each label shown in the report
_AS_THEY_CAME = "boatyard.as_they_came"


class Writer(Protocol):
    """What csv.writer gives."""

    def writerow(self, row: Iterable[object], /) -> object:
        """Append one row."""


@contextmanager
def open_set_aside(path: Path, fields: Sequence[str]) -> Iterator[Writer]:
    """A CSV for rows that cannot be used; bytes that are no UTF-8 come out as they went in."""
    with path.open("w", encoding="utf-8", errors=_AS_THEY_CAME, newline="") as file:
        writer = csv.writer(file)
        writer.writerow(["file", "row", "why", *fields, "label"])
        yield writer


def write_splits(
    ledger: Ledger, usable: npt.NDArray[np.bool_], labels: list[str], fields: list[str], folder: Path
) -> dict[str, list[tuple[str, ...]]]:
    """Sort the usable rows into an Arrow file a split. Returns a few training rows of each label."""
    position = {label: i for i, label in enumerate(labels)}
    label_of = np.array([position.get(label, -1) for label in ledger.labels], np.int32)[ledger.label]
    schema = pa.schema(
        [
            *((field, pa.string()) for field in fields),
            ("label", pa.int32()),
            ("source", pa.string()),
            ("row", pa.int64()),
        ]
    )
    samples: dict[str, list[tuple[str, ...]]] = {label: [] for label in labels}
    names = np.array(ledger.sources, object)
    with ExitStack() as stack:
        streams = [stack.enter_context(pa.ipc.new_stream(folder / f"{split}.arrow", schema)) for split in SPLITS]
        start = 0
        for batch in stack.enter_context(
            pa.ipc.open_stream(stack.enter_context(pa.memory_map(str(folder / "rows.arrow"))))
        ):
            here = slice(start, start := start + batch.num_rows)
            whole = pa.record_batch(
                [
                    *(batch.column(f) for f in fields),
                    label_of[here],
                    names[ledger.source[here]],
                    ledger.row[here],
                ],
                schema,
            )
            for number, stream in enumerate(streams):
                mask = usable[here] & (ledger.split[here] == number)
                stream.write_batch(whole.filter(pa.array(mask)))
            if any(len(rows) < _SAMPLES for rows in samples.values()):
                for i in np.flatnonzero(usable[here] & (ledger.split[here] == TRAIN)):
                    rows = samples[labels[label_of[here][i]]]
                    if len(rows) < _SAMPLES:
                        rows.append(tuple(batch.column(f)[int(i)].as_py() for f in fields))
    return samples


def set_aside_unusable(ledger: Ledger, unusable: dict[int, str], rows: Path, set_aside: Writer) -> None:
    """Write the `unusable` rows, by their line in the ledger, with the reason."""
    start = 0
    with pa.memory_map(str(rows)) as file, pa.ipc.open_stream(file) as batches:
        for batch in batches:
            for index in (i for i in range(start, start + batch.num_rows) if i in unusable):
                values = [column[index - start].as_py() for column in batch.columns]
                place = ledger.sources[ledger.source[index]], ledger.row[index]
                set_aside.writerow([*place, unusable[index], *values])
            start += batch.num_rows


def _as_they_came(error: UnicodeError) -> tuple[str | bytes, int]:
    """Undecodable bytes are surrogates by now; but JSON can also escape half of a surrogate pair."""
    try:
        return codecs.lookup_error("surrogateescape")(error)
    except UnicodeError:
        return codecs.lookup_error("surrogatepass")(error)


codecs.register_error(_AS_THEY_CAME, _as_they_came)
