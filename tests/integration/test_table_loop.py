"""Rows of a table to a price: from a file to a model in production that is asked, watched and learned from."""

import csv
import gzip
import io
import json
import random
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.csv as pacsv
import pyarrow.parquet as pq
import pytest
from jobs import finished, result, submit
from scoring import answers, assert_as_predicted, score_here
from servers import Serve
from stages import small_config
from starlette.testclient import TestClient

from boatyard import registry
from boatyard.bundle.predict import Predictor
from boatyard.config.schema import Config
from boatyard.monitor import service
from boatyard.monitor.settings import Settings as MonitorSettings
from boatyard.pipeline.publish import Published
from boatyard.pipeline.run import run_pipeline
from boatyard.registry import Reference
from boatyard.retrain.run import retrain
from boatyard.storage import Storage, open_storage

pytestmark = [pytest.mark.integration, pytest.mark.slow]

SMALL = ("data=houses", "train.num_train_epochs=6", "retrain.min_rows=40", "tracking=none")


@dataclass(frozen=True)
class World:
    config: Config
    published: Published


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> World:
    config = small_config(tmp_path_factory.mktemp("houses"), small=SMALL)
    return World(config, run_pipeline(config))


@pytest.fixture
def client(world: World, storage: Storage, serve: Serve) -> TestClient:
    version = registry.publish(storage, world.published.bundle.folder).version
    registry.promote(storage, "houses", version)
    return serve(model=Reference("houses"))


@pytest.fixture
def house(world: World) -> dict[str, Any]:
    return dict(world.published.bundle.manifest.examples[0])


def test_the_network_beats_its_baseline_and_its_interval_holds_most_prices(world: World) -> None:
    metrics = world.published.bundle.manifest.metrics.model_dump()
    scores = {kind: {score["name"]: score["value"] for score in metrics[kind]} for kind in ("served", "baseline")}
    assert scores["served"]["mean_absolute_percentage_error"] < scores["baseline"]["mean_absolute_percentage_error"]
    assert 0.8 < scores["served"]["interval_coverage"] < 0.97


def test_boosting_stands_beside_the_network_in_every_report(world: World) -> None:
    bundle = world.published.bundle
    metrics = bundle.manifest.metrics
    assert metrics.alternative_name == "Boosting"
    assert [score.name for score in metrics.alternative] == [score.name for score in metrics.served]
    report, card = ((bundle.folder / name).read_text(encoding="utf-8") for name in ("report.md", "MODEL_CARD.md"))
    assert "|  | Model | Boosting | Baseline |" in report
    assert "(scores.png)" in report
    assert (bundle.folder / "scores.png").exists()
    assert "| Boosting | " in card
    for document in (report, card):
        assert "| type | flat | " in document
        assert "| Truth | Rows | Mean absolute error |" in document


def test_a_house_is_answered_with_a_price_whether_its_numbers_are_numbers_or_texts(
    client: TestClient, house: dict[str, Any]
) -> None:
    answer = client.post("/predict?level=0.5", json=house).json()
    assert 0 < answer["low"] < answer["value"] < answer["high"]
    assert (answer["level"], answer["unit"]) == (0.5, "EUR")
    as_cells = {name: "" if value is None else str(value) for name, value in house.items()}
    assert client.post("/predict", json=as_cells).json()["value"] == answer["value"]
    unknown = client.post("/predict", json=house | {"district": "Atlantis", "land_m2": None, "lift": None})
    assert unknown.json()["value"] > 0


def test_houses_in_files_have_the_prices_of_requests_whatever_the_types_of_their_columns(
    world: World, tmp_path: Path
) -> None:
    houses = pacsv.read_csv(
        world.config.data.path, convert_options=pacsv.ConvertOptions(strings_can_be_null=True)
    ).slice(0, 300)
    storage = Path(world.config.paths.storage)
    pq.write_table(houses, tmp_path / "houses.parquet")
    assert score_here(storage, tmp_path / "houses.parquet", tmp_path / "typed", "score.model=houses") == 0
    typed = answers(tmp_path / "typed")
    assert typed["price"] == houses["price"]
    bundle = world.published.bundle
    read = bundle.manifest.request_schema["properties"]
    requests = houses.set_column(houses.column_names.index("sold"), "sold", houses["sold"].cast(pa.string()))
    assert_as_predicted(typed, Predictor(bundle, threads=1), requests.select([*read]).to_pylist())
    pacsv.write_csv(houses, tmp_path / "houses.csv")
    assert score_here(storage, tmp_path / "houses.csv", tmp_path / "text", "score.model=houses") == 0
    assert answers(tmp_path / "text")["value"] == typed["value"]


