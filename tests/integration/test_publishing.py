"""Into the registry and on to an alias: what no server could load, and what an operator did meanwhile."""

import csv
import gzip
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from bundles import WORDS, Publish, write_bundle

from boatyard import registry
from boatyard.bundle.manifest import Bundle, BundleError, open_bundle
from boatyard.config.compose import load_config
from boatyard.config.schema import Config
from boatyard.data.prepare import Prepared, prepare
from boatyard.evaluate.served import served_score
from boatyard.inputs.text.serving import request_schema
from boatyard.pipeline.publish import Published, publish_bundle
from boatyard.registry import Reference
from boatyard.retrain.run import retrain
from boatyard.storage import Storage
from boatyard.tasks.score import Score

pytestmark = pytest.mark.integration

ALWAYS_ONE = (100, 0, 0)
Sealed = Callable[..., Bundle]


@pytest.fixture
def config(tmp_path: Path, storage: Storage) -> Config:  # noqa: ARG001 - made before it is named
    rows = tmp_path / "rows.csv"
    with rows.open("w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(["text", "label"])
        for label, words in WORDS.items():
            writer.writerows([f"{word} no{i}", label] for word in words for i in range(20))
    places = [f"paths.{place}={tmp_path / place}" for place in ("processed", "runs", "reports", "storage")]
    return load_config(["data=csv", "data.name=ferry", f"data.path={rows}", *places, "tracking=none"])


@pytest.fixture
def prepared(config: Config) -> Prepared:
    return prepare(config)


@pytest.fixture
def sealed(tmp_path: Path) -> Sealed:
    made = iter(range(100))

    def make(**changes: Any) -> Bundle:
        folder = tmp_path / f"candidate-{next(made)}"
        write_bundle(folder, **changes)
        return open_bundle(folder)

    return make


def production(storage: Storage) -> str | None:
    return registry.aliases(storage, "ferry").get("production")


@pytest.mark.parametrize("changes", [{"examples": [{"text": "x" * 201}]}, {"bias": (float("nan"), 0, 0)}])
def test_what_no_server_could_answer_with_displaces_nothing_and_is_not_published(
    config: Config, prepared: Prepared, storage: Storage, sealed: Sealed, publish: Publish, changes: dict[str, Any]
) -> None:
    good = publish(bias=(0, 1, 0)).version
    registry.promote(storage, "ferry", good)
    for alias in ("production", None):
        chosen = config.model_copy(update={"publish": config.publish.model_copy(update={"alias": alias})})
        with pytest.raises(BundleError, match="its own example"):
            publish_bundle(chosen, prepared, sealed(**changes))
    assert production(storage) == good
    assert registry.versions(storage, "ferry") == [good]


@pytest.mark.parametrize(
    ("changes", "why"),
    [
        ({"request_schema": request_schema(["text"], max_characters=100)}, "it takes other input; `invoke promote"),
        ({"truth_schema": {"type": "object"}}, "it answers another question; `invoke promote"),
    ],
)
def test_production_that_cannot_be_compared_stays(
    config: Config,
    prepared: Prepared,
    storage: Storage,
    sealed: Sealed,
    publish: Publish,
    changes: dict[str, Any],
    why: str,
) -> None:
    other = publish(bias=ALWAYS_ONE, **changes).version
    registry.promote(storage, "ferry", other)
    assert str(publish_bundle(config, prepared, sealed()).refusal).startswith(why)
    assert production(storage) == other


def test_what_an_operator_promotes_while_versions_are_compared_stays(
    config: Config,
    prepared: Prepared,
    storage: Storage,
    sealed: Sealed,
    publish: Publish,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    bad, chosen = publish(bias=ALWAYS_ONE).version, publish(bias=(0, 0, 1)).version
    registry.promote(storage, "ferry", bad)

    def slow(*arguments: Any) -> Score:
        registry.promote(storage, "ferry", chosen)
        return served_score(*arguments)

    monkeypatch.setattr("boatyard.pipeline.publish.served_score", slow)
    published = publish_bundle(config, prepared, sealed())
    assert published.refusal is not None
    assert f"it now points at {chosen}, not at {bad}" in published.refusal
    assert published.reference == Reference("ferry", published.bundle.manifest.version)
    assert production(storage) == chosen


def test_an_alias_that_an_operator_made_while_the_first_version_was_published_stays(
    config: Config,
    prepared: Prepared,
    storage: Storage,
    sealed: Sealed,
    publish: Publish,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    chosen = publish(bias=(0, 0, 1)).version

    def before_the_operator(*arguments: Any) -> dict[str, str]:
        seen = registry.aliases(*arguments)
        registry.promote(storage, "ferry", chosen)
        return seen

    monkeypatch.setattr("boatyard.pipeline.publish.aliases", before_the_operator)
    assert "not at nothing" in str(publish_bundle(config, prepared, sealed()).refusal)
    assert production(storage) == chosen


def test_what_an_operator_promotes_while_a_better_model_is_trained_stays(
    config: Config, storage: Storage, sealed: Sealed, publish: Publish, monkeypatch: pytest.MonkeyPatch
) -> None:
    bad, chosen = publish(bias=ALWAYS_ONE).version, publish(bias=(0, 0, 1)).version
    registry.promote(storage, "ferry", bad)
    journal(storage, bad)

    def train(_: Config) -> Published:
        registry.promote(storage, "ferry", chosen)
        version = registry.publish(storage, sealed(bias=(0, 1, 0)).folder).version
        reference = Reference("ferry", version)
        return Published(registry.fetch(storage, reference, Path("unused")), reference, "publish.alias is null")

    monkeypatch.setattr("boatyard.retrain.run.run_pipeline", train)
    outcome = retrain(config)
    assert all(comparison.better for comparison in outcome.comparisons)
    assert outcome.refusal is not None
    assert f"it now points at {chosen}, not at {bad}" in outcome.refusal
    assert production(storage) == chosen


def journal(storage: Storage, version: str) -> None:
    """Feedback on 200 answers."""
    lines = []
    for label, words in WORDS.items():
        for number in range(67):
            facts = {"id": f"{words[0]}{number}", "time": "2026-01-01T00:00:00.000+00:00"}
            asked = {"model": "ferry", "version": version, "request": {"text": f"the {words[1]} again {number}"}}
            lines += [
                {"event": "prediction", **facts, **asked, "answer": {}},
                {"event": "feedback", **facts, "truth": {"label": label}},
            ]
    content = "".join(json.dumps(line) + "\n" for line in lines).encode()
    storage.write_once("journal/date=2026-01-01/a-1.jsonl.gz", gzip.compress(content))
