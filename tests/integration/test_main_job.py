"""The README's walk on the bundled rows: the pipeline, a server, feedback, a job, the monitor, and learning from it."""

import csv
import json
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import httpx
import pytest
from servers import ServerProcess
from stages import small_config

from boatyard import journal
from boatyard.config.schema import Config
from boatyard.monitor.run import Monitor
from boatyard.monitor.settings import Settings as MonitorSettings
from boatyard.pipeline.publish import Published
from boatyard.pipeline.run import run_pipeline
from boatyard.registry import aliases, parse_reference, versions
from boatyard.retrain.run import retrain
from boatyard.storage import Storage, open_storage

pytestmark = [pytest.mark.integration, pytest.mark.slow]

INBOX = Path(__file__).parents[2] / "data" / "raw" / "inbox.csv"
JUDGED = 160  # messages whose label comes back as feedback


@dataclass(frozen=True)
class World:
    config: Config
    storage: Storage
    published: Published
    server: ServerProcess
    client: httpx.Client


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    """`invoke pipeline` as it is, but for two epochs; and `invoke serve`."""
    root = tmp_path_factory.mktemp("main-job")
    config = small_config(root, f"data.path={INBOX}", "train.num_train_epochs=2", small=())
    published = run_pipeline(config)
    with (
        ServerProcess(config.paths.storage, root / "server.log", BOATYARD_MODEL="inbox") as server,
        httpx.Client(base_url=server.url, timeout=60) as client,
    ):
        yield World(config, open_storage(config.paths.storage), published, server, client)


@pytest.fixture(scope="module")
def messages() -> list[tuple[str, str]]:
    """Such as the model has not seen, with what they are about."""
    with INBOX.open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    return [(f"good morning, {row['text']}", row["label"]) for row in rows[:: len(rows) // JUDGED]][:JUDGED]


def test_the_bundled_rows_become_a_model_in_production_that_is_better_than_the_baseline(world: World) -> None:
    manifest = world.published.bundle.manifest
    assert aliases(world.storage, "inbox") == {"production": manifest.version}
    served, baseline = manifest.metrics.served[0], manifest.metrics.baseline[0]
    assert manifest.metrics.rows == 413
    assert served.name == baseline.name == "accuracy"
    assert served.value > baseline.value > 0.5
    assert manifest.metrics.precision == "int8"


def test_it_answers_over_http_one_message_and_several(world: World) -> None:
    one = world.client.post("/predict", json={"text": "my card was stolen on the bus"}).raise_for_status().json()
    assert (one["model"], one["version"]) == ("inbox", world.published.bundle.manifest.version)
    inputs = [{"text": "where is my card"}, {"text": "what does a transfer cost"}]
    several = world.client.post("/predict?top_k=2", json={"inputs": inputs}).raise_for_status().json()
    assert [len(answer["top"]) for answer in several["predictions"]] == [2, 2]
    assert world.client.get("/readyz").json()["version"] == one["version"]


def test_a_file_of_rows_is_answered_line_by_line(world: World) -> None:
    job = world.client.post("/jobs", content=INBOX.read_bytes(), headers={"content-type": "text/csv"}).json()["id"]
    limit = time.monotonic() + 120
    while (state := world.client.get(f"/jobs/{job}").json())["state"] == "running":
        assert time.monotonic() < limit
        time.sleep(0.1)
    assert (state["state"], state["rows"], state["bad"]) == ("finished", 1960, 0)
    lines = [json.loads(line) for line in world.client.get(f"/jobs/{job}/result").text.splitlines()]
    with INBOX.open(encoding="utf-8", newline="") as file:
        right = [row["label"] == line["label"] for row, line in zip(csv.DictReader(file), lines, strict=True)]
    assert sum(right) > 0.6 * len(right)


def test_what_people_say_is_journalled_watched_and_learned(world: World, messages: list[tuple[str, str]]) -> None:
    answers = []
    for text, label in messages:
        answers.append(world.client.post("/predict", json={"text": text}).raise_for_status().json())
        world.client.post("/feedback", json={"id": answers[-1]["id"], "label": label}).raise_for_status()
    assert world.server.stop() == 0, "then its journal is in the storage"
    kept = {line["id"] for line in journal.read(world.storage) if line["event"] == "prediction"}
    assert {answer["id"] for answer in answers} <= kept

    settings = MonitorSettings(storage=world.config.paths.storage, model=parse_reference("inbox"))
    findings, page = Monitor(settings, days=1).run()
    assert findings.quality.feedback == JUDGED
    assert findings.quality.score is not None
    right = sum(answer["label"] == label for answer, (_, label) in zip(answers, messages, strict=True))
    assert findings.quality.score.value == pytest.approx(right / JUDGED)
    assert "inbox: drift" in page

    before = aliases(world.storage, "inbox")["production"]
    outcome = retrain(world.config)
    assert outcome.version in versions(world.storage, "inbox")
    assert outcome.comparisons[0].rows > 0.2 * JUDGED
    assert aliases(world.storage, "inbox") == {"production": before if outcome.refusal else outcome.version}
