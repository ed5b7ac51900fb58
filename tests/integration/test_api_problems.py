"""Whatever a client sends, it gets an answer or a problem document that says what is wrong."""

import asyncio
import bz2
import gzip
import hashlib
import json
import logging
import lzma
import os
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from errno import EACCES, ENOSPC, EROFS
from typing import Any

import pytest
from bundles import Publish
from fastapi import FastAPI
from hypothesis import HealthCheck, example, given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st
from problems import assert_problem
from servers import Serve, run_as_served
from starlette.testclient import TestClient

from boatyard import registry
from boatyard.api.jobs.store import Submission
from boatyard.api.problems import handle_problems
from boatyard.inputs.text.serving import TextInput
from boatyard.storage import Refused, Storage, Unavailable
from boatyard.storage.local import LocalStorage

pytestmark = pytest.mark.integration

JSON = {"content-type": "application/json"}
CSV = {"content-type": "text/csv"}
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
        (b'{"inputs": [{"text": "a"}], "text": "a"}', 422, "must be the only key"),
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


@pytest.mark.parametrize(("path", "sent"), [("/predict", JSON), ("/feedback", JSON), ("/jobs", CSV)])
def test_no_media_type_and_an_encoded_body_are_unsupported(client: TestClient, path: str, sent: dict[str, str]) -> None:
    assert_problem(client.post(path, content=b'{"text": "a"}'), 415, "untyped")
    for coding in ("gzip", "GZIP", "br", "identity, gzip"):
        encoded = client.post(path, content=gzip.compress(b"text\ncard"), headers=sent | {"content-encoding": coding})
        assert_problem(encoded, 415, f"content-encoding is {coding}")
    twice = [*sent.items(), ("content-encoding", "identity"), ("content-encoding", "gzip")]
    assert_problem(client.post(path, content=b"", headers=twice), 415, "gzip")
    plain = client.post(path, content=b"text\ncard", headers=sent | {"content-encoding": "Identity"})
    assert plain.status_code == (202 if path == "/jobs" else 400)


@pytest.mark.parametrize("cut", [1, 1000])
@pytest.mark.parametrize(
    ("packed", "said"),
    [
        (gzip.compress(b"text\ncard\n", mtime=0), "compressed by gzip"),
        (bz2.compress(b"text\ncard\n"), "compressed by bzip2"),
        (lzma.compress(b"text\ncard\n"), "compressed by xz"),
        (b"PK\x03\x04" + bytes(30), "a ZIP archive or an Excel workbook"),
    ],
)
def test_a_compressed_file_is_no_job(client: TestClient, storage: Storage, packed: bytes, said: str, cut: int) -> None:
    pieces = (packed[start : start + cut] for start in range(0, len(packed), cut))
    assert_problem(client.post("/jobs", content=pieces, headers=CSV), 415, f"the file is {said}.*unpack it")
    assert storage.list("jobs/") == []


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


@pytest.mark.parametrize("path", ["/", "/predict/", "/nothing", "/models/ferry", "/%00", "/%ff", "//", "/docs/x"])
def test_nothing_there_is_a_problem_too(client: TestClient, path: str) -> None:
    assert_problem(client.get(path), 404, "nothing at")


