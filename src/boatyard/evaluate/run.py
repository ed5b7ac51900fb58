"""A trained network to a report, beside a baseline and what else is fitted on the same rows."""

import json
import logging
import shutil
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from boatyard import inputs, tasks
from boatyard.config.schema import Config
from boatyard.data.encode import Encoded
from boatyard.data.prepare import Prepared
from boatyard.evaluate.alternative import score_alternative
from boatyard.evaluate.baseline import score_baseline, score_by_chance
from boatyard.evaluate.groups import measure_groups
from boatyard.evaluate.report import COMPARISON, losing_sentences, write_report
from boatyard.inputs.training_protocol import ROW, SOURCE
from boatyard.model import open_network, predict
from boatyard.storage.fingerprint import code_of, fingerprint
from boatyard.storage.folders import replacing
from boatyard.tasks.protocol import ShownRows, Target
from boatyard.tasks.score import Score, Scores
from boatyard.train.tracking import record, record_plots, tracked
from boatyard.train.trained import Trained

log = logging.getLogger(__name__)

SPLIT = "test"
_TELLS = 0.01  # of rows have relatives: with fewer, a split by chance would hardly be another


@dataclass(frozen=True)
class Evaluation:
    """The report's folder, and the numbers in its `metrics.json`."""

    folder: Path
    metrics: dict[str, Any]

    @property
    def scores(self) -> Scores:
        """The network's."""
        return _read_scores(self.metrics["rows"], self.metrics)

    @property
    def baseline(self) -> Scores:
        """The simple model's."""
        return _read_scores(self.metrics["rows"], self.metrics["baseline"])

    @property
    def alternative(self) -> Scores | None:
        """Those of the model that the input names, where it names one."""
        alternative = self.metrics.get("alternative")
        return None if alternative is None else _read_scores(self.metrics["rows"], alternative)

    @property
    def fitted(self) -> Target:
        """What the task learnt from the network's answers on validation."""
        return dict(self.metrics["fitted"])


def evaluate(config: Config, prepared: Prepared, encoded: Encoded, trained: Trained) -> Evaluation:
    """Score the network on the test split, unless the same evaluation exists."""
    key = fingerprint(config.evaluate.model_dump(), code=code_of("evaluate", config.data.input, config.data.task))
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
    task, network, targets = tasks.training(config.data.task), open_network(trained.folder), prepared.targets(SPLIT)
    answers = {
        split: predict(config, network, encoded.folder, encoded.splits[split]) for split in ("validation", SPLIT)
    }
    fitted = task.fit_after(answers["validation"], prepared.targets("validation"), prepared.target, config)
    target = {**prepared.target, **fitted}
    scores = task.score(answers[SPLIT], targets, target, config)
    primary = scores.primary
    log.info("evaluate: %s %s %s; fitting the baseline", SPLIT, primary.title, primary.shown)

    baseline = score_baseline(config, prepared, SPLIT)
    apart = _apart(prepared)
    by_chance = score_by_chance(config, prepared, SPLIT) if apart else None
    alternative = score_alternative(config, prepared, encoded, SPLIT)
    if alternative is not None:
        from boatyard.evaluate.plots import comparison_png  # most stages draw nothing

        models = {"Model": scores, alternative.name: alternative.scores, "Baseline": baseline.scores}
        comparison_png(folder / COMPARISON, models)
    shown = _shown_rows(config, prepared)
    sections = task.report(scores, answers[SPLIT], targets, target, shown, config, folder)
    write_report(
        folder,
        title=f"{config.data.name}: evaluation",
        split=SPLIT,
        scores=scores,
        baseline=baseline,
        apart=apart,
        by_chance=by_chance,
        fitted=fitted,
        sections=sections,
        alternative=alternative,
        groups=measure_groups(config, prepared, SPLIT, answers[SPLIT], target),
    )
    record({f"{SPLIT}/{name}": value for name, value in scores.by_name().items()})
    record({f"{SPLIT}/baseline_{primary.name}": baseline.scores.primary.value})
    if alternative is not None:
        record({f"{SPLIT}/{alternative.name.lower()}_{primary.name}": alternative.scores.primary.value})
    record_plots(folder)
    for sentence in losing_sentences(scores, baseline, alternative):
        log.warning("evaluate: %s", sentence)


def _apart(prepared: Prepared) -> str | None:
    """What the test split is apart from the others by, where it is not as if by chance: a sentence."""
    if (prepared.related or 0) >= _TELLS:
        return "Rows that resemble each other stay on one side of the split."
    if (column := prepared.data.split_by_date) is not None:
        return f"The newest rows, by {column!r}, are the test split: a model is asked of what came after it learnt."
    if (column := prepared.data.group_column) is not None:
        return f"Rows of one {column!r} stay on one side of the split: a model is asked of such as it has not seen."
    return None


def _shown_rows(config: Config, prepared: Prepared) -> ShownRows:
    input_, split, rows = inputs.training(config.data.input), prepared.splits[SPLIT], prepared.rows(SPLIT)
    return ShownRows(
        sources=[f"{source}:{row}" for source, row in zip(split[SOURCE][:], split[ROW][:], strict=True)],
        texts=[input_.show(row) for row in rows],
        canvas=lambda number: input_.canvas(rows[number]),
    )


def _read_scores(rows: int, written: dict[str, Any]) -> Scores:
    return Scores(rows, [Score(**score) for score in written["scores"]], written.get("detail", {}))
