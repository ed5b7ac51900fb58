"""Rows from where they lie: a CSV, TSV, JSON Lines or Parquet file, a folder of one per split, or the Hub.

A source yields rows one after another, so memory does not grow with the file.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from itertools import chain, islice
from pathlib import Path
from typing import Any, NamedTuple

from boatyard.config.errors import UserError
from boatyard.config.schema import Data, Hub
from boatyard.inputs.records import Format, Record, Unreadable, check_columns, other_delimiter, read_records
from boatyard.inputs.texts import normal_form
from boatyard.storage import open_storage
from boatyard.storage.fingerprint import file_digest, fingerprint

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

_PIECE = 2**20  # bytes read at once
_ENOUGH_TO_TELL = 100  # records, which columns JSON Lines have

_WHICH = "data.text_columns and data.label_column say which to read"
_MEND = {
    "tabs": "name it .tsv",
    "commas": "name it .csv",
    "semicolons": "save it with commas",
    "vertical bars": "save it with commas",
}


class Row(NamedTuple):
    """A row's number and values of the columns, None where it has none; or what is `wrong`, and its text.

    `embedded`: the values of its lines that would be rows by themselves, where there are two or more.
    """

    number: int
    values: list[Any]
    wrong: str | None = None
    embedded: tuple[list[Any], ...] = ()


Rows = Iterator[Row]


@dataclass(frozen=True)
class Source:
    """One file, or one split on the Hub.

    `rows(columns)` yields each row with the values of those columns. Numbers are what an editor shows: lines counted
    from 1, the header included; in Parquet and on the Hub, rows from 1.
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
        return [file_source(file, SPLIT_NAMES[file.stem.lower()]) for file in files]
    if not path.is_file():
        raise UserError(f"data.path={path}: there is no such file or folder")
    return [file_source(path, None)]


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
        storage.download(name, path)
    else:
        path = storage.fetch(name, own)
    return data.model_copy(update={"path": str(path)})


def file_source(path: Path, split: str | None) -> Source:
    """One file, read as its suffix says. Raises UserError: it names no format that is known here."""
    reader = _READERS.get(path.suffix.lower())
    if reader is None:
        raise UserError(
            f"{path}: cannot read {path.suffix or 'a file without a suffix'}; expected {', '.join(_READERS)}"
        )
    return Source(path.name, split, file_digest(path), lambda columns: reader(path, columns))


def _text_rows(path: Path, columns: Sequence[str], form: Format) -> Rows:
    with path.open("rb") as file:
        try:
            header, records = read_records(iter(partial(file.read, _PIECE), b""), form)
        except Unreadable as what:
            raise UserError(f"{path.name} {what}") from None
        if form == "jsonl":
            records = _with_columns(path.name, records, columns)
        else:
            _check_columns(path.name, header, columns)
        for record in records:
            if record.wrong is not None:
                yield Row(record.line, [record.text], record.wrong)
            else:
                embedded = tuple([row[column] for column in columns] for row in record.embedded)
                yield Row(record.line, [record.fields.get(column) for column in columns], embedded=embedded)


def _with_columns(name: str, records: Iterator[Record], columns: Sequence[str]) -> Iterator[Record]:
    """The records, unless none of the first has some column: that is no row's fault."""
    seen = dict[str, None]()
    first = list(islice(records, _ENOUGH_TO_TELL))
    for record in first:
        seen |= dict.fromkeys(record.fields)
    if seen:
        _check_columns(name, list(seen), columns)
    return chain(first, records)


def _parquet_rows(path: Path, columns: Sequence[str]) -> Rows:
    import pyarrow as pa
    import pyarrow.parquet as pq

    row = 0
    try:
        with pq.ParquetFile(path) as file:
            names = file.schema_arrow.names
            header = [normal_form(name) for name in names]
            check_columns(header)
            _check_columns(path.name, header, columns)
            stored = dict(zip(header, names, strict=True))
            wanted = [stored[column] for column in columns]
            for batch in file.iter_batches(columns=list(dict.fromkeys(wanted))):
                for values in zip(*(_values(batch.column(name)) for name in wanted), strict=True):
                    row += 1
                    yield Row(row, list(values))
    except Unreadable as what:
        raise UserError(f"{path.name} {what}") from None
    except (pa.ArrowException, OSError, ValueError) as error:
        reason = str(error).strip().partition("\n")[0] or type(error).__name__
        raise UserError(f"{path.name}: not a Parquet file, or damaged ({reason})") from None


def _values(column: Any) -> list[Any]:
    try:
        values: list[Any] = column.to_pylist()
    except UnicodeDecodeError:  # of strings that some writer did not check
        values = [
            None if value is None else value.decode("utf-8", "surrogateescape")
            for value in column.cast("binary").to_pylist()
        ]
    return values


_READERS: dict[str, Callable[[Path, Sequence[str]], Rows]] = {
    ".csv": partial(_text_rows, form="csv"),
    ".tsv": partial(_text_rows, form="tsv"),
    ".jsonl": partial(_text_rows, form="jsonl"),
    ".ndjson": partial(_text_rows, form="jsonl"),
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
        _check_columns(place, split.column_names, columns)
        features = split.features
        decode = [getattr(features[column], "int2str", None) for column in columns]  # class numbers to names
        for row, record in enumerate(split, 1):
            values = (record[column] for column in columns)
            yield Row(row, [f(v) if f and v is not None else v for f, v in zip(decode, values, strict=True)])

    return Source(f"{hub.id}:{name}", SPLIT_NAMES[name], str(split._fingerprint), rows)


def _check_columns(name: str, header: Sequence[str], columns: Sequence[str]) -> None:
    named = set(map(normal_form, header))
    for column in columns:
        if column not in named:
            shown = ", ".join(islice(map(repr, header), 20)) or "none"
            separated = other_delimiter(header)
            hint = f"it seems to be separated by {separated}: {_MEND[separated]}" if separated else _WHICH
            raise UserError(f"{name}: column {column!r} is missing; the file's columns are {shown} ({hint})")
