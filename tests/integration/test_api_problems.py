"""Whatever a client sends, it gets an answer or a problem document that says what is wrong."""

import json
import logging
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from bundles import Publish
from hypothesis import HealthCheck, example, given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st
from problems import assert_problem
from servers import Serve
from starlette.testclient import TestClient

from boatyard import registry
from boatyard.kinds.text.serving import TextModel
from boatyard.storage import Storage, Unavailable
from boatyard.storage.local import LocalStorage

pytestmark = pytest.mark.integration

JSON = {"content-type": "application/json"}
JOB = "/jobs/20260101T000000Z-0123456789abcdef"


@pytest.mark.parametrize(
    ("body", "status", "said"),
    [
        (b"", 400, "not JSON"),
        (b"{", 400, "not JSON"),
        (b'{"text": "a"', 400, "not JSON"),
        (b"\xff\xfe", 400, "not JSON"),
        (b'{"text": "\xed\xa0\x80"}', 400, "not JSON"),
        (b'{"text": "\\ud800"}', 400, "not JSON"),
        (b'{"text": NaN}', 400, "not JSON"),
        (b"[" * 100_000, 400, "not JSON"),
        (b'{"text": ' + b"[" * 100_000, 400, "not JSON"),
        (b"9" * 5000, 400, "not JSON"),
        (b"null", 422, "must be an object"),
        (b"[]", 422, "must be an object"),
        (b'"card"', 422, "must be an object"),
        (b"{}", 422, "missing"),
        (b'{"text": 1e999}', 422, "must be a string"),
        (b'{"text": ""}', 422, "blank"),
        (b'{"text": " \\n"}', 422, "blank"),
        (b'{"text": null}', 422, "must be a string"),
        (b'{"text": "a", "more": 1}', 422, "unknown field 'more'"),
        (b'{"inputs": []}', 422, "1 to 256 inputs, not 0"),
        (b'{"inputs": {}}', 422, "must be a list"),
        (b'{"inputs": [{"text": "a"}], "text": "a"}', 422, "stands alone"),
        (b'{"inputs": ["a"]}', 422, "must be an object"),
    ],
)
def test_a_wrong_body_is_a_problem_that_says_what_is_wrong(
    client: TestClient, body: bytes, status: int, said: str
) -> None:
    document = assert_problem(client.post("/predict", content=body, headers=JSON), status, said)
    assert ("errors" in document) == (status == 422)


def test_every_wrong_input_of_a_list_is_pointed_at(client: TestClient) -> None:
    inputs = [{"text": "card"}, {"text": 1}, {"text": "fee"}, {}, {"text": "a" * 201}]
    document = assert_problem(client.post("/predict", json={"inputs": inputs}), 422, "and 2 more")
    assert [error["pointer"] for error in document["errors"]] == [
        "#/inputs/1/text",
        "#/inputs/3/text",
        "#/inputs/4/text",
    ]


def test_a_list_may_hold_256_inputs_and_no_more(client: TestClient) -> None:
    full = [{"text": "card"}] * 256
    assert len(client.post("/predict", json={"inputs": full}).json()["predictions"]) == 256
    assert_problem(client.post("/predict", json={"inputs": [*full, {"text": "a"}]}), 422, "not 257")


@pytest.mark.parametrize("top_k", ["0", "101", "-1", "x", "1.5", "", "9" * 5000])
def test_a_wrong_top_k_is_named(client: TestClient, top_k: str) -> None:
    document = assert_problem(client.post(f"/predict?top_k={top_k}", json={"text": "card"}), 422, "top_k")
    assert document["errors"][0]["parameter"] == "top_k"


@pytest.mark.parametrize("media_type", ["text/plain", "application/x-www-form-urlencoded", "application/jsonp", "é"])
def test_another_media_type_is_unsupported(client: TestClient, media_type: str) -> None:
    headers = {"content-type": media_type.encode()}
    assert_problem(client.post("/predict", content=b'{"text": "a"}', headers=headers), 415, "application/json")


def test_no_media_type_and_an_encoded_body_are_unsupported(client: TestClient) -> None:
    assert_problem(client.post("/predict", content=b'{"text": "a"}'), 415, "untyped")
    encoded = client.post("/predict", content=b"\x1f\x8b", headers=JSON | {"content-encoding": "gzip"})
    assert_problem(encoded, 415, "gzip")


def test_a_body_over_a_mebibyte_is_too_large_declared_or_not(client: TestClient) -> None:
    body = json.dumps({"text": "a" * 1024 * 1024}).encode()
    assert_problem(client.post("/predict", content=body, headers=JSON), 413)

    chunks = (b" " * 65536 for _ in range(17))
    assert_problem(client.post("/predict", content=chunks, headers=JSON), 413)


def test_a_mebibyte_itself_is_not_too_large(client: TestClient) -> None:
    body = b'{"text": "card"}'.ljust(1024 * 1024)
    assert client.post("/predict", content=body, headers=JSON).status_code == 200
    assert client.post("/predict", content=iter([body[:9], body[9:]]), headers=JSON).status_code == 200


@pytest.mark.parametrize("declared", ["-1", "x", "\xb2", "9" * 5000])
def test_an_odd_content_length_is_no_server_error(client: TestClient, declared: str) -> None:
    headers = JSON | {"content-length": declared.encode("latin-1")}
    response = client.post("/predict", content=b'{"text": "card"}', headers=headers)  # type: ignore[arg-type]
    assert response.status_code in (200, 400, 413)


