"""The model card: what a person should know before relying on the model."""

from typing import Any

from boatyard.config.schema import Config
from boatyard.data.prepare import Prepared
from boatyard.evaluate.markdown import escape, table


def model_card(config: Config, prepared: Prepared, metrics: dict[str, Any], limits: dict[str, int]) -> str:
    """Markdown. `metrics` and `limits`: those of the manifest."""
    trained, served, baseline = metrics["trained"], metrics["served"], metrics["baseline"]
    start = escape(config.model.name) if config.model.name else "random weights"
    parity = metrics["parity"]
    scores = table(
        ("Test split", "Accuracy", "Macro-F1"),
        [
            ("As trained, fp32", f"{trained['accuracy']:.4f}", f"{trained['macro_f1']:.4f}"),
            (f"As served, {metrics['precision']}", f"{served['accuracy']:.4f}", f"{served['macro_f1']:.4f}"),
            ("Baseline", f"{baseline['accuracy']:.4f}", f"{baseline['macro_f1']:.4f}"),
        ],
        align="lrr",
    )
    rows = ", ".join(f"{len(prepared.splits[split]):,} for {split}" for split in prepared.splits)
    parts = [
        f"# {escape(config.data.name)}",
        f"Puts {' and '.join(map(escape, prepared.fields))} into one of {len(prepared.labels)} classes.",
        "## How good it is",
        scores,
        f"Measured on {served['rows']:,} rows that were neither trained nor tuned on.",
    ]
    if parity is not None:
        parts.append(
            f"On validation int8 gives the label of fp32 for {parity['agreement']:.2%} of rows; accuracy is "
            f"{parity['int8_accuracy']:.4f} against {parity['fp32_accuracy']:.4f}."
        )
    parts += [
        "## What it was made from",
        f"Rows: {rows}; data fingerprint `{prepared.fingerprint}`. Starting point: {start}, "
        f"{metrics['parameters'] / 1e6:.2f} M parameters, trained for {metrics['training_seconds']:.0f} s.",
        "## Limits",
        f"{', '.join(f'{name}: {most:,}' for name, most in limits.items())}. Input of more tokens is cut, and the "
        "answer says so. Always answers "
        "with one of its labels, also where none fits: a low score is the only sign of it. Knows the language and the "
        "topics of its training rows and no others.",
        "## Labels",
        ", ".join(map(escape, prepared.labels)),
    ]
    return "\n\n".join(parts) + "\n"
