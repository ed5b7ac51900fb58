"""From a graph's probabilities to the answer: temperature, threshold, and what is unfamiliar."""

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from bundles import LABELS, fields, write_bundle
from pydantic import ValidationError
from scipy.special import softmax

from boatyard.bundle.manifest import BundleError, open_bundle, seal
from boatyard.bundle.predict import Predictor, served_files
from boatyard.config.errors import UserError
from boatyard.tasks.classification import familiarity
from boatyard.tasks.classification.decision import Decision, at_temperature, decided
from boatyard.tasks.classification.familiarity import fit_familiarity, open_familiarity
from boatyard.tasks.classification.fitting import fit_after, fit_temperature, for_precision, for_recall
from boatyard.tasks.classification.metrics import calibration, calibration_error
from boatyard.tasks.classification.serving import Options, ThresholdOptions

pytestmark = pytest.mark.unit


def wanted(**evaluate: Any) -> Any:
    return SimpleNamespace(evaluate=SimpleNamespace(**{"positive": None, "precision": None, "recall": None} | evaluate))


def drawn(temperature: float, rows: int = 4000) -> tuple[np.ndarray, np.ndarray]:
    """Probabilities that are too sure by the temperature, and classes that are drawn by what they should be."""
    random = np.random.default_rng(0)
    logits = random.normal(0, 2, (rows, 5))
    right = softmax(logits, axis=1)
    targets = (random.random((rows, 1)) > right.cumsum(axis=1)).sum(axis=1)
    return softmax(logits * temperature, axis=1).astype(np.float32), targets


@pytest.mark.parametrize("temperature", [0.5, 1.0, 3.0])
def test_the_temperature_that_was_wrong_is_found_and_undone(temperature: float) -> None:
    probabilities, targets = drawn(temperature)
    found = fit_temperature(probabilities, targets)
    assert found == pytest.approx(temperature, rel=0.08)
    calibrated = at_temperature(probabilities, found)
    assert calibration_error(calibration(targets, calibrated)) < 0.03


def test_a_temperature_changes_no_order_and_1_changes_no_bit() -> None:
    probabilities = softmax(np.random.default_rng(0).normal(0, 20, (500, 30)), axis=1).astype(np.float32)
    order = np.argsort(-probabilities, kind="stable")
    for temperature in (0.2, 0.7, 20.0):
        scaled = at_temperature(probabilities, temperature)
        assert (np.argsort(-scaled, kind="stable") == order).all()
        assert np.allclose(scaled.sum(axis=1), 1)
    assert at_temperature(probabilities, 1.0) is probabilities


def test_where_all_are_right_no_model_becomes_certain() -> None:
    targets = np.arange(100) % 2
    probabilities = np.where(np.eye(2)[targets] == 1, 0.9, 0.1)
    temperature = fit_temperature(probabilities, targets)
    assert 0.05 < temperature < 1
    assert 0.98 < at_temperature(probabilities, temperature).max() < 0.999


def test_a_threshold_keeps_the_precision_or_the_recall_that_is_wanted() -> None:
    chances = np.array([0.9, 0.8, 0.7, 0.7, 0.6, 0.2])
    has = np.array([True, True, True, False, True, False])
    assert for_precision(chances, has, 1.0, "x") == 0.8
    assert for_precision(chances, has, 0.8, "x") == 0.6, "the lowest, as it finds the most rows"
    assert for_recall(chances, has, 0.75, "x") == 0.7, "the highest, as it takes the fewest others"
    assert for_recall(chances, has, 1.0, "x") == 0.6
    with pytest.raises(UserError, match=r"evaluate\.precision=0\.99 of 'x' is not reached .*the highest is 0\.5"):
        for_precision(np.array([0.9, 0.9]), np.array([True, False]), 0.99, "x")
    with pytest.raises(UserError, match="no row of validation has the label 'x'"):
        for_recall(chances, np.zeros(6, bool), 0.5, "x")


def test_of_two_labels_the_rarer_one_is_positive_unless_one_is_named() -> None:
    outputs, targets = {"probabilities": np.array([[0.9, 0.1], [0.8, 0.2], [0.3, 0.7]])}, np.array([0, 0, 1])
    two = {"labels": ["no", "yes"]}
    assert fit_after(outputs, targets, two, wanted()).keys() == {"temperature", "positive"}
    assert fit_after(outputs, targets, two, wanted())["positive"] == "yes"
    fitted = fit_after(outputs, targets, two, wanted(positive="no", recall=1.0))
    assert fitted["positive"] == "no"
    assert fitted["threshold"] == pytest.approx(at_temperature(outputs["probabilities"], fitted["temperature"])[1, 0])
    with pytest.raises(UserError, match="none of the labels: no, yes"):
        fit_after(outputs, targets, two, wanted(positive="maybe"))


def test_of_more_labels_one_must_be_named_for_a_threshold() -> None:
    probabilities, targets = drawn(1.0, rows=200)
    five = {"labels": list("abcde")}
    assert fit_after({"probabilities": probabilities}, targets, five, wanted()).keys() == {"temperature"}
    with pytest.raises(UserError, match=r"evaluate\.positive must name the label that is told from the 4 others"):
        fit_after({"probabilities": probabilities}, targets, five, wanted(precision=0.5))


def test_below_its_threshold_a_label_gives_way_to_the_likeliest_other() -> None:
    decision = Decision(labels=list("abc"), positive="a", threshold=0.6)
    rows = np.array([[0.5, 0.2, 0.3], [0.6, 0.4, 0.0], [0.1, 0.8, 0.1]])
    assert decision.classes(rows).tolist() == [2, 0, 1]
    assert decision.classes(rows, threshold=0.0).tolist() == [0, 0, 0]
    assert Decision(labels=list("abc")).classes(rows).tolist() == [0, 0, 1]
    outputs = decided({"probabilities": rows}, {"labels": list("abc"), "positive": "a", "threshold": 0.6})
    assert outputs["predictions"].tolist() == [2, 0, 1]


