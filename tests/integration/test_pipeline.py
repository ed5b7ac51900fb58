"""From rows to a published model that answers: once, again, worse, and with int8 refused."""

import csv
import shutil
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import onnx
import onnxruntime as ort
import pytest
import torch
from safetensors.torch import load_file
from stages import plants_config, small_config

from boatyard import inputs
from boatyard.bundle.predict import Predictor
from boatyard.config.errors import UserError
from boatyard.config.schema import Config
from boatyard.data.encode import encode
from boatyard.data.prepare import prepare
from boatyard.export.run import _write_reference
from boatyard.inputs.protocol import Feeds
from boatyard.inputs.text.graph import quantize_graph
from boatyard.model import Served, open_network, predict
from boatyard.pipeline.publish import Published
from boatyard.pipeline.run import run_pipeline
from boatyard.registry import aliases, versions
from boatyard.storage import open_storage
from boatyard.tasks.classification.parity import refusal
from boatyard.train.trained import open_trained

pytestmark = pytest.mark.integration


@dataclass(frozen=True)
class Finished:
    root: Path
    rows: Path
    config: Config
    published: Published


@pytest.fixture(scope="module")
def finished(plants_in_production: Path, tmp_path_factory: pytest.TempPathFactory) -> Finished:
    root = tmp_path_factory.mktemp("pipeline")
    shutil.copytree(plants_in_production, root, dirs_exist_ok=True)
    rows = root / "plants.csv"
    config = plants_config(root, rows)
    return Finished(root, rows, config, run_pipeline(config))


def test_never_seen_rows_become_a_model_under_the_users_name_that_answers(finished: Finished) -> None:
    manifest = finished.published.bundle.manifest
    assert manifest.name == "plants"
    assert manifest.target["labels"] == ["delivery", "light", "pests", "watering"]
    predictor = Predictor(finished.published.bundle)
    row = predictor.input.parse({"text": "my parcel with the ivy is late"})  # the column was called `question`
    assert predictor.answer([row])[0].answer["label"] == "delivery"
    assert aliases(open_storage(finished.config.paths.storage), "plants") == {"production": manifest.version}


def test_a_published_bundle_holds_what_the_next_person_needs(finished: Finished) -> None:
    folder, manifest = finished.published.bundle.folder, finished.published.bundle.manifest
    for file in (
        "model.onnx",
        "model.safetensors",
        "config.json",
        "tokenizer.json",
        "reference.parquet",
        "metrics.json",
        "confusion.png",
        "curves.png",
        "familiarity.npz",
        "MODEL_CARD.md",
        "data.json",
    ):
        assert file in manifest.files
    assert not any(name.endswith((".pkl", ".pt", ".bin", ".pth")) for name in manifest.files)
    assert manifest.target["temperature"] > 0
    assert "unfamiliar" in manifest.answer_schema["required"]
    assert manifest.config["data"]["name"] == "plants"
    assert manifest.metrics.rows > 0
    assert {score.name for score in manifest.metrics.baseline} < {score.name for score in manifest.metrics.served}
    card = (folder / "MODEL_CARD.md").read_text()
    assert f"{manifest.metrics.served[0].value:.4f}" in card
    assert "one of 4 classes: delivery, light, pests, watering" in card
    assert "paths" not in manifest.config


def test_run_again_unchanged_it_does_nothing_twice(finished: Finished) -> None:
    before = {file: file.stat().st_mtime_ns for file in finished.root.rglob("*") if file.suffix in {".onnx", ".arrow"}}
    again = run_pipeline(finished.config)
    assert again.bundle.manifest.version == finished.published.bundle.manifest.version
    assert before == {file: file.stat().st_mtime_ns for file in before}
    assert len(versions(open_storage(finished.config.paths.storage), "plants")) == 1


