"""Sequences from where they lie: FASTA, in one file or a folder, or a table with a column of sequences."""

import logging
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from itertools import islice
from pathlib import Path
from typing import Any

from boatyard.config.errors import UserError
from boatyard.inputs.lines import Unreadable
from boatyard.inputs.protein.fasta import SUFFIXES, named, read_fasta
from boatyard.inputs.protein.rows import column_names
from boatyard.inputs.protein.sequences import WrongSequence, read_sequence
from boatyard.inputs.records import Record
from boatyard.inputs.sources import SPLIT_NAMES, TABLE_SUFFIXES, on_this_disk, open_tables
from boatyard.inputs.texts import normal_form
from boatyard.inputs.training_protocol import Source, SourceRow
from boatyard.storage.fingerprint import file_digest, fingerprint

_PIECE = 2**20  # bytes read at once
_LISTED = 10  # labels
_KEYS = "data.sequence_column and data.target"

Label = Callable[[Record], str | None]
Seen = dict[str, tuple[int, str, int]]
"""By id: a hash of the sequence, the file and the line of its first record."""

log = logging.getLogger(__name__)


def open_sources(data: Any, columns: Sequence[str], cache: Path) -> list[Source]:
    """FASTA by its suffix: a file, a folder with one for each split, or one for each label; all else is a table."""
    sources = _fasta_sources(data, columns, cache) if data.path is not None else []
    if not sources:
        required = [name for name in columns if name != normal_form(data.id_column)]
        sources = open_tables(data, required, cache, _KEYS, others=True)
    if data.binary:
        sources = _binary(sources, data)
    return sources


def _fasta_sources(data: Any, wanted: Sequence[str], cache: Path) -> list[Source]:
    path = on_this_disk(data.path, cache, SUFFIXES)
    if path.is_dir():
        files = [(_stem(file), file) for file in sorted(path.iterdir()) if file.name.lower().endswith(SUFFIXES)]
    elif path.is_file() and path.name.lower().endswith(SUFFIXES):
        files = [("", path)]
    else:
        files = []
    if not files:
        return []
    sequences, ids = column_names(data)
    target = normal_form(data.target)
    for column in wanted:
        if column not in (sequences, ids, target):
            raise UserError(f"{path}: FASTA has no column {column!r}; a table with a column of sequences may have it")
    by_split = any(SPLIT_NAMES.get(stem.lower()) == "train" for stem, _ in files)
    by_label = not by_split and path.is_dir()
    if by_label and (data.label_pattern or data.labels):
        raise UserError(
            f"{path}: each file's name is a label, so data.label_pattern and data.labels have no say; "
            "files for splits are named train, validation and test"
        )
    if by_split and (others := [file.name for stem, file in files if stem.lower() not in SPLIT_NAMES]):
        log.warning("%s: left out, since the files beside them are splits: %s", path, ", ".join(others))
        files = [(stem, file) for stem, file in files if file.name not in others]
    shared = None if by_label else _labels(data, path, cache)
    sources, seen = [], Seen()
    for stem, file in files:
        labels = shared or _label_of_file(stem)
        digest = fingerprint([file_digest(file), labels.digest])
        split = SPLIT_NAMES[stem.lower()] if by_split else None
        sources.append(Source(file.name, split, digest, partial(_rows, file, (sequences, ids, target), labels, seen)))
    return sources


@dataclass(frozen=True)
class _Labels:
    """Where records have their labels. `missing`: why one has none, as the end of a sentence."""

    digest: str
    of: Label
    missing: str = ""


def _labels(data: Any, path: Path, cache: Path) -> _Labels:
    if data.labels is not None:
        return _labels_of_table(data, cache)
    if data.label_pattern is None:
        raise UserError(
            f"{path}: where are the labels? data.label_pattern says how a header shows them, data.labels names a "
            "table, and in a folder each label may have a file of its own"
        )
    try:
        pattern = re.compile(data.label_pattern)
    except re.error as wrong:
        raise UserError(f"data.label_pattern={data.label_pattern}: is no regular expression ({wrong})") from None
    if pattern.groups != 1:
        raise UserError(
            f"data.label_pattern={data.label_pattern}: must have one group in parentheses, which is the label"
        )

    def label(record: Record) -> str | None:
        found = pattern.search(record.fields["header"])
        return found[1] if found else None

    return _Labels("", label, "has no label in its header: data.label_pattern finds nothing there")


