"""What the API answers, and which model answers it."""

import json
import logging
import os
import re
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
from bundles import LABELS, Publish, fields, tokenizer, write_bundle
from problems import assert_problem
from pydantic import BaseModel
from servers import Serve
from starlette.testclient import TestClient

from boatyard import registry
from boatyard.api import batching, models
from boatyard.bundle.manifest import seal
from boatyard.bundle.predict import Prediction, Predictor
from boatyard.config.processes import allowed_cores
from boatyard.inputs.text.serving import request_schema
from boatyard.registry import Reference
from boatyard.storage import LocalStorage, Storage

pytestmark = pytest.mark.integration


def eventually(check: Callable[[], bool]) -> None:
    """The server looks at its alias now and then."""
    limit = time.monotonic() + 10
    while not check():
        assert time.monotonic() < limit
        time.sleep(0.01)


def answered_by(client: TestClient) -> str:
    version: str = client.post("/predict", json={"text": "card"}).json()["version"]
    return version


# ---- answers


def test_one_input_gets_one_answer(client: TestClient, promoted: str) -> None:
    answer = client.post("/predict", json={"text": "my card was stolen"}).json()
    assert answer.keys() == {"id", "label", "score", "top", "model", "version", "truncated", "duration_ms"}
    assert (answer["label"], answer["model"], answer["version"]) == ("card_lost", "ferry", promoted)
    assert answer["top"][0] == {"label": answer["label"], "score": answer["score"]}
    assert answer["truncated"] is False
    assert answer["duration_ms"] > 0


def test_a_list_gets_a_list_in_its_order_equal_to_one_by_one(client: TestClient) -> None:
    inputs = [{"text": text} for text in ("fee", "send a transfer to this iban today please", "card")] * 30
    answers = client.post("/predict", json={"inputs": inputs}).json()["predictions"]
    alone = [client.post("/predict", json=one).json() for one in inputs]
    assert len({answer["id"] for answer in [*answers, *alone]}) == 2 * len(inputs)
    for answer, single in zip(answers, alone, strict=True):
        assert (answer["label"], answer["truncated"]) == (single["label"], single["truncated"])
        assert answer["score"] == pytest.approx(single["score"], abs=1e-6)


def test_a_long_input_is_answered_and_said_to_be_truncated(client: TestClient) -> None:
    answer = client.post("/predict", json={"text": "card " * 39}).json()
    assert answer["label"] == "card_lost"
    assert answer["truncated"] is True


@pytest.mark.parametrize(("top_k", "given"), [(1, 1), (2, 2), (100, len(LABELS))])
def test_top_k_is_capped_at_the_labels(client: TestClient, top_k: int, given: int) -> None:
    assert len(client.post(f"/predict?top_k={top_k}", json={"text": "card"}).json()["top"]) == given


def test_a_threshold_is_taken_by_a_model_with_a_positive_label_alone(
    client: TestClient, storage: Storage, publish: Publish, serve: Serve
) -> None:
    assert_problem(client.post("/predict?threshold=0.5", json={"text": "card"}), 422, "'threshold' is unknown")
    made = publish(name="fees", target={"labels": LABELS, "positive": "fees"})
    registry.promote(storage, "fees", made.version)
    telling = serve(model=Reference("fees"))
    assert telling.post("/predict?threshold=0", json={"text": "card"}).json()["label"] == "fees"
    assert telling.post("/predict", json={"text": "card"}).json()["label"] == "card_lost"
    for wrong in ("2", "-0.1", "nan", "high", ""):
        assert_problem(telling.post(f"/predict?threshold={wrong}", json={"text": "card"}), 422, "threshold")
    parameters = telling.get("/openapi.json").json()["paths"]["/predict"]["post"]["parameters"]
    assert "threshold" in [each["name"] for each in parameters]


def test_a_media_type_with_parameters_is_json_too(client: TestClient) -> None:
    headers = {"content-type": "Application/JSON; charset=utf-8"}
    assert client.post("/predict", content=b'{"text": "card"}', headers=headers).status_code == 200


def test_the_card_is_the_manifest_less_files_and_config(client: TestClient, promoted: str) -> None:
    card = client.get("/model").json()
    assert (card["name"], card["version"], card["target"]) == ("ferry", promoted, {"labels": LABELS})
    assert (card["format"], card["input"], card["task"]) == (2, "text", "classification")
    assert [score["name"] for score in card["metrics"]["served"]] == ["accuracy"]
    assert not {"files", "config"} & card.keys()


def test_models_lists_versions_and_aliases(client: TestClient, promoted: str) -> None:
    assert client.get("/models").json() == {
        "models": [{"name": "ferry", "versions": [promoted], "aliases": {"production": promoted}}]
    }


