"""Whatever text, bytes and paths a client makes up: an answer, or a problem document that is the client's fault."""

import csv
import io
import json
import re
import time
from collections.abc import Callable
from http.client import HTTPConnection
from pathlib import Path
from typing import Any
from urllib.parse import quote

import httpx
import pytest
from bundles import LABELS
from hypothesis import HealthCheck, assume, example, given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st
from problems import assert_problem
from servers import ServerProcess
from starlette.testclient import TestClient

from boatyard.api.jobs.routes import FORMATS
from boatyard.inputs.lines import Unreadable, check_start
from boatyard.inputs.texts import VISIBLE

pytestmark = pytest.mark.integration

JSON = {"content-type": "application/json"}
CSV = {"content-type": "text/csv"}
JSONL = {"content-type": "application/jsonl"}
MOST_CHARACTERS = 200  # of the tests' model

TEXT = st.text(st.characters(exclude_categories=["Cs"]), max_size=MOST_CHARACTERS + 10)
HALVES = st.text(st.characters(min_codepoint=0xD700, max_codepoint=0xE000), max_size=5)  # of surrogate pairs, mostly
ENCODINGS = st.sampled_from(["utf-8", "utf-8-sig", "utf-16", "utf-16-le", "utf-16-be", "utf-32", "cp1252", "cp437"])


def several(examples: int) -> Callable[[Any], Any]:
    return hypothesis_settings(
        max_examples=examples, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
    )


def assert_refused(response: httpx.Response, *statuses: int) -> None:
    assert response.status_code in statuses, response.text
    assert_problem(response, response.status_code)


def ended(client: TestClient, content: bytes, headers: dict[str, str]) -> tuple[dict[str, Any], list[dict[str, Any]]]:
    """A job's last state, and its result."""
    taken = client.post("/jobs", content=content, headers=headers)
    assert taken.status_code == 202, taken.text
    limit = time.monotonic() + 60
    while (state := client.get(taken.headers["location"]).json())["state"] == "running":
        assert time.monotonic() < limit
        time.sleep(0.002)
    result = client.get(f"{taken.headers['location']}/result")
    assert result.status_code == 200
    return state, [json.loads(line) for line in result.text.split("\n")[:-1]]


# ---- text


@several(200)
@given(TEXT | HALVES, st.booleans())
@example("\0", False)
@example("\ud83d\ude00", True)  # two halves that are a character together
@example("\ud800", True)
@example("\ufeff", False)
@example("\x1c", False)
@example("\u2028\u0085\u202e", False)
def test_every_text_is_answered_unless_it_is_blank_too_long_or_no_text(
    client: TestClient, text: str, escaped: bool
) -> None:
    body = json.dumps({"text": text}, ensure_ascii=escaped).encode(errors="surrogatepass")
    response = client.post("/predict", content=body, headers=JSON)
    try:  # escaped, two halves of a surrogate pair are a character
        meant = text.encode("utf-16", "surrogatepass").decode("utf-16") if escaped else text.encode().decode()
    except UnicodeError:
        assert_refused(response, 400)
    else:
        if len(meant) > MOST_CHARACTERS or not re.search(VISIBLE, meant):
            assert_refused(response, 422)
        else:
            assert response.status_code == 200, response.text


@several(100)
@given(TEXT | HALVES, TEXT)
def test_feedback_of_any_text_is_taken_or_refused(client: TestClient, label: str, prediction: str) -> None:
    known = client.post("/predict", json={"text": "card"}).json()["id"]
    response = client.post("/feedback", content=json.dumps({"id": known, "label": label}).encode(), headers=JSON)
    if response.status_code != 202 or response.json()["label"] not in LABELS:
        assert_refused(response, 400, 422)
    assert_refused(client.post("/feedback", json={"id": prediction, "label": "fees"}), 422)


@several(25)
@given(st.lists(TEXT, min_size=1, max_size=5), st.booleans())
@example(["\0", "a\0b", '"', "\r", "\u2028", "\x85", "\x1c", "😀"], True)
def test_rows_of_any_text_are_answered_as_if_each_were_asked_alone(
    client: TestClient, texts: list[str], as_csv: bool
) -> None:
    if as_csv:
        written = io.StringIO(newline="")
        csv.writer(written, quoting=csv.QUOTE_ALL).writerows([["text"], *([text] for text in texts)])
        content = written.getvalue().encode()
    else:
        content = "\n".join(json.dumps({"text": text}, ensure_ascii=False) for text in texts).encode()
    state, lines = ended(client, content, CSV if as_csv else JSONL)
    assert (state["state"], state["rows"]) == ("finished", len(texts))
    for text, line in zip(texts, lines, strict=True):
        alone = client.post("/predict", json={"text": text})
        assert line.get("label", line.get("error")) == alone.json().get("label", alone.json().get("detail"))


