import os
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
from bundles import LABELS, fields, graph, tokenizer, write_bundle, write_regression_bundle
from numpy.typing import NDArray
from pydantic import BaseModel

from boatyard.bundle import predict
from boatyard.bundle.manifest import BundleError, open_bundle, seal
from boatyard.bundle.predict import Predictor, open_predictor
from boatyard.config.errors import UserError
from boatyard.config.processes import allowed_cores
from boatyard.export.reference import reference
from boatyard.inputs.protocol import Encoded
from boatyard.tasks.classification.serving import Options
from boatyard.tasks.protocol import Answer, Outputs

pytestmark = pytest.mark.unit

TEXTS = [
    "card",
    "please send a transfer to iban",
    "fee",
    "card lost stolen card fee",
    "what",
    "cost of a transfer",
] * 9


@pytest.fixture
def predictor(tmp_path: Path) -> Predictor:
    write_bundle(tmp_path)
    return Predictor(open_bundle(tmp_path))


def rows(predictor: Predictor, texts: list[str]) -> list[object]:
    return [predictor.input.parse({"text": text}) for text in texts]


def test_the_likeliest_labels_come_first(predictor: Predictor) -> None:
    (prediction,) = predictor.answer(rows(predictor, ["card stolen fee"]), Options(top_k=2))
    top = prediction.answer["top"]
    assert [choice["label"] for choice in top] == ["card_lost", "fees"]
    assert prediction.answer == {"label": "card_lost", "score": top[0]["score"], "top": top}
    assert top[0]["score"] > top[1]["score"]


def test_more_labels_than_there_are_gives_all(predictor: Predictor) -> None:
    (prediction,) = predictor.answer(rows(predictor, ["card"]), Options(top_k=100))
    top = prediction.answer["top"]
    assert sorted(choice["label"] for choice in top) == sorted(LABELS)
    assert sum(choice["score"] for choice in top) == pytest.approx(1)


def test_a_batch_answers_as_each_alone_in_the_order_of_the_rows(predictor: Predictor) -> None:
    together = predictor.answer(rows(predictor, TEXTS))
    alone = [predictor.answer(rows(predictor, [text]))[0] for text in TEXTS]
    for batched, single in zip(together, alone, strict=True):
        assert batched.answer["label"] == single.answer["label"]
        assert batched.answer["score"] == pytest.approx(single.answer["score"], abs=1e-6)
        assert (batched.truncated, batched.measured) == (single.truncated, single.measured)


@pytest.mark.parametrize("batch_size", [1, 4, 1000])
def test_outputs_keep_the_order_whatever_the_batch_size(predictor: Predictor, batch_size: int) -> None:
    outputs = predictor.outputs(rows(predictor, TEXTS), batch_size)
    assert outputs.keys() == {"logits", "probabilities", "embedding"}
    for index, text in enumerate(TEXTS):
        for name, row in predictor.outputs(rows(predictor, [text])).items():
            assert outputs[name].shape == (len(TEXTS), len(LABELS))
            np.testing.assert_allclose(outputs[name][index], row[0], atol=1e-6)


def test_rows_share_a_run_only_where_padding_costs_less_than_another_run(
    predictor: Predictor, monkeypatch: pytest.MonkeyPatch
) -> None:
    runs: list[list[int]] = []
    run_batch = predictor.run_batch

    def recorded(encoded: Sequence[Encoded]) -> dict[str, NDArray[Any]]:
        runs.append([row.cost for row in encoded])
        return run_batch(encoded)

    monkeypatch.setattr(predictor, "run_batch", recorded)
    texts = ["card " * words for words in (14, 1, 2, 1, 13, 1)]
    lengths = [row.cost for row in predictor.input.encode(rows(predictor, texts))]
    predictor.outputs(rows(predictor, texts), batch_size=2)
    assert sorted(length for run in runs for length in run) == sorted(lengths)
    assert runs == [[lengths[1]] * 2, [lengths[1], lengths[2]], [lengths[4], lengths[0]]]
    runs.clear()
    monkeypatch.setattr(predict, "MOST_COST", 2 * lengths[0])
    predictor.outputs(rows(predictor, [texts[0]] * 5))
    assert runs == [[lengths[0]] * 2, [lengths[0]] * 2, [lengths[0]]]


