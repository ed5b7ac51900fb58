"""Files cut into slices of some thousand rows, each of which can be read by itself.

A file of rows is passed over once, by the reader that reads it later, and each slice's place in it noted: so a cell
with line ends, or a stray quote, is the same wherever a slice ends. Of Parquet only the footer is read. What cannot be
entered in its midst, such as a compressed file, is one slice.
"""

import re
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from contextlib import closing, contextmanager
from dataclasses import replace
from itertools import islice
from typing import Any, BinaryIO, NamedTuple, cast

import pyarrow as pa
import pyarrow.parquet as pq

from boatyard.bundle.rows import CHUNK, CHUNK_BYTES, InputRow, chunks_of, rows_of
from boatyard.config.errors import UserError
from boatyard.inputs.lines import Unreadable
from boatyard.inputs.parquet import cells
from boatyard.inputs.protocol import InvalidInput
from boatyard.inputs.records import Format, Header, Record, check_columns, open_records, read_on
from boatyard.inputs.texts import is_encodable, normal_form
from boatyard.score.files import PARQUET, TABLES, File, Forms, pieces
from boatyard.storage import Storage

MOST_BYTES = 64 * 2**20
"""Of a slice, as its file has them."""

_MOST_TOGETHER = 16 * 2**20  # bytes of row groups that are read at once, where they are small
_MOST_NAMES = 1000  # of columns, where each record may name others
_LINE_END = re.compile("\r\n|\r|\n")


class Slice(NamedTuple):
    """Rows of a file, or some files that are a row each. `first`: the number of its first row in its file.

    `start`: its offset in the file; `line`: how many lines lie before that, or, of the input's own formats, the first
    record's.
    """

    file: int
    rows: int
    first: int = 1
    start: int = 0
    line: int = 0


class Chunk(NamedTuple):
    """Rows that are answered together. `columns`: of Parquet, those to carry along, which no row has in its fields."""

    rows: list[InputRow]
    columns: Mapping[str, pa.Array] | None = None


class Cut(NamedTuple):
    """Of the file with this number: its header, if it has one; its slices; its columns with their Arrow types."""

    number: int
    header: Header | None
    slices: list[Slice]
    columns: dict[str, pa.DataType]


def cut(storage: Storage, file: File, index: int, forms: Forms, most: int, required: Sequence[str]) -> Cut:
    """Slices of at most so many rows. `index`: the file's; `required`: the columns that a header must name.

    Raises:
        UserError: the file cannot be read.
    """
    try:
        with closing(storage.open(file.key)) as opened:
            if file.form == PARQUET:
                return _cut_parquet(file, opened, index, most, required)
            if file.form not in TABLES:
                names = dict[str, None]()
                records = _naming(forms.streams[file.form](pieces(opened)), names)
                slices = _cut_records(records, Slice(index, 0), most, own_format=True)
                return Cut(index, None, slices, dict.fromkeys(names, pa.string()))
            header, records = open_records(pieces(opened), cast(Format, file.form))
            names = dict.fromkeys(header.names if header else ())
            if header:
                _require(header.names, required)
            begin = Slice(index, 0, start=header.end, line=header.line) if header else Slice(index, 0)
            slices = _cut_records(records if header else _naming(records, names), begin, most)
            columns = {name: pa.string() for name in names if name}
            return Cut(index, header, slices, columns)
    except Unreadable as why:
        raise UserError(f"{file.name} {why}") from None


def cut_singles(files: Sequence[File], index: int, most: int) -> Iterator[Slice]:
    """Of files that are a row each, the first of which has this index."""
    first = size = 0
    for number, file in enumerate(files):
        if number > first and (number - first == most or size + file.size > MOST_BYTES):
            yield Slice(index + first, number - first)
            first, size = number, 0
        size += file.size
    if files:
        yield Slice(index + first, len(files) - first)


