"""Checked rows to network inputs, as Arrow files that are read by memory map."""

import logging
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pyarrow as pa
from datasets import Dataset

from boatyard import inputs
from boatyard.config.schema import Config
from boatyard.data.prepare import Prepared
from boatyard.inputs.sources import SPLITS
from boatyard.inputs.training_protocol import TARGET
from boatyard.storage.fingerprint import code_of, file_digest, fingerprint
from boatyard.storage.folders import locked, replacing

log = logging.getLogger(__name__)

_BATCH = 2_000  # rows encoded at once: enough for threads, little memory
_BATCH_BYTES = 2**27  # that they may have, as far as the first row tells
_FINGERPRINT = "fingerprint"
_LEARNT_FROM = 200_000  # rows are plenty


@dataclass(frozen=True)
class Encoded:
    """Network inputs, and the fingerprint of their content and of what the network starts from.

    `folder` holds what made them (a tokenizer); `splits` have the encoder's columns, `cost` and TARGET.
    """

    folder: Path
    fingerprint: str
    splits: dict[str, Dataset]


def encode(config: Config, prepared: Prepared) -> Encoded:
    """Turn every split into network inputs, unless just these are stored already."""
    input_ = inputs.training(config.data.input)
    key = fingerprint(
        {
            "rows": prepared.fingerprint,
            "start": input_.digest_of_start(config.model),
            "model": config.model.model_dump(include={"name", config.data.input}),
        },
        code=code_of("encode", config.data.input, config.data.task),
    )
    folder = prepared.folder / f"inputs-{key}"
    with locked(folder):
        if not folder.exists():
            _encode(config, prepared, folder)
    splits = {split: Dataset.from_file(str(folder / f"{split}.arrow")) for split in SPLITS}
    return Encoded(folder, (folder / _FINGERPRINT).read_text(encoding="utf-8"), splits)


def _encode(config: Config, prepared: Prepared, folder: Path) -> None:
    input_ = inputs.training(config.data.input)
    with replacing(folder) as staging:
        input_.make_inputs(config.model, prepared.data, _some_rows(prepared), staging)
        encoder = input_.open_encoder(staging)

        def encode_batch(table: pa.Table) -> pa.Table:
            rows = list(zip(*(table.column(field).to_pylist() for field in prepared.fields), strict=True))
            return pa.table({**encoder.encode(rows), TARGET: table.column(TARGET)})

        first = prepared.splits["train"].with_format("arrow")[:1]
        at_once = max(1, min(_BATCH, _BATCH_BYTES // (first.nbytes + encode_batch(first).nbytes)))
        for split in SPLITS:
            prepared.splits[split].with_format("arrow").map(
                encode_batch,
                batched=True,
                batch_size=at_once,
                writer_batch_size=at_once,
                remove_columns=prepared.splits[split].column_names,
                cache_file_name=str(staging / f"{split}.arrow"),
                new_fingerprint=f"{prepared.fingerprint}{split}",
                desc=f"encoding {split}",
            )
        content = {file.name: file_digest(file) for file in sorted(staging.iterdir())}
        origin = {"inputs": content, "start": input_.digest_of_start(config.model)}
        (staging / _FINGERPRINT).write_text(fingerprint(origin), encoding="utf-8")


def _some_rows(prepared: Prepared) -> Iterator[tuple[str, ...]]:
    rows = prepared.splits["train"].select_columns(prepared.fields)
    step = -(-len(rows) // _LEARNT_FROM)  # spread over all of them, because a file may be sorted
    for batch in rows.select(range(0, len(rows), step)).iter(batch_size=_BATCH):
        yield from zip(*(batch[field] for field in prepared.fields), strict=True)
