"""What was published, and journalled, before there were inputs and tasks is still served, and read."""

import csv
import shutil
from collections import Counter
from pathlib import Path

import pytest
from servers import Serve
from starlette.testclient import TestClient

from boatyard.journal import read
from boatyard.registry import Reference
from boatyard.storage import Storage

pytestmark = pytest.mark.integration

FIXTURE = Path(__file__).parents[1] / "fixtures" / "format-1"
VERSION = "20261128T065304Z-bc836377"


@pytest.fixture
def old_client(tmp_path: Path, serve: Serve) -> TestClient:
    shutil.copytree(FIXTURE / "storage", tmp_path / "storage")
    return serve(model=Reference("moorings"))


def test_a_bundle_of_format_1_is_served(old_client: TestClient) -> None:
    with (FIXTURE / "rows.csv").open() as file:
        rows = list(csv.DictReader(file))[:100]
    card = old_client.get("/model").json()
    assert (card["format"], card["version"], card["input"], card["task"]) == (2, VERSION, "text", "classification")
    assert card["target"] == {"labels": ["berth", "fuel", "repair"]}
    answers = old_client.post("/predict", json={"inputs": [{"text": row["text"]} for row in rows]}).json()
    right = sum(answer["label"] == row["label"] for answer, row in zip(answers["predictions"], rows, strict=True))
    assert right >= 90
    assert old_client.get(f"/models/moorings/{VERSION}/files/calibration.png").status_code == 200


def test_it_answers_today_as_it_did_and_takes_feedback_on_an_answer_from_then(
    old_client: TestClient, storage: Storage
) -> None:
    before = next(read(storage))
    answer = old_client.post("/predict", json=before["request"]).json()
    assert answer["label"] == before["answer"]["label"]
    assert answer["score"] == pytest.approx(before["answer"]["score"], abs=1e-6)
    assert old_client.post("/feedback", json={"id": before["id"], "label": "fuel"}).status_code == 202
    old_client.__exit__(None, None, None)
    lines = list(read(storage))
    assert Counter(frozenset(line) for line in lines if line["event"] == "feedback").keys() == {
        frozenset(("event", "id", "time", "model", "version", "truth"))
    }
    assert len({frozenset(line) for line in lines if line["event"] == "prediction"}) == 1, "old and new read alike"
    (last,) = (line for line in lines if line["time"] > "2026-11-28T06:54" and line["event"] == "feedback")
    assert (last["id"], last["version"], last["truth"]) == (before["id"], VERSION, {"label": "fuel"})
