"""One round of retraining: rows with feedback, a data version, a model, and whether it is better."""

import hashlib
import json
import logging
import shutil
import tempfile
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import partial
from itertools import chain
from pathlib import Path

from rich.table import Table

from boatyard import inputs, journal, tasks
from boatyard.bundle.predict import Predictor
from boatyard.config.console import terminal
from boatyard.config.errors import UserError
from boatyard.config.plurals import counted
from boatyard.config.schema import Config
from boatyard.data.prepare import Prepared, prepare
from boatyard.data.relatives import KEPT_SPLITS
from boatyard.data.stored import as_stored, write_rows
from boatyard.evaluate.run import SPLIT
from boatyard.evaluate.served import losses_on, mismatch, truths_of
from boatyard.inputs.sources import SPLITS
from boatyard.pipeline.run import run_pipeline
from boatyard.registry import DEFAULT_ALIAS, AliasMoved, Reference, fetch, promote, resolve
from boatyard.retrain.compare import compare, refusal
from boatyard.retrain.feedback import Feedback, Judged, collect, open_reader, splits_by_key
from boatyard.storage import Storage, open_storage
from boatyard.tasks.score import Comparison, shown

log = logging.getLogger(__name__)

VERSIONS = "data/versions/"
_VERSION = "version.json"
_HELD_OUT = "held-out.jsonl"
_PIECE = 2**20


@dataclass(frozen=True)
class Round:
    """The outcome of a round. `refusal` is None if the new version was promoted."""

    version: str
    data: str
    comparisons: list[Comparison]
    refusal: str | None


def retrain(config: Config) -> Round:
    """Train on feedback, and promote the new version if it is significantly better.

    The rows of `config.data` are taken with their splits, so the test split stays as it was; rows of the journal that
    people judged join the training split, but for the share that is held out.

    Raises:
        UserError: nothing serves yet, or too little was judged.
    """
    storage = open_storage(config.paths.storage)
    name, alias = config.data.name, config.publish.alias or DEFAULT_ALIAS
    cache = Path(config.paths.runs, "fetched")
    before = resolve(storage, Reference(name, alias))
    production = Predictor(fetch(storage, Reference(name, before), cache))
    prepared = prepare(config)
    if why := mismatch(production.manifest, config, prepared):
        raise UserError(f"{name}@{alias} {why}: give data=... as it was trained with")
    feedback = _feedback(config, storage, production, prepared)
    data = _write_version(config, storage, prepared, feedback)
    log.info("retrain: %d judged rows to learn from, %d held out: %s", *_sizes(feedback), data)
    version = storage.fetch(data, Path(config.paths.processed, "versions"))
    published = run_pipeline(_on_version(config, prepared, version))
    after = published.bundle.manifest.version
    candidate = Predictor(fetch(storage, Reference(name, after), cache))
    comparisons = _compare(config, production, candidate, feedback, prepared)
    why = "it is the version that serves already" if after == before else refusal(comparisons)
    if why is None:
        try:
            promote(storage, name, after, alias, expected=before)
        except AliasMoved as moved:
            why = str(moved)
    outcome = Round(after, data, comparisons, why)
    _report(config, outcome, feedback, name, alias, before)
    return outcome


def _feedback(config: Config, storage: Storage, production: Predictor, prepared: Prepared) -> Feedback:
    training = inputs.training(config.data.input)
    objects = journal.shipped(storage)  # the same whenever they are read: a server may ship more meanwhile
    # truths are those of the data, which may have changed since production learned from it
    target = {**production.manifest.target, **prepared.target}
    task = tasks.serving(config.data.task).open_task(production.manifest.model_copy(update={"target": target}), None)
    whole = partial(journal.whole, storage=storage)
    feedback = collect(
        lambda: chain.from_iterable(journal.read_object(storage, key) for key in objects),
        config.data.name,
        open_reader(prepared.data, prepared.fields, production.input, task, whole),
        known=splits_by_key(training, {split: prepared.each_row(split) for split in SPLITS}),
        holdout=config.retrain.holdout,
    )
    learned, held_out = _sizes(feedback)
    least = config.retrain.min_rows
    if learned + held_out < least or not held_out:
        aside = "; ".join(f"{count} {why}" for why, count in feedback.set_aside.most_common())
        raise UserError(
            f"{counted(learned + held_out, 'row', ('has', 'have'))} feedback, and retrain.min_rows={least} are needed"
            + (f" (set aside: {aside})" if aside else "")
        )
    return feedback