def _label_of_file(stem: str) -> _Labels:
    return _Labels(stem, lambda _: stem)


def _labels_of_table(data: Any, cache: Path) -> _Labels:
    """A table; read at once, so that a record finds its label wherever it is."""
    ids, target = normal_form(data.id_column), normal_form(data.target)
    path = on_this_disk(data.labels, cache, TABLE_SUFFIXES)
    if not path.exists():
        raise UserError(f"data.labels={data.labels}: there is no such file or folder")
    given = data.model_copy(update={"path": str(path), "hub": None})
    by_id: dict[str, str] = {}
    digests = []
    for source in open_tables(given, [ids, target], cache, "data.id_column and data.target"):
        digests.append(source.digest)
        for row in source.rows():
            place = f"data.labels={data.labels}, row {row.number}:"
            if row.wrong is not None:
                raise UserError(f"{place} {row.wrong}")
            id_, label = _text(row.cells.get(ids)), _text(row.cells.get(target))
            if by_id.setdefault(id_, label) != label:
                raise UserError(f"{place} {named(id_)} has another label above, {by_id[id_]!r}")
    return _Labels(
        fingerprint(digests), lambda record: by_id.get(record.fields["id"]) or None, f"has no label in {data.labels}"
    )


def _text(cell: object) -> str:
    """As FASTA would have it: in Parquet and JSON Lines, an id or a label may be a number, such as 0."""
    return "" if cell is None else str(cell).strip()


def _rows(file: Path, names: tuple[str, str, str], labels: _Labels, seen: Seen) -> Iterator[SourceRow]:
    """Records as rows, each with its sequence, its id and its label, numbered by the lines of their headers."""
    record = None
    with file.open("rb") as opened:
        try:
            for record in read_fasta(iter(partial(opened.read, _PIECE), b"")):
                wrong = record.wrong or _repeated(record, file.name, seen)
                if wrong is not None:
                    yield SourceRow(record.line, {}, wrong, record.text)
                    continue
                id_, label = record.fields["id"], labels.of(record)
                if label is None:
                    yield SourceRow(record.line, {}, f"{named(id_)} {labels.missing}", record.text)
                else:
                    yield SourceRow(record.line, dict(zip(names, (record.fields["sequence"], id_, label), strict=True)))
        except Unreadable as why:
            raise UserError(f"{file.name} {why}") from None
    if record is None:
        raise UserError(f"{file.name} holds no record: a line that starts with > and a sequence below")


def _repeated(record: Record, file: str, seen: Seen) -> str | None:
    """Why the id cannot be this record's: another sequence has it."""
    id_ = record.fields["id"]
    if not id_:
        return None
    try:
        content = hash(read_sequence(record.fields["sequence"]))
    except WrongSequence:  # which is said elsewhere
        return None
    before, first, line = seen.setdefault(id_, (content, file, record.line))
    if before == content:
        return None
    return f"{named(id_)} has the id of another sequence, in line {line:,}" + (f" of {first}" if first != file else "")


def _binary(sources: Sequence[Source], data: Any) -> list[Source]:
    """With two labels: `data.negative`, and `data.positive` for all others."""
    target = normal_form(data.target)
    labels: dict[str, None] = {}

    def cells(row: SourceRow) -> Mapping[str, Any]:
        label = row.cells.get(target)
        if not isinstance(label, str | int) or not str(label).strip():
            return row.cells
        labels[written := normal_form(str(label))] = None
        return {**row.cells, target: data.negative if written == data.negative else data.positive}

    def rows(source: Source) -> Iterator[SourceRow]:
        for row in source.rows():
            yield row._replace(cells=cells(row))
        if source is sources[-1] and labels and data.negative not in labels:
            shown = ", ".join(islice(map(repr, labels), _LISTED))
            raise UserError(
                f"data.binary=true: no row has data.negative={data.negative} for a label; there are {shown}"
            )

    return [replace(source, rows=partial(rows, source)) for source in sources]


def _stem(file: Path) -> str:
    suffix = next(suffix for suffix in sorted(SUFFIXES, key=len, reverse=True) if file.name.lower().endswith(suffix))
    return file.name[: -len(suffix)]