def test_what_cannot_be_a_house_is_refused_by_its_column(client: TestClient, house: dict[str, Any]) -> None:
    for wrong, pointer, said in (
        ({"area_m2": "large"}, "#/area_m2", "a number"),
        ({"sold": "last May"}, "#/sold", "2024-05-31"),
        ({"lift": 7}, "#/lift", "true or false"),
        ({"type": ["flat"]}, "#/type", "expected"),
        ({"area_m2": True}, "#/area_m2", "a number"),
    ):
        refused = client.post("/predict", json=house | wrong)
        assert refused.status_code == 422
        (error,) = refused.json()["errors"]
        assert error["pointer"] == pointer
        assert said in error["detail"]
    assert "did you mean" in client.post("/predict", json=house | {"aera_m2": 1}).json()["detail"]


def test_the_columns_of_a_house_explain_its_price(client: TestClient, house: dict[str, Any]) -> None:
    answer = client.post("/predict?explain=true", json=house).json()
    parts = answer["explanation"]["parts"]
    assert [part["name"] for part in parts] == list(house)
    total = answer["explanation"]["base"] + sum(part["effect"] for part in parts)
    assert total == pytest.approx(answer["value"], rel=1e-6)
    assert max(parts, key=lambda part: abs(part["effect"]))["name"] == "area_m2"


def test_a_file_of_houses_is_answered_as_each_alone(client: TestClient, world: World) -> None:
    rows = read_houses(world, 6)
    lines = [",".join(rows[0]), *(",".join(row.values()) for row in rows)]
    job = submit(client, "\n".join([*lines[:4], lines[4].replace(rows[3]["area_m2"], "huge", 1), *lines[5:]]))
    assert finished(client, job)["bad"] == 1
    answered = result(client, job)
    assert [row["row"] for row in answered] == [1, 2, 3, 4, 5, 6]
    house = {name: value for name, value in rows[0].items() if name != "price"}
    assert answered[0]["value"] == pytest.approx(client.post("/predict", json=house).json()["value"], rel=1e-6)


def test_a_cell_of_csv_is_the_value_that_json_has(client: TestClient, house: dict[str, Any]) -> None:
    houses = [
        house | {"district": 'a "quoted", odd\none', "area_m2": 80},
        house | {"district": "Übersee 東京", "area_m2": 8.05e1, "lift": None},
        house | {"district": "1e5", "energy": None, "land_m2": None},
        house | {"district": "=1+1", "lift": False, "sold": "2023-09-23"},
    ]
    cells = io.StringIO()
    writer = csv.DictWriter(cells, list(house))
    writer.writeheader()
    writer.writerows([each | {"lift": {True: "true", False: "false", None: ""}[each["lift"]]} for each in houses])
    from_csv = submit(client, cells.getvalue())
    from_json = submit(client, "\n".join(map(json.dumps, houses)), {"content-type": "application/x-ndjson"})
    for job in (from_csv, from_json):
        assert finished(client, job)["bad"] == 0
    answered = [[line["value"] for line in result(client, job)] for job in (from_csv, from_json)]
    assert answered[0] == answered[1]
    table = client.get(f"/jobs/{from_csv}/result", headers={"accept": "text/csv"}).text
    rows = list(csv.DictReader(io.StringIO(table, newline="")))
    assert [float(row["value"]) for row in rows] == answered[0]
    assert [row["unit"] for row in rows] == ["EUR"] * 4


