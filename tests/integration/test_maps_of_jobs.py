"""A job's rows on the map of its model, where that has one."""

import json
from pathlib import Path

import httpx
import pytest
from bundles import LABELS, publish_in_production
from jobs import finished, result, submit
from problems import assert_problem
from servers import Serve
from starlette.testclient import TestClient

from boatyard.bundle.map import MAP, Map, Point

pytestmark = pytest.mark.integration

MODEL = Map(
    origin=[0, 0, 0],
    axes=([1, 0, 0], [0, 1, 0]),
    kind="label",
    points=[Point(1, 0, LABELS[0]), Point(0, 1, LABELS[1]), Point(0, 0, LABELS[2])],
)


def start(folder: Path, serve: Serve, content: str = MODEL.model_dump_json()) -> TestClient:
    (folder / "sealed").mkdir()
    (folder / "sealed" / MAP).write_text(content)
    publish_in_production(folder)
    return serve()


def ask(client: TestClient, job: str, form: str) -> httpx.Response:
    answer: httpx.Response = client.get(f"/jobs/{job}/map.{form}")
    return answer


def test_rows_that_were_answered_have_places_and_a_picture(tmp_path: Path, serve: Serve) -> None:
    client = start(tmp_path, serve)
    job = submit(client, "text\ncard card\n\n,\nsend iban\n")
    assert finished(client, job)["map"]
    places = [json.loads(line) for line in ask(client, job, "jsonl").text.splitlines()]
    answered = [line for line in result(client, job) if "error" not in line]
    assert [(place["row"], place["kind"]) for place in places] == [(line["row"], line["label"]) for line in answered]
    assert places[0]["x"] > places[0]["y"] == 0 < places[1]["y"] > places[1]["x"] == 0
    picture = ask(client, job, "svg")
    assert picture.headers["content-type"] == "image/svg+xml"
    assert f"<title>row 1: {LABELS[0]}</title>" in picture.text
    assert "2 rows" in picture.text


def test_a_model_without_a_map_has_none_for_its_jobs(client: TestClient) -> None:
    job = submit(client, "text\ncard\n")
    assert not finished(client, job)["map"]
    for form in ("svg", "jsonl"):
        assert_problem(ask(client, job, form), 404)
    assert "x" not in result(client, job)[0]


def test_a_bundle_whose_map_is_none_is_not_served(tmp_path: Path, serve: Serve) -> None:
    client = start(tmp_path, serve, '{"origin": [0]}')
    assert client.get("/readyz").status_code == 503