@pytest.mark.parametrize(
    "target",
    [
        {"temperature": 0.0},
        {"temperature": "hot"},
        {"positive": "d"},
        {"threshold": 0.5},
        {"positive": "a", "threshold": 2},
    ],
)
def test_a_manifest_that_cannot_decide_is_refused(target: dict[str, Any], tmp_path: Path) -> None:
    with pytest.raises(ValidationError):
        Decision.model_validate({"labels": list("abc"), **target})
    write_bundle(tmp_path, target={"labels": LABELS, **target})
    with pytest.raises(BundleError, match="the manifest of ferry is wrong at target"):
        Predictor(open_bundle(tmp_path))


def test_a_model_with_a_positive_label_takes_a_threshold_and_no_other_does(tmp_path: Path) -> None:
    write_bundle(tmp_path / "one", target={"labels": LABELS, "positive": "fees", "temperature": 2.0})
    write_bundle(tmp_path / "none")
    one, none = (Predictor(open_bundle(tmp_path / name)) for name in ("one", "none"))
    assert (one.options_type, none.options_type) == (ThresholdOptions, Options)
    row = one.input.parse({"text": "fee iban iban"})
    (likeliest,) = one.answer([row])
    (lower,) = one.answer([row], one.options_type.model_validate({"threshold": "0.1", "top_k": "2"}))
    assert (likeliest.answer["label"], lower.answer["label"]) == ("transfer", "fees")
    assert [choice["label"] for choice in lower.answer["top"]] == ["transfer", "fees"]
    assert lower.answer["score"] == lower.answer["top"][1]["score"]
    (hotter,), (plain,) = one.answer([row]), none.answer([row])
    assert hotter.answer["score"] < plain.answer["score"]
    (explained,) = one.task.explained(one.outputs([row]), lower.answer)
    assert explained == lower.answer["score"]


# ---- what is unfamiliar


def clusters(rows: int, seed: int = 0, at: float = 0.0) -> tuple[np.ndarray, np.ndarray]:
    """Two classes: wide in the first direction, narrow in the others."""
    random = np.random.default_rng(seed)
    classes = np.arange(rows) % 2
    points = random.normal(0, [3, 0.1, 0.1], (rows, 3)) + classes[:, None] * [0, 4, 0] + [0, 0, at]
    return points.astype(np.float32), classes


def test_what_lies_beyond_nearly_all_validation_rows_is_unfamiliar() -> None:
    fitted = fit_familiarity(*clusters(500), clusters(1000, seed=1)[0])
    assert fitted is not None
    assert fitted.unfamiliar(clusters(1000, seed=1)[0]).mean() == pytest.approx(familiarity.SHARE, abs=0.002)
    assert fitted.unfamiliar(clusters(2000, seed=2)[0]).mean() == pytest.approx(familiarity.SHARE, abs=0.01)
    assert fitted.unfamiliar(clusters(100, seed=3, at=6.0)[0]).all(), "in the wide direction many rows are as far"


def test_rows_that_do_not_differ_say_nothing_of_what_is_far() -> None:
    assert fit_familiarity(np.ones((10, 3), np.float32), np.zeros(10, int), np.ones((5, 3), np.float32)) is None


def with_familiarity(folder: Path) -> Predictor:
    """Familiar: rows about one thing. In the embedding each word is a direction."""
    write_bundle(folder)
    predictor = Predictor(open_bundle(folder))
    known = ["card lost", "card stolen", "iban transfer", "send iban", "fee cost", "cost cost"] * 10
    embeddings = predictor.outputs([predictor.input.parse({"text": text}) for text in known])["embedding"]
    random = np.random.default_rng(0)
    embeddings = embeddings + random.normal(0, 0.01, embeddings.shape).astype(np.float32)
    fitted = fit_familiarity(embeddings, np.arange(60) % 6 // 2, embeddings)
    assert fitted is not None
    fitted.save(folder)
    (folder / "bundle.json").unlink()
    seal(folder, **fields(target={"labels": LABELS, "unfamiliar_share": familiarity.SHARE}))
    return Predictor(open_bundle(folder))


def test_an_answer_says_whether_its_row_is_unfamiliar_and_an_older_bundle_does_not(tmp_path: Path) -> None:
    predictor = with_familiarity(tmp_path / "new")
    rows = [predictor.input.parse({"text": text}) for text in ("card lost", "what is this about")]
    assert [each.answer["unfamiliar"] for each in predictor.answer(rows)] == [False, True]
    assert "unfamiliar" in [column.name for column in predictor.columns]
    assert familiarity.FILE in served_files(predictor.manifest)
    write_bundle(tmp_path / "old")
    older = Predictor(open_bundle(tmp_path / "old"))
    assert older.answer(rows)[0].answer.keys() == {"label", "score", "top"}
    assert "unfamiliar" not in [column.name for column in older.columns]


def test_a_bundle_whose_file_does_not_say_what_is_familiar_is_refused(tmp_path: Path) -> None:
    with pytest.raises(BundleError, match=familiarity.FILE):
        open_familiarity(tmp_path)
    (tmp_path / familiarity.FILE).write_bytes(b"torn")
    with pytest.raises(BundleError, match="does not say what is familiar"):
        open_familiarity(tmp_path)
    np.savez(tmp_path / familiarity.FILE, whitening=np.eye(2), means=np.ones((2, 3)), limit=1.0)
    with pytest.raises(BundleError, match="does not fit"):
        open_familiarity(tmp_path)