@pytest.mark.parametrize(
    ("method", "path", "allowed"),
    [
        ("GET", "/predict", "POST"),
        ("DELETE", "/predict", "POST"),
        ("POST", "/model", "GET, HEAD"),
        ("BREW", "/models", "GET, HEAD"),
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

    monkeypatch.setattr("boatyard.bundle.predict.Predictor.answer_each", fail)
    response = client.post("/predict", json={"text": "card"})
    document = assert_problem(response, 500)
    assert "secret" not in response.text
    assert "a secret" in caplog.text
    assert "POST /predict failed unexpectedly" in caplog.text
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


# ---- the query


def operations(client: TestClient) -> Iterator[tuple[str, str]]:
    """Every method and path that is described, with what may stand in the path."""
    standing = {"{job}": "x", "{name}": "ferry", "{version}": f"{'2' * 8}T{'0' * 6}Z-{'0' * 8}", "{alias}": "staging"}
    for path, methods in client.get("/openapi.json").json()["paths"].items():
        for template, value in {**standing, "{document}": "data.json"}.items():
            path = path.replace(template, value)
        yield from ((method.upper(), path) for method in methods)


@pytest.mark.usefixtures("promoted")
def test_a_parameter_that_no_route_knows_is_refused_by_each(serve: Serve) -> None:
    client = serve(admin_keys=(f"ana:{hashlib.sha256(b'admin').hexdigest()}",))
    for method, path in operations(client):
        answer = client.request(method, f"{path}?nonsense=1&nonsense=2&%ff", headers={"X-API-Key": "admin"})
        document = assert_problem(answer, 422, "'nonsense' is unknown")
        assert [fault["parameter"] for fault in document["errors"]] == ["nonsense", "\ufffd"], path


@pytest.mark.parametrize(
    ("query", "said"),
    [
        ("topk=1", "'topk' is unknown; did you mean top_k?"),
        ("TOP-K=1", "did you mean top_k?"),
        ("topk", "did you mean top_k?"),
        ("modle=ferry", "did you mean model?"),
        ("verbose=1", "there are: explain, model, top_k"),
        ("X-Request-Timeout-Ms=5", "there are: explain, model, top_k"),
        ("top_k=1&top_k=2", "'top_k' is given 2 times"),
        ("model=ferry&model=ferry", "'model' is given 2 times"),
        ("top_k=1&" + "a" * 5000, "a{60}' is unknown"),
    ],
)
def test_a_misspelt_or_repeated_parameter_is_named_with_the_nearest(client: TestClient, query: str, said: str) -> None:
    document = assert_problem(client.post(f"/predict?{query}", json={"text": "card"}), 422, said)
    assert len(document["errors"]) == 1
    assert len(document["errors"][0]["parameter"]) <= 60
    if "model" in query:
        assert_problem(client.post(f"/jobs?{query}", content=b"text", headers=CSV), 422, said)


# ---- HEAD


@pytest.mark.usefixtures("promoted")
def test_head_is_answered_where_get_is_with_its_headers_and_no_body(client: TestClient) -> None:
    paths = [path for method, path in operations(client) if method == "GET"]
    assert len(paths) >= 8
    for path in [*paths, "/docs", "/openapi.json", "/nothing"]:
        got, head = client.get(path), client.head(path)
        assert (head.status_code, head.content) == (got.status_code, b""), path
        assert head.headers["content-type"] == got.headers["content-type"]
        if path != "/metrics":
            assert head.headers["content-length"] == got.headers["content-length"], path
    assert_problem(client.get("/predict"), 405)
    assert client.head("/predict").headers["allow"] == "POST"
    assert not [path for path, methods in client.get("/openapi.json").json()["paths"].items() if "head" in methods]
    assert 'boatyard_requests_total{route="/healthz",status="200"} 2.0' in client.get("/metrics").text


# ---- a storage that refuses

REFUSALS: list[tuple[OSError, str, str | None]] = [
    (Unavailable("gs://bucket does not answer"), "the storage does not answer$", "10"),
    (Refused("gs://bucket: no permission"), "the storage does not let the server do this$", None),
    (OSError(EACCES, os.strerror(EACCES), "/secret"), "the storage does not let the server do this$", None),
    (OSError(EROFS, os.strerror(EROFS), "/secret"), "the storage does not let the server do this$", None),
    (OSError(ENOSPC, os.strerror(ENOSPC), "/secret"), "the storage is full$", "60"),
    (OSError("anything else"), "the storage does not answer$", "10"),
]


@pytest.mark.parametrize(("raised", "said", "wait"), REFUSALS, ids=lambda value: repr(value)[:30])
def test_a_storage_that_refuses_is_named_as_the_reason_on_every_route(
    promoted: str,
    serve: Serve,
    storage: Storage,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
    raised: OSError,
    said: str,
    wait: str | None,
) -> None:
    client = serve(admin_keys=(f"ana:{hashlib.sha256(b'admin').hexdigest()}",), watch_seconds=60)
    submission = Submission(storage, "ferry", promoted, "csv")
    job = submission.finish().id

    def refuse(*_: object) -> None:
        raise raised

    writing, reading = ("write", "write_once", "swap"), ("list", "folders", "read", "read_versioned")
    for reads in (False, True):  # at first it refuses what is written alone
        with monkeypatch.context() as patched:
            for method in [*writing, *(reading if reads else ())]:
                patched.setattr(LocalStorage, method, refuse)
            asked = [client.post("/jobs", content=b"text\ncard", headers=CSV)]
            if reads:
                admin = {"X-API-Key": "admin"}
                asked += [
                    *map(client.get, ["/models", f"/jobs/{job}", f"/jobs/{job}/result", f"/models/ferry/{promoted}"]),
                    client.get(f"/models/ferry/{promoted}/files/data.json"),
                    client.post("/models/ferry/aliases/marker", json={"version": promoted}, headers=admin),
                    client.post("/models/ferry/aliases/marker/rollback", headers=admin),
                ]
                assert_problem(client.post("/predict?model=ferry@marker", json={"text": "card"}), 503)
            for answer in asked:
                assert_problem(answer, 503, said)
                assert answer.headers.get("retry-after") == wait
    # what works on jobs meanwhile may tell the operator which file it was
    logged = "\n".join(record.getMessage() for record in caplog.records if record.name != "boatyard.api.jobs.worker")
    assert "marker" not in logged
    assert "/secret" not in logged
    assert "Traceback" not in caplog.text


def test_what_a_full_disk_had_taken_of_a_file_is_removed(
    client: TestClient, storage: Storage, monkeypatch: pytest.MonkeyPatch
) -> None:
    original = LocalStorage.write_once

    def fill(self: LocalStorage, key: str, data: bytes) -> None:
        if "/input/" in key:
            raise OSError(ENOSPC, os.strerror(ENOSPC))
        original(self, key, data)

    monkeypatch.setattr(LocalStorage, "write_once", fill)
    assert_problem(client.post("/jobs", content=b"text\ncard", headers=CSV), 503, "full")
    assert storage.list("jobs/") == []


def test_an_alias_that_was_broken_by_hand_is_no_unexpected_error(client: TestClient, storage: Storage) -> None:
    storage.write("models/ferry/aliases/broken.json", b"{}")
    assert_problem(client.get("/models"), 503, "cannot be used")


def test_who_waits_when_the_server_stops_is_told_so() -> None:
    app = FastAPI()
    handle_problems(app)

    @app.get("/")
    async def wait() -> None:
        await asyncio.sleep(60)

    async def stop() -> list[Any]:
        sent: list[Any] = []

        async def send(message: Any) -> None:
            sent.append(message)

        scope = {"type": "http", "method": "GET", "path": "/", "query_string": b"", "headers": []}
        request = asyncio.ensure_future(app(scope, asyncio.Event().wait, send))  # type: ignore[arg-type]
        await asyncio.sleep(0.05)
        request.cancel()
        await request
        return sent

    start, body = run_as_served(stop())
    assert start["status"] == 503
    assert b"the server stopped" in body["body"]


def test_inputs_at_which_the_model_fails_are_named_and_fail_no_other_request(
    storage: Storage, publish: Publish, serve: Serve, caplog: pytest.LogCaptureFixture
) -> None:
    registry.promote(storage, "ferry", publish(poison=["arsenic"]).version)
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
    whole = getattr(TextInput, where)

    def failing(model: TextInput, rows: Any) -> Any:
        if any(row == ("arsenic",) or getattr(row, "cost", 0) == 8 for row in rows):
            raise ValueError("arsenic")
        return whole(model, rows)

    monkeypatch.setattr(TextInput, where, failing)
    text = "arsenic" if where == "encode" else "card " * 8
    assert_problem(client.post("/predict", json={"text": text}), 422, "cannot answer this input")
    assert client.post("/predict", json={"text": "card"}).status_code == 200
