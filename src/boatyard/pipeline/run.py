"""All stages, top to bottom; what is done already is not done again."""

import logging
import time
from pathlib import Path

from rich.table import Table

from boatyard.bundle.predict import Prediction, Predictor
from boatyard.config.console import terminal
from boatyard.config.schema import Config
from boatyard.data.encode import encode
from boatyard.data.prepare import prepare
from boatyard.evaluate.run import evaluate
from boatyard.export.run import export, require_reference
from boatyard.pipeline.publish import Published, publish_bundle
from boatyard.train.fit import train
from boatyard.train.tracking import tracked

log = logging.getLogger(__name__)


def run_pipeline(config: Config) -> Published:
    """Rows to a published model that has answered one question."""
    started = time.monotonic()
    with tracked(config, "pipeline"):
        prepared = prepare(config)
        require_reference(config, prepared)
        encoded = encode(config, prepared)
        trained = train(config, prepared, encoded)
        evaluation = evaluate(config, prepared, encoded, trained)
        bundle = export(config, prepared, trained, evaluation)
        published = publish_bundle(config, prepared, bundle)
    question = published.bundle.manifest.examples[0]
    predictor = Predictor(published.bundle)
    answer = predictor.answer([predictor.model.parse(question)])[0]
    _show(config, published, question, answer, time.monotonic() - started)
    return published


def _show(config: Config, published: Published, question: dict[str, str], answer: Prediction, seconds: float) -> None:
    manifest = published.bundle.manifest
    trained, served, baseline = (manifest.metrics[part] for part in ("trained", "served", "baseline"))
    reports = Path(config.paths.reports)
    facts = {
        "accuracy, as served": f"{served['accuracy']:.4f} ({manifest.metrics['precision']})",
        "accuracy, as trained": f"{trained['accuracy']:.4f} (fp32)",
        "accuracy, baseline": f"{baseline['accuracy']:.4f} ({baseline['name']})",
        "test rows": f"{served['rows']:,}",
        "size of the graph": f"{manifest.metrics['graph_bytes'] / 1e6:.1f} MB",
        "asked": " | ".join(question.values()),
        "answered": f"{answer.label} ({answer.score:.2f})",
        "data report": str(reports / "data" / config.data.name / "report.md"),
        "evaluation report": str(reports / "evaluation" / config.data.name / "report.md"),
        "published": str(published.bundle.folder),
        "took": f"{seconds:.0f} s",
    }
    table = Table(title=str(published.reference), show_header=False, title_justify="left")
    table.add_column()
    table.add_column(overflow="fold")  # a path that is cut short cannot be opened
    for name, fact in facts.items():
        table.add_row(name, fact)
    console = terminal()
    console.print(table)
    if baseline["accuracy"] > served["accuracy"]:
        console.print("The model loses to the simple baseline: more epochs, more rows or a pretrained model may win.")
    console.print("Next:")
    for command, why in (
        (
            f"BOATYARD_MODEL={published.reference} uv run invoke serve",
            "answer over HTTP, with a page at /docs",
        ),
        ("uv run invoke models", "what is published, and what each alias points at"),
        ("uv run invoke pipeline -o data=csv -o data.path=FILE -o data.name=NAME", "your own rows"),
    ):
        console.print(f"  {command}\n      {why}", soft_wrap=True)
