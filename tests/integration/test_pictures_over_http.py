"""Pictures over HTTP: as they are, in forms and in archives; whatever is sent, the server answers or says why not."""

import io
import threading
import time
import zipfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import httpx
import pytest
from jobs import finished, kill_in_job, result, submit
from pictures import BLUE, RED, plain, publish_pictures
from PIL import Image
from problems import assert_problem
from servers import Serve, ServerProcess
from starlette.testclient import TestClient

from boatyard.inputs.image import serving
from boatyard.inputs.image.pictures import read_picture
from boatyard.journal import Journal, read
from boatyard.storage import open_storage

pytestmark = pytest.mark.integration

PNG, ZIP = {"content-type": "image/png"}, {"content-type": "application/zip"}


@pytest.fixture
def pictures(tmp_path: Path, serve: Serve) -> TestClient:
    publish_pictures(tmp_path)
    return serve(model="colours")


def found(answer: dict[str, Any]) -> list[tuple[str, list[float]]]:
    return [(each["label"], each["box"]) for each in answer["objects"]]


def test_a_picture_is_answered_alike_however_it_is_sent(pictures: TestClient) -> None:
    sent = plain(RED)
    answers = [
        pictures.post("/predict", content=sent, headers=PNG),
        pictures.post("/predict", files={"file": ("a.png", sent)}),
        pictures.post("/predict", json=pictures.get("/model").json()["examples"][0]),
    ]
    assert [answer.status_code for answer in answers] == [200] * 3
    assert [found(answer.json()) for answer in answers] == [[("red", [10, 5, 30, 15])]] * 3


