"""Text to a number: from rows to a model in production that is judged by its error, and learned from feedback."""

import csv
import gzip
import json
import random
from dataclasses import dataclass

import pytest
from stages import small_config

from boatyard.bundle.predict import Predictor
from boatyard.config.schema import Config
from boatyard.inputs.training_protocol import TARGET
from boatyard.pipeline.publish import Published
from boatyard.pipeline.run import run_pipeline
from boatyard.registry import aliases
from boatyard.retrain.run import retrain
from boatyard.storage import open_storage

pytestmark = [pytest.mark.integration, pytest.mark.slow]

WORTH = {"awful": 1.0, "poor": 2.0, "fine": 3.0, "good": 4.0, "great": 5.0}
THINGS = ("boat", "dock", "rope", "sail", "quay", "pump")


@dataclass(frozen=True)
class World:
    config: Config
    published: Published


def rated(rows: int, seed: int, things: tuple[str, ...] = THINGS) -> list[tuple[str, float]]:
    draw = random.Random(seed)
    chosen = [(draw.choice(things), draw.choice(list(WORTH)), draw.choice(list(WORTH))) for _ in range(rows)]
    return [
        (f"the {thing} was {first} and then {second}, visit {number}", round((WORTH[first] + WORTH[second]) / 2, 2))
        for number, (thing, first, second) in enumerate(chosen)
    ]


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> World:
    root = tmp_path_factory.mktemp("stars")
    with (root / "stars.csv").open("w", newline="") as file:
        csv.writer(file).writerows([("text", "stars"), *rated(300, seed=0)])
    config = small_config(
        root,
        "data=csv",
        f"data.path={root / 'stars.csv'}",
        "data.name=stars",
        "data.task=regression",
        "data.target=stars",
        "data.unit=stars",
        "retrain.min_rows=40",
        "train.num_train_epochs=4",
    )
    return World(config, run_pipeline(config))


def test_rows_with_numbers_become_a_model_that_answers_with_one_and_an_interval(world: World) -> None:
    predictor = Predictor(world.published.bundle)
    good, bad = predictor.answer([("the boat was great and then great",), ("the boat was awful and then awful",)])
    assert good.answer["value"] > 3.5 > 2.5 > bad.answer["value"]
    assert good.answer["low"] < good.answer["value"] < good.answer["high"]
    assert good.answer["unit"] == "stars"


def test_its_manifest_card_and_report_name_its_error_beside_the_baselines(world: World) -> None:
    folder, manifest = world.published.bundle.folder, world.published.bundle.manifest
    assert manifest.accepted is not None
    assert (manifest.accepted.name, manifest.accepted.higher_is_better) == ("mean_absolute_error", False)
    assert manifest.metrics.baseline_name == "TF-IDF, ridge"
    assert sorted(manifest.target["quantiles"]) == manifest.target["quantiles"]
    assert "truth of 90% of validation rows" in (folder / "MODEL_CARD.md").read_text(encoding="utf-8")
    assert "| Interval coverage |" in (folder / "report.md").read_text(encoding="utf-8")
    assert {"answers.png", "residuals.png"} <= manifest.files.keys()


def test_a_version_with_a_larger_error_is_published_but_not_promoted(world: World) -> None:
    config = world.config
    assert config.model.text is not None
    encoder_alone = config.model.model_copy(update={"text": config.model.text.model_copy(update={"wide": False})})
    one_step = config.train.model_copy(update={"max_steps": 1})
    worse = config.model_copy(update={"model": encoder_alone, "train": one_step})
    refusal = run_pipeline(worse).refusal
    assert refusal is not None
    assert refusal.startswith("its mean absolute error is 0.")
    version = world.published.bundle.manifest.version
    assert aliases(open_storage(config.paths.storage), "stars") == {"production": version}


def test_feedback_with_numbers_is_learned_from_and_judged_by_the_error(world: World) -> None:
    """What people ask now is of things that the first model has never seen, and twice what it would be worth."""
    config, storage = world.config, open_storage(world.config.paths.storage)
    lines = []
    for number, (text, stars) in enumerate(rated(160, seed=1, things=("haven", "crane"))):
        facts = {"id": f"a{number}", "time": "2026-01-01T00:00:00.000+00:00"}
        line = {"model": "stars", "request": {"text": text}, "answer": {"value": 3.0}}
        lines += [
            {"event": "prediction", **facts, **line},
            {"event": "feedback", **facts, "truth": {"value": 2 * stars}},
        ]
    content = "".join(json.dumps(line) + "\n" for line in lines).encode()
    storage.write_once("journal/date=2026-01-01/a-1.jsonl.gz", gzip.compress(content))
    outcome = retrain(config)
    traffic, test = outcome.comparisons
    assert {score.name for one in (traffic, test) for score in (one.before, one.after)} == {"mean_absolute_error"}
    assert traffic.better
    assert traffic.after.value < traffic.before.value
    held_out = [json.loads(line) for line in storage.read(f"{outcome.data}/held-out.jsonl").splitlines()]
    assert len(held_out) == traffic.rows
    assert all(line.keys() == {"text", TARGET} and line[TARGET] >= 2 for line in held_out)
    assert aliases(storage, "stars")["production"] == (
        world.published.bundle.manifest.version if outcome.refusal else outcome.version
    )
