"""Two folders are added to a checkout, and all that Boatyard does works for them: nothing else was changed."""

import csv
import gzip
import io
import json
import shutil
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import pytest
from checkout import make_checkout
from problems import assert_problem
from servers import ServerProcess
from sharing import made_once
from toyshop import CHOSEN, copy_with_toys, environment, make_shop, run, visits, write_visits

from boatyard.registry import aliases, versions
from boatyard.storage import open_storage

pytestmark = [pytest.mark.integration, pytest.mark.slow]

JUDGED, ASKED = 200, 250
OWN_FORMAT = "text/x-clicks"


@pytest.fixture(scope="module")
def shop(request: pytest.FixtureRequest) -> Path:
    return made_once(request, "shop", make_shop)


@dataclass(frozen=True)
class Asked:
    """What a server in the checkout answered before it ended, so that its journal is in the storage."""

    root: Path
    answers: list[dict[str, Any]]
    raw: dict[str, Any]
    refusals: list[httpx.Response]
    feedback: list[httpx.Response]
    jobs: dict[str, list[dict[str, Any]]]
    metrics: str

    def journal(self, event: str) -> list[dict[str, Any]]:
        files = sorted((self.root / "journal").rglob("*.gz"))
        lines = [json.loads(line) for file in files for line in gzip.decompress(file.read_bytes()).splitlines()]
        return [line for line in lines if line["event"] == event]


@pytest.fixture(scope="module")
def asked(shop: Path, tmp_path_factory: pytest.TempPathFactory) -> Asked:
    """Visits during a sale, which the model has never seen."""
    root = shutil.copytree(shop, tmp_path_factory.mktemp("asked") / "shop")
    now = list(visits(ASKED, seed=1, sale=True))
    server = ServerProcess(root, root / "server.log", **environment(root), BOATYARD_MODEL="clicks")
    with server, httpx.Client(base_url=server.url, timeout=60) as client:
        listed = client.post("/predict", json={"inputs": [{"clicks": clicks} for clicks, _ in now]})
        answers = listed.raise_for_status().json()["predictions"]
        one = client.post("/predict", json={"clicks": now[0][0]}).raise_for_status().json()
        raw = client.post("/predict", content=" ".join(now[0][0]), headers={"Content-Type": OWN_FORMAT})
        told = [
            client.post("/feedback", json={"id": answer["id"], "count": bought})
            for answer, (_, bought) in zip(answers[:JUDGED], now, strict=False)
        ]
        refusals = [
            client.post("/predict", json={"clicks": []}),
            client.post("/predict", json={"inputs": [{"clicks": ["home"]}, {"clicks": 7}]}),
            client.post("/feedback", json={"id": one["id"], "count": -1}),
            client.post("/predict", content=b"\xff", headers={"Content-Type": OWN_FORMAT}),
        ]
        jobs = {form: finished(client, form, content) for form, content in files([clicks for clicks, _ in now[:50]])}
        metrics = client.get("/metrics").text
        assert server.stop() == 0
    return Asked(root, [one, *answers], raw.raise_for_status().json(), refusals, told, jobs, metrics)


def files(rows: list[list[str]]) -> Iterator[tuple[str, str]]:
    """The same rows in each format that a job may have."""
    table = io.StringIO()
    csv.writer(table).writerows([["clicks"], *([" ".join(clicks)] for clicks in rows)])
    yield "text/csv", table.getvalue()
    yield "application/x-ndjson", "".join(json.dumps({"clicks": clicks}) + "\n" for clicks in rows)
    yield OWN_FORMAT, "".join(" ".join(clicks) + "\n" for clicks in rows)


def finished(client: httpx.Client, form: str, content: str) -> list[dict[str, Any]]:
    """The answers of a job."""
    submitted = client.post("/jobs", content=content, headers={"Content-Type": form}).raise_for_status().json()
    limit = time.monotonic() + 60
    while (job := client.get(f"/jobs/{submitted['id']}").json())["state"] == "running":
        assert time.monotonic() < limit
        time.sleep(0.05)
    assert job["state"] == "finished", job
    return [json.loads(line) for line in client.get(f"/jobs/{job['id']}/result").text.splitlines()]


# ---- learning


def bundle(shop: Path) -> Path:
    storage = open_storage(str(shop))
    return shop / "models" / "clicks" / aliases(storage, "clicks")["production"]


def test_the_pipeline_publishes_a_bundle_that_names_its_input_and_its_task(shop: Path) -> None:
    manifest = json.loads((bundle(shop) / "bundle.json").read_text())
    assert (manifest["format"], manifest["input"], manifest["task"]) == (2, "clicks", "count")
    assert manifest["request_schema"]["required"] == ["clicks"]
    assert set(manifest["truth_schema"]["properties"]) == {"count"}
    assert all(isinstance(example["clicks"], list) for example in manifest["examples"])
    (served,) = manifest["metrics"]["served"]
    assert served["name"] == "deviance"
    assert not served["higher_is_better"]
    assert manifest["metrics"]["baseline_name"].startswith("Poisson")


def test_the_model_card_and_the_reports_speak_of_it(shop: Path) -> None:
    card = (bundle(shop) / "MODEL_CARD.md").read_text(encoding="utf-8")
    data, evaluation = (
        (shop / "reports" / part / "clicks" / "report.md").read_text(encoding="utf-8")
        for part in ("data", "evaluation")
    )
    assert [page.partition("\n")[0] for page in (card, data, evaluation)] == [
        "# clicks",
        "# Data: clicks",
        "# clicks: evaluation",
    ]
    assert "Reads clicks. Task: count." in card
    assert "| As served, int8 |" in card
    assert "## Limits\n\nA longer input is cut" in card
    assert "counted pages" in evaluation
    assert all("Deviance" in page for page in (card, evaluation))


