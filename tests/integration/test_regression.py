"""A model that answers with numbers is served like any other: predictions, feedback, jobs, the journal, metrics."""

import math
from pathlib import Path

import pytest
from bundles import write_regression_bundle
from jobs import finished, result, submit
from jsonschema import Draft202012Validator
from problems import assert_problem
from servers import Serve
from starlette.testclient import TestClient

from boatyard import registry
from boatyard.journal import read
from boatyard.registry import Reference
from boatyard.storage import Storage

pytestmark = pytest.mark.integration

ANSWER = {
    "value": 5.0,
    "low": 2.5,
    "high": 7.5,
    "level": 0.9,
    "unit": "EUR",
}  # to "iban iban", with two special tokens worth 0


@pytest.fixture
def client(tmp_path: Path, storage: Storage, serve: Serve) -> TestClient:
    write_regression_bundle(tmp_path / "sealed")
    version = registry.publish(storage, tmp_path / "sealed").version
    registry.promote(storage, "prices", version)
    return serve(model=Reference("prices"))


def test_a_number_is_answered_with_its_interval_in_the_same_envelope(client: TestClient) -> None:
    answer = client.post("/predict", json={"text": "iban iban"}).json()
    assert answer.keys() == {"id", *ANSWER, "model", "version", "truncated", "duration_ms"}
    assert {key: answer[key] for key in ANSWER} == ANSWER


def test_its_description_is_what_it_takes_and_answers(client: TestClient) -> None:
    document = client.get("/openapi.json").json()
    operation = document["paths"]["/predict"]["post"]
    assert [parameter["name"] for parameter in operation["parameters"]] == [
        "model",
        "explain",
        "level",
        "X-Request-Timeout-Ms",
        "X-API-Key",
    ]
    schemas = document["components"]["schemas"]
    answered = client.post("/predict", json={"text": "fee"}).json()
    answers = Draft202012Validator(schemas["Answer"])
    assert answers.is_valid(answered)
    assert not answers.is_valid(answered | {"value": "100"})
    assert not answers.is_valid({key: value for key, value in answered.items() if key != "version"})
    assert schemas["Feedback"]["required"] == ["id", "value"]


def test_an_option_of_another_task_is_refused(client: TestClient) -> None:
    refused = client.post("/predict?top_k=3", json={"text": "fee"})
    assert_problem(refused, 422, "'top_k' is unknown; there are: explain, level, model")


@pytest.mark.parametrize("right", ["4.5", None, True, [4.5], 1e16, 10**400])
def test_feedback_that_is_no_number_is_refused(client: TestClient, right: object) -> None:
    answered = client.post("/predict", json={"text": "fee"}).json()["id"]
    refused = client.post("/feedback", json={"id": answered, "value": right})
    (error,) = assert_problem(refused, 422, '"value" must')["errors"]
    assert error["pointer"] == "#/value"
    assert_problem(client.post("/feedback", json={"id": answered, "label": "fees"}), 422, 'has a "value"')


def test_the_journal_has_the_numbers_and_the_truth(client: TestClient, storage: Storage) -> None:
    answered = client.post("/predict", json={"text": "iban iban"}).json()
    taken = client.post("/feedback", json={"id": answered["id"], "value": 4})
    assert (taken.status_code, taken.json()) == (202, {"id": answered["id"], "value": 4.0})
    client.__exit__(None, None, None)
    line, feedback = read(storage)
    assert (line["input"], line["task"], line["model"]) == ("text", "regression", "prices")
    assert (line["request"], line["measured"], line["answer"]) == ({"text": "iban iban"}, {"length": 4}, ANSWER)
    assert (feedback["id"], feedback["truth"]) == (answered["id"], {"value": 4.0})


def test_equal_truths_are_kept_as_the_same_number(client: TestClient) -> None:
    answered = client.post("/predict", json={"text": "fee"}).json()["id"]
    kept = [client.post("/feedback", json={"id": answered, "value": right}).text for right in (0, -0.0)]
    assert kept == [f'{{"id":"{answered}","value":0.0}}'] * 2


def test_a_job_has_a_number_for_each_row(client: TestClient) -> None:
    job = submit(client, "text\niban iban\n\ncard card\n")
    assert finished(client, job)["rows"] == 2
    first, second = result(client, job)
    assert first.keys() == {"row", "id", *ANSWER, "truncated"}
    assert (first["value"], second["value"]) == (5.0, 0.5)


def test_metrics_spread_the_numbers_over_the_models_own_buckets(client: TestClient) -> None:
    client.post("/predict", json={"inputs": [{"text": "card card"}, {"text": "iban iban"}, {"text": "fee " * 30}]})
    page = client.get("/metrics").text
    for bound, count in [("1.0", 1), ("10.0", 2), ("100.0", 3), ("+Inf", 3)]:
        assert f'boatyard_answer_number_bucket{{column="value",le="{bound}",model="prices"}} {count}.0' in page
    (total,) = (line for line in page.splitlines() if line.startswith("boatyard_answer_number_sum"))
    assert math.isclose(float(total.split()[1]), 0.5 + 5 + 100 * 6 / 8)
    assert 'boatyard_predictions_total{model="prices"} 3.0' in page
    assert "boatyard_answers_total{" not in page
