"""Rows in columns from where they lie: a CSV, TSV, JSON Lines or Parquet file, a folder of one per split, or the Hub.

For every input whose rows are some columns. Cells keep their types where the format has such: in JSON Lines, Parquet
and on the Hub a number is a number. Row numbers are what an editor shows: lines counted from 1, the header included;
in Parquet and on the Hub, rows from 1. A source yields rows one after another, so memory does not grow with the file.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from itertools import chain, islice
from pathlib import Path
from typing import Any

from boatyard.config.errors import UserError
from boatyard.config.schema import Data, Hub
from boatyard.inputs.lines import Unreadable
from boatyard.inputs.records import SUFFIXES, Format, Record, check_columns, read_records
from boatyard.inputs.texts import normal_form
from boatyard.inputs.training_protocol import Source, SourceRow
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


def open_tables(data: Data, columns: Sequence[str], cache: Path, keys: str, *, others: bool = False) -> list[Source]:
    """Where `data.path` (a file or a folder, which may lie in a bucket) or else `data.hub` leads.

    `columns`: that each must have, in normal form; `keys`: of the configuration, which name them; `others`: whether the
    other columns are read too. What lies in a bucket is copied into the cache.

    Raises:
        UserError: there is nothing there, or nothing that can be read.
    """
    table = _Table(columns, keys, others)
    if data.path is None:
        if data.hub is None:
            raise UserError("data.path must be given: the file or folder that holds the rows")
        return _hub_sources(data.hub, table)
    path = on_this_disk(data.path, cache, TABLE_SUFFIXES)
    if path.is_dir():
        files = [f for f in sorted(path.iterdir()) if f.suffix.lower() in _READERS and f.stem.lower() in SPLIT_NAMES]
        if not any(SPLIT_NAMES[f.stem.lower()] == "train" for f in files):
            kinds = ", ".join(_READERS)
            raise UserError(f"{path}: no training file there; expected train (and validation, test) as {kinds}")
        return [_file_source(file, SPLIT_NAMES[file.stem.lower()], table) for file in files]
    if not path.is_file():
        raise UserError(f"data.path={path}: there is no such file or folder")
    return [_file_source(path, None, table)]


def on_this_disk(path: str, cache: Path, suffixes: tuple[str, ...]) -> Path:
    """The path, or a copy in the cache of what lies in a bucket: a file of these suffixes, or else a folder."""
    if not path.startswith("gs://"):
        return Path(path)
    root, _, name = path.rstrip("/").rpartition("/")
    storage, own = open_storage(root), cache / fingerprint(root)
    if not name.lower().endswith(suffixes):
        return storage.fetch(name, own)
    storage.download(name, own / name)
    return own / name


@dataclass(frozen=True)
class _Table:
    """The columns that each source must have, and the keys that name them."""

    columns: Sequence[str]
    keys: str
    others: bool

    def wanted(self, header: Sequence[str]) -> Sequence[str]:
        """Of a source's columns, those that are read."""
        return [name for name in header if name] if self.others else list(dict.fromkeys(self.columns))

    def check(self, name: str, header: Sequence[str]) -> None:
        """Raises UserError where a column is missing."""
        present = set(map(normal_form, header))
        for column in self.columns:
            if column not in present:
                shown = ", ".join(islice(map(repr, header), 20)) or "none"
                hint = f"{self.keys} say which to read"
                raise UserError(f"{name}: column {column!r} is missing; the file's columns are {shown} ({hint})")


def _file_source(path: Path, split: str | None, table: _Table) -> Source:
    """One file, read as its suffix says."""
    reader = _READERS.get(path.suffix.lower())
    if reader is None:
        raise UserError(
            f"{path}: cannot read {path.suffix or 'a file without a suffix'}; expected {', '.join(_READERS)}"
        )
    return Source(path.name, split, file_digest(path), lambda: reader(path, table))


