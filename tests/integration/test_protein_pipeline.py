"""Proteins go the way from files to answers, and the report says what a split by chance would say."""

import json
from pathlib import Path

import numpy as np
import pytest
from stages import small_config
from tiny_esm import write_esm

from boatyard.bundle.predict import Predictor
from boatyard.data.encode import encode
from boatyard.data.prepare import prepare
from boatyard.evaluate.run import evaluate
from boatyard.export.run import export
from boatyard.model import open_network, predict
from boatyard.train.fit import train

pytestmark = [pytest.mark.integration, pytest.mark.slow]

SMALL = (
    "data=resistance",
    "train.num_train_epochs=1",
    "train.eval_strategy=no",
    "train.save_strategy=no",
    "tracking=none",
)


@pytest.fixture(params=["residues", "esm2"])
def chosen(request: pytest.FixtureRequest, tmp_path: Path) -> list[str]:
    if request.param == "residues":
        return ["model.protein.word_width=8"]
    return ["model=esm2", f"model.name={write_esm(tmp_path / 'esm')}", "model.protein.max_residues=100"]


def test_they_are_learnt_evaluated_and_served(chosen: list[str], tmp_path: Path) -> None:
    config = small_config(tmp_path, *chosen, "export.precision=fp32", small=SMALL)
    prepared = prepare(config)
    encoded = encode(config, prepared)
    trained = train(config, prepared, encoded)
    evaluation = evaluate(config, prepared, encoded, trained)
    bundle = export(config, prepared, trained, evaluation)
    predictor, rows = Predictor(bundle), prepared.rows("test")
    served = predictor.outputs(rows)
    exact = predict(config, open_network(trained.folder), encoded.folder, encoded.splits["test"])
    for name, values in exact.items():
        assert np.allclose(served[name], values, atol=1e-5)
    first = predictor.answer(rows[:1])[0]
    assert first.name == rows[0][1]
    assert predictor.map is not None
    assert {point.kind for point in predictor.map.points} == set(prepared.target["labels"])
    assert first.place is not None
    assert first.place.kind == first.answer["label"]

    metrics = json.loads((evaluation.folder / "metrics.json").read_text(encoding="utf-8"))
    honest, by_chance = (
        {s["name"]: s["value"] for s in scores}
        for scores in (metrics["baseline"]["scores"], metrics["baseline_by_chance"])
    )
    assert by_chance["macro_f1"] > honest["macro_f1"] + 0.05
    assert "What a split by chance would say" in (evaluation.folder / "report.md").read_text(encoding="utf-8")