# ---- bytes


@several(100)
@given(TEXT, ENCODINGS, st.integers(0, 3), st.sampled_from(["", "; charset=utf-16", "; charset=x", ";;"]))
@example("café", "cp1252", 0, "; charset=latin-1")
@example("card", "utf-8-sig", 0, "")
def test_another_encoding_or_half_a_character_is_never_a_server_error(
    client: TestClient, text: str, encoding: str, cut: int, parameter: str
) -> None:
    whole = json.dumps({"text": text}, ensure_ascii=False).encode(encoding, "replace")
    for path in ("/predict", "/feedback"):
        for body in (whole, whole[: len(whole) - cut], whole + whole[:cut], whole.rstrip(b'"}')):
            response = client.post(path, content=body, headers={"content-type": f"application/json{parameter}"})
            if not response.is_success:
                assert_refused(response, 400, 422)
    assert_refused(client.post("/predict", content=whole[:-3], headers=JSON), 400)


def begins_as_no_text_does(client: TestClient, content: bytes, headers: dict[str, str]) -> bool:
    """Such a file is refused before it is a job."""
    try:
        check_start(content)
    except Unreadable:
        assert_refused(client.post("/jobs", content=content, headers=headers), 415)
        return True
    return False


@several(40)
@given(TEXT, ENCODINGS, st.integers(0, 3), st.sampled_from([CSV, JSONL]), st.booleans())
@example("café", "cp1252", 0, CSV, True)
def test_a_file_in_another_encoding_ends_with_reasons(
    client: TestClient, text: str, encoding: str, cut: int, headers: dict[str, str], named: bool
) -> None:
    rows = ["text", text, f'"{text}'] if headers is CSV else [json.dumps({"text": text}, ensure_ascii=False)] * 2
    whole = "\n".join(rows[0 if named else 1 :]).encode(encoding, "replace")
    content = whole[: len(whole) - cut]
    if begins_as_no_text_does(client, content, headers):
        return
    state, lines = ended(client, content, headers)
    assert bool(state.get("reason")) == (state["state"] == "failed")
    assert [line["row"] for line in lines] == [*range(1, len(lines) + 1)]
    shapes = ({"row", "error"}, {"row", "id", "label", "score", "top", "truncated"})
    assert all(line.keys() in shapes for line in lines)


@several(30)
@given(st.binary(max_size=300), st.sampled_from([CSV, JSONL]))
@example(b"\x1f\x8b", CSV)
def test_a_file_of_any_bytes_ends_unless_it_begins_as_no_text_does(
    client: TestClient, content: bytes, headers: dict[str, str]
) -> None:
    if begins_as_no_text_does(client, content, headers):
        return
    state, _ = ended(client, content, headers)
    assert state["state"] in ("finished", "failed")


@pytest.mark.parametrize("path", ["/predict", "/feedback"])
def test_ten_megabytes_in_one_line_are_too_large(client: TestClient, path: str) -> None:
    body = json.dumps({"text": "a" * 10_000_000}).encode()
    assert_problem(client.post(path, content=body, headers=JSON), 413)
    assert_problem(client.post(path, content=iter([body]), headers=JSON), 413)


@pytest.mark.parametrize("end", ["", "\n", "\ntext\n"])
@pytest.mark.parametrize(
    ("start", "headers"), [("text\n", CSV), ('text\n"', CSV), ('{"text": "', JSONL), ("[", JSONL), ("\0", JSONL)]
)
def test_ten_megabytes_in_one_line_of_a_file_are_one_bad_row(
    client: TestClient, start: str, headers: dict[str, str], end: str
) -> None:
    state, lines = ended(client, (start + "a" * 10_000_000 + end).encode(), headers)
    assert (state["state"], state["rows"]) == ("finished", 1 + end.count("text"))
    assert "longer than 1,048,576 bytes" in lines[0]["error"]