def test_the_fp32_graph_says_what_the_network_says(finished: Finished, tmp_path: Path) -> None:
    config = finished.config
    prepared = prepare(config)
    encoded = encode(config, prepared)
    trained = open_trained(config, encoded)
    input_, network = inputs.training("text"), open_network(trained.folder)
    expected = predict(config, network, encoded.folder, encoded.splits["test"])["probabilities"]
    input_.export_graph(Served(network), {}, ["logits", "probabilities", "embedding"], tmp_path / "fp32.onnx")

    session = ort.InferenceSession(tmp_path / "fp32.onnx")
    names = {node.name for node in session.get_inputs()}
    batch = input_.open_encoder(encoded.folder).collate(encoded.splits["test"].to_list())
    types = torch.zeros_like(batch["input_ids"])
    feeds = {n: t.numpy() for n, t in {**batch, "token_type_ids": types}.items() if n in names}
    found = session.run(["probabilities"], feeds)[0]
    np.testing.assert_allclose(found, expected, atol=1e-4)


def test_an_int8_answer_does_not_depend_on_the_rest_of_the_batch(finished: Finished) -> None:
    assert finished.published.bundle.manifest.metrics.precision == "int8"
    predictor = Predictor(finished.published.bundle)
    rows = prepare(finished.config).rows("train")
    long = (" ".join(text for (text,) in rows),)
    alone = np.concatenate([predictor.outputs([row])["probabilities"] for row in rows])
    beside = np.concatenate(
        [predictor.run_batch(predictor.input.encode([row, long]))["probabilities"][:1] for row in rows]
    )
    together = predictor.outputs(rows, batch_size=len(rows))["probabilities"]
    for other in (beside, together):
        assert (alone.argmax(1) == other.argmax(1)).all()
        assert np.abs(alone - other).max() < 0.01


def refused(fp32: float, int8: float, agreement: float, noise: float = 0.0) -> str | None:
    figures = {"fp32_accuracy": fp32, "int8_accuracy": int8, "agreement": agreement, "noise": noise}
    return refusal(figures, max_accuracy_loss=0.005, min_agreement=0.98)


@pytest.mark.parametrize(
    ("figures", "why"),
    [((0.95, 0.944, 0.99, 0.0005), "loses 0.60% of accuracy"), ((0.95, 0.95, 0.979), "keeps 97.90% of")],
)
def test_int8_past_either_limit_is_refused_in_one_sentence(figures: tuple[float, ...], why: str) -> None:
    sentence = refused(*figures)
    assert sentence is not None
    assert sentence.startswith("int8 is refused: ")
    assert why in sentence


def test_int8_within_both_limits_is_accepted() -> None:
    assert refused(0.95, 0.946, 0.98) is None


def test_what_may_be_chance_refuses_nothing() -> None:
    assert refused(0.95, 0.942, 0.99, noise=0.004) is None
    assert refused(0.95, 0.942, 0.99, noise=0.002) is not None