def test_a_picture_is_decoded_once_and_neither_that_nor_journalling_it_is_done_by_the_event_loop(
    pictures: TestClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    decoding: list[str] = []
    journalling: list[str] = []
    append = Journal.append

    def noting(journal: Journal, lines: Sequence[Mapping[str, Any]]) -> None:
        journalling.append(threading.current_thread().name)
        append(journal, lines)

    def decode(content: bytes, enough: int | None = None) -> Image.Image:
        decoding.append(threading.current_thread().name)
        return read_picture(content, enough)

    monkeypatch.setattr(serving, "read_picture", decode)
    monkeypatch.setattr(Journal, "append", noting)
    pictures.post("/predict", content=plain(RED), headers=PNG).raise_for_status()
    assert [name.partition(" worker")[0] for name in journalling] == ["AnyIO"]
    job = submit(pictures, archive(("a.png", plain(RED))), ZIP)
    finished(pictures, job)
    assert [name.partition(" worker")[0] for name in decoding] == ["AnyIO", "AnyIO"]


def test_a_client_waits_for_decoding_no_longer_than_it_says(
    pictures: TestClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    def decode(content: bytes, enough: int | None = None) -> Image.Image:
        time.sleep(0.2)
        return read_picture(content, enough)

    monkeypatch.setattr(serving, "read_picture", decode)
    refused = pictures.post("/predict", content=plain(RED), headers={**PNG, "x-request-timeout-ms": "100"})
    assert_problem(refused, 504)
    pictures.post("/predict", content=plain(RED), headers=PNG).raise_for_status()


def archive(*files: tuple[str, bytes]) -> bytes:
    made = io.BytesIO()
    with zipfile.ZipFile(made, "w", zipfile.ZIP_DEFLATED) as into:
        for name, content in files:
            into.writestr(name, content)
    return made.getvalue()


def test_a_client_may_ask_for_more_or_fewer_objects(pictures: TestClient) -> None:
    purple = plain((255, 0, 128))

    def labels(**query: Any) -> list[str]:
        answer = pictures.post("/predict", content=purple, headers=PNG, params=query).json()
        return [each["label"] for each in answer["objects"]]

    assert labels() == labels(threshold=0.5) == ["red", "blue"]
    assert labels(threshold=0.6) == labels(threshold=0, most=1) == ["red"]
    for nonsense in ({"threshold": 1.1}, {"threshold": "nan"}, {"most": 0}, {"most": 101}, {"most": 1.5}, {"least": 1}):
        refused = pictures.post("/predict", content=purple, headers=PNG, params=nonsense)
        assert_problem(refused, 422)
        assert next(iter(nonsense)) in refused.json()["detail"]
    described = pictures.get("/openapi.json").json()["paths"]["/predict"]["post"]
    assert {"threshold", "most"} <= {each["name"] for each in described["parameters"]}
    assert "multipart/form-data" in described["requestBody"]["content"]


@pytest.mark.parametrize(("mib", "most", "in_json"), [(None, 5, 7.0), (2, 2, 2.8)])
def test_a_picture_that_is_too_large_is_refused_before_it_has_come(
    tmp_path: Path, serve: Serve, mib: int | None, most: int, in_json: float
) -> None:
    publish_pictures(tmp_path)
    client, large = serve(model="colours", request_mib=mib), bytes(most * 2**20 + 1)
    for sent in (large, iter([large])):
        assert_problem(client.post("/predict", content=sent, headers=PNG), 413, f"{most * 2**20:,} bytes")
    assert_problem(client.post("/predict", files={"file": ("a.png", large)}), 413)
    as_json = b'{"image": "' + bytes(int(in_json * 2**20)) + b'"}'
    refused = client.post("/predict", content=as_json, headers={"content-type": "application/json"})
    assert_problem(refused, 413, f"{int(in_json * 2**20):,} bytes")
    assert_problem(client.post("/predict", content=large[1:], headers=PNG), 422)


def test_feedback_names_the_right_objects_or_says_that_the_answer_is_wrong(pictures: TestClient) -> None:
    id_ = pictures.post("/predict", content=plain(RED), headers=PNG).json()["id"]
    right = [{"label": "blue", "box": [0, 0, 40, 20]}]
    assert pictures.post("/feedback", json={"id": id_, "objects": right}).json() == {"id": id_, "objects": right}
    assert pictures.post("/feedback", json={"id": id_, "wrong": True}).json() == {"id": id_, "wrong": True}
    for nonsense in ({"wrong": False}, {"wrong": True, "objects": []}, {"wrong": 1}, {}):
        assert_problem(pictures.post("/feedback", json={"id": id_, **nonsense}), 422)


def test_an_archive_gets_a_line_for_each_file_and_pictures_with_what_was_found(pictures: TestClient) -> None:
    sent = archive(
        ("a.png", plain(RED)),
        ("summer/", b""),
        ("summer/b.webp", plain(BLUE, form="WEBP")),
        ("summer/notes.txt", b"Nice weather."),
        ("../c.png", plain(RED)),
        ("a.png.jpg", plain(RED)),
    )
    job = submit(pictures, sent, ZIP)
    state = finished(pictures, job)
    assert (state["bad"], state["overlays"]) == (2, True)
    lines = result(pictures, job)
    assert [(line["row"], line["file"]) for line in lines] == [
        *((1, "a.png"), (2, "summer/b.webp"), (3, "summer/notes.txt"), (4, "../c.png"), (5, "a.png.jpg"))
    ]
    assert [found(line) for line in lines[:2]] == [[("red", [10, 5, 30, 15])], [("blue", [10, 5, 30, 15])]]
    assert [line["error"] for line in lines[2:4]] == [
        "the picture is no JPEG, PNG or WebP picture",
        "the file has a name that leads out of the archive, or that no file can have",
    ]
    header, *_ = pictures.get(f"/jobs/{job}/result", headers={"accept": "text/csv"}).text.splitlines()
    assert header.startswith("row,id,file,objects,")
    with zipfile.ZipFile(io.BytesIO(pictures.get(f"/jobs/{job}/overlays.zip").content)) as drawn:
        assert drawn.namelist() == ["a.png.jpg", "summer/b.webp.jpg", "a.png.jpg.jpg"], "a name for each"
        shown = Image.open(drawn.open("a.png.jpg"))
    assert shown.size == (640, 320)


def test_what_is_no_archive_ends_in_a_job_that_failed(pictures: TestClient) -> None:
    job = submit(pictures, plain(RED), ZIP)
    assert finished(pictures, job, "failed")["reason"] == "the file is no ZIP archive, or is cut off"


@pytest.mark.slow
def test_each_file_has_one_answer_in_order_after_kill_9(tmp_path: Path) -> None:
    publish_pictures(tmp_path)
    storage = open_storage(str(tmp_path / "storage"))
    names = [f"folder/{number}.png" for number in range(8_000)]
    sent = archive(*((name, plain((255, number % 256, 0))) for number, name in enumerate(names)))
    server = ServerProcess(tmp_path / "storage", tmp_path / "log", BOATYARD_MODEL="colours")
    with server, httpx.Client(base_url=server.url, timeout=30) as client:
        job = submit(client, sent, ZIP)
        kill_in_job(server, client, storage, job, 0)
        finished(client, job)
        lines = result(client, job)
        assert server.stop() == 0
    assert [line["file"] for line in lines] == names
    assert sorted(line["id"] for line in read(storage)) == sorted(line["id"] for line in lines)