def test_a_pair_is_asked_for_by_its_own_fields(storage: Storage, publish: Publish, serve: Serve) -> None:
    made = publish(name="news", request_schema=request_schema(["title", "text"], 100), examples=[])
    registry.promote(storage, "news", made.version)
    client = serve(model=Reference("news"))
    assert client.post("/predict", json={"text": "fee", "title": "fee"}).json()["label"] == "fees"
    assert_problem(client.post("/predict", json={"text": "fee"}), 422, "title")


# ---- which model answers


def test_another_version_or_alias_answers_on_request(
    client: TestClient, storage: Storage, publish: Publish, promoted: str
) -> None:
    other = publish(bias=(0, 0, 50)).version
    registry.promote(storage, "ferry", other, "staging")
    for reference, version in [("ferry@staging", other), (f"ferry@{other}", other), ("ferry", promoted)]:
        answer = client.post(f"/predict?model={reference}", json={"text": "card"}).json()
        assert answer["version"] == version
    assert client.post(f"/predict?model=ferry@{other}", json={"text": "card"}).json()["label"] == "fees"


def test_a_promotion_and_a_rollback_need_no_restart(
    client: TestClient, storage: Storage, publish: Publish, promoted: str
) -> None:
    other = publish(bias=(0, 0, 50)).version
    registry.promote(storage, "ferry", other)
    eventually(lambda: answered_by(client) == other)
    registry.rollback(storage, "ferry")
    eventually(lambda: answered_by(client) == promoted)


def test_a_promoted_version_that_cannot_be_loaded_leaves_the_last_one_serving(
    client: TestClient, storage: Storage, publish: Publish, promoted: str, caplog: pytest.LogCaptureFixture
) -> None:
    torn = publish(bias=(1, 0, 0)).version
    storage.write(f"models/ferry/{torn}/model.onnx", b"")
    registry.promote(storage, "ferry", torn)
    eventually(lambda: "boatyard_default_model_failed 1.0" in client.get("/metrics").text)
    assert "model.onnx has 0 bytes" in caplog.text
    assert answered_by(client) == promoted
    assert client.get("/readyz").json()["version"] == promoted
    assert_problem(client.post(f"/predict?model=ferry@{torn}", json={"text": "card"}), 503, "torn")


@pytest.mark.parametrize("reference", ["fery", "ferry@nothing", "ferry@20260101T000000Z-00000000"])
def test_an_unknown_model_is_not_found(client: TestClient, reference: str) -> None:
    assert_problem(client.post(f"/predict?model={reference}", json={"text": "card"}), 404, "ferry")


@pytest.mark.parametrize("reference", ["", "..", "In", "ferry@", "ferry@../x", "%00", "%ff", "a" * 70])
def test_a_reference_that_is_none_is_refused(client: TestClient, reference: str) -> None:
    document = assert_problem(client.post(f"/predict?model={reference}", json={"text": "card"}), 422)
    assert document["errors"][0]["parameter"] == "model"


def test_only_a_few_named_models_stay_loaded_beside_the_default(
    client: TestClient, publish: Publish, promoted: str
) -> None:
    first, second, *rest = (publish(bias=(bias, 0, 0)).version for bias in range(1, models.NAMED_MODELS + 2))
    for version in [first, second, *rest[:-1], first, rest[-1]]:
        assert client.post(f"/predict?model=ferry@{version}", json={"text": "card"}).status_code == 200
    loaded = re.findall(r'boatyard_model_info\{.*version="(.*)"\} 1', client.get("/metrics").text)
    assert set(loaded) == {promoted, first, *rest}  # `second` was used the longest ago


def test_a_model_asked_for_by_many_at_once_is_loaded_once(
    client: TestClient, publish: Publish, monkeypatch: pytest.MonkeyPatch
) -> None:
    opened = []
    original = models.Models._open

    def counted(self: models.Models, exact: Reference) -> Any:
        opened.append(exact)
        time.sleep(0.05)
        return original(self, exact)

    monkeypatch.setattr(models.Models, "_open", counted)
    path = f"/predict?model=ferry@{publish(bias=(1, 0, 0)).version}"
    with ThreadPoolExecutor(8) as pool:
        answers = pool.map(lambda _: client.post(path, json={"text": "card"}).status_code, range(8))
        assert set(answers) == {200}
    assert len(opened) == 1