@pytest.mark.parametrize("depth", [10, 199, 201, 5_000, 400_000])
@pytest.mark.parametrize("opening", ["[", '{"inputs":', '{"text":', '{"id":[', '{"inputs":[{"text":'])
@pytest.mark.parametrize("path", ["/predict", "/feedback"])
def test_deep_json_is_refused(client: TestClient, path: str, opening: str, depth: int) -> None:
    deep = opening * min(depth, 1_000_000 // len(opening))
    closed = deep + "1" + "".join({"[": "]", "{": "}"}.get(character, "") for character in reversed(deep))
    for body in (deep, closed):
        assert_refused(client.post(path, content=body.encode(), headers=JSON), 400, 413, 422)


def test_deep_json_in_a_file_is_a_bad_row(client: TestClient) -> None:
    state, lines = ended(client, ("[" * 500_000 + "\n" + '{"text":' * 100_000 + '\n{"text": "card"}').encode(), JSONL)
    assert (state["state"], state["bad"]) == ("finished", 2)
    assert [line["row"] for line in lines if "not JSON" in line.get("error", "")] == [1, 2]


@several(60)
@given(st.text(st.characters(max_codepoint=0xFF, exclude_characters="\0\r\n"), max_size=50))
@example("application/json-seq")
@example("multipart/form-data; boundary=x")
@example("text/csv, application/json")
@example("a" * 8000)
def test_another_content_type_is_named_as_unsupported(client: TestClient, given_type: str) -> None:
    assume(
        given_type.partition(";")[0].strip().lower() not in ("application/json", *FORMATS)
    )  # drawn from the source, too
    for path in ("/predict", "/feedback", "/jobs"):
        response = client.post(path, content=b"{}", headers={"content-type": given_type.encode("latin-1")})
        assert_refused(response, 415)


# ---- paths

OUTSIDE = [
    "..",
    "../..",
    "../../outside",
    "../../../../../../etc/passwd",
    "/etc/passwd",
    "//etc/passwd",
    "file:///etc/passwd",
    "~",
    ".",
    "ferry/../../../outside",
    "..\\..\\outside",
    "C:\\outside",
    "ferry\0",
    "../../outside\0.json",
    "%2e%2e/%2e%2e/outside",  # quoted once more below, so that the server unquotes it to this
    "\uff0e\uff0e/\uff0e\uff0e/outside",  # full-width dots
    "\u2025/\u2025/outside",
    "..\u2215..\u2215outside",  # a division slash
    "\u0456nbox",  # a Cyrillic i
    "ferry\n",
    "ferry ",
    "INBOX",
    "a" * 10_000,
    "../" * 1_000,
]


@pytest.fixture
def outside(tmp_path: Path) -> Path:
    """Beside the storage, what no request may reach."""
    folder = tmp_path / "outside"
    folder.mkdir()
    for name in ("job.json", "bundle.json", "production.json", "end.json"):
        (folder / name).write_text('{"canary": "canary"}')
    return folder


@pytest.mark.usefixtures("outside")
@pytest.mark.parametrize("reference", OUTSIDE, ids=lambda reference: repr(reference[:40]))
def test_a_model_is_looked_for_in_the_registry_and_nowhere_else(client: TestClient, reference: str) -> None:
    for asked in (reference, f"ferry@{reference}", f"{reference}@production"):
        for written in {quote(asked), quote(asked, safe=""), quote(quote(asked, safe=""))}:
            for path in ("/predict", "/jobs"):
                headers = JSON if path == "/predict" else CSV
                response = client.post(f"{path}?model={written}", content=b'{"text": "card"}', headers=headers)
                document = assert_problem(response, 422, "model")
                assert document["errors"][0]["parameter"] == "model"
                assert "canary" not in response.text


NO_JOBS = [
    *OUTSIDE,
    "open",
    "20260101T000000Z-" + "0" * 16 + "\n",
    "20260101T000000Z-" + "0" * 16 + "/..",
    "\uff12\uff10\uff12\uff160101T000000Z-" + "0" * 16,  # full-width digits
    "20260101t000000z-" + "0" * 16,
]


@pytest.mark.usefixtures("outside", "promoted")
def test_a_job_is_looked_for_among_jobs_and_nowhere_else(tmp_path: Path) -> None:
    with ServerProcess(tmp_path / "storage", tmp_path / "log") as server:
        connection = HTTPConnection("127.0.0.1", server.port, timeout=20)  # unlike httpx, leaves dots as they are
        for job in NO_JOBS:
            once = quote(job, safe="")
            for written in {quote(job), once, quote(once, safe=""), once.replace(".", "%2e")}:
                for path in (f"/jobs/{written}", f"/jobs/{written}/result"):
                    connection.request("GET", path)
                    got = connection.getresponse()
                    response = httpx.Response(got.status, headers=got.getheaders(), content=got.read())
                    assert_problem(response, 404)
                    assert "canary" not in response.text
        connection.close()
    assert "Traceback" not in (tmp_path / "log").read_text()
