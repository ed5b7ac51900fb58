"""Rows from where they lie: a CSV, TSV, JSON Lines or Parquet file, a folder of one per split, or the Hub.

A source yields rows one after another, so memory does not grow with the file.
"""

import csv
import json
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Any

from boatyard.config import Data, Hub
from boatyard.errors import UserError
from boatyard.fingerprint import file_digest, fingerprint
from boatyard.storage import open_storage, write_atomically

# the names under which split files and the values of a split column go
SPLIT_NAMES = {
    "train": "train",
    "training": "train",
    "validation": "validation",
    "valid": "validation",
    "val": "validation",
    "dev": "validation",
    "test": "test",
}
SPLITS = ("train", "validation", "test")

# bytes that are no UTF-8 come through as lone surrogates, for validation to name and quarantine to keep
_UNDECODABLE = "surrogateescape"
_LONGEST_CELL = 10_000_000  # characters

Rows = Iterator[tuple[int, list[Any]]]


@dataclass(frozen=True)
class Source:
    """One file, or one split on the Hub.

    `rows(columns)` yields each row's number and the values of those columns, None where it has none. Numbers are
    what an editor shows: lines counted from 1, the header included; in Parquet and on the Hub, rows from 1.
    """

    name: str
    split: str | None
    digest: str
    rows: Callable[[Sequence[str]], Rows]


def find_sources(data: Data) -> list[Source]:
    """Where `data.path` (a file or a folder) or else `data.hub` leads.

    Raises:
        UserError: there is nothing there, or nothing that can be read.
    """
    if data.path is None:
        if data.hub is None:
            raise UserError("data.path must be given: the file or folder that holds the rows")
        return _hub_sources(data.hub)
    path = Path(data.path)
    if path.is_dir():
        files = [f for f in sorted(path.iterdir()) if f.suffix.lower() in _READERS and f.stem.lower() in SPLIT_NAMES]
        if not any(SPLIT_NAMES[f.stem.lower()] == "train" for f in files):
            kinds = ", ".join(_READERS)
            raise UserError(f"{path}: no training file there; expected train (and validation, test) as {kinds}")
        return [_file_source(file, SPLIT_NAMES[file.stem.lower()]) for file in files]
    if not path.is_file():
        raise UserError(f"data.path={path}: there is no such file or folder")
    return [_file_source(path, None)]


def fetched(data: Data, cache: Path) -> Data:
    """The same with `data.path` on this disk: what lies in a bucket is copied into the cache.

    Raises:
        UserError: there is nothing there, or it cannot be had.
    """
    if data.path is None or not data.path.startswith("gs://"):
        return data
    root, _, name = data.path.rstrip("/").rpartition("/")
    storage, own = open_storage(root), cache / fingerprint(root)
    if Path(name).suffix.lower() in _READERS:
        path = own / name
        path.parent.mkdir(parents=True, exist_ok=True)
        write_atomically(path, storage.read(name))
    else:
        path = storage.fetch(name, own)
    return data.model_copy(update={"path": str(path)})


def _file_source(path: Path, split: str | None) -> Source:
    reader = _READERS.get(path.suffix.lower())
    if reader is None:
        raise UserError(
            f"{path}: cannot read {path.suffix or 'a file without a suffix'}; expected {', '.join(_READERS)}"
        )
    return Source(path.name, split, file_digest(path), lambda columns: reader(path, columns))


def _csv_rows(path: Path, columns: Sequence[str]) -> Rows:
    csv.field_size_limit(_LONGEST_CELL)
    with path.open(encoding="utf-8-sig", errors=_UNDECODABLE, newline="") as file:
        delimiter = "\t" if path.suffix.lower() == ".tsv" else ","
        reader = csv.reader(file, delimiter=delimiter, strict=True)
        try:
            header = next(reader, [])
            places = _places(path.name, header, columns)
            line = reader.line_num + 1
            for cells in reader:
                if any(cells[len(header) :]):
                    raise UserError(
                        f"{path.name}, row {line}: {len(cells)} cells where the header names {len(header)}; "
                        "a text with a comma in it needs quotes around it"
                    )
                if cells:  # not a blank line
                    yield line, [cells[place] if place < len(cells) else None for place in places]
                line = reader.line_num + 1
        except csv.Error as error:
            raise UserError(f"{path.name}, row {reader.line_num}: not well-formed CSV ({error})") from None


