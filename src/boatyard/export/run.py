"""A trained network to a sealed bundle: the graph, the proof that it is as good, and what goes with it."""

import json
import logging
import shutil
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.parquet as pq

from boatyard.bundle.manifest import LEAST_REFERENCE_ROWS, REFERENCE, Bundle, open_bundle, seal
from boatyard.bundle.predict import GRAPH, Predictor
from boatyard.config.errors import UserError
from boatyard.config.schema import Config
from boatyard.data.prepare import Prepared
from boatyard.evaluate.metrics import score
from boatyard.evaluate.run import SPLIT, Evaluation
from boatyard.export.card import model_card
from boatyard.export.reference import read_reference_rows, reference, reference_rows
from boatyard.inputs import training
from boatyard.inputs.protocol import Feeds, InvalidInput
from boatyard.storage.fingerprint import code_of, file_digest, fingerprint
from boatyard.storage.folders import replacing
from boatyard.train.tracking import git_commit, record, tracked
from boatyard.train.trained import Trained

log = logging.getLogger(__name__)

_CALIBRATION_ROWS = 512
_CALIBRATION_BATCH = 32
_EXAMPLES = 3
_OUTPUT_SCHEMA = {
    "type": "object",
    "properties": {
        "label": {"type": "string"},
        "score": {"type": "number", "minimum": 0, "maximum": 1},
        "top": {"type": "array"},
    },
    "required": ["label", "score", "top"],
}
_PACKAGES = ("boatyard", "datasets", "numpy", "onnx", "onnxruntime", "tokenizers", "torch", "transformers")


@dataclass(frozen=True)
class Parity:
    """How the int8 graph compares with the fp32 one on the validation split; shares of 1."""

    fp32_accuracy: float
    int8_accuracy: float
    agreement: float
    noise: float
    """Standard error of the difference in accuracy, over the rows that only one of them has right."""

    def refusal(self, max_accuracy_loss: float, min_agreement: float) -> str | None:
        """Why int8 must not be served, or None: of few rows, one or two decide nothing."""
        loss = self.fp32_accuracy - self.int8_accuracy
        if loss > max_accuracy_loss + self.noise:
            return (
                f"int8 is refused: it loses {loss:.2%} of accuracy on validation, {max_accuracy_loss:.2%} is allowed"
                f" and {self.noise:.2%} may be chance"
            )
        if self.agreement < min_agreement:
            return (
                f"int8 is refused: it keeps {self.agreement:.2%} of validation's labels, {min_agreement:.2%} is asked"
            )
        return None


def export(config: Config, prepared: Prepared, trained: Trained, evaluation: Evaluation) -> Bundle:
    """Make and seal the bundle, unless just this was made already."""
    key = fingerprint(
        {
            "export": config.export.model_dump(),
            "name": config.data.name,
            "evaluation": evaluation.folder.name,
            "reference": _digest(config.export.reference),
        },
        code=code_of("export", config.data.kind),
    )
    folder = trained.run / f"bundle-{key}"
    if folder.exists():
        log.info("export: done already (%s)", folder)
    else:
        with tracked(config, "export"), replacing(folder) as staging:
            _export(config, prepared, trained, evaluation, staging)
    return open_bundle(folder)


def require_reference(config: Config, prepared: Prepared) -> None:
    """Raises UserError where `export.reference` cannot be used: before the network is trained, not after."""
    if config.export.reference is not None:
        read_reference_rows(Path(config.export.reference), prepared.fields)


def _export(config: Config, prepared: Prepared, trained: Trained, evaluation: Evaluation, folder: Path) -> None:
    for source in (trained.folder, evaluation.folder):
        shutil.copytree(source, folder, dirs_exist_ok=True, ignore=shutil.ignore_patterns("training.json"))
    fields = _manifest_fields(config, prepared)
    precision, parity = _write_graph(config, prepared, trained, folder, fields)
    predictor = _draft(folder, fields)
    fields["examples"] = _examples(predictor, prepared)
    _write_reference(folder / REFERENCE, predictor, prepared, config.export.reference)
    _write_data_facts(folder / "data.json", prepared)
    answers = predictor.outputs(prepared.rows(SPLIT))
    scores = score(prepared.targets(SPLIT), answers.probabilities, prepared.labels, top_k=config.evaluate.top_k)
    metrics = {
        "split": SPLIT,
        "trained": evaluation.headline(),
        "served": scores.headline(),
        "baseline": evaluation.metrics["baseline"],
        "precision": precision,
        "graph_bytes": (folder / GRAPH).stat().st_size,
        "parity": None if parity is None else asdict(parity),
        "parameters": trained.metrics["parameters"],
        "training_seconds": trained.metrics["seconds"],
    }
    (folder / "MODEL_CARD.md").write_text(model_card(config, prepared, metrics, fields["limits"]), encoding="utf-8")
    manifest = seal(folder, **fields, metrics=metrics)
    record({f"served/{name}": value for name, value in scores.headline().items()})
    megabytes = metrics["graph_bytes"] / 1e6
    log.info(
        "export: %s is %s, %.1f MB, accuracy as served %.4f",
        manifest.version,
        precision,
        megabytes,
        scores.accuracy,
    )


