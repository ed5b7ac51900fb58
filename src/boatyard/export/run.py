"""A trained network to a sealed bundle: the graph, the proof that it is as good, and what goes with it."""

import json
import logging
import shutil
from collections.abc import Iterator, Sequence
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from numpy.typing import NDArray
from torch import Tensor

from boatyard import inputs, tasks
from boatyard.bundle.manifest import LEAST_REFERENCE_ROWS, REFERENCE, Bundle, Metrics, open_bundle, seal
from boatyard.bundle.map import MAP
from boatyard.bundle.predict import EMBEDDING, GRAPH, Predictor
from boatyard.config.errors import UserError
from boatyard.config.schema import Config
from boatyard.data.prepare import Prepared
from boatyard.evaluate.groups import groups_section, measure_groups
from boatyard.evaluate.run import SPLIT, Evaluation
from boatyard.export.card import model_card
from boatyard.export.given import KEYS, read_given_rows
from boatyard.export.reference import reference, reference_rows
from boatyard.export.schemas import require_fit
from boatyard.inputs.protocol import Feeds, InvalidInput
from boatyard.inputs.training_protocol import Encoder
from boatyard.model import Served, open_network
from boatyard.storage.fingerprint import code_of, file_digest, fingerprint
from boatyard.storage.folders import replacing
from boatyard.tasks.protocol import Outputs, Parity, Target
from boatyard.train.tracking import git_commit, record, tracked
from boatyard.train.trained import Trained

log = logging.getLogger(__name__)

_CALIBRATION_ROWS = 512
_CALIBRATION_BATCH = 32
_EXAMPLES, _MOST_EXAMPLES = 3, 20
_EMBEDDED_ROWS = 3_000
_MAP_ROWS = 1_000
_PACKAGES = ("boatyard", "datasets", "numpy", "onnx", "onnxruntime", "tokenizers", "torch", "transformers")


def export(config: Config, prepared: Prepared, trained: Trained, evaluation: Evaluation) -> Bundle:
    """Make and seal the bundle, unless an identical one exists."""
    key = fingerprint(
        {
            "export": config.export.model_dump(),
            "name": config.data.name,
            "evaluation": evaluation.folder.name,
            **{key: _digest(getattr(config.export, key)) for key in KEYS},
        },
        code=code_of("export", config.data.input, config.data.task),
    )
    folder = trained.run / f"bundle-{key}"
    if folder.exists():
        log.info("export: done already (%s)", folder)
    else:
        with tracked(config, "export"), replacing(folder) as staging:
            _export(config, prepared, trained, evaluation, staging)
    return open_bundle(folder)


def _export(config: Config, prepared: Prepared, trained: Trained, evaluation: Evaluation, folder: Path) -> None:
    task = tasks.training(config.data.task)
    for source in (trained.folder, evaluation.folder):
        shutil.copytree(source, folder, dirs_exist_ok=True, ignore=shutil.ignore_patterns("training.json"))
    fields = _manifest_fields(config, prepared, trained, evaluation)
    precision, parity, validation = _write_graph(config, prepared, trained, folder, fields)
    fields["target"] |= task.fit_after(validation, prepared.targets("validation"), prepared.target, config)
    if EMBEDDING in validation:
        fields["target"] |= _fit_embeddings(folder, _draft(folder, fields), prepared, config, validation[EMBEDDING])
    fields["answer_schema"] = tasks.serving(config.data.task).answer_schema(fields["target"])
    predictor = _draft(folder, fields)
    fields["examples"] = _examples(config, predictor, prepared)
    _require_schemas(config, predictor, prepared, fields)
    _write_reference(folder / REFERENCE, predictor, prepared, config)
    _write_data_facts(folder / "data.json", prepared)
    outputs = predictor.outputs(prepared.rows(SPLIT))
    scores = task.score(outputs, prepared.targets(SPLIT), fields["target"], config)
    alternative = evaluation.alternative
    metrics = Metrics(
        split=SPLIT,
        rows=scores.rows,
        trained=list(evaluation.scores.all),
        served=list(scores.all),
        baseline=list(evaluation.baseline.all),
        baseline_name=evaluation.metrics["baseline"]["name"],
        alternative=list(alternative.all) if alternative is not None else [],
        alternative_name=evaluation.metrics["alternative"]["name"] if alternative is not None else "",
        precision=precision,
        graph_bytes=(folder / GRAPH).stat().st_size,
        parity=None if parity is None else parity.figures,
        parameters=trained.metrics["parameters"],
        training_seconds=trained.metrics["seconds"],
    )
    groups = measure_groups(config, prepared, SPLIT, outputs, fields["target"])
    sections = [*groups_section(groups, scores), *task.card_parts(fields["target"], scores)]
    card = model_card(config, prepared, metrics, parity, fields["limits"], sections)
    (folder / "MODEL_CARD.md").write_text(card, encoding="utf-8")
    manifest = seal(folder, **fields, metrics=metrics)
    record({f"served/{name}": value for name, value in scores.by_name().items()})
    log.info(
        "export: %s is %s, %.1f MB, %s as served %s",
        manifest.version,
        precision,
        metrics.graph_bytes / 1e6,
        scores.primary.title,
        scores.primary.shown,
    )