def _json_rows(path: Path, columns: Sequence[str]) -> Rows:
    with path.open(encoding="utf-8-sig", errors=_UNDECODABLE) as file:
        for line, text in enumerate(file, 1):
            if not text.strip():
                continue
            try:
                record = json.loads(text)
            except (ValueError, RecursionError) as error:
                raise UserError(f"{path.name}, row {line}: not JSON ({error})") from None
            if not isinstance(record, dict):
                raise UserError(f"{path.name}, row {line}: expected a JSON object, found {type(record).__name__}")
            if line == 1:
                _places(path.name, list(record), columns)
            yield line, [record.get(column) for column in columns]


def _parquet_rows(path: Path, columns: Sequence[str]) -> Rows:
    import pyarrow as pa
    import pyarrow.parquet as pq

    try:
        file = pq.ParquetFile(path)
    except pa.ArrowInvalid as error:
        raise UserError(f"{path.name}: not a Parquet file ({error})") from None
    _places(path.name, file.schema_arrow.names, columns)
    row = 0
    for batch in file.iter_batches(columns=list(dict.fromkeys(columns))):
        for values in zip(*(batch.column(column).to_pylist() for column in columns), strict=True):
            row += 1
            yield row, list(values)


_READERS: dict[str, Callable[[Path, Sequence[str]], Rows]] = {
    ".csv": _csv_rows,
    ".tsv": _csv_rows,
    ".jsonl": _json_rows,
    ".ndjson": _json_rows,
    ".parquet": _parquet_rows,
}


def _hub_sources(hub: Hub) -> list[Source]:
    from datasets import DatasetDict, load_dataset

    try:
        found = load_dataset(hub.id, revision=hub.revision)
    except Exception as error:  # the Hub's client raises of many kinds, all of them for the user to mend
        reason = str(error).strip().splitlines()[0] if str(error).strip() else type(error).__name__
        raise UserError(
            f"data.hub.id={hub.id}: cannot be had from the Hub ({reason}); without a connection, "
            "give the rows with data.path=FILE_OR_FOLDER"
        ) from None
    if not isinstance(found, DatasetDict):
        raise UserError(f"data.hub.id={hub.id}: expected a data set with splits")
    return [
        _hub_source(hub, name, split.rename_columns({k: v for k, v in hub.rename.items() if k in split.column_names}))
        for name, split in found.items()
        if name in SPLIT_NAMES
    ]


def _hub_source(hub: Hub, name: str, split: Any) -> Source:
    def rows(columns: Sequence[str]) -> Rows:
        place = f"{hub.id}:{name}"
        _places(place, split.column_names, columns)
        features = split.features
        decode = [getattr(features[column], "int2str", None) for column in columns]  # class numbers to names
        for row, record in enumerate(split, 1):
            values = (record[column] for column in columns)
            yield row, [f(v) if f and v is not None else v for f, v in zip(decode, values, strict=True)]

    return Source(f"{hub.id}:{name}", SPLIT_NAMES[name], str(split._fingerprint), rows)


def _places(name: str, header: Sequence[str], columns: Sequence[str]) -> list[int]:
    for column in columns:
        if column not in header:
            shown = ", ".join(islice(map(repr, header), 20)) or "none"
            raise UserError(
                f"{name}: column {column!r} is missing; the file's columns are {shown} "
                "(data.text_columns and data.label_column say which to read)"
            )
    return [list(header).index(column) for column in columns]
