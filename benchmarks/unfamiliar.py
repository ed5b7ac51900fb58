"""How well classifiers say what they do not know, and how sure they are:  python benchmarks/unfamiliar.py

Each is trained as by its command; finished runs are skipped. It is asked its test rows, and rows that belong to none of
its labels: questions that are no bank's, and proteins that are no beta-lactamases, which its training rows lack. Writes
reports/benchmarks/unfamiliar.md and .json.
"""

import gzip
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
from report import write_report
from sklearn.metrics import roc_auc_score

from boatyard.bundle.predict import EMBEDDING, Predictor
from boatyard.config.compose import load_config
from boatyard.data.encode import encode
from boatyard.data.prepare import prepare
from boatyard.evaluate.markdown import table
from boatyard.evaluate.run import SPLIT, evaluate
from boatyard.export.run import export
from boatyard.tasks.classification.familiarity import SHARE, open_familiarity
from boatyard.train.fit import train

QUESTIONS = Path(__file__).with_name("out_of_scope.txt")
PROTEINS, NONE = Path("data/raw/resistance.fasta.gz"), "[non]"

Requests = Sequence[Mapping[str, Any]]


@dataclass(frozen=True)
class Case:
    """A model's name, the words of its command, and by name rows that are none of its."""

    name: str
    words: Sequence[str]
    foreign: Mapping[str, Callable[[], Requests]]


def questions() -> Requests:
    """About the weather, recipes, sports and the like."""
    return [{"text": line} for line in QUESTIONS.read_text(encoding="utf-8").splitlines()]


def proteins(*, foreign: bool) -> list[tuple[str, str]]:
    """Header and sequence of those that are none, or that are beta-lactamases."""
    records = gzip.decompress(PROTEINS.read_bytes()).decode().split(">")[1:]
    parts = [record.partition("\n") for record in records]
    return [(header, lines.replace("\n", "")) for header, _, lines in parts if (NONE in header) == foreign]


def others() -> Requests:
    """Those that are none."""
    return [{"sequence": sequence} for _, sequence in proteins(foreign=True)]


def shuffled() -> Requests:
    """Beta-lactamases with their residues in any order."""
    random = np.random.default_rng(0)
    return [{"sequence": "".join(random.permutation([*sequence]))} for _, sequence in proteins(foreign=False)]


def measure(case: Case) -> dict[str, Any]:
    """Train, export, ask."""
    config = load_config([*case.words, "tracking=none"])
    prepared = prepare(config)
    encoded = encode(config, prepared)
    trained = train(config, prepared, encoded)
    evaluation = evaluate(config, prepared, encoded, trained)
    bundle = export(config, prepared, trained, evaluation)
    predictor, familiarity = Predictor(bundle, threads=1), open_familiarity(bundle.folder)

    def distances(rows: Sequence[Any]) -> Any:
        return familiarity.distances(predictor.outputs(rows)[EMBEDDING])

    inside = distances(prepared.rows(SPLIT))
    outside = {name: distances([predictor.input.parse(each) for each in make()]) for name, make in case.foreign.items()}
    error = {score.name: score.value for score in evaluation.scores.all}["expected_calibration_error"]
    return {
        "model": case.name,
        "temperature": bundle.manifest.target["temperature"],
        "error_as_trained": evaluation.scores.detail["calibration_error_as_trained"],
        "error": error,
        "rows": len(inside),
        "unfamiliar": float(np.mean(inside > familiarity.limit)),
        "foreign": [
            {
                "name": name,
                "rows": len(found),
                "unfamiliar": float(np.mean(found > familiarity.limit)),
                "auroc": float(roc_auc_score([0] * len(inside) + [1] * len(found), [*inside, *found])),
            }
            for name, found in outside.items()
        ],
    }


def main() -> int:
    """Measure all and write the report."""
    with TemporaryDirectory() as folder:
        known = Path(folder, "classes.fasta")
        known.write_text("".join(f">{header}\n{sequence}\n" for header, sequence in proteins(foreign=False)))
        labels = [f"data.path={known}", "data.name=ambler", r"data.label_pattern='\[(\w+)\]'"]
        measured = [
            measure(Case("inbox", ["data=inbox"], {"questions about other things": questions})),
            measure(Case("ambler", ["data=fasta", *labels], {"other proteins": others, "shuffled": shuffled})),
            measure(Case("lactamase", ["data=resistance", "data.binary=true", "data.name=lactamase"], {})),
        ]
    lines = [
        (each["model"], name, f"{rows:,}", f"{share:.1%}", auroc)
        for each in measured
        if each["foreign"]
        for name, rows, share, auroc in (
            ("test rows", each["rows"], each["unfamiliar"], ""),
            *((one["name"], one["rows"], one["unfamiliar"], f"{one['auroc']:.3f}") for one in each["foreign"]),
        )
    ]
    text = [
        "# Unfamiliar inputs, and calibration",
        f"A row is unfamiliar if it is farther from every label's mean than {1 - SHARE:.0%} of validation rows. Inbox "
        "is the bundled model of messages to a bank; ambler distinguishes four classes of beta-lactamases and has seen "
        "no other protein. AUROC: how often such a row is farther than a test row.",
        table(("Model", "Rows of", "Rows", "Unfamiliar", "AUROC"), lines, align="llrrr"),
        "The expected calibration error on test rows, without and with the temperature that is fitted on validation "
        "rows. Lactamase says whether a protein is a beta-lactamase.",
        table(
            ("Model", "Test rows", "Temperature", "As trained", "As answered"),
            [
                (
                    each["model"],
                    f"{each['rows']:,}",
                    f"{each['temperature']:.3f}",
                    f"{each['error_as_trained']:.4f}",
                    f"{each['error']:.4f}",
                )
                for each in measured
            ],
            align="lrrrr",
        ),
        "Command: `python benchmarks/unfamiliar.py`.",
    ]
    write_report("unfamiliar", text, {"models": measured}, ["boatyard", "numpy", "onnxruntime", "torch"])
    return 0


if __name__ == "__main__":
    sys.exit(main())