@pytest.mark.parametrize("path", ["/", "/predict/", "/nothing", "/models/inbox", "/%00", "/%ff", "//", "/docs/x"])
def test_nothing_there_is_a_problem_too(client: TestClient, path: str) -> None:
    assert_problem(client.get(path), 404, "nothing at")


@pytest.mark.parametrize(
    ("method", "path", "allowed"),
    [
        ("GET", "/predict", "POST"),
        ("DELETE", "/predict", "POST"),
        ("POST", "/model", "GET"),
        ("BREW", "/models", "GET"),
    ],
)
def test_another_method_is_told_which_is_allowed(client: TestClient, method: str, path: str, allowed: str) -> None:
    response = client.request(method, path)
    assert_problem(response, 405, method)
    assert response.headers["allow"] == allowed


def test_an_unexpected_error_tells_the_client_only_where_to_look(
    client: TestClient, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def fail(*_: object) -> None:
        raise RuntimeError("a secret")

    monkeypatch.setattr("boatyard.predict.Predictor.answer", fail)
    response = client.post("/predict", json={"text": "card"})
    document = assert_problem(response, 500)
    assert "secret" not in response.text
    assert "a secret" in caplog.text
    assert document["instance"] in caplog.text
    assert 'boatyard_requests_total{route="/predict",status="500"} 1.0' in client.get("/metrics").text


def test_a_client_that_leaves_midway_is_no_server_error(client: TestClient, caplog: pytest.LogCaptureFixture) -> None:
    arriving = iter([{"type": "http.request", "body": b'{"te', "more_body": True}, {"type": "http.disconnect"}])
    sent = []

    async def receive() -> Any:
        return next(arriving)

    async def send(message: Any) -> None:
        sent.append(message)

    headers = [(b"content-type", b"application/json")]
    scope = {"type": "http", "method": "POST", "path": "/predict", "query_string": b"", "headers": headers}
    assert client.portal
    client.portal.call(client.app, scope, receive, send)
    assert sent[0]["status"] == 400
    assert not [record for record in caplog.records if record.levelno >= logging.ERROR]


ANY_TEXT = st.text(st.characters(exclude_categories=[]), max_size=50)
ANY_JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | ANY_TEXT,
    lambda inner: (
        st.lists(inner, max_size=4) | st.dictionaries(st.sampled_from(["text", "inputs"]) | ANY_TEXT, inner, max_size=3)
    ),
    max_leaves=10,
)


@hypothesis_settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    ANY_JSON.map(lambda value: json.dumps(value).encode())  # escapes surrogates as clients can
    | ANY_TEXT.map(lambda text: json.dumps({"text": text}).encode())
    | ANY_TEXT.map(lambda text: json.dumps({"text": text}, ensure_ascii=False).encode(errors="surrogatepass"))
    | st.binary(max_size=100)
)
@example(b'{"text": "\\u0000"}')
@example(b'{"\\ud800": "a"}')
@example(b'{"text": "a", "' + b"k" * 100_000 + b'": 1}')
def test_no_body_makes_the_server_fail(client: TestClient, body: bytes) -> None:
    response = client.post("/predict", content=body, headers=JSON)
    if response.status_code != 200:
        assert_problem(response, response.status_code)
        assert response.status_code in (400, 422)


@pytest.mark.parametrize("path", ["/models", JOB, f"{JOB}/result"])
def test_a_storage_that_does_not_answer_is_no_fault_of_the_server(
    client: TestClient, monkeypatch: pytest.MonkeyPatch, path: str
) -> None:
    def unavailable(*_: object) -> None:
        raise Unavailable("gs://secret-bucket does not answer")

    for method in ("list", "read", "read_versioned"):
        monkeypatch.setattr(LocalStorage, method, unavailable)
    response = client.get(path)
    assert_problem(response, 503, "storage does not answer$")
    assert response.headers["retry-after"] == "10"


def test_inputs_at_which_the_model_fails_are_named_and_fail_no_other_request(
    storage: Storage, publish: Publish, serve: Serve, caplog: pytest.LogCaptureFixture
) -> None:
    registry.promote(storage, "inbox", publish(poison=["arsenic"]).version)
    client = serve()
    texts = ["card", "some arsenic", "fee", "arsenic"]
    asked = {"inputs": [{"text": text} for text in texts]}
    with ThreadPoolExecutor(8) as pool:
        answers = [pool.submit(client.post, "/predict", json={"text": texts[n % 4]}) for n in range(32)]
        together = client.post("/predict", json=asked)
        statuses = [answer.result().status_code for answer in answers]
    assert statuses == [200, 422] * 16
    document = assert_problem(together, 422, "the model cannot answer this input")
    assert [error["pointer"] for error in document["errors"]] == ["#/inputs/1", "#/inputs/3"]
    alone = assert_problem(client.post("/predict", json={"text": "arsenic"}), 422)
    assert [error["pointer"] for error in alone["errors"]] == ["#"]
    assert "arsenic" not in caplog.text


@pytest.mark.parametrize("where", ["encode", "collate"])
def test_whatever_raises_while_an_input_is_answered_is_not_the_servers_failure(
    client: TestClient, monkeypatch: pytest.MonkeyPatch, where: str
) -> None:
    whole = getattr(TextModel, where)

    def failing(model: TextModel, rows: Any) -> Any:
        if any(row == ("arsenic",) or getattr(row, "length", 0) == 8 for row in rows):
            raise ValueError("arsenic")
        return whole(model, rows)

    monkeypatch.setattr(TextModel, where, failing)
    text = "arsenic" if where == "encode" else "card " * 8
    assert_problem(client.post("/predict", json={"text": text}), 422, "cannot answer this input")
    assert client.post("/predict", json={"text": "card"}).status_code == 200