def test_a_refused_int8_graph_leaves_fp32_to_be_served(
    finished: Finished, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def without_words(fp32: Path, int8: Path, calibration: Iterable[Feeds]) -> None:
        quantize_graph(fp32, int8, calibration)
        model = onnx.load(int8)
        for tensor in model.graph.initializer:
            if tensor.name.endswith("_scales"):
                tensor.CopyFrom(onnx.numpy_helper.from_array(0 * onnx.numpy_helper.to_array(tensor), tensor.name))
        onnx.save(model, int8)

    monkeypatch.setattr(inputs.training("text"), "quantize_graph", without_words, raising=False)
    config = plants_config(finished.root, finished.rows, "export.min_agreement=0.97", "publish.alias=null")
    metrics = run_pipeline(config).bundle.manifest.metrics
    assert metrics.parity is not None
    assert metrics.parity["agreement"] < 0.97
    assert metrics.precision == "fp32"
    assert "int8 is refused" in caplog.text


def test_a_worse_version_is_published_but_not_promoted(finished: Finished) -> None:
    little = "train.max_steps=1", "train.seed=3", "model.text.wide=false"
    worse = run_pipeline(plants_config(finished.root, finished.rows, *little))
    storage = open_storage(finished.config.paths.storage)
    assert worse.bundle.manifest.version in versions(storage, "plants")
    assert worse.refusal is not None
    assert "on the same test rows" in worse.refusal
    assert aliases(storage, "plants")["production"] == finished.published.bundle.manifest.version


@pytest.mark.slow
def test_training_goes_on_from_a_published_encoder(finished: Finished) -> None:
    folder = finished.published.bundle.folder
    still = "train.max_steps=1", "train.learning_rate=1e-9", "publish.alias=null"
    config = plants_config(finished.root, finished.rows, f"model.name={folder}", *still)
    before, after = (load_file(f / "model.safetensors") for f in (folder, run_pipeline(config).bundle.folder))
    encoder = [name for name in before if name.startswith("backbone.")]
    assert encoder
    assert all(torch.allclose(before[name], after[name], atol=1e-6) for name in encoder)


@pytest.mark.parametrize(
    ("key", "content", "why"),
    [
        ("reference", None, "cannot be read: there is no such file"),
        ("examples", "text\n", "has no rows"),
        ("reference", "other\nx\n", "cannot be read: .*column 'text' is missing"),
        ("examples", 'text,n\nx,1\n"y,2\nz,3\n', "row 3: opens a quote"),
        ("reference", "text,n\nx,1\n,2\n", "row 3: column 'text' is empty"),
        ("examples", f"text\n{'fern ' * 5_000}\n", "every row is too large; the first has 25,000 characters"),
    ],
)
def test_given_rows_that_cannot_be_used_are_one_sentence_before_the_training(
    finished: Finished, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, key: str, content: str | None, why: str
) -> None:
    monkeypatch.setattr("boatyard.pipeline.run.train", lambda *_: pytest.fail("it trains in vain"))
    file = tmp_path / "rows.csv"
    if content is not None:
        file.write_text(content)
    with pytest.raises(UserError, match=rf"export\.{key}=\S+ {why}"):
        run_pipeline(plants_config(finished.root, finished.rows, f"export.{key}={file}"))


@pytest.mark.parametrize(("rows", "warned"), [(1, True), (99, True), (100, False)])
def test_a_reference_too_small_to_notice_drift_with_is_a_warning(
    finished: Finished, tmp_path: Path, caplog: pytest.LogCaptureFixture, rows: int, warned: bool
) -> None:
    file = tmp_path / "rows.csv"
    file.write_text("text\n" + "my fern is dry\n" * rows)
    predictor = Predictor(finished.published.bundle)
    config = plants_config(finished.root, finished.rows, f"export.reference={file}")
    _write_reference(tmp_path / "reference.parquet", predictor, prepare(finished.config), config)
    assert (f"the reference has {rows} of the 100 rows that it takes to notice drift" in caplog.text) == warned


@pytest.mark.slow
def test_two_text_columns_are_answered_as_a_pair_and_what_no_server_takes_is_no_example(tmp_path: Path) -> None:
    rows = tmp_path / "pairs.csv"
    with rows.open("w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(["title", "text", "label", "split"])
        for i in range(60):
            agree = i % 2 == 0
            claim = f"the shop at number {i} sells {'bread' if agree else 'stones'}"
            split = "test" if i % 12 in (0, 1) else "val" if i % 12 in (2, 3) else "train"
            writer.writerow([f"news {i}", claim, "true" if agree else "false", split])
    examples = tmp_path / "examples.csv"
    examples.write_text(f"text,title\n{'and more ' * 2_500},too long\nThe shop sells bread.,a\nIt sells stones.,b\n")
    changes = f"data.path={rows}", "export.precision=fp32", f"export.examples={examples}"
    config = small_config(tmp_path, "data=fakenews", *changes)
    published = run_pipeline(config)
    predictor = Predictor(published.bundle)
    assert published.bundle.manifest.request_schema["required"] == ["title", "text"]
    assert published.bundle.manifest.examples == [
        {"title": "a", "text": "The shop sells bread."},
        {"title": "b", "text": "It sells stones."},
    ]
    row = predictor.input.parse({"title": "news", "text": "the shop at number 99 sells stones"})
    assert predictor.answer([row])[0].answer["label"] == "false"
