"""The rows as Arrow files: one a split for what can be used, and a CSV for what cannot."""

import codecs
import csv
from collections.abc import Iterable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any, Protocol

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from boatyard.data.batches import read_batches
from boatyard.data.ledger import TRAIN, Ledger
from boatyard.inputs.sources import SPLITS
from boatyard.inputs.training_protocol import ROW, SOURCE, TARGET
from boatyard.tasks.protocol import Targets

_SAMPLES = 3  # rows of each group shown in the report
_AS_THEY_CAME = "boatyard.as_they_came"


class Writer(Protocol):
    """A csv.writer."""

    def writerow(self, row: Iterable[object], /) -> object:
        """Append one row."""


@contextmanager
def open_set_aside(path: Path, columns: Sequence[str]) -> Iterator[Writer]:
    """A CSV for rows that cannot be used; bytes that are no UTF-8 come out as they went in."""
    with path.open("w", encoding="utf-8", errors=_AS_THEY_CAME, newline="") as file:
        writer = csv.writer(file)
        writer.writerow(["file", "row", "why", *columns])
        yield writer


def write_splits(
    ledger: Ledger, targets: Targets, stored: pa.Array, usable: NDArray[np.bool_], fields: pa.Schema, folder: Path
) -> dict[str, list[tuple[Any, ...]]]:
    """Sort the usable rows into an Arrow file a split. `stored`: the target of each row.

    Returns a few training rows of each of the targets' groups.
    """
    schema = pa.schema([*fields, (TARGET, stored.type), (SOURCE, pa.string()), (ROW, pa.int64())])
    samples: dict[str, list[tuple[Any, ...]]] = {}
    with ExitStack() as stack:
        streams = [stack.enter_context(pa.ipc.new_stream(folder / f"{split}.arrow", schema)) for split in SPLITS]
        start = 0
        for batch in read_batches(folder / "rows.arrow"):
            here = slice(start, start := start + batch.num_rows)
            whole = pa.record_batch(
                [
                    *batch.columns,
                    stored[here.start : here.stop],
                    pa.array(map(ledger.file, range(here.start, here.stop)), pa.string()),
                    ledger.row[here],
                ],
                schema,
            )
            for number, stream in enumerate(streams):
                mask = usable[here] & (ledger.split[here] == number)
                stream.write_batch(whole.filter(pa.array(mask)))
            for i in np.flatnonzero(usable[here] & (ledger.split[here] == TRAIN)).tolist():
                rows = samples.setdefault(targets.group(here.start + i), [])
                if len(rows) < _SAMPLES:
                    rows.append(tuple(column[i].as_py() for column in batch.columns))
    return {group: samples[group] for group in sorted(samples)}


def set_aside_unusable(
    ledger: Ledger, targets: Targets, unusable: dict[int, str], rows: Path, set_aside: Writer
) -> None:
    """Write the `unusable` rows, by their line in the ledger, with the reason."""
    start = 0
    for batch in read_batches(rows):
        for index in (i for i in range(start, start + batch.num_rows) if i in unusable):
            values = [_readable(column[index - start].as_py()) for column in batch.columns]
            place = ledger.file(index), ledger.row[index]
            set_aside.writerow([*place, unusable[index], *values, targets.cell(index)])
        start += batch.num_rows


def _readable(value: Any) -> Any:
    """Of what is binary, only how much there is: it lies in the row's own file."""
    return f"{len(value):,} bytes" if isinstance(value, bytes) else value


def _as_they_came(error: UnicodeError) -> tuple[str | bytes, int]:
    """Undecodable bytes are surrogates by now; but JSON can also escape half of a surrogate pair."""
    try:
        return codecs.lookup_error("surrogateescape")(error)
    except UnicodeError:
        return codecs.lookup_error("surrogatepass")(error)


codecs.register_error(_AS_THEY_CAME, _as_they_came)
