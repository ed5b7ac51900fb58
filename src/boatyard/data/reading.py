"""Rows from their sources into one Arrow file and the ledger; those that cannot be read are set aside."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import islice
from pathlib import Path
from typing import Any

import pyarrow as pa
from tqdm import tqdm

from boatyard import inputs, tasks
from boatyard.config.schema import Data
from boatyard.data.arrow import Writer
from boatyard.data.batches import in_batches
from boatyard.data.ledger import Findings, Ledger
from boatyard.data.pieces import Rows, reader
from boatyard.data.workers import in_order
from boatyard.inputs.sources import SPLITS
from boatyard.inputs.training_protocol import Source
from boatyard.tasks.protocol import Targets

_BATCH, _BATCH_BYTES = 10_000, 2**26  # rows, and what of them is binary, held in memory at once
_PIECE, _LARGE_PIECE = 1_000, 20  # rows that are read together; of files few, as each takes milliseconds


@dataclass
class Reading:
    """The readable rows of all sources: their places and hashes, their targets, and what is wrong with the others."""

    data: Data
    sources: Sequence[str]
    findings: Findings = field(default_factory=Findings)
    embedded: dict[int, Sequence[Mapping[str, Any]]] = field(default_factory=dict)
    """By line of the ledger, the cells of lines inside a row that would be rows by themselves."""
    extents: list[tuple[int, ...]] = field(default_factory=list)
    """Of each line of the ledger, where the row format says them."""

    def __post_init__(self) -> None:
        self.input = inputs.training(self.data.input)
        self.format = self.input.row_format(self.data)
        self.schema = pa.schema(list(self.format.fields.items()))
        self.fields: list[str] = self.schema.names
        self.ledger = Ledger(self.sources)
        self.targets: Targets = tasks.training(self.data.task).open_targets(self.data)

    def read(self, sources: Sequence[Source], file: Path, set_aside: Writer) -> None:
        """Stream every source: readable rows go to `file` and the ledger, the others are set aside."""
        with pa.ipc.new_stream(file, self.schema) as stream:
            for batch in in_batches(self._values(sources, set_aside), _BATCH, _BATCH_BYTES):
                stream.write_batch(batch)
        self.ledger.close()
        self.targets.close()

    def _values(self, sources: Sequence[Source], set_aside: Writer) -> Iterator[pa.RecordBatch]:
        """Those of the readable rows, which are in the ledger then."""
        for piece in in_order(reader, (self.data.model_dump(), self.sources), self._pieces(sources)):
            for issue in piece.issues:
                self.findings.add(issue)
            for cells in piece.set_aside:
                set_aside.writerow(cells)
            self.findings.unreadable += len(piece.set_aside)
            self.embedded |= {len(self.ledger) + index: rows for index, rows in piece.embedded.items()}
            self.ledger.extend(piece.ledger)
            for target in piece.targets:
                self.targets.append(target)
            self.extents += piece.extents
            if piece.values is not None:
                yield piece.values

    def _pieces(self, sources: Sequence[Source]) -> Iterator[Rows]:
        most = _LARGE_PIECE if any(map(pa.types.is_binary, self.schema.types)) else _PIECE
        for number, source in enumerate(sources):
            split = -1 if source.split is None else SPLITS.index(source.split)
            rows = iter(tqdm(source.rows(), f"reading {source.name}", unit=" rows", leave=False, disable=None))
            while piece := list(islice(rows, most)):
                yield number, split, piece