def _write_graph(
    config: Config, prepared: Prepared, trained: Trained, folder: Path, fields: dict[str, Any]
) -> tuple[str, Parity | None, Outputs]:
    """Write the graph to be served.

    Returns its precision, how int8 compared where it was tried, and what the graph answers on validation.
    """
    input_, task = inputs.training(config.data.input), tasks.training(config.data.task)
    rows, targets = prepared.rows("validation"), prepared.targets("validation")
    graph, fp32 = folder / GRAPH, folder / "fp32.onnx"
    log.info("export: writing the graph in fp32")
    served = Served(open_network(trained.folder))
    outputs = [*tasks.serving(config.data.task).OUTPUTS, *([EMBEDDING] if served.embeds else [])]
    example = _example_batch(input_.open_encoder(trained.folder), rows)
    input_.export_graph(served, example, outputs, graph)
    exact = _draft(folder, fields)
    expected = exact.outputs(rows)
    if config.export.precision == "fp32" or input_.quantize_graph is None:
        return "fp32", None, expected
    log.info("export: quantising to int8")
    graph.rename(fp32)
    input_.quantize_graph(fp32, graph, _calibration_batches(exact, prepared))
    quantised = _draft(folder, fields).outputs(rows)
    parity = task.parity(expected, quantised, targets, config)
    if parity.refusal is None:
        fp32.unlink()
        return "int8", parity, quantised
    log.warning("export: %s; fp32 is served", parity.refusal)
    fp32.replace(graph)
    return "fp32", parity, expected


def _example_batch(encoder: Encoder, rows: Sequence[Any]) -> dict[str, Tensor]:
    """The first row twice: tracing may drop a dimension of 1."""
    columns = encoder.encode([rows[0], rows[0]])
    return encoder.collate(pa.table(columns).to_pylist())


def _draft(folder: Path, fields: dict[str, Any]) -> Predictor:
    """A predictor of the unsealed folder, which answers as it would when served."""
    return Predictor(Bundle(folder, seal(folder, **fields, metrics=Metrics())))


def _calibration_batches(predictor: Predictor, prepared: Prepared) -> Iterator[Feeds]:
    rows = prepared.splits["train"]
    few = np.random.default_rng(0).permutation(len(rows))[:_CALIBRATION_ROWS]
    chosen = rows.select(np.sort(few)).to_list()
    encoded = predictor.input.encode([tuple(row[field] for field in prepared.fields) for row in chosen])
    encoded.sort(key=lambda row: row.cost)
    for start in range(0, len(encoded), _CALIBRATION_BATCH):
        yield predictor.input.collate(encoded[start : start + _CALIBRATION_BATCH])


def _write_reference(path: Path, predictor: Predictor, prepared: Prepared, config: Config) -> None:
    """What traffic is compared with later: how the model answers rows like it, by default those of the test split."""
    given = read_given_rows(config, prepared, "reference")
    rows = prepared.rows(SPLIT) if given is None else given
    if len(rows) < LEAST_REFERENCE_ROWS:
        log.warning(
            "export: the reference has %d of the %d rows that it takes to notice drift. "
            "Have more test rows, or name a file of such rows (export.reference)",
            len(rows),
            LEAST_REFERENCE_ROWS,
        )
    pq.write_table(reference([rows[i] for i in reference_rows(len(rows))], predictor), path)