def read(
    storage: Storage,
    files: Sequence[File],
    piece: Slice,
    header: Header | None,
    forms: Forms,
    reads: Collection[str],
    carried: Collection[str] = (),
) -> Iterator[Chunk]:
    """The rows of a slice. `header`: its file's; `reads`, `carried`: the columns that Parquet is asked for."""
    if files[piece.file].form == PARQUET:
        file = files[piece.file]
        with closing(storage.open(file.key)) as opened, _damage_told(file):
            yield from _parquet_chunks(file, opened, piece, reads, carried)
    else:
        yield from map(Chunk, chunks_of(_rows(storage, files, piece, header, forms), piece.start))


def _rows(
    storage: Storage, files: Sequence[File], piece: Slice, header: Header | None, forms: Forms
) -> Iterator[InputRow]:
    file = files[piece.file]
    if forms.is_single(file):
        end = 0
        for each in files[piece.file : piece.file + piece.rows]:
            end += each.size
            yield _single(storage, each, forms, end)
        return
    with closing(storage.open(file.key)) as opened:
        opened.seek(piece.start)
        if file.form in TABLES:
            records = read_on(pieces(opened), header, piece.line, piece.start)
        else:
            records = _from_line(forms.streams[file.form](pieces(opened)), piece)
        yield from rows_of(islice(records, piece.rows), piece.first)


def _cut_records(records: Iterator[Record], at: Slice, most: int, *, own_format: bool = False) -> list[Slice]:
    """A slice for all of them where one cannot be told from the next by its end."""
    slices: list[Slice] = []
    index, rows, end, line, whole = at.file, 0, 0, 0, False
    for record in records:
        whole |= record.file is not None or (rows > 0 and record.end == end)
        if at.rows and (at.rows == most or record.end - at.start > MOST_BYTES):
            slices.append(at)
            at = Slice(index, 0, rows + 1, end, record.line if own_format else line)
        elif own_format and not rows:
            at = at._replace(line=record.line)
        at, rows, end = at._replace(rows=at.rows + 1), rows + 1, record.end
        line = record.line + len(_LINE_END.findall(record.text))
    if whole:
        return [Slice(index, rows, line=slices[0].line if slices else at.line)]
    return [*slices, at] if at.rows else slices


def _from_line(records: Iterator[Record], piece: Slice) -> Iterator[Record]:
    """With the lines and offsets that they have in the file."""
    lines = None
    for record in records:
        lines = piece.line - record.line if lines is None else lines
        yield replace(record, line=record.line + lines, end=record.end + piece.start)


def _naming(records: Iterator[Record], names: dict[str, None]) -> Iterator[Record]:
    """Collects the names of their fields, but for those that no column can have."""
    for record in records:
        names |= dict.fromkeys(filter(is_encodable, record.fields))
        if len(names) > _MOST_NAMES:
            raise Unreadable(f"has more than {_MOST_NAMES:,} columns")
        yield record


def _require(names: Iterable[str], required: Iterable[str]) -> None:
    present = {*names}
    if missing := [name for name in required if name not in present]:
        raise Unreadable(f"has no column {' and no column '.join(map(repr, missing))}, which the model reads")


def _single(storage: Storage, file: File, forms: Forms, end: int) -> InputRow:
    if forms.most_bytes is not None and file.size > forms.most_bytes:
        return InputRow(
            1, end, wrong=f"the file has {file.size:,} bytes, and may have {forms.most_bytes:,}", file=file.name
        )
    with closing(storage.open(file.key)) as opened:
        content = opened.read()
    try:
        return InputRow(1, end, forms.singles[file.form](content), file=file.name)
    except InvalidInput as wrong:
        return InputRow(1, end, wrong=wrong.detail, file=file.name)


@contextmanager
def _damage_told(file: File) -> Iterator[None]:
    try:
        yield
    except UserError:  # of the storage
        raise
    except (pa.ArrowException, OSError, ValueError) as error:
        reason = str(error).strip().partition("\n")[0] or type(error).__name__
        raise UserError(f"{file.name}: not a Parquet file, or damaged ({reason})") from None


