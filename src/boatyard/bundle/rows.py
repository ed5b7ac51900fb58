"""Rows of files, as a bundle's model takes them: for jobs and for scoring alike."""

import logging
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from pydantic import BaseModel

from boatyard.bundle.predict import Prediction, Predictor
from boatyard.inputs.protocol import InvalidInput
from boatyard.inputs.records import Record

CHUNK = 1024  # rows, at most
CHUNK_BYTES = 2**20  # of the file: once parsed, they may take many times the memory
UNANSWERABLE = "the model cannot answer this input"

logger = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class InputRow:
    """A row of a file, counted from 1: an object with its fields, or what is wrong with it.

    `end`: its offset. `file`: its own, where the file is an archive.
    """

    number: int
    end: int
    fields: Any = None
    wrong: str | None = None
    file: str | None = None


@dataclass(frozen=True, slots=True)
class Parsed:
    """A row of a file as a request and as the model's input row, or what is wrong with it."""

    request: Any = None
    row: Any = None
    wrong: str | None = None


def rows_of(records: Iterable[Record], first: int = 1) -> Iterator[InputRow]:
    """`first`: the number of the first."""
    for number, record in enumerate(records, first):
        if record.wrong is None:
            yield InputRow(number, record.end, record.fields, file=record.file)
        else:
            place = "the file" if record.file else f"line {record.line}"
            yield InputRow(number, record.end, wrong=f"{place} {record.wrong}", file=record.file)


def chunks_of(rows: Iterable[InputRow], begun: int = 0) -> Iterator[list[InputRow]]:
    """Lists of rows that are answered together; the same each time. `begun`: the offset of the first row."""
    chunk: list[InputRow] = []
    for row in rows:
        chunk.append(row)
        if len(chunk) == CHUNK or row.end - begun >= CHUNK_BYTES:
            yield chunk
            chunk, begun = [], row.end
    if chunk:
        yield chunk


def parse(predictor: Predictor, row: InputRow) -> Parsed:
    """Fields that the model does not read are left out: a file may have more columns."""
    if row.wrong is not None:
        return Parsed(wrong=row.wrong)
    request = row.fields
    if isinstance(request, dict):
        known = predictor.manifest.request_schema.get("properties", {})
        request = {name: value for name, value in request.items() if name in known}
    try:
        return Parsed(request, predictor.input.parse(request))
    except InvalidInput as refused:
        return Parsed(wrong=refused.detail)


def answer_others(predictor: Predictor, rows: Sequence[Any], options: Sequence[BaseModel]) -> list[Prediction | None]:
    """None for a row on which the model fails, which must not fail the others: a failed batch is bisected down to it.

    Raises the model's exception if it cannot answer anything at all.
    """
    try:
        return [*predictor.answer_each(rows, options)]
    except Exception as failure:
        if len(rows) > 1:
            half = len(rows) // 2
            first, second = slice(half), slice(half, None)
            return answer_others(predictor, rows[first], options[first]) + answer_others(
                predictor, rows[second], options[second]
            )
        if not predictor.works():
            raise
        # only the type: the message may quote the row
        logger.warning("%s fails on a row: %s", predictor.manifest.version, type(failure).__name__)
        return [None]
