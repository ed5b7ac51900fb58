"""One round of the loop: labelled rows, a data version, a model, and the question whether it is better."""

import hashlib
import json
import logging
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from itertools import chain
from pathlib import Path
from typing import Any

from rich.table import Table

from boatyard import journal
from boatyard.bundle.predict import Predictor
from boatyard.config.console import terminal
from boatyard.config.errors import UserError
from boatyard.config.schema import Config
from boatyard.data.prepare import Prepared, prepare
from boatyard.data.read import SPLITS
from boatyard.evaluate.run import SPLIT
from boatyard.evaluate.served import answered_rightly
from boatyard.inputs import training
from boatyard.pipeline.run import run_pipeline
from boatyard.registry import DEFAULT_ALIAS, AliasMoved, Reference, fetch, promote, resolve
from boatyard.retrain.compare import Comparison, compare, refusal
from boatyard.retrain.labelled import Labelled, Row, labelled_rows
from boatyard.storage import Storage, open_storage

log = logging.getLogger(__name__)

VERSIONS = "data/versions/"
_VERSION = "version.json"
_HELD_OUT = "held-out.jsonl"


@dataclass(frozen=True)
class Round:
    """What a round came to. `refusal` is None where the new version was promoted."""

    version: str
    data: str
    comparisons: list[Comparison]
    refusal: str | None


def retrain(config: Config) -> Round:
    """Learn from what feedback says, and promote the outcome if that is better by more than chance.

    The rows of `config.data` are taken with their splits, so the test split stays as it was; labelled rows of the
    journal join the training split, but for the share that is held out.

    Raises:
        UserError: nothing serves yet, or too little was labelled.
    """
    storage = open_storage(config.paths.storage)
    name, alias = config.data.name, config.publish.alias or DEFAULT_ALIAS
    cache = Path(config.paths.runs, "fetched")
    before = resolve(storage, Reference(name, alias))
    production = Predictor(fetch(storage, Reference(name, before), cache))
    prepared = prepare(config)
    if production.manifest.input_schema.get("required") != prepared.fields:
        raise UserError(f"{name}@{alias} takes other input than data={name} has: give data=... as it was trained with")
    labelled = _labelled(config, storage, production, prepared)
    data = _write_version(storage, name, prepared, labelled)
    log.info("retrain: %d labelled rows to learn from, %d held out: %s", *_sizes(labelled), data)
    published = run_pipeline(_on_version(config, storage.fetch(data, Path(config.paths.processed, "versions"))))
    after = published.bundle.manifest.version
    candidate = Predictor(fetch(storage, Reference(name, after), cache))
    comparisons = [
        compare(part, answered_rightly(production, rows), answered_rightly(candidate, rows), config.retrain.confidence)
        for part, rows in (("recent traffic", labelled.held_out), ("the test split", prepared.labelled(SPLIT)))
    ]
    why = "it is the version that serves already" if after == before else refusal(comparisons)
    if why is None:
        try:
            promote(storage, name, after, alias, expected=before)
        except AliasMoved as moved:
            why = str(moved)
    outcome = Round(after, data, comparisons, why)
    _report(config, outcome, labelled, name, alias, before)
    return outcome


def _labelled(config: Config, storage: Storage, production: Predictor, prepared: Prepared) -> Labelled:
    objects = journal.shipped(storage)  # the same whenever they are read: a server may ship more meanwhile
    labelled = labelled_rows(
        lambda: chain.from_iterable(journal.read_object(storage, key) for key in objects),
        config.data.name,
        parse=production.model.parse,
        words=training(config.data.kind).words,
        labels=prepared.labels,
        known={split: prepared.labelled(split) for split in SPLITS},
        holdout=config.retrain.holdout,
    )
    learned, held_out = _sizes(labelled)
    least = config.retrain.min_rows
    if learned + held_out < least or not held_out:
        aside = "; ".join(f"{count} {why}" for why, count in labelled.set_aside.most_common())
        raise UserError(
            f"{learned + held_out} rows are labelled by feedback, and retrain.min_rows={least} are needed"
            + (f" (set aside: {aside})" if aside else "")
        )
    return labelled


def _sizes(labelled: Labelled) -> tuple[int, int]:
    return len(labelled.train), len(labelled.held_out)


def _write_version(storage: Storage, name: str, prepared: Prepared, labelled: Labelled) -> str:
    """The key of a folder with a file for each split, what was held out, and what it is made of.

    It is named by its content: the same rows are the same version, and written once.
    """
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary)
        for split in SPLITS:
            rows = prepared.labelled(split) + (labelled.train if split == "train" else [])
            _write_rows(folder / f"{split}.jsonl", prepared.fields, rows)
        _write_rows(folder / _HELD_OUT, prepared.fields, labelled.held_out)
        digest = hashlib.sha256()
        for file in sorted(folder.iterdir()):
            digest.update(file.read_bytes())
        key = f"{VERSIONS}{name}/{digest.hexdigest()[:16]}"
        if storage.read_versioned(f"{key}/{_VERSION}") is None:
            storage.upload(folder, key)
            facts = {
                "name": name,
                "time": datetime.now(UTC).isoformat(timespec="seconds"),
                "data_fingerprint": prepared.fingerprint,
                "learned_from_feedback": len(labelled.train),
                "held_out": len(labelled.held_out),
                "set_aside": dict(labelled.set_aside),
            }
            storage.write(f"{key}/{_VERSION}", json.dumps(facts, indent=2).encode())  # last: the version is whole
    return key


def _write_rows(file: Path, fields: Sequence[str], rows: Sequence[tuple[Row, str]]) -> None:
    """As JSON Lines, where a text of several lines is never taken for rows that a stray quote swallowed."""
    with file.open("w", encoding="utf-8", newline="\n") as target:
        for row, label in rows:
            record = {**dict(zip(fields, row, strict=True)), "label": label}
            target.write(f"{json.dumps(record, ensure_ascii=False)}\n")


def _on_version(config: Config, folder: Path) -> Config:
    """The same, on the rows of the version; nothing is promoted yet."""
    fields: dict[str, Any] = {
        "path": str(folder),
        "hub": None,
        "split_column": None,
        "label_column": "label",
        "max_train_rows": None,
        "text_columns": config.data.text_columns if len(config.data.text_columns) > 1 else ["text"],
    }
    reference = str(folder / _HELD_OUT)  # what is asked now, and was not learned from
    return config.model_copy(
        update={
            "data": config.data.model_copy(update=fields),
            "export": config.export.model_copy(update={"reference": reference}),
            "publish": config.publish.model_copy(update={"alias": None}),
        }
    )


def _report(config: Config, outcome: Round, labelled: Labelled, name: str, alias: str, before: str) -> None:
    percent = f"{config.retrain.confidence:.0%} interval"
    table = Table(title=f"{name}: {outcome.version} against {before}", title_justify="left")
    for column in ("rows", "", "before", "after", "difference", percent):
        table.add_column(column, justify="left" if not column else "right")
    for one in outcome.comparisons:
        interval = f"{one.low:+.4f} to {one.high:+.4f}"
        difference = f"{one.after - one.before:+.4f}"
        table.add_row(f"{one.rows:,}", one.name, f"{one.before:.4f}", f"{one.after:.4f}", difference, interval)
    console = terminal()
    console.print(table)
    for why, count in labelled.set_aside.most_common():
        console.print(f"{count} set aside: {why}")
    if outcome.refusal is None:
        console.print(f"{name}@{alias} is now {outcome.version}")
    else:
        console.print(f"{name}@{alias} stays where it is: {outcome.refusal}", soft_wrap=True)
