"""Checked rows to network inputs, as Arrow files that are read by memory map."""

from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

import pyarrow as pa
from datasets import Dataset
from tqdm import tqdm

from boatyard import inputs
from boatyard.config.schema import Config
from boatyard.data.batches import in_batches, read_batches
from boatyard.data.encoding import Batch, batch_encoder
from boatyard.data.prepare import Prepared
from boatyard.data.workers import in_order
from boatyard.inputs.sources import SPLITS
from boatyard.inputs.training_protocol import TARGET
from boatyard.storage.fingerprint import code_of, file_digest, fingerprint
from boatyard.storage.folders import locked, replacing

_BATCH = 2_000  # rows encoded at once: enough for threads, little memory
_BATCH_BYTES = 2**25  # that they may have, as far as the first row tells
_FINGERPRINT = "fingerprint"
_LEARNT_FROM = 200_000  # rows are plenty


@dataclass(frozen=True)
class Encoded:
    """Network inputs, and the fingerprint of their content and of what the network starts from.

    `folder` holds what made them; `splits` have the encoder's columns, `cost` and TARGET.
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
        arguments = config.data.input, staging, prepared.fields
        first = next(_batches(prepared, 1))
        _, encoded = batch_encoder(*arguments)(first)
        at_once = max(1, min(_BATCH, _BATCH_BYTES // (first[1].nbytes + encoded.nbytes)))
        bar = tqdm(
            desc="encoding", total=sum(map(len, prepared.splits.values())), unit=" rows", leave=False, disable=None
        )
        with bar, ExitStack() as stack:
            streams = {
                split: stack.enter_context(pa.ipc.new_stream(staging / f"{split}.arrow", encoded.schema))
                for split in SPLITS
            }
            for split, batch in in_order(batch_encoder, arguments, _batches(prepared, at_once)):
                streams[split].write_batch(batch)
                bar.update(batch.num_rows)
        content = {file.name: file_digest(file) for file in sorted(staging.iterdir())}
        origin = {"inputs": content, "start": input_.digest_of_start(config.model)}
        (staging / _FINGERPRINT).write_text(fingerprint(origin), encoding="utf-8")


def _batches(prepared: Prepared, rows: int) -> Iterator[Batch]:
    """What is encoded of each split, so many rows at once."""
    for split in SPLITS:
        stored = read_batches(prepared.folder / f"{split}.arrow", [*prepared.fields, TARGET])
        for batch in in_batches(stored, rows):
            yield split, batch


def _some_rows(prepared: Prepared) -> Iterator[tuple[str, ...]]:
    """Training rows to learn from, spread over all of them, because a file may be sorted."""
    step = -(-len(prepared.splits["train"]) // _LEARNT_FROM)
    start = 0
    for batch in read_batches(prepared.folder / "train.arrow", prepared.fields):
        some = batch.take(pa.array(range(-start % step, batch.num_rows, step), pa.int64()))
        yield from zip(*(column.to_pylist() for column in some.columns), strict=True)
        start += batch.num_rows
