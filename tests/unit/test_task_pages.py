"""Each task's part of the web page, before services that answer as the api and the monitor do."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest
from standin_services import LIMIT, Services, content, drawn, open_page, running
from streamlit.testing.v1 import AppTest

from boatyard import inputs, tasks
from boatyard.frontend import input_page as general
from boatyard.frontend import task_page
from boatyard.tasks.score import Score

pytestmark = pytest.mark.unit

TIME = {"id": "1", "model": "m", "version": "v", "truncated": False, "duration_ms": 1.5}
LABELS = ["berth", "fuel", "repair"]
ACCURACY = {"name": "accuracy", "value": 0.9, "low": 0.85, "high": 0.94, "higher_is_better": True}
ERROR = {"name": "mean_absolute_error", "value": 1.5, "low": 1.25, "high": 1.75, "higher_is_better": False}
CARDS: dict[str, dict[str, Any]] = {
    "classification": {"target": {"labels": LABELS}, "metrics": {"served": [ACCURACY], "baseline": [ACCURACY]}},
    "regression": {
        "target": {"unit": "EUR", "buckets": [1.0, 10.0, 100.0]},
        "metrics": {"served": [ERROR], "baseline": []},
    },
}
ANSWERS = {
    "classification": {"label": "fuel", "score": 0.75, "top": [{"label": "fuel", "score": 0.75}]},
    "regression": {"value": 1234.5, "low": 1232.0, "high": 1237.0, "level": 0.9, "unit": "EUR"},
}
DETAILS = {
    "classification": {
        "labels": LABELS,
        "confusion": [[5, 0, 0], [2, 3, 0], [0, 0, 4]],
        "calibration": [{"low": 0.6, "high": 0.8, "rows": 14, "confidence": 0.7, "accuracy": 0.8}],
    },
    "regression": {
        "points": [{"truth": 1.0, "value": 2.5}, {"truth": 9.0, "value": 8.0}],
        "ranges": [
            {
                "low": 1.0,
                "high": 9.0,
                "rows": 14,
                "mean_absolute_error": 1.25,
                "mean_error": 0.25,
                "interval_coverage": 0.93,
            }
        ],
    },
}
FORMAT_1 = Path(__file__).parents[1] / "fixtures" / "format-1" / "storage" / "models" / "moorings"


def published(task: str) -> Services:
    """An api with one version of a model that has been asked something, and its monitor."""
    card = {
        **CARDS[task],
        "name": "m",
        "version": "v",
        "created": "2026-01-02T03:04:05Z",
        "input": "text",
        "task": task,
        "request_schema": {"required": ["text"], "properties": {"text": {"type": "string"}}},
        "limits": {"max_tokens": 8},
        "examples": [{"text": "an example"}],
        "git_commit": None,
        "data_fingerprint": "0" * 16,
        "packages": {},
    }
    measured = {"split": "test", "rows": 14, "scores": card["metrics"]["served"], "detail": DETAILS[task]}
    services = Services()
    services.answers = {
        "/model": card,
        "/models": {"models": [{"name": "m", "versions": ["v"], "aliases": {"production": "v"}}]},
        "/models/m/v": card,
        "/models/m/v/files/MODEL_CARD.md": b"# m\n\nThe card.\n",
        "/models/m/v/files/metrics.json": json.dumps(measured).encode(),
        "/predict": {**TIME, **ANSWERS[task]},
        "/feedback": {"id": "1"},
    }
    return services


@pytest.fixture
def services(request: pytest.FixtureRequest) -> Iterator[Services]:
    made = published(request.param)
    with running(made):
        yield made


def press(page: AppTest, label: str) -> None:
    (button,) = [button for button in page.button if button.label == label]
    drawn(button.click().run())


def test_every_input_and_task_has_a_page_that_owes_nothing() -> None:
    from boatyard.frontend.protocol import InputPage, TaskPage

    for package, protocol in ((inputs, InputPage), (tasks, TaskPage)):
        owed = {name for name in (*vars(protocol), *protocol.__annotations__) if not name.startswith("_")}
        for name in package.names():
            assert not {member for member in owed if not hasattr(package.page(name), member)}, name


@pytest.mark.parametrize("services", ["classification"], indirect=True)
def test_a_label_is_agreed_with_or_another_is_chosen(services: Services) -> None:
    page = open_page("predict")
    assert "3 labels, version v" in content(page)
    press(page, "an example")
    assert services.posted == [("/predict?top_k=5", {"text": "an example"})]
    assert page.subheader[0].value == "fuel"
    assert "Confidence: 75.0%" in content(page)
    assert not page.warning
    press(page, "No")
    assert page.selectbox[0].options == ["berth", "repair"]
    press(page, "Send")
    assert "Say first what would be right." in content(page)
    page.selectbox[0].select("repair")
    press(page, "Send")
    assert services.posted[1:] == [("/feedback", {"id": "1", "label": "repair"})]
    assert "It is kept that repair is right." in content(page)


@pytest.mark.parametrize("services", ["classification"], indirect=True)
def test_an_answer_is_explained_where_that_is_ticked(services: Services) -> None:
    parts = [
        {"name": "an", "effect": -0.01, "field": "text", "start": 0, "end": 2},
        {"name": "<example>", "effect": 0.26, "field": "text", "start": 3, "end": 12},
    ]
    explanation = {"base": 0.5, "parts": parts}
    services.answers["/predict"] = {**TIME, **ANSWERS["classification"], "explanation": explanation}
    page = open_page("predict")
    page.text_area[0].set_value("an <example>")
    page.checkbox[0].check()
    press(page, "Predict")
    assert services.posted == [("/predict?top_k=5&explain=true", {"text": "an <example>"})]
    assert "raise the answer's score and grey parts lower it, from 0.5 without any of them to 0.75." in content(page)
    (marked,) = page.get("html")
    assert "&lt;example&gt;</mark>" in marked.proto.body
    assert "<example>" not in marked.proto.body


@pytest.mark.parametrize("services", ["regression"], indirect=True)
@pytest.mark.parametrize(
    ("parts", "said"),
    [([], "no parts that could be told apart"), ([{"name": "rooms", "effect": 2.5, "field": "rooms"}] * 20, "5 more")],
)
def test_parts_of_any_input_have_bars(
    services: Services, monkeypatch: pytest.MonkeyPatch, parts: list[dict[str, Any]], said: str
) -> None:
    monkeypatch.setattr(inputs.page("text"), "explain", general.explain)
    explanation = {"base": 1234.5, "parts": parts}
    services.answers["/predict"] = {**TIME, **ANSWERS["regression"], "explanation": explanation}
    page = open_page("predict")
    press(page, "an example")
    assert said in content(page)


@pytest.mark.parametrize("services", ["regression"], indirect=True)
def test_a_number_is_shown_in_its_interval_and_corrected_by_another(services: Services) -> None:
    page = open_page("predict")
    assert "One number in EUR, version v" in content(page)
    press(page, "an example")
    assert services.posted == [("/predict", {"text": "an example"})]
    assert "1,234.5 EUR" in content(page)
    assert "90% interval: 1,232 to 1,237" in content(page)
    assert "Was this right?" not in content(page)
    page.number_input[0].set_value(1200.25)
    press(page, "Send")
    assert services.posted[1:] == [("/feedback", {"id": "1", "value": 1200.25})]
    assert "It is kept that 1,200.25 EUR is right." in content(page)


@pytest.mark.parametrize(
    ("services", "title", "interval", "mistake"),
    [
        ("classification", "accuracy", "0.9000 (0.8500 to 0.9400)", "What is taken for what"),
        ("regression", "mean absolute error", "1.5000 (1.2500 to 1.7500)", "Error, by the truth"),
    ],
    indirect=["services"],
)
def test_models_are_compared_by_their_own_scores(services: Services, title: str, interval: str, mistake: str) -> None:  # noqa: ARG001
    page = open_page("models")
    assert title in page.dataframe[0].value.columns
    assert page.table[0].value.to_numpy().tolist() == [[title, interval]]
    assert mistake in content(page)


@pytest.mark.parametrize("services", ["classification"], indirect=True)
def test_mistakes_of_a_model_in_format_1_are_drawn(services: Services) -> None:
    (metrics,) = FORMAT_1.glob("*/metrics.json")
    services.answers["/models/m/v/files/metrics.json"] = metrics.read_bytes()
    page = open_page("models")
    assert "130 rows of the test split, as trained." in content(page)
    assert page.table[1].value.to_numpy().tolist()[0] == ["4 of 39", "fuel", "berth"]


@pytest.mark.parametrize("services", ["classification"], indirect=True)
def test_the_data_of_a_model_in_format_1_are_told(services: Services) -> None:
    (facts,) = FORMAT_1.glob("*/data.json")
    services.answers["/models/m/v/files/data.json"] = facts.read_bytes()
    page = open_page("about")
    assert "Sizes, in words" in content(page)
    assert page.dataframe[0].value.columns.tolist() == ["split", "p50", "p95", "p99", "max"]


@pytest.mark.parametrize("services", ["regression"], indirect=True)
def test_what_stood_beside_the_model_is_named_with_its_score(services: Services) -> None:
    beside = {"baseline": [ERROR], "alternative": [ERROR | {"value": 1.25}], "alternative_name": "Trees"}
    services.answers["/models/m/v"]["metrics"] = {**CARDS["regression"]["metrics"], **beside}
    made = dict(open_page("models").dataframe[1].value.to_numpy().tolist())
    assert made["mean absolute error, baseline"] == "1.5000"
    assert made["mean absolute error, trees"] == "1.2500"


def quality(score: dict[str, Any]) -> dict[str, Any]:
    worse = {**score, "value": 2 * score["value"], "low": 1.0, "high": 20_000.0}
    return {"feedback": 7, "score": worse, "accepted": score, "unknown": 0}


@pytest.mark.parametrize("services", ["regression"], indirect=True)
def test_traffic_of_numbers_is_shown_without_categories(services: Services) -> None:
    services.answers["/metrics"] = (
        b"# TYPE boatyard_answer_number histogram\n"
        b'boatyard_answer_number_bucket{column="value",le="1.0",model="m"} 0.0\n'
        b'boatyard_answer_number_bucket{column="value",le="10.0",model="m"} 3.0\n'
        b'boatyard_answer_number_bucket{column="value",le="+Inf",model="m"} 5.0\n'
    )
    services.answers["/statistics"] = {
        "model": "m",
        "rows": 30,
        "hours": ["2026-01-02T03:00:00+00:00", "2026-01-02T04:00:00+00:00"],
        "counts": [30, 0],
        "categories": {},
        "numbers": {"value": {"p5": 0.5, "p95": 1234567.8}, "length": {"p5": 4.0, "p95": None}},
        "numbers_by_hour": {
            "value": {f"p{share}": [float(share), None] for share in (5, 25, 50, 75, 95)},
            "length": {f"p{share}": [None, None] for share in (5, 25, 50, 75, 95)},
        },
        "latency_ms": {"p95": 2.0},
        "quality": quality(ERROR),
    }
    page = content(open_page("traffic"))
    for part in (
        "**Predictions, by value**",
        "**Predictions in each hour**",
        "**Value**",
        "p5: 0.5",
        "p95: 1,234,568",
        "p95: n/a",
        "Live mean absolute error: 3.0000",
        "Answers with feedback: 7. Mean absolute error is between 1.0000 and 20,000; the model was accepted at 1.5000.",
    ):
        assert part in page


def test_live_quality_is_named_by_what_is_known_of_it() -> None:
    from boatyard.frontend.showing import judged, live

    nothing = {"feedback": 0, "score": None, "accepted": None, "unknown": 0}
    assert live(nothing) == {"Live quality": "n/a"}
    assert live({**nothing, "accepted": ACCURACY}) == {"Live accuracy": "n/a"}
    assert judged(nothing) == "No answer has feedback yet."
    one = {"name": "mean_absolute_error", "value": 3.0, "low": None, "high": None, "higher_is_better": False}
    assert Score(**one).title in next(iter(live({**nothing, "feedback": 1, "score": one})))
    assert judged({**nothing, "feedback": 1, "score": one}) == "Answers with feedback: 1."


HOUSE = {
    "type": "object",
    "required": ["area", "rooms"],
    "properties": {
        "area": {"type": ["number", "null"], "description": "20 to 400 in training"},
        "rooms": {"type": "integer"},
        "lift": {"type": ["boolean", "null"]},
        "district": {"type": ["string", "null"], "maxLength": 100, "examples": ["harbour", "old town"]},
        "sold": {"type": ["string", "null"], "format": "date"},
        "garden": {"type": "boolean"},
    },
}


def house_form() -> AppTest:
    def page() -> None:
        import streamlit as st
        from test_task_pages import HOUSE

        from boatyard.frontend.input_page import fill, form

        example = {"area": 85, "rooms": 3, "lift": False, "district": "quay", "sold": "2024-05-31", "garden": True}
        st.button("Fill", on_click=fill, args=(example,))
        st.session_state["request"] = form({"request_schema": HOUSE})

    return drawn(AppTest.from_function(page, default_timeout=LIMIT).run())


def test_a_form_by_a_schema_makes_a_request_of_its_types() -> None:
    page = house_form()
    empty = {"area": None, "lift": None, "district": None, "sold": None, "garden": False}
    assert page.session_state["request"] == empty, "what may be null is, and what may not is not sent"
    assert page.number_input[0].help == "20 to 400 in training"
    assert [box.label for box in page.selectbox] == ["Lift", "District"], "in the schema's order, also on a phone"
    press(page, "Fill")
    filled = {"area": 85.0, "rooms": 3, "lift": False, "district": "quay", "sold": "2024-05-31", "garden": True}
    assert page.session_state["request"] == filled
    page.number_input[0].set_value(90.5)
    (district,) = [box for box in page.selectbox if box.label == "District"]
    drawn(district.select("harbour").run())
    assert page.session_state["request"] == filled | {"area": 90.5, "district": "harbour"}


def test_an_answer_of_several_values_is_shown_whole_without_a_page_of_its_own() -> None:
    answer = {"latitude": 54.25, "longitude": 10.5, "nearest_port": "Kiel", **TIME}
    assert task_page.headline(answer) == "54.25"
    assert task_page.figures(answer) == {"Longitude": "10.5", "Nearest port": "Kiel"}
    assert task_page.figures({"expected": 2, **TIME}) == {}


@pytest.mark.parametrize("services", ["classification"], indirect=True)
def test_an_unfamiliar_row_is_warned_of(services: Services) -> None:
    services.answers["/predict"] = {**TIME, **ANSWERS["classification"], "unfamiliar": True}
    page = open_page("predict")
    press(page, "an example")
    assert "none of its labels may fit" in page.warning[0].value


@pytest.mark.parametrize("services", ["classification"], indirect=True)
def test_a_record_of_fasta_is_pasted_and_explained(services: Services) -> None:
    sequence = "MKKIFVAALFAFVSVNAM"
    services.answers["/model"] |= {"input": "protein", "examples": [{"sequence": sequence, "id": "a1"}]}
    parts = [{"name": sequence[:5], "effect": 0.2, "field": "sequence", "start": 0, "end": 5}]
    services.answers["/predict"] = {
        **TIME,
        **ANSWERS["classification"],
        "explanation": {"base": 0.5, "parts": parts},
    }
    page = open_page("predict")
    page.text_area[0].set_value(f">b2 [A] something\n{sequence[:9]}\n{sequence[9:]}\n")
    press(page, "Predict")
    assert services.posted == [
        ("/predict?top_k=5", {"id": "b2", "sequence": f"{sequence[:9]}\n{sequence[9:]}"}),
    ]
    (marked,) = page.get("html")
    assert f"{sequence[:5]}</mark>" in marked.proto.body
    press(page, "a1")
    assert services.posted[1][1] == {"id": "a1", "sequence": sequence}


@pytest.mark.parametrize("services", ["classification"], indirect=True)
def test_a_finished_job_has_a_map_where_its_model_has_one(services: Services) -> None:
    job = {"id": "j", "state": "finished", "model": "m", "version": "v", "submitted": "", "rows": 2, "bad": 0}
    services.answers["/jobs/j"] = {**job, "share": 1.0, "map": True}
    places = [
        {"row": 1, "x": 0.5, "y": -2.0, "kind": "fuel"},
        {"row": 2, "name": "a1", "x": 1.5, "y": 0.0, "kind": "berth"},
    ]
    services.answers["/jobs/j/map.jsonl"] = b"".join(json.dumps(place).encode() + b"\n" for place in places)
    page = open_page("predict")
    page.query_params["job"] = "j"
    drawn(page.run())
    assert "Near each other lies what the model takes for alike" in content(page)
    (chart,) = page.get("vega_lite_chart")
    named = pa.ipc.open_stream(chart.proto.data.data).read_all().to_pylist()
    assert [(row["name"], row["kind"]) for row in named] == [("row 1", "fuel"), ("a1", "berth")]
