"""Feedback on a model of bundle format 1 is learned from, and that model is what its successor must beat."""

import shutil
from dataclasses import dataclass
from pathlib import Path

import pytest
from stages import small_config

from boatyard.config.errors import UserError
from boatyard.config.schema import Config
from boatyard.data.prepare import prepare
from boatyard.pipeline.publish import publish_bundle
from boatyard.registry import Reference, aliases, fetch
from boatyard.registry.staging import stage
from boatyard.retrain.run import Round, retrain
from boatyard.storage import open_storage

pytestmark = [pytest.mark.integration, pytest.mark.slow]

FIXTURE = Path(__file__).parents[1] / "fixtures" / "format-1"
VERSION = "20261128T065304Z-bc836377"
ACCURACY = 0.9461538461538461  # as it was accepted with then, on the test split of the same rows


@dataclass(frozen=True)
class Retrained:
    config: Config
    outcome: Round


@pytest.fixture(scope="module")
def retrained(tmp_path_factory: pytest.TempPathFactory) -> Retrained:
    """A network of one step: whatever it learned, it is worse."""
    root = tmp_path_factory.mktemp("format-1")
    shutil.copytree(FIXTURE / "storage", root / "storage")
    rows = shutil.copy(FIXTURE / "rows.csv", root)
    data = "data=csv", "data.name=moorings", f"data.path={rows}", "model.text.max_tokens=32", "model.text.wide=false"
    config = small_config(root, *data, "retrain.min_rows=40", "train.max_steps=1", "export.precision=fp32")
    return Retrained(config, retrain(config))


def test_feedback_in_its_journal_is_learned_from_and_compared_on(retrained: Retrained) -> None:
    traffic, test = retrained.outcome.comparisons
    lines = open_storage(retrained.config.paths.storage).read(f"{retrained.outcome.data}/held-out.jsonl").splitlines()
    assert len(lines) == traffic.rows > 20
    assert (test.rows, test.before.value) == (130, ACCURACY)
    assert test.worse
    assert (retrained.outcome.refusal or "").startswith("on ")
    assert aliases(open_storage(retrained.config.paths.storage), "moorings") == {"production": VERSION}


def test_a_successor_is_staged_beside_it(retrained: Retrained) -> None:
    verdict = stage(retrained.config, "moorings", retrained.outcome.version)
    assert verdict.production is not None
    assert (verdict.production.version, verdict.production.score.value) == (VERSION, ACCURACY)
    (sentence,) = (refusal for refusal in verdict.refusals if "accuracy" in refusal)
    assert sentence.endswith("production's 0.9462; staging.max_score_loss is 0")


def test_a_successor_that_is_worse_does_not_take_its_place(retrained: Retrained) -> None:
    config = retrained.config
    reference = Reference("moorings", retrained.outcome.version)
    bundle = fetch(open_storage(config.paths.storage), reference, Path(config.paths.runs, "fetched"))
    published = publish_bundle(config, prepare(config), bundle)
    assert (published.refusal or "").startswith("its accuracy is 0.9462 on the same test rows, the new version's ")
    assert published.reference == reference


def test_rows_of_another_task_do_not_retrain_it(tmp_path: Path) -> None:
    shutil.copytree(FIXTURE / "storage", tmp_path / "storage")
    rows = tmp_path / "prices.csv"
    rows.write_text("text,price\n" + "".join(f"mooring number {number},{number}\n" for number in range(60)))
    data = "data=csv", "data.task=regression", "data.target=price", "data.name=moorings", f"data.path={rows}"
    with pytest.raises(UserError, match=r"takes text for classification, and the rows are text for regression: give"):
        retrain(small_config(tmp_path, *data))