def test_each_row_may_have_options_of_its_own(predictor: Predictor, monkeypatch: pytest.MonkeyPatch) -> None:
    decoded: list[int] = []
    decode = predictor.task.decode

    def counted(outputs: Outputs, options: BaseModel) -> list[Answer]:
        answers = decode(outputs, options)
        decoded.append(len(answers))
        return answers

    monkeypatch.setattr(predictor.task, "decode", counted)
    options = [Options(top_k=most) for most in (1, 1, 3, 2)]
    each = predictor.answer_each(rows(predictor, ["card", "fee", "iban", "cost"]), options)
    assert [len(prediction.answer["top"]) for prediction in each] == [1, 1, 3, 2]
    assert [prediction.answer["label"] for prediction in each] == ["card_lost", "fees", "transfer", "fees"]
    assert decoded == [2, 1, 1], "neighbours with equal options together"


def test_a_number_is_answered_with_its_interval(tmp_path: Path) -> None:
    write_regression_bundle(tmp_path)
    predictor = Predictor(open_bundle(tmp_path))
    (prediction,) = predictor.answer(rows(predictor, ["iban iban"]))
    assert prediction.answer == {"value": 5.0, "low": 2.5, "high": 7.5, "level": 0.9, "unit": "EUR"}
    (wider,) = predictor.answer(rows(predictor, ["iban iban"]), predictor.options_type(level=0.99))
    assert (wider.answer["low"], wider.answer["high"]) == pytest.approx((5 - 2.75, 5 + 2.75))
    assert [column.name for column in predictor.columns] == ["value", "length"]


def test_a_long_row_is_answered_as_truncated(predictor: Predictor) -> None:
    short, long = predictor.answer(rows(predictor, ["card", "card " * 20]))
    assert (short.truncated, long.truncated) == (False, True)


def test_nothing_is_answered_with_nothing(predictor: Predictor) -> None:
    assert predictor.answer([]) == []


def test_what_is_no_number_is_no_answer(tmp_path: Path) -> None:
    write_bundle(tmp_path, bias=(float("nan"), 0, 0))
    broken = Predictor(open_bundle(tmp_path))
    with pytest.raises(FloatingPointError, match="no number"):
        broken.answer(rows(broken, ["card"]))
    assert not broken.works()


def test_a_model_works_while_it_answers_its_own_example(predictor: Predictor, monkeypatch: pytest.MonkeyPatch) -> None:
    assert predictor.works()
    monkeypatch.setattr(predictor.input, "encode", None)
    assert not predictor.works()


@pytest.mark.parametrize(
    ("texts", "seconds", "quick"), [(["a b", "b a"], 60, True), (["a b", "a"], 60, False), (["a b", "b a"], 0, False)]
)
def test_a_model_is_quick_whose_rows_all_take_as_little(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, texts: list[str], seconds: float, quick: bool
) -> None:
    monkeypatch.setattr(predict, "QUICK_SECONDS", seconds)
    bundle = open_bundle(bundle_with(tmp_path, graph(), examples=[{"text": text} for text in texts]))
    assert open_predictor(bundle).is_quick is quick


def bundle_with(folder: Path, model: onnx.ModelProto | bytes, **changes: object) -> Path:
    tokenizer().save(str(folder / "tokenizer.json"))
    data = model if isinstance(model, bytes) else model.SerializeToString()
    (folder / "model.onnx").write_bytes(data)
    seal(folder, **fields(**changes))
    return folder