def test_a_row_that_is_wrong_is_named_by_file_and_row(shop: Path, tmp_path: Path) -> None:
    wrong = tmp_path / "visits.csv"
    wrong.write_text("clicks,bought\nhome cart,2\nhome,many\n")
    said = run(shop, "boatyard.data", *CHOSEN, f"data.path={wrong}", f"paths.processed={tmp_path}", status=2)
    assert "visits.csv, row 3, column 'bought': holds 'many'; expected a whole number" in said


# ---- serving


def test_a_server_answers_one_visit_and_many_and_one_as_it_is(asked: Asked) -> None:
    assert len(asked.answers) == ASKED + 1
    assert asked.answers[0]["expected"] == pytest.approx(asked.answers[1]["expected"], rel=1e-5)
    assert asked.raw["expected"] == pytest.approx(asked.answers[0]["expected"], rel=1e-5)
    assert asked.raw["model"] == "clicks"


def test_what_is_no_visit_or_no_count_is_refused_with_its_place(asked: Asked) -> None:
    said = ("one page or more", "one page or more", "whole number", "one page or more")
    pointers = ("#/clicks", "#/inputs/1/clicks", "#/count", "#/clicks")
    for response, sentence, pointer in zip(asked.refusals, said, pointers, strict=True):
        problem = assert_problem(response, 422, sentence)
        assert [fault["pointer"] for fault in problem["errors"]] == [pointer]


def test_a_job_answers_a_file_of_every_format_alike(asked: Asked) -> None:
    expected = [answer["expected"] for answer in asked.answers[1:51]]
    for form, lines in asked.jobs.items():
        assert [line["row"] for line in lines] == list(range(1, 51)), form
        assert [line["expected"] for line in lines] == pytest.approx(expected, rel=1e-5), form


def test_metrics_have_the_columns_of_the_task_and_the_input(asked: Asked) -> None:
    answered = len(asked.answers) + 1 + 3 * 50
    assert f'boatyard_answer_number_count{{column="expected",model="clicks"}} {answered}.0' in asked.metrics
    assert 'input="clicks"' in asked.metrics
    assert 'task="count"' in asked.metrics


def test_the_journal_has_a_line_for_each_answer_and_each_correction(asked: Asked) -> None:
    assert all(response.is_success for response in asked.feedback)
    predictions, feedback = asked.journal("prediction"), asked.journal("feedback")
    assert len(predictions) == len(asked.answers) + 1 + 3 * 50
    line = next(line for line in predictions if line["id"] == asked.answers[0]["id"])
    assert (line["input"], line["task"], line["model"]) == ("clicks", "count", "clicks")
    assert line["answer"] == {"expected": asked.answers[0]["expected"]}
    assert line["measured"] == {"clicks_read": len(line["request"]["clicks"])}
    assert [set(line["truth"]) for line in feedback] == [{"count"}] * JUDGED


# ---- watching, and learning from it


@pytest.fixture(scope="module")
def look(asked: Asked) -> dict[str, Any]:
    """What the monitor reports."""
    run(asked.root, "boatyard.monitor", status=3, BOATYARD_MODEL="clicks", BOATYARD_DRIFT_LEAST="0.01")
    found: dict[str, Any] = json.loads((asked.root / "reports" / "drift" / "clicks.json").read_text())
    return found


def test_the_monitor_compares_the_columns_of_both_and_judges_by_the_tasks_score(look: dict[str, Any]) -> None:
    verdicts = {verdict["name"]: verdict for verdict in look["verdicts"]}
    assert {"expected", "clicks_read", "first_page", "embedding", "quality"} <= verdicts.keys()
    assert verdicts["quality"]["drifted"]
    assert verdicts["first_page"]["suspicious"]
    assert look["quality"]["feedback"] == JUDGED
    assert look["quality"]["score"]["name"] == look["quality"]["accepted"]["name"] == "deviance"
    assert look["quality"]["score"]["value"] > look["quality"]["accepted"]["value"]


def test_retraining_learns_from_the_corrections_and_promotes_what_is_better(asked: Asked) -> None:
    storage = open_storage(str(asked.root))
    before = aliases(storage, "clicks")["production"]
    printed = run(asked.root, "boatyard.retrain", *CHOSEN, "retrain.min_rows=100")
    (after,) = set(versions(storage, "clicks")) - {before}
    assert aliases(storage, "clicks")["production"] == after, printed


# ---- the cloud # part: cloud


def test_the_job_that_would_train_it_in_the_cloud_is_shown(tmp_path: Path) -> None:
    checkout = copy_with_toys(tmp_path / "checkout")
    write_visits(checkout / "visits.jsonl", rows=50)
    make_checkout(checkout)
    cloud = {"BOATYARD_STORAGE": "gs://a-bucket/shop", "GOOGLE_CLOUD_PROJECT": "a-project"}
    request = json.loads(run(checkout, "boatyard.cloud", "train", "--dry-run", *CHOSEN, **cloud))
    (pool,) = request["body"]["jobSpec"]["workerPoolSpecs"]
    assert {"data=clicks", "model=clicks"} <= set(pool["containerSpec"]["args"])
    assert request["body"]["labels"]["model"] == "clicks"