def _write_graph(
    config: Config, prepared: Prepared, trained: Trained, folder: Path, fields: dict[str, Any]
) -> tuple[str, Parity | None]:
    """Write the graph to be served. Returns its precision, and how int8 compared where it was tried."""
    kind = training(config.data.kind)
    graph, fp32 = folder / GRAPH, folder / "fp32.onnx"
    log.info("export: writing the graph in fp32")
    kind.export_graph(trained.folder, graph)
    if config.export.precision == "fp32":
        return "fp32", None
    rows, targets = prepared.rows("validation"), prepared.targets("validation")
    exact = _draft(folder, fields)
    expected = exact.outputs(rows).probabilities.argmax(1)
    log.info("export: quantising to int8")
    graph.rename(fp32)
    kind.quantize_graph(fp32, graph, _calibration_batches(exact, prepared))
    found = _draft(folder, fields).outputs(rows).probabilities.argmax(1)
    parity = Parity(
        fp32_accuracy=float((expected == targets).mean()),
        int8_accuracy=float((found == targets).mean()),
        agreement=float((found == expected).mean()),
        noise=float(np.sqrt(((expected == targets) != (found == targets)).sum()) / len(rows)),
    )
    refusal = parity.refusal(config.export.max_accuracy_loss, config.export.min_agreement)
    if refusal is None:
        fp32.unlink()
        return "int8", parity
    log.warning("export: %s; fp32 is served", refusal)
    fp32.replace(graph)
    return "fp32", parity


def _draft(folder: Path, fields: dict[str, Any]) -> Predictor:
    """The folder as it stands, answering as it would when served."""
    return Predictor(Bundle(folder, seal(folder, **fields, metrics={})))


def _calibration_batches(predictor: Predictor, prepared: Prepared) -> Iterator[Feeds]:
    rows = prepared.splits["train"]
    few = np.random.default_rng(0).permutation(len(rows))[:_CALIBRATION_ROWS]
    chosen = rows.select(np.sort(few)).to_list()
    encoded = predictor.model.encode([tuple(row[field] for field in prepared.fields) for row in chosen])
    encoded.sort(key=lambda row: row.length)
    for start in range(0, len(encoded), _CALIBRATION_BATCH):
        yield predictor.model.collate(encoded[start : start + _CALIBRATION_BATCH])


def _write_reference(path: Path, predictor: Predictor, prepared: Prepared, given: str | None) -> None:
    """What traffic is compared with later: how the model answers rows like it, by default those of the test split."""
    rows = prepared.rows(SPLIT) if given is None else read_reference_rows(Path(given), prepared.fields)
    if len(rows) < LEAST_REFERENCE_ROWS:
        log.warning(
            "export: the reference has %d of the %d rows that the monitor needs: it will compare nothing. "
            "Have more test rows, or name a file of such rows (export.reference)",
            len(rows),
            LEAST_REFERENCE_ROWS,
        )
    pq.write_table(reference([rows[i] for i in reference_rows(len(rows))], predictor), path)


def _digest(file: str | None) -> str | None:
    """None for no file, and for what cannot be read: `read_reference_rows` says why."""
    try:
        return None if file is None else file_digest(Path(file))
    except OSError:
        return None


def _write_data_facts(path: Path, prepared: Prepared) -> None:
    """The data report less what quotes rows: whoever may ask the model need not see them."""
    facts = json.loads((prepared.folder / "report" / "report.json").read_text(encoding="utf-8"))
    for quoting in ("samples", "issues", "quarantine_file"):
        del facts[quoting]
    path.write_text(json.dumps(facts, indent=2) + "\n", encoding="utf-8")


def _manifest_fields(config: Config, prepared: Prepared) -> dict[str, Any]:
    kind = training(config.data.kind)
    return {
        "name": config.data.name,
        "kind": config.data.kind,
        "labels": prepared.labels,
        "input_schema": kind.input_schema(prepared.fields),
        "output_schema": _OUTPUT_SCHEMA,
        "limits": kind.limits(config.model),
        "git_commit": git_commit(),
        "data_fingerprint": prepared.fingerprint,
        "packages": {package: version(package) for package in _PACKAGES},
        "config": config.model_dump(mode="json", exclude={"paths", "cloud", "retrain"}),
        "examples": [],
    }


def _examples(predictor: Predictor, prepared: Prepared) -> list[dict[str, str]]:
    """The first rows of the test split that a server takes, as requests."""
    taken: list[dict[str, str]] = []
    refusal = ""
    for row in prepared.rows(SPLIT):
        request = dict(zip(prepared.fields, row, strict=True))
        try:
            predictor.model.parse(request)
        except InvalidInput as wrong:
            refusal = wrong.detail
            continue
        taken.append(request)
        if len(taken) == _EXAMPLES:
            break
    if not taken:
        raise UserError(f"no row of the {SPLIT} split could be asked of a server: {refusal}")
    return taken