def _open_parquet(file: File, opened: BinaryIO) -> tuple[pq.ParquetFile, dict[str, str]]:
    """And by the normal form of their names the columns as the file names them."""
    with _damage_told(file):
        parquet = pq.ParquetFile(opened)
    names = parquet.schema_arrow.names
    header = [normal_form(name) for name in names]
    check_columns(header)
    return parquet, dict(zip(header, names, strict=True))


def _cut_parquet(file: File, opened: BinaryIO, index: int, most: int, required: Sequence[str]) -> Cut:
    parquet, names = _open_parquet(file, opened)
    _require(names, required)
    rows = parquet.metadata.num_rows
    slices = [Slice(index, min(most, rows - before), before + 1) for before in range(0, rows, most)]
    return Cut(index, None, slices, {name: parquet.schema_arrow.field(stored).type for name, stored in names.items()})


def _parquet_chunks(
    file: File, opened: BinaryIO, piece: Slice, reads: Collection[str], carried: Collection[str]
) -> Iterator[Chunk]:
    """Of the slice's rows: what lies before them in their row group is decoded and passed over."""
    parquet, names = _open_parquet(file, opened)
    chosen = {name: stored for name, stored in names.items() if name in reads or name in carried}
    groups, before = _groups(parquet.metadata, piece)
    number, left = piece.first, piece.rows
    for batch in _batches(parquet, groups, [*chosen.values()]):
        skipped = min(before, batch.num_rows)
        rows = batch.slice(skipped, left)
        before, left = before - skipped, left - rows.num_rows
        step = _fitting(rows.nbytes, rows.num_rows)
        for start in range(0, rows.num_rows, step):
            part = rows.slice(start, step)
            columns = {name: part.column(stored) for name, stored in chosen.items()}
            read_ = {name: cells(column) for name, column in columns.items() if name in reads}
            yield Chunk(
                [
                    InputRow(number + index, 0, {name: values[index] for name, values in read_.items()})
                    for index in range(part.num_rows)
                ],
                {name: column for name, column in columns.items() if name in carried},
            )
            number += part.num_rows


def _groups(footer: Any, piece: Slice) -> tuple[list[int], int]:
    """The row groups in which the slice lies, and how many rows of the first are before it."""
    groups, before, start, first = list[int](), 0, 0, piece.first - 1
    for group in range(footer.num_row_groups):
        end = start + footer.row_group(group).num_rows
        if max(start, first) < min(end, first + piece.rows):
            before = before if groups else first - start
            groups.append(group)
        start = end
    return groups, before


def _batches(parquet: pq.ParquetFile, groups: Iterable[int], chosen: Sequence[str]) -> Iterator[pa.RecordBatch]:
    """Of the row groups. What was read of one stays in memory until all are done that are read with it."""
    for together, most in _together(parquet.metadata, groups, chosen):
        yield from parquet.iter_batches(most, row_groups=together, columns=chosen, use_threads=False)


def _together(footer: Any, groups: Iterable[int], chosen: Sequence[str]) -> Iterator[tuple[list[int], int]]:
    """Row groups that are read at once, and the rows of a batch of theirs."""
    together, most, size = list[int](), CHUNK, 0
    for number in groups:
        group = footer.row_group(number)
        own = _size(group, chosen)
        if together and size + own > _MOST_TOGETHER:
            yield together, most
            together, most, size = [], CHUNK, 0
        together.append(number)
        most, size = min(most, _fitting(own, group.num_rows)), size + own
    if together:
        yield together, most


def _size(group: Any, chosen: Iterable[str]) -> int:
    """Of these columns, uncompressed."""
    names = tuple(f"{name}." for name in chosen)
    columns = map(group.column, range(group.num_columns))
    return sum(each.total_uncompressed_size for each in columns if f"{each.path_in_schema}.".startswith(names))


def _fitting(size: int, rows: int) -> int:
    """How many of the rows a chunk has, if all were alike."""
    return min(CHUNK, max(1, CHUNK_BYTES * rows // max(size, 1)))