def _record_rows(path: Path, table: _Table, form: Format) -> Iterator[SourceRow]:
    with path.open("rb") as file:
        try:
            header, records = read_records(iter(partial(file.read, _PIECE), b""), form)
        except Unreadable as reason:
            raise UserError(f"{path.name} {reason}") from None
        if form == "jsonl":
            records = _with_columns(path.name, records, table)
        else:
            table.check(path.name, header)
        for record in records:
            if record.wrong is not None:
                yield SourceRow(record.line, {}, record.wrong, record.text)
            else:
                yield SourceRow(record.line, record.fields, embedded=record.embedded)


def _with_columns(name: str, records: Iterator[Record], table: _Table) -> Iterator[Record]:
    """The records, unless none of the first has some column: that is no row's fault."""
    names = dict[str, None]()
    first = list(islice(records, _ENOUGH_TO_TELL))
    for record in first:
        names |= dict.fromkeys(record.fields)
    if names:
        table.check(name, list(names))
    return chain(first, records)


def _parquet_rows(path: Path, table: _Table) -> Iterator[SourceRow]:
    import pyarrow as pa
    import pyarrow.parquet as pq

    from boatyard.inputs.parquet import cells

    row = 0
    try:
        with pq.ParquetFile(path) as file:
            names = file.schema_arrow.names
            header = [normal_form(name) for name in names]
            check_columns(header)
            table.check(path.name, header)
            stored = dict(zip(header, names, strict=True))
            wanted = table.wanted(header)
            for batch in file.iter_batches(columns=[stored[column] for column in wanted]):
                for values in zip(*(cells(batch.column(stored[column])) for column in wanted), strict=True):
                    row += 1
                    yield SourceRow(row, dict(zip(wanted, values, strict=True)))
    except Unreadable as why:
        raise UserError(f"{path.name} {why}") from None
    except (pa.ArrowException, OSError, ValueError) as error:
        reason = str(error).strip().partition("\n")[0] or type(error).__name__
        raise UserError(f"{path.name}: not a Parquet file, or damaged ({reason})") from None


_READERS: dict[str, Callable[[Path, _Table], Iterator[SourceRow]]] = {
    **{suffix: partial(_record_rows, form=form) for suffix, form in SUFFIXES.items()},
    ".parquet": _parquet_rows,
}
TABLE_SUFFIXES = tuple(_READERS)


def _hub_sources(hub: Hub, table: _Table) -> list[Source]:
    from datasets import DatasetDict, load_dataset

    try:
        splits = load_dataset(hub.id, revision=hub.revision)
    except Exception as error:  # the Hub's client raises of many kinds, all of them for the user to mend
        reason = str(error).strip().splitlines()[0] if str(error).strip() else type(error).__name__
        raise UserError(
            f"data.hub.id={hub.id}: cannot be had from the Hub ({reason}); without a connection, "
            "give the rows with data.path=FILE_OR_FOLDER"
        ) from None
    if not isinstance(splits, DatasetDict):
        raise UserError(f"data.hub.id={hub.id}: expected a data set with splits")
    return [
        _hub_source(
            hub, name, split.rename_columns({k: v for k, v in hub.rename.items() if k in split.column_names}), table
        )
        for name, split in splits.items()
        if name in SPLIT_NAMES
    ]


def _hub_source(hub: Hub, name: str, split: Any, table: _Table) -> Source:
    def rows() -> Iterator[SourceRow]:
        place = f"{hub.id}:{name}"
        table.check(place, split.column_names)
        features = split.features
        wanted = table.wanted(split.column_names)
        names = {column: getattr(features[column], "int2str", None) for column in wanted}  # of class numbers
        for row, record in enumerate(split, 1):
            cells = {column: record[column] for column in wanted}
            for column, name_of in names.items():
                if name_of and cells[column] is not None:
                    cells[column] = name_of(cells[column])
            yield SourceRow(row, cells)

    return Source(f"{hub.id}:{name}", SPLIT_NAMES[name], str(split._fingerprint), rows)
