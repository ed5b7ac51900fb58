"""A model that is fitted at once goes the way of those that are trained, and leaves no checkpoint."""

import json
from pathlib import Path

import numpy as np
import pytest
from stages import small_config

from boatyard.bundle.predict import Predictor
from boatyard.config.errors import UserError
from boatyard.config.schema import Config
from boatyard.data.encode import encode
from boatyard.data.prepare import prepare
from boatyard.evaluate.run import evaluate
from boatyard.export.run import export
from boatyard.model import open_network, predict
from boatyard.train.fit import train
from boatyard.train.profile.run import profile

pytestmark = [pytest.mark.integration, pytest.mark.slow]

SMALL = ("data=houses", "model=boosting", "model.table.boosting.learning_rate=0.2", "tracking=none")


@pytest.fixture(scope="module")
def config(tmp_path_factory: pytest.TempPathFactory) -> Config:
    return small_config(tmp_path_factory.mktemp("boosting"), small=SMALL)


def test_it_is_fitted_evaluated_and_served(config: Config) -> None:
    prepared = prepare(config)
    encoded = encode(config, prepared)
    trained = train(config, prepared, encoded)
    assert trained.metrics["steps"] == 0
    assert trained.metrics["validation"].keys() == {"mean_absolute_error", "root_mean_squared_error", "loss"}
    assert not list(trained.run.glob("checkpoints/*"))
    bundle = export(config, prepared, trained, evaluate(config, prepared, encoded, trained))
    predictor, rows = Predictor(bundle), prepared.rows("test")
    served = predictor.outputs(rows)
    exact = predict(config, open_network(trained.folder), encoded.folder, encoded.splits["test"])
    assert served.keys() == exact.keys() == {"value", "spread"}
    for name, values in exact.items():
        assert np.ravel(served[name]) == pytest.approx(np.ravel(values), rel=2e-6)
    kept = {file.name for file in Path(bundle.folder).iterdir()}
    assert {"model.onnx", "model.safetensors", "config.json", "columns.json"} <= kept
    scores = json.loads((Path(bundle.folder) / "metrics.json").read_text(encoding="utf-8"))
    assert scores["scores"][0]["value"] < scores["baseline"]["scores"][0]["value"]


def test_the_same_settings_fit_the_same(config: Config, tmp_path: Path) -> None:
    again = small_config(tmp_path, small=SMALL)
    weights = [
        (train(each, prepared, encode(each, prepared)).folder / "model.safetensors").read_bytes()
        for each in (config, again)
        if (prepared := prepare(each))
    ]
    assert weights[0] == weights[1]


def test_it_has_no_steps_to_profile(config: Config) -> None:
    prepared = prepare(config)
    with pytest.raises(UserError, match="no steps to profile"):
        profile(config, prepared, encode(config, prepared))
