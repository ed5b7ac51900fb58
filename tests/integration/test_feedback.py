"""Feedback is about an answer that was given, with a label that its model has."""

from collections.abc import Callable
from pathlib import Path
from time import perf_counter
from types import SimpleNamespace
from typing import cast
from uuid import uuid4

import pytest
from bundles import LABELS, Publish
from problems import assert_problem
from servers import Serve
from starlette.testclient import TestClient

from boatyard import registry
from boatyard.api import feedback as feedback_module
from boatyard.api.answers import Feedback
from boatyard.api.feedback import Truths
from boatyard.api.ids import new_id
from boatyard.api.problems import Problem
from boatyard.bundle.predict import Predictor
from boatyard.journal import read
from boatyard.storage import Storage
from boatyard.tasks.classification.serving import Classification

pytestmark = pytest.mark.integration


@pytest.fixture
def answered(client: TestClient) -> str:
    """The id of an answer."""
    found: str = client.post("/predict", json={"text": "card"}).json()["id"]
    return found


@pytest.mark.parametrize("spelt", ["card_lost", "card_lost ", "\t card_lost\n", "\u200bcard_lost\ufeff"])
def test_a_label_is_kept_as_the_model_spells_it(client: TestClient, answered: str, spelt: str) -> None:
    taken = client.post("/feedback", json={"id": answered, "label": spelt})
    assert (taken.status_code, taken.json()) == (202, {"id": answered, "label": "card_lost"})


def test_labels_that_are_equal_to_the_eye_are_one(storage: Storage, publish: Publish, serve: Serve) -> None:
    labels = ["cafe\u0301", " spaced ", "fees"]  # as a model may have them that is older than their normal form
    registry.promote(storage, "ferry", publish(target={"labels": labels}).version)
    client = serve()
    answer = client.post("/predict", json={"text": "card"}).json()["id"]
    for said, kept in [("caf\u00e9", labels[0]), ("spaced", labels[1])]:
        assert client.post("/feedback", json={"id": answer, "label": said}).json()["label"] == kept


@pytest.mark.parametrize(
    ("label", "nearest"), [("card_los", "card_lost"), ("FEES", "fees"), (" ", ""), ("x" * 5000, "")]
)
def test_a_label_that_the_model_does_not_have_is_refused_with_the_nearest(
    client: TestClient, answered: str, label: str, nearest: str
) -> None:
    refused = client.post("/feedback", json={"id": answered, "label": label})
    document = assert_problem(refused, 422, f"the nearest that it has is '{nearest}")
    assert [error["pointer"] for error in document["errors"]] == ["#/label"]
    assert len(document["detail"]) < 200


def test_a_label_as_long_as_a_body_may_be_is_refused_at_once(storage: Storage) -> None:
    model = registry.Reference("many", "20270101T000000Z-00000000")
    manifest = SimpleNamespace(name=model.name, version=model.selector)
    default = SimpleNamespace(manifest=manifest, task=Classification([f"label number {n}" for n in range(500)]))
    correction = Feedback(id=new_id(model), label="".join(chr(ord("a") + n * 577 % 1200) for n in range(400_000)))
    started = perf_counter()
    with pytest.raises(Problem, match="the nearest that it has"):
        Truths(storage).check(correction, cast(Predictor, default))
    assert perf_counter() - started < 1


def mistyped(answer: str) -> str:
    return answer[:5] + ("0" if answer[5] != "0" else "1") + answer[6:]


IMPOSSIBLE: list[Callable[[str], str]] = [
    mistyped,
    lambda answer: answer[:-1] + ("0" if answer[-1] != "0" else "1"),
    lambda answer: answer[::-1],
    lambda _: uuid4().hex,
    lambda _: "0" * 32,
    lambda answer: answer.upper() + "A",
    lambda answer: answer[:31],
    lambda _: "",
]


@pytest.mark.parametrize("change", IMPOSSIBLE)
def test_an_id_that_no_answer_can_have_is_refused(
    client: TestClient, answered: str, change: Callable[[str], str]
) -> None:
    refused = client.post("/feedback", json={"id": change(answered), "label": "fees"})
    assert [error["pointer"] for error in assert_problem(refused, 422)["errors"]] == ["#/id"]


@pytest.mark.parametrize(
    ("body", "at"),
    [
        ({}, "#/label"),
        ({"label": ""}, "#/label"),
        ({"label": 1}, "#/label"),
        ({"label": "fees", "why": "so"}, "#"),
        ({"id": 1, "label": "fees"}, "#/id"),
        ([], "#/"),
    ],
)
def test_what_is_no_feedback_is_refused(client: TestClient, answered: str, body: object, at: str) -> None:
    named = {"id": answered, **body} if isinstance(body, dict) else body
    document = assert_problem(client.post("/feedback", json=named), 422)
    assert [error["pointer"] for error in document["errors"]] == [at]


def test_any_server_takes_feedback_on_what_another_model_answered_with_its_labels(
    client: TestClient, serve: Serve, tmp_path: Path, storage: Storage, publish: Publish
) -> None:
    other = publish(target={"labels": ["one", "two", "three"]}, bias=(0, 0, 1))
    asked = client.post(f"/predict?model=ferry@{other.version}", json={"text": "card"}).json()
    beside = serve(spool=str(tmp_path / "beside"))
    assert_problem(beside.post("/feedback", json={"id": asked["id"], "label": "fees"}), 422)
    assert beside.post("/feedback", json={"id": asked["id"], "label": "two"}).status_code == 202
    beside.__exit__(None, None, None)
    (line,) = [line for line in read(storage) if line["event"] == "feedback"]
    assert (line["model"], line["version"], line["truth"]) == ("ferry", other.version, {"label": "two"})


def test_ids_from_before_they_told_the_model_are_taken_where_a_model_is_as_old(
    client: TestClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(feedback_module, "IDS_SINCE", "99990101T000000Z")
    assert client.post("/feedback", json={"id": uuid4().hex, "label": "fees "}).status_code == 202
    assert_problem(client.post("/feedback", json={"id": uuid4().hex, "label": "fee"}), 422, "nearest")
    assert_problem(client.post("/feedback", json={"id": "0" * 32, "label": "fees"}), 422)


def test_ids_of_no_model_list_what_is_published_once_a_while(
    client: TestClient, answered: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    lists: list[Storage] = []
    published = registry.published

    def counted(storage: Storage) -> list[registry.Reference]:
        lists.append(storage)
        return published(storage)

    monkeypatch.setattr(registry, "published", counted)
    monkeypatch.setattr(feedback_module, "LIST_SECONDS", 3600)
    for label in LABELS:
        client.post("/feedback", json={"id": uuid4().hex, "label": label})
        assert client.post("/feedback", json={"id": answered, "label": label}).status_code == 202
    assert len(lists) == 1