def _sizes(feedback: Feedback) -> tuple[int, int]:
    return len(feedback.train), len(feedback.held_out)


def _write_version(config: Config, storage: Storage, prepared: Prepared, feedback: Feedback) -> str:
    """The key of a folder with a file for each split, what was held out, and what it is made of.

    It is named by its content: the same rows are the same version, and written once.
    """
    cell = tasks.training(config.data.task).cell

    def write(file: Path, judged: Iterable[Judged]) -> None:
        write_rows(file, config.data, prepared.fields, ((row, cell(truth)) for row, truth in judged))

    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary)
        for split in SPLITS:
            judged = zip(prepared.each_row(split), truths_of(config, prepared, split), strict=True)
            write(folder / f"{split}.jsonl", chain(judged, feedback.train if split == "train" else []))
        write(folder / _HELD_OUT, feedback.held_out)
        if prepared.related is not None:  # so that what resembles a test row is not learnt
            shutil.copy(prepared.folder / "report" / KEPT_SPLITS, folder)
        key = f"{VERSIONS}{config.data.name}/{_digest(sorted(folder.iterdir()))[:16]}"
        if storage.read_versioned(f"{key}/{_VERSION}") is None:
            storage.upload(folder, key)
            facts = {
                "name": config.data.name,
                "time": datetime.now(UTC).isoformat(timespec="seconds"),
                "data_fingerprint": prepared.fingerprint,
                "learned_from_feedback": len(feedback.train),
                "held_out": len(feedback.held_out),
                "set_aside": dict(feedback.set_aside),
            }
            storage.write(f"{key}/{_VERSION}", json.dumps(facts, indent=2).encode())  # last: the version is whole
    return key


def _digest(files: Iterable[Path]) -> str:
    """Of their contents, one after another."""
    digest = hashlib.sha256()
    for path in files:
        with path.open("rb") as file:
            while piece := file.read(_PIECE):
                digest.update(piece)
    return digest.hexdigest()


def _on_version(config: Config, prepared: Prepared, folder: Path) -> Config:
    """The same, on the rows of the version; nothing is promoted yet."""
    reference = str(folder / _HELD_OUT)  # recent requests that were not learned from
    data = as_stored(prepared.data, str(folder))
    if prepared.related is not None:
        data = data.model_copy(update={"earlier_splits": str(folder / KEPT_SPLITS)})
    return config.model_copy(
        update={
            "data": data,
            "export": config.export.model_copy(update={"reference": reference}),
            "publish": config.publish.model_copy(update={"alias": None}),
        }
    )


def _compare(
    config: Config, production: Predictor, candidate: Predictor, feedback: Feedback, prepared: Prepared
) -> list[Comparison]:
    rows, truths = zip(*feedback.held_out, strict=True)
    return [
        compare(
            part,
            candidate.task,
            losses_on(production, rows, truths),
            losses_on(candidate, rows, truths),
            config.retrain.confidence,
        )
        for part, rows, truths in (
            ("recent traffic", rows, truths),
            ("the test split", prepared.rows(SPLIT), truths_of(config, prepared, SPLIT)),
        )
    ]


def _report(config: Config, outcome: Round, feedback: Feedback, name: str, alias: str, before: str) -> None:
    percent = f"{config.retrain.confidence:.0%} interval"
    measure = outcome.comparisons[0].after.title
    table = Table(title=f"{name}: {outcome.version} against {before}, {measure}", title_justify="left")
    for column in ("rows", "", "before", "after", "gain", percent):
        table.add_column(column, justify="left" if not column else "right")
    for one in outcome.comparisons:
        interval = f"{_signed(one.low)} to {_signed(one.high)}"
        gain = _signed(-one.after.shortfall(one.before))
        table.add_row(f"{one.rows:,}", one.name, one.before.shown, one.after.shown, gain, interval)
    console = terminal()
    console.print(table)
    for why, count in feedback.set_aside.most_common():
        console.print(f"{count} set aside: {why}")
    if outcome.refusal is None:
        console.print(f"{name}@{alias} is now {outcome.version}")
    else:
        console.print(f"{name}@{alias} stays where it is: {outcome.refusal}", soft_wrap=True)


def _signed(gain: float) -> str:
    return f"{'-' if gain < 0 else '+'}{shown(abs(gain))}"