def test_a_graph_that_does_not_open_is_refused(tmp_path: Path) -> None:
    bundle = open_bundle(bundle_with(tmp_path, b"no graph"))
    with pytest.raises(BundleError, match=r"model\.onnx is not a graph"):
        Predictor(bundle)


def test_a_graph_may_have_no_embedding(tmp_path: Path) -> None:
    model = graph()
    del model.graph.output[-1]
    predictor = Predictor(open_bundle(bundle_with(tmp_path, model)))
    asked = rows(predictor, ["card stolen fee"])
    assert predictor.outputs(asked).keys() == {"logits", "probabilities"}
    assert predictor.answer(asked)[0].answer["label"] == "card_lost"
    assert "embedding" not in reference(asked, predictor).column_names


def test_a_graph_without_an_output_that_the_task_reads_is_refused(tmp_path: Path) -> None:
    model = graph()
    del model.graph.output[0]
    with pytest.raises(BundleError, match="no output named logits"):
        Predictor(open_bundle(bundle_with(tmp_path, model)))


def test_a_graph_and_labels_that_disagree_are_refused(tmp_path: Path) -> None:
    with pytest.raises(BundleError, match="tells 3 classes apart, but 2 labels"):
        Predictor(open_bundle(bundle_with(tmp_path, graph(), target={"labels": LABELS[:2]})))


@pytest.mark.parametrize(
    ("target", "said"),
    [
        ({"labels": [*LABELS[:2], LABELS[0]]}, "names a label twice"),
        ({"labels": []}, r"names no target\.labels"),
        ({}, r"names no target\.labels"),
    ],
)
def test_labels_that_cannot_be_answered_with_are_refused(tmp_path: Path, target: dict[str, Any], said: str) -> None:
    write_bundle(tmp_path)
    bundle = open_bundle(tmp_path)
    with pytest.raises(BundleError, match=said):
        Predictor(replace(bundle, manifest=bundle.manifest.model_copy(update={"target": target})))


@pytest.mark.parametrize(
    ("changes", "where"),
    [
        ({"quantiles": None}, "quantiles"),
        ({"quantiles": [1.0] * 98}, "quantiles"),
        ({"quantiles": [-1.0] * 99}, r"quantiles\.0"),
        ({"quantiles": [float("nan")] * 99}, r"quantiles\.0"),
        ({"quantiles": [2.0, 1.0] * 49 + [3.0]}, "quantiles"),
        ({"log": None}, "log"),
        ({"buckets": ["1"]}, r"buckets\.0"),
        ({"buckets": [10.0, 1.0]}, "buckets"),
        ({"unit": 5}, "unit"),
    ],
)
def test_facts_that_no_number_can_be_answered_with_are_refused(
    tmp_path: Path, changes: dict[str, Any], where: str
) -> None:
    write_regression_bundle(tmp_path)
    bundle = open_bundle(tmp_path)
    target = bundle.manifest.target | changes
    with pytest.raises(BundleError, match=rf"the manifest of prices is wrong at target\.{where}: "):
        Predictor(replace(bundle, manifest=bundle.manifest.model_copy(update={"target": target})))


@pytest.mark.parametrize("changes", [{"input": "smells"}, {"task": "divination"}])
def test_an_unknown_input_or_task_is_refused(tmp_path: Path, changes: dict[str, str]) -> None:
    write_bundle(tmp_path)
    bundle = open_bundle(tmp_path)
    ((what, name),) = changes.items()
    with pytest.raises(UserError, match=f"unknown {what} '{name}': there are "):
        Predictor(replace(bundle, manifest=bundle.manifest.model_copy(update=changes)))


def test_a_containers_quota_bounds_the_cores(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "sched_getaffinity", lambda _: set(range(8)), raising=False)
    for written, cores in [
        ("200000 100000", 2),
        ("50000 100000", 1),
        ("max 100000", 8),
        ("9900000 100000", 8),
    ]:
        monkeypatch.setattr(Path, "read_text", lambda _, written=written: written)
        assert allowed_cores() == cores
