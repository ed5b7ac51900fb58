"""A trained network to a report, beside a baseline fitted on the same rows."""

import json
import logging
import shutil
from dataclasses import dataclass
from pathlib import Path
from time import perf_counter
from typing import Any

import numpy as np

from boatyard.config.schema import Config
from boatyard.data.encode import Encoded
from boatyard.data.prepare import Prepared
from boatyard.evaluate.markdown import shorten
from boatyard.evaluate.metrics import BaselineScore, confident_mistakes, score, score_baseline
from boatyard.evaluate.report import losing_sentence, write_report
from boatyard.inputs import training
from boatyard.model import open_network, predict
from boatyard.storage.fingerprint import code_of, fingerprint
from boatyard.storage.folders import replacing
from boatyard.train.tracking import record, record_plots, tracked
from boatyard.train.trained import Trained

log = logging.getLogger(__name__)

SPLIT = "test"


@dataclass(frozen=True)
class Evaluation:
    """The report's folder, and the numbers in its `metrics.json`."""

    folder: Path
    metrics: dict[str, Any]

    def headline(self) -> dict[str, float]:
        """The few numbers that trackers and gates compare, by name."""
        return {name: value for name, value in self.metrics.items() if isinstance(value, int | float)}


def evaluate(config: Config, prepared: Prepared, encoded: Encoded, trained: Trained) -> Evaluation:
    """Score the network on the test split, once, unless just this was scored already."""
    key = fingerprint(config.evaluate.model_dump(), code=code_of("evaluate", config.data.kind))
    folder = trained.run / f"evaluation-{key}"
    report = Path(config.paths.reports, "evaluation", config.data.name)
    if folder.exists():
        log.info("evaluate: done already (%s)", folder)
    else:
        with tracked(config, "evaluate"), replacing(folder) as staging:
            _evaluate(config, prepared, encoded, trained, staging)
    shutil.copytree(folder, report, dirs_exist_ok=True)
    return Evaluation(folder, json.loads((folder / "metrics.json").read_text(encoding="utf-8")))


def _evaluate(config: Config, prepared: Prepared, encoded: Encoded, trained: Trained, folder: Path) -> None:
    kind = training(config.data.kind)
    targets = prepared.targets(SPLIT)
    network = open_network(config, trained.folder)
    probabilities = predict(config, network, encoded.folder, encoded.splits[SPLIT])
    metrics = score(targets, probabilities, prepared.labels, top_k=config.evaluate.top_k)
    log.info("evaluate: %s accuracy %.4f; fitting the baseline", SPLIT, metrics.accuracy)

    baseline = _baseline(config, prepared)
    split = prepared.splits[SPLIT]
    mistakes = confident_mistakes(
        targets,
        probabilities,
        prepared.labels,
        [kind.display(row) for row in prepared.rows(SPLIT)],
        [f"{source}:{row}" for source, row in zip(split["source"][:], split["row"][:], strict=True)],
        most=config.evaluate.mistakes,
    )
    title = f"{config.data.name}: evaluation"
    write_report(folder, title=title, split=SPLIT, metrics=metrics, baseline=baseline, mistakes=mistakes)
    record({f"{SPLIT}/{name}": value for name, value in metrics.headline().items()})
    record({f"{SPLIT}/baseline_accuracy": baseline.accuracy})
    record_plots(folder)
    if sentence := losing_sentence(metrics, baseline):
        log.warning("evaluate: %s", sentence)


def _baseline(config: Config, prepared: Prepared) -> BaselineScore:
    """The kind's own; if it cannot be fitted, the most frequent label: the evaluation does not fail with it."""
    train, started = prepared.targets("train"), perf_counter()
    try:
        fitted = training(config.data.kind).fit_baseline(prepared.rows("train"), train, seed=config.train.seed)
        predicted = fitted.predict(prepared.rows(SPLIT))
        name, description, rows_used = fitted.name, fitted.description, fitted.rows_used
        seconds = fitted.seconds
    except Exception as error:  # MemoryError above all
        why = shorten(f"{type(error).__name__}: {error}".rstrip(": "), 200)
        log.warning("evaluate: the baseline could not be fitted (%s); the most frequent label takes its place", why)
        predicted = np.full(len(prepared.targets(SPLIT)), np.bincount(train).argmax())
        name, description = "most frequent label", f"the most frequent label, as no other could be fitted ({why})"
        rows_used, seconds = len(train), perf_counter() - started
    return score_baseline(
        prepared.targets(SPLIT),
        predicted,
        len(prepared.labels),
        name=name,
        description=description,
        rows_used=rows_used,
        seconds=seconds,
    )