def _fit_embeddings(
    folder: Path, predictor: Predictor, prepared: Prepared, config: Config, validation: NDArray[Any]
) -> Target:
    """The map, and what the task makes of embeddings: of training rows, for validation may lack a label."""
    task, targets = tasks.training(config.data.task), prepared.targets("train")
    chosen = task.sample(targets, np.random.default_rng(0), min(_EMBEDDED_ROWS, len(targets)))
    rows, targets = prepared.splits["train"].select(chosen).to_list(), targets[chosen]
    embeddings = predictor.outputs([tuple(row[field] for field in prepared.fields) for row in rows])[EMBEDDING]
    few = task.sample(targets, np.random.default_rng(0), min(_MAP_ROWS, len(targets)))
    fitted = task.fit_map(embeddings[few], targets[few], prepared.target)
    if fitted is not None:
        (folder / MAP).write_text(fitted.model_dump_json() + "\n", encoding="utf-8")
    return task.fit_files(folder, embeddings, targets, validation, prepared.target)


def _digest(file: str | None) -> str | None:
    """None without a file, or if it cannot be read: `read_given_rows` says why."""
    try:
        return None if file is None else file_digest(Path(file))
    except OSError:
        return None


def _write_data_facts(path: Path, prepared: Prepared) -> None:
    """The data report without the rows that it quotes: who may query the model need not see them."""
    facts = json.loads((prepared.folder / "report" / "report.json").read_text(encoding="utf-8"))
    for quoting in ("samples", "issues", "quarantine_file"):
        del facts[quoting]
    path.write_text(json.dumps(facts, indent=2) + "\n", encoding="utf-8")


def _manifest_fields(config: Config, prepared: Prepared, trained: Trained, evaluation: Evaluation) -> dict[str, Any]:
    input_, task = inputs.training(config.data.input), tasks.serving(config.data.task)
    target = {**prepared.target, **evaluation.fitted}
    return {
        "name": config.data.name,
        "input": config.data.input,
        "task": config.data.task,
        "target": target,
        "request_schema": input_.request_schema(prepared.fields, trained.folder),
        "answer_schema": task.answer_schema(target),
        "truth_schema": task.truth_schema(target),
        "limits": input_.limits(config.model),
        "git_commit": git_commit(),
        "data_fingerprint": prepared.fingerprint,
        "packages": {package: version(package) for package in _PACKAGES},
        "config": config.model_dump(mode="json", exclude={"paths", "cloud", "retrain"}),
        "examples": [],
    }


def _examples(config: Config, predictor: Predictor, prepared: Prepared) -> list[dict[str, Any]]:
    """Rows that a server takes, as requests: of the file with such, or some of the test split."""
    request = inputs.training(config.data.input).request
    given = read_given_rows(config, prepared, "examples")
    rows, most = (prepared.rows(SPLIT), _EXAMPLES) if given is None else (given, _MOST_EXAMPLES)
    taken: list[dict[str, Any]] = []
    refusal = ""
    for row in rows:
        example = request(prepared.fields, row)
        try:
            predictor.input.parse(example)
        except InvalidInput as wrong:
            refusal = wrong.detail
            continue
        taken.append(example)
        if len(taken) == most:
            break
    if not taken:
        where = f"the {SPLIT} split" if given is None else f"export.examples={config.export.examples}"
        raise UserError(f"no row of {where} could be asked of a server: {refusal}")
    return taken


def _require_schemas(config: Config, predictor: Predictor, prepared: Prepared, fields: dict[str, Any]) -> None:
    """Raises UserError if an example, its answer or a truth does not fit its schema."""
    examples = fields["examples"]
    predictions = predictor.answer([predictor.input.parse(example) for example in examples])
    truth = tasks.training(config.data.task).truth(prepared.targets(SPLIT)[0], fields["target"])
    for number, (example, prediction) in enumerate(zip(examples, predictions, strict=True), 1):
        require_fit(fields["request_schema"], example, f"example {number} of {config.data.name}")
        require_fit(fields["answer_schema"], prediction.answer, f"the answer to example {number} of {config.data.name}")
    require_fit(fields["truth_schema"], truth, f"the first test row's truth of {config.data.name}")
