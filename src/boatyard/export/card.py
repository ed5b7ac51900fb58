"""The model card: what to know before relying on the model."""

from collections.abc import Mapping, Sequence

from boatyard.bundle.manifest import Metrics
from boatyard.config.plurals import counted
from boatyard.config.schema import Config
from boatyard.data.prepare import Prepared
from boatyard.evaluate.markdown import escape, table
from boatyard.tasks.protocol import Parity, Section
from boatyard.tasks.score import Score


def model_card(
    config: Config,
    prepared: Prepared,
    metrics: Metrics,
    parity: Parity | None,
    limits: Mapping[str, int],
    sections: Sequence[Section],
) -> str:
    """Markdown. `sections`: what the task says, and how good the model is on groups of rows."""
    start = escape(config.model.name) if config.model.name else "random weights"
    rows = ", ".join(f"{len(prepared.splits[split]):,} for {split}" for split in prepared.splits)
    parts = [
        f"# {escape(config.data.name)}",
        f"Reads {_named(prepared.fields)}. Task: {config.data.task}.",
        "## How good it is",
        _scores(metrics),
        f"Measured on {counted(metrics.rows, 'row')} used neither for training nor for tuning.",
    ]
    if parity is not None:
        parts.append(parity.sentence)
    parts += [
        "## What it was made from",
        f"Rows: {rows}; data fingerprint `{prepared.fingerprint}`. Starting point: {start}, "
        f"{metrics.parameters / 1e6:.2f} M parameters, trained for {metrics.training_seconds:.0f} s.",
        "## Limits",
        f"{_limits(limits)}A longer input is cut, and the answer says so. The model knows only what its training "
        "rows are about.",
    ]
    for section in sections:
        parts += [f"## {section.heading}", *section.parts]
    return "\n\n".join(parts) + "\n"


def _named(fields: Sequence[str]) -> str:
    *first, last = map(escape, fields)
    return f"{', '.join(first)} and {last}" if first else last


def _limits(limits: Mapping[str, int]) -> str:
    """A sentence; nothing where there are none."""
    return f"{', '.join(f'{name}: {most:,}' for name, most in limits.items())}. " if limits else ""


def _scores(metrics: Metrics) -> str:
    """What all of them have."""
    versions = {
        "As trained, fp32": metrics.trained,
        f"As served, {metrics.precision}": metrics.served,
        **({metrics.alternative_name: metrics.alternative} if metrics.alternative else {}),
        "Baseline": metrics.baseline,
    }
    by_name = {version: {score.name: score for score in scores} for version, scores in versions.items()}
    names = [score.name for score in metrics.served if all(score.name in scores for scores in by_name.values())]

    def cells(scores: Mapping[str, Score]) -> list[str]:
        return [scores[name].shown for name in names]

    header = ["Test split", *(score.heading for score in metrics.served if score.name in names)]
    return table(header, [[version, *cells(by_name[version])] for version in versions], align="l" + "r" * len(names))
