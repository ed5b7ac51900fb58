"""`?explain=true`: which words moved the answer, and what that costs the others."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import onnx
import pytest
from bundles import PRICES, Publish, fields, graph, tokenizer, write_regression_bundle
from problems import assert_problem
from pydantic import BaseModel
from servers import Serve
from starlette.testclient import TestClient

from boatyard import registry
from boatyard.bundle.explain import PATHS
from boatyard.bundle.manifest import seal
from boatyard.bundle.predict import Explaining, Prediction, Predictor
from boatyard.inputs.text.serving import request_schema
from boatyard.registry import Reference
from boatyard.storage import Storage

pytestmark = pytest.mark.integration

Run = tuple[int, bool]
"""How many rows ran together, and whether they were variants."""


def explained(client: TestClient, text: str, **query: Any) -> dict[str, Any]:
    answer = client.post("/predict", params={"explain": True, **query}, json={"text": text})
    assert answer.status_code == 200, answer.text
    return dict(answer.json())


def total(explanation: dict[str, Any]) -> float:
    return float(explanation["base"] + sum(part["effect"] for part in explanation["parts"]))


@pytest.fixture
def runs(monkeypatch: pytest.MonkeyPatch) -> list[Run]:
    """What the model ran, in turn."""
    seen: list[Run] = []
    answer_each = Predictor.answer_each

    def watched(self: Predictor, rows: Sequence[Any], options: Sequence[BaseModel]) -> list[Prediction]:
        seen.append((len(rows), any(isinstance(one, Explaining) for one in options)))
        return answer_each(self, rows, options)

    monkeypatch.setattr(Predictor, "answer_each", watched)
    return seen


def test_the_words_of_a_message_are_named_with_their_effects_which_add_up(client: TestClient) -> None:
    answer = explained(client, "my card was stolen, fee")
    parts = answer["explanation"]["parts"]
    assert [(part["name"], part["field"], part["start"], part["end"]) for part in parts] == [
        ("my", "text", 0, 2),
        ("card", "text", 3, 7),
        ("was", "text", 8, 11),
        ("stolen,", "text", 12, 19),
        ("fee", "text", 20, 23),
    ]
    assert answer["explanation"]["base"] == pytest.approx(1 / 3, abs=1e-6), "all three are alike without a word"
    assert total(answer["explanation"]) == pytest.approx(answer["score"], abs=1e-6)
    effects = {part["name"]: part["effect"] for part in parts}
    assert min(effects["card"], effects["stolen,"]) > 0.1
    assert effects["fee"] < -0.1


def test_nothing_is_explained_unless_asked_for(client: TestClient, runs: list[Run]) -> None:
    for query in ("", "?explain=false", "?explain=0&top_k=2"):
        assert "explanation" not in client.post(f"/predict{query}", json={"text": "card"}).json()
    assert runs == [(1, False)] * 3


def test_the_same_row_has_the_same_explanation(client: TestClient) -> None:
    text = "please send my card a transfer"
    assert explained(client, text)["explanation"] == explained(client, text, top_k=1)["explanation"]


def test_a_list_is_explained_row_by_row_as_each_alone(client: TestClient) -> None:
    texts = ["card fee", "iban", "send a transfer"]
    answers = client.post("/predict?explain=true", json={"inputs": [{"text": text} for text in texts]}).json()
    for answer, text in zip(answers["predictions"], texts, strict=True):
        alone = explained(client, text)["explanation"]
        assert [part["name"] for part in answer["explanation"]["parts"]] == text.split()
        assert total(answer["explanation"]) == pytest.approx(total(alone), abs=1e-6)


def test_a_number_is_explained_in_its_own_unit(tmp_path: Path, storage: Storage, serve: Serve) -> None:
    write_regression_bundle(tmp_path / "prices")
    made = registry.publish(storage, tmp_path / "prices")
    registry.promote(storage, "prices", made.version)
    client = serve(model=Reference("prices"))
    answer = explained(client, "iban", level=0.5)
    (part,) = answer["explanation"]["parts"]
    assert answer["value"] == pytest.approx(PRICES["iban"] / 3), "the mean of the word and the marks around it"
    assert (answer["explanation"]["base"], part["effect"]) == (0, pytest.approx(PRICES["iban"] / 3))


@pytest.mark.parametrize(
    ("query", "said"),
    [
        ("explain=perhaps", "explain"),
        ("explain=", "explain"),
        ("explain=2", "explain"),
        ("explain=true&explain=true", "'explain' is given 2 times"),
        ("explains=true", "'explains' is unknown"),
        ("explain=true&top_k=0", "top_k"),
    ],
)
def test_what_cannot_be_asked_for_is_refused(client: TestClient, query: str, said: str) -> None:
    assert_problem(client.post(f"/predict?{query}", json={"text": "card"}), 422, said)


def test_jobs_have_no_explanations(client: TestClient) -> None:
    refused = client.post("/jobs?explain=true", content=b"text\ncard\n", headers={"content-type": "text/csv"})
    assert_problem(refused, 422, "'explain' is unknown")


def test_the_description_has_the_option_and_the_explanation(client: TestClient) -> None:
    document = client.get("/openapi.json").json()
    parameters = {one["name"]: one for one in document["paths"]["/predict"]["post"]["parameters"]}
    assert (parameters["explain"]["in"], parameters["explain"]["schema"]["default"]) == ("query", False)
    schemas = document["components"]["schemas"]
    assert "explanation" in schemas["Answer"]["properties"]
    assert "explanation" not in schemas["Answer"]["required"]
    assert schemas["Explanation"]["properties"]["parts"]["items"] == {"$ref": "#/components/schemas/PartEffect"}


# ---- what it costs


def test_a_long_text_is_explained_by_a_bounded_number_of_variants_in_small_runs(
    storage: Storage, publish: Publish, serve: Serve, runs: list[Run]
) -> None:
    made = publish(name="long", request_schema=request_schema(["text"]), limits={"max_tokens": 800})
    registry.promote(storage, "long", made.version)
    answer = explained(serve(model=Reference("long")), "my card was lost, " * 125)
    assert (answer["truncated"], len(answer["explanation"]["parts"])) == (False, 32)
    assert total(answer["explanation"]) == pytest.approx(answer["score"], abs=1e-6)
    variants = [rows for rows, are_variants in runs if are_variants]
    assert max(variants) <= 32
    assert sum(variants) <= PATHS * len(answer["explanation"]["parts"]) + 1


def test_variants_are_counted_as_inputs_that_run(client: TestClient) -> None:
    def inputs_run() -> float:
        page = client.get("/metrics").text
        return sum(
            float(line.split()[-1]) for line in page.splitlines() if line.startswith("boatyard_batch_inputs_sum")
        )

    before = inputs_run()
    explained(client, "card fee iban")
    assert inputs_run() - before == 1 + 2**3, "each of three words in or out, and the row itself"


def test_an_answer_that_only_the_whole_input_has_is_not_explained_and_says_so(
    tmp_path: Path, storage: Storage, serve: Serve
) -> None:
    bare = tokenizer()
    bare.post_processor = None  # type: ignore[assignment]
    (tmp_path / "bare").mkdir()
    bare.save(str(tmp_path / "bare" / "tokenizer.json"))
    onnx.save(graph(), tmp_path / "bare" / "model.onnx")  # it divides by the number of tokens
    seal(tmp_path / "bare", **fields(name="bare"))
    registry.promote(storage, "bare", registry.publish(storage, tmp_path / "bare").version)
    client = serve(model=Reference("bare"))
    assert client.post("/predict", json={"text": "card"}).status_code == 200
    sent = {"inputs": [{"text": "card"}, {"text": "fee"}]}
    refused = assert_problem(client.post("/predict?explain=true", json=sent), 422, "without some of its parts")
    assert [fault["pointer"] for fault in refused["errors"]] == ["#/inputs/0"]