@pytest.mark.parametrize(
    ("column", "change", "times", "drifted"),
    [
        ("school", lambda school: school and str(float(school) - 1.5), 1, {"input.school"}),
        ("energy", lambda energy: "F" if energy in "AB" else energy, 2, {"input.energy", "quality"}),
    ],
    ids=["a number", "a category, and twice the prices"],
)
def test_the_column_that_has_changed_is_named_as_drifted_and_no_other(
    client: TestClient,
    world: World,
    tmp_path: Path,
    column: str,
    change: Callable[[str], str],
    times: float,
    drifted: set[str],
) -> None:
    rows = random.Random(0).sample(read_houses(world, 3000), 400)
    prices = [times * float(row.pop("price")) for row in rows]
    changed = [row | {column: change(row[column])} for row in rows]
    answered = [
        answer
        for start in range(0, len(rows), 100)
        for answer in client.post("/predict", json={"inputs": changed[start : start + 100]}).json()["predictions"]
    ]
    for answer, price in zip(answered[:60], prices, strict=False):
        client.post("/feedback", json={"id": answer["id"], "value": price}).raise_for_status()
    client.__exit__(None, None, None)  # which ships the journal
    settings = MonitorSettings(storage=str(tmp_path / "storage"), model=Reference("houses"))
    with TestClient(service.create_app(settings)) as monitor:
        report = monitor.post("/drift/run").raise_for_status().json()
        assert {verdict["name"] for verdict in report["verdicts"] if verdict["drifted"]} == drifted
        alarms = re.findall(r'boatyard_drift_drifted{.*verdict="(.*)"} 1.0', monitor.get("/metrics").text)
        assert set(alarms) == drifted
        spreads = {verdict["name"]: verdict["spread"] for verdict in report["verdicts"]}
        assert {f"input.{name}" for name in rows[0] if name != "sold"} | {"value"} <= spreads.keys()
        assert spreads["input.type"]["categories"][0] == "flat"
        by_hour = monitor.get("/statistics").json()["numbers_by_hour"]["value"]
        assert all(
            low < middle < high for low, middle, high in zip(*(by_hour[p] for p in ("p5", "p50", "p95")), strict=True)
        )


def test_feedback_on_other_houses_is_learned_from(world: World, house: dict[str, Any]) -> None:
    """What is asked now are flats of one district, which are dearer than they were."""
    config = world.config
    flats = [house | {"type": "flat", "district": "Harbour", "area_m2": 40.0 + number} for number in range(160)]
    judge(open_storage(config.paths.storage), "houses", [(flat, 2e4 * flat["area_m2"]) for flat in flats])
    traffic, _ = retrain(config).comparisons
    assert traffic.after.value < traffic.before.value


def test_columns_may_have_names_that_boatyard_uses_too(tmp_path: Path, storage: Storage, serve: Serve) -> None:
    names = ("source", "row", "target", "file", "inputs", "why", "cost", "position", "label", "labels", "input")
    chance = random.Random(0)
    rows = [{name: round(chance.gauss(0, 1), 3) for name in names} for _ in range(300)]
    file = tmp_path / "rows.jsonl"
    file.write_text("".join(json.dumps(row | {"value": sum(row.values())}) + "\n" for row in rows))
    own = ("data=table", f"data.path={file}", "data.name=own", "data.target=value", "model=boosting", "tracking=none")
    config = small_config(tmp_path, "retrain.min_rows=40", "model.table.boosting.max_iter=30", small=own)
    published = run_pipeline(config)
    assert set(published.bundle.manifest.examples[0]) == {*names}
    client = serve(model=Reference("own"))
    alone = client.post("/predict?explain=true", json=rows[0]).json()
    listed = client.post("/predict", json={"inputs": [rows[0]]}).json()
    assert listed["predictions"][0]["value"] == alone["value"]
    assert [part["name"] for part in alone["explanation"]["parts"]] == [*names]
    judge(storage, "own", [(dict.fromkeys(names, chance.gauss(0, 1)), 20.0) for _ in range(160)])
    traffic, _ = retrain(config).comparisons
    assert traffic.after.value < traffic.before.value


def read_houses(world: World, most: int) -> list[dict[str, str]]:
    with Path(world.config.data.path or "").open(newline="") as file:
        return list(islice(csv.DictReader(file), most))


def judge(storage: Storage, model: str, judged: Sequence[tuple[Mapping[str, Any], float]]) -> None:
    """A journal in which each request is answered, and its right answer given later."""
    lines: list[dict[str, Any]] = []
    for number, (request, truth) in enumerate(judged):
        facts = {"id": f"a{number}", "time": "2026-01-01T00:00:00.000+00:00"}
        kind = {"event": "prediction", "input": "table", "task": "regression", "model": model}
        lines += [
            {**kind, **facts, "request": request, "answer": {"value": 1.0}},
            {"event": "feedback", **facts, "truth": {"value": truth}},
        ]
    content = "".join(json.dumps(line) + "\n" for line in lines).encode()
    storage.write_once("journal/date=2026-01-01/a-1.jsonl.gz", gzip.compress(content))