def test_no_more_inputs_are_run_at_once_than_there_are_cores(
    promoted: str,  # noqa: ARG001 - published first
    serve: Serve,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(os, "sched_getaffinity", lambda _: {0}, raising=False)
    client = serve()
    running, most = 0, 0
    original = Predictor.answer_each

    def counted(self: Predictor, *arguments: Any) -> list[Prediction]:
        nonlocal running, most
        running += 1
        most = max(most, running)
        time.sleep(0.02)
        running -= 1
        return original(self, *arguments)

    monkeypatch.setattr(Predictor, "answer_each", counted)
    with ThreadPoolExecutor(8) as pool:
        list(pool.map(lambda _: client.post("/predict", json={"text": "card"}), range(8)))
    assert most == 1


# ---- more than can be answered


@pytest.fixture
def stuck(client: TestClient, monkeypatch: pytest.MonkeyPatch) -> Iterator[list[str]]:  # noqa: ARG001 - started first
    """Every run waits until the test ends; what it was to answer."""
    gate, asked = threading.Event(), []
    original = Predictor.answer_each

    def held(self: Predictor, rows: Sequence[Any], options: Sequence[BaseModel]) -> list[Prediction]:
        asked.extend(text for (text,) in rows)
        gate.wait(20)
        return original(self, rows, options)

    monkeypatch.setattr(Predictor, "answer_each", held)
    yield asked
    gate.set()


def test_past_its_time_a_request_gets_504_and_is_not_worked_on(client: TestClient, stuck: list[str]) -> None:
    hurried = {"X-Request-Timeout-Ms": "50"}
    for text in ["card"] * (allowed_cores() + 3):
        assert_problem(client.post("/predict", json={"text": text}, headers=hurried), 504, "not ready")
    assert len(stuck) == allowed_cores()


@pytest.mark.parametrize("patience", ["0", "-1", "soon", "600001"])
def test_a_patience_that_is_none_is_refused(client: TestClient, patience: str) -> None:
    refused = client.post("/predict", json={"text": "card"}, headers={"X-Request-Timeout-Ms": patience})
    assert assert_problem(refused, 422)["errors"][0]["parameter"] == "X-Request-Timeout-Ms"


@pytest.mark.usefixtures("stuck")
def test_with_too_much_waiting_a_request_gets_503_at_once_and_when_to_come_back(
    client: TestClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(batching, "MOST_WAITING", 1)
    hurried = {"X-Request-Timeout-Ms": "2000"}
    with ThreadPoolExecutor(16) as pool:
        answers = list(
            pool.map(lambda _: client.post("/predict", json={"text": "card"}, headers=hurried), range(2 + 9))
        )
    refused = [answer for answer in answers if answer.status_code == 503]
    assert refused
    for answer in refused:
        assert_problem(answer, 503, "more to do than it can")
        assert int(answer.headers["retry-after"]) >= 1
    assert {answer.status_code for answer in answers} == {503, 504}


# ---- no model


def test_without_a_model_the_server_lives_and_says_why_it_is_not_ready(
    serve: Serve, caplog: pytest.LogCaptureFixture
) -> None:
    client = serve()
    assert client.get("/healthz").json() == {"status": "ok"}
    for response in (
        client.get("/readyz"),
        client.get("/model"),
        client.post("/predict", json={"text": "card"}),
    ):
        assert_problem(response, 503, "no model 'ferry'; there are none yet")
    assert "no model 'ferry'" in caplog.text
    assert client.get("/openapi.json").status_code == 200
    assert client.get("/models").json() == {"models": []}


def test_a_model_that_is_published_later_makes_the_server_ready(
    serve: Serve, storage: Storage, publish: Publish
) -> None:
    client = serve()
    assert client.get("/readyz").status_code == 503
    registry.promote(storage, "ferry", publish().version)
    eventually(lambda: client.get("/readyz").status_code == 200)
    assert client.post("/predict", json={"text": "card"}).status_code == 200


def test_a_torn_default_is_not_verified_again_at_every_request(
    storage: Storage, promoted: str, serve: Serve, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole = storage.read(f"models/ferry/{promoted}/model.onnx")
    storage.write(f"models/ferry/{promoted}/model.onnx", whole[:-1])
    monkeypatch.setattr(models, "RETRY_SECONDS", 0.5)
    client = serve()
    assert_problem(client.get("/readyz"), 503, "torn: model.onnx")
    storage.write(f"models/ferry/{promoted}/model.onnx", whole)
    time.sleep(0.2)  # looked at several times
    assert client.get("/readyz").status_code == 503
    eventually(lambda: client.get("/readyz").status_code == 200)


def test_a_bundle_whose_own_example_fails_is_not_served(storage: Storage, publish: Publish, serve: Serve) -> None:
    registry.promote(storage, "ferry", publish(examples=[{"txt": "card"}]).version)
    assert_problem(serve().get("/readyz"), 503, "unknown field 'txt'")


def test_a_graph_that_fails_on_the_bundles_own_example_is_not_served(
    storage: Storage, serve: Serve, tmp_path: Path
) -> None:
    write_bundle(tmp_path / "bundle")
    larger = tokenizer()
    larger.add_tokens(["my"])  # the graph has no vector for it
    larger.save(str(tmp_path / "bundle/tokenizer.json"))
    sealed = seal(tmp_path / "bundle", **fields())
    registry.publish(storage, tmp_path / "bundle")
    registry.promote(storage, "ferry", sealed.version)
    assert_problem(serve().get("/readyz"), 503, "cannot be loaded")


def test_a_storage_that_cannot_be_read_is_unavailable_not_an_error(
    client: TestClient, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def fail(*_: object) -> None:
        raise OSError("the disk is gone")

    monkeypatch.setattr(LocalStorage, "read_versioned", fail)
    with caplog.at_level(logging.ERROR):
        assert client.post("/predict", json={"text": "card"}).status_code == 200  # the loaded model still answers
    assert_problem(
        client.post("/predict?model=ferry@staging", json={"text": "card"}), 503, "the storage does not answer$"
    )


# ---- metrics and description


def test_metrics_count_requests_predictions_and_models(client: TestClient, promoted: str) -> None:
    client.post("/predict", json={"inputs": [{"text": "card"}, {"text": "fee " * 20}]})
    client.post("/predict", json={})
    client.get("/predict")
    client.get("/some/path/of/a/scanner")
    response = client.get("/metrics")
    assert response.headers["content-type"].startswith("text/plain; version=")
    for line in [
        'boatyard_requests_total{route="/predict",status="200"} 1.0',
        'boatyard_requests_total{route="/predict",status="422"} 1.0',
        'boatyard_requests_total{route="/predict",status="405"} 1.0',
        'boatyard_requests_total{route="other",status="404"} 1.0',
        'boatyard_request_duration_seconds_count{route="/predict"} 3.0',
        'boatyard_predictions_total{model="ferry"} 2.0',
        'boatyard_answers_total{category="card_lost",column="label",model="ferry"} 1.0',
        'boatyard_answers_total{category="fees",column="label",model="ferry"} 1.0',
        'boatyard_answer_number_bucket{column="score",le="0.1",model="ferry"} 0.0',
        'boatyard_answer_number_bucket{column="score",le="+Inf",model="ferry"} 2.0',
        'boatyard_answer_number_count{column="score",model="ferry"} 2.0',
        'boatyard_truncated_total{model="ferry"} 1.0',
        f'boatyard_model_info{{input="text",name="ferry",task="classification",version="{promoted}"}} 1.0',
    ]:
        assert line in response.text


def test_openapi_describes_what_the_loaded_model_takes(client: TestClient) -> None:
    document = client.get("/openapi.json").json()
    body = document["paths"]["/predict"]["post"]["requestBody"]["content"]["application/json"]
    one, many = body["schema"]["anyOf"]
    assert one["required"] == ["text"]
    assert many["properties"]["inputs"]["items"] == one
    for sample in body["examples"].values():
        assert client.post("/predict", json=sample["value"]).status_code == 200


def test_openapi_describes_what_the_loaded_models_task_takes_and_answers(client: TestClient) -> None:
    document = client.get("/openapi.json").json()
    parameters = {each["name"]: each["schema"] for each in document["paths"]["/predict"]["post"]["parameters"]}
    assert list(parameters) == ["model", "explain", "top_k", "X-Request-Timeout-Ms", "X-API-Key"]
    assert (parameters["top_k"]["minimum"], parameters["top_k"]["maximum"]) == (1, 100)
    schemas = document["components"]["schemas"]
    assert schemas["Answer"]["properties"]["label"]["enum"] == LABELS
    assert schemas["Feedback"]["required"] == ["id", "label"]


def test_openapi_documents_every_problem_as_one(client: TestClient) -> None:
    document = client.get("/openapi.json").json()
    responses = document["paths"]["/predict"]["post"]["responses"]
    assert responses.keys() == {"200", *map(str, (400, 401, 403, 404, 408, 413, 415, 422, 429, 500, 503, 504))}
    references = set(re.findall(r'"\$ref": "#/components/schemas/(\w+)"', json.dumps(document)))
    assert references <= document["components"]["schemas"].keys()
    for path in document["paths"].values():
        for operation in path.values():
            for status, response in operation["responses"].items():
                assert ("application/problem+json" in response["content"]) == (int(status) >= 400)


def test_the_docs_page_loads_only_what_this_server_sends(client: TestClient) -> None:
    page = client.get("/docs").text
    addresses = re.findall(r'(?:href|src)="([^"]+)"', page)
    assert len(addresses) == 3
    assert not [address for address in addresses if "//" in address]
    for address in [*addresses, "openapi.json"]:
        assert address in page
        assert client.get(f"/{address}").status_code == 200
