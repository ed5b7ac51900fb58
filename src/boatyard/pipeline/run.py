"""All stages, top to bottom; what is done already is not done again."""

import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from rich.table import Table

from boatyard import inputs
from boatyard.bundle.predict import Predictor
from boatyard.config.compose import own_rows
from boatyard.config.console import terminal
from boatyard.config.schema import Config
from boatyard.data.encode import encode
from boatyard.data.prepare import prepare
from boatyard.evaluate.run import evaluate
from boatyard.export.given import require_given_rows
from boatyard.export.run import export
from boatyard.journal.columns import Column
from boatyard.pipeline.publish import Published, publish_bundle
from boatyard.tasks.protocol import Answer
from boatyard.tasks.score import shown
from boatyard.train.fit import train
from boatyard.train.tracking import tracked
from boatyard.train.trained import run_folder


def run_pipeline(config: Config) -> Published:
    """Rows to a published model that has answered one question."""
    started = time.monotonic()
    prepared = prepare(config)
    require_given_rows(config, prepared)
    encoded = encode(config, prepared)
    with tracked(config, "pipeline", run_folder(config, encoded)):
        trained = train(config, prepared, encoded)
        evaluation = evaluate(config, prepared, encoded, trained)
        bundle = export(config, prepared, trained, evaluation)
        published = publish_bundle(config, prepared, bundle)
    _show(config, published, time.monotonic() - started)
    return published


def _show(config: Config, published: Published, seconds: float) -> None:
    metrics, reports = published.bundle.manifest.metrics, Path(config.paths.reports)
    trained, served, baseline = (scores[0] for scores in (metrics.trained, metrics.served, metrics.baseline))
    question, answer = _ask(config, published)
    facts = {
        f"{served.title}, as served": f"{served.shown} ({metrics.precision})",
        f"{trained.title}, as trained": f"{trained.shown} (fp32)",
        **{f"{each.title}, {metrics.alternative_name.lower()}": each.shown for each in metrics.alternative[:1]},
        f"{baseline.title}, baseline": f"{baseline.shown} ({metrics.baseline_name})",
        "test rows": f"{metrics.rows:,}",
        "size of the graph": f"{metrics.graph_bytes / 1e6:.1f} MB",
        "asked": question,
        "answered": answer,
        "data report": str(reports / "data" / config.data.name / "report.md"),
        "evaluation report": str(reports / "evaluation" / config.data.name / "report.md"),
        "published": _from_here(published.bundle.folder),
        "took": f"{seconds:.0f} s",
    }
    table = Table(title=str(published.reference), show_header=False, title_justify="left")
    table.add_column()
    table.add_column(overflow="fold")  # a path that is cut short cannot be opened
    for name, fact in facts.items():
        table.add_row(name, fact)
    console = terminal()
    console.print(table)
    if baseline.is_better_than(served):
        console.print("The model loses to the simple baseline: more rows, more epochs or another model may win.")
    own = f"uv run invoke pipeline -o data={own_rows(config.data)} -o data.path=PATH -o data.name=NAME"
    console.print("Next:")
    for command, why in (
        (
            f"BOATYARD_MODEL={published.reference} uv run invoke serve",
            "answer over HTTP, with a page at /docs",
        ),
        ("uv run invoke models", "what is published, and what each alias points at"),
        (own, "your own rows"),
    ):
        console.print(f"  {command}\n      {why}", soft_wrap=True)


def _from_here(folder: Path) -> str:
    here = Path.cwd()
    return str(folder.relative_to(here) if folder.is_relative_to(here) else folder)


def _ask(config: Config, published: Published) -> tuple[str, str]:
    """The bundle's first example, and the answer to it, as people read them."""
    predictor = Predictor(published.bundle)
    row = predictor.input.parse(published.bundle.manifest.examples[0])
    (prediction,) = predictor.answer([row])
    return inputs.training(config.data.input).show(row), _in_short(prediction.answer, predictor.task.columns)


def _in_short(answer: Answer, columns: Sequence[Column]) -> str:
    """What the journal keeps of it: the first, and the others in parentheses; of truth values, the true ones."""
    first, *others = [said for column in columns if (said := _said(answer[column.name], column))]
    return f"{first} ({', '.join(others)})" if others else first


def _said(value: Any, column: Column) -> str:
    if isinstance(value, bool):
        return column.name if value else ""
    return str(value) if column.category else shown(value, decimals=2)
