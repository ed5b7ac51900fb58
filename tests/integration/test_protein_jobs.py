"""A file of FASTA becomes a job: each record gets its line, by its id, and its place on the map."""

import csv
import gzip
import io
import json
from pathlib import Path

import httpx
import numpy as np
import onnx
import pytest
from jobs import finished, kill_in_job, result, submit
from onnx import TensorProto, helper, numpy_helper
from scoring import answers, assert_as_predicted, score_here
from servers import Serve, ServerProcess

from boatyard import registry
from boatyard.bundle.manifest import open_bundle, seal
from boatyard.bundle.map import MAP, Map, Point
from boatyard.bundle.predict import Predictor
from boatyard.inputs.protein.serving import KNOWN_WORDS, request_schema
from boatyard.inputs.protein.words import known_words
from boatyard.journal import read
from boatyard.storage import Storage
from boatyard.tasks.classification.serving import answer_schema, truth_schema

pytestmark = pytest.mark.integration

FASTA = {"content-type": "text/x-fasta"}
LABELS = {"labels": ["long", "short"]}
LETTERS = np.array(list("ACDEFGHIKLMNPQRSTVWY"))


def graph() -> onnx.ModelProto:
    """The number of residues n is embedded as n, 1; it is long from 11 on."""
    weights = {
        "one": np.array([1], np.int64),
        "nothing": np.array([0], np.int64),
        "two": np.array([[1.0, 0.0]], np.float32),
        "unit": np.array([0.0, 1.0], np.float32),
        "head": np.array([[1.0, 0.0], [-10.5, 0.0]], np.float32),
    }
    nodes = [
        helper.make_node("Greater", ["residues", "nothing"], ["there"]),
        helper.make_node("Cast", ["there"], ["counted"], to=TensorProto.FLOAT),
        helper.make_node("ReduceSum", ["counted", "one"], ["length"], keepdims=1),
        helper.make_node("MatMul", ["length", "two"], ["lengths"]),
        helper.make_node("Add", ["lengths", "unit"], ["embedding"]),
        helper.make_node("MatMul", ["embedding", "head"], ["logits"]),
        helper.make_node("Softmax", ["logits"], ["probabilities"], axis=-1),
    ]
    answered = [
        helper.make_tensor_value_info(name, TensorProto.FLOAT, ["batch", 2])
        for name in ("logits", "probabilities", "embedding")
    ]
    model = helper.make_model(
        helper.make_graph(
            nodes,
            "lengths",
            [helper.make_tensor_value_info("residues", TensorProto.INT64, ["batch", "residues_in_batch"])],
            answered,
            [numpy_helper.from_array(array, name) for name, array in weights.items()],
        ),
        opset_imports=[helper.make_opsetid("", 17)],
        ir_version=10,
    )
    onnx.checker.check_model(model)
    return model


@pytest.fixture(autouse=True)
def lengths(tmp_path: Path, storage: Storage) -> None:
    """A model that tells long sequences from short ones is in production, and has a map."""
    folder = tmp_path / "lengths"
    folder.mkdir()
    onnx.save(graph(), folder / "model.onnx")
    np.save(folder / KNOWN_WORDS, known_words([]))
    points = [Point(20, 0, "long"), Point(5, 0, "short")]
    made = Map(origin=[0, 1], axes=([1, 0], [0, 1]), kind="label", points=points)
    (folder / MAP).write_text(made.model_dump_json())
    seal(
        folder,
        name="ferry",  # what the tests' servers serve
        input="protein",
        task="classification",
        target=LABELS,
        request_schema=request_schema(["sequence", "id"], folder),
        answer_schema=answer_schema(LABELS),
        truth_schema=truth_schema(LABELS),
        limits={"max_residues": 2_000},
        git_commit=None,
        data_fingerprint="0" * 16,
        config={},
        packages={},
        examples=[{"sequence": "MKV", "id": "a"}],
        metrics={},
    )
    registry.promote(storage, "ferry", registry.publish(storage, folder).version)


def test_records_go_by_their_ids_in_every_form_of_the_result(serve: Serve) -> None:
    client = serve()
    content = b">long1 a sentence\nMKVLAWFAAL\nMKV\n>=1+1\nMK*V\n;a comment\n>short2\nMKV*\n"
    job = submit(client, gzip.compress(content), FASTA)
    assert finished(client, job)["bad"] == 1
    first, wrong, last = result(client, job)
    assert (first["name"], first["label"], last["name"], last["label"]) == ("long1", "long", "short2", "short")
    assert "stop (*) inside" in wrong["error"]
    rows = list(csv.DictReader(io.StringIO(client.get(f"/jobs/{job}/result", headers={"accept": "text/csv"}).text)))
    assert [(row["row"], row["name"], row["label"]) for row in rows] == [
        ("1", "long1", "long"),
        ("2", "", ""),
        ("3", "short2", "short"),
    ]
    places = [json.loads(line) for line in client.get(f"/jobs/{job}/map.jsonl").text.splitlines()]
    assert places == [
        {"row": 1, "name": "long1", "x": 13.0, "y": 0.0, "kind": "long"},
        {"row": 3, "name": "short2", "x": 3.0, "y": 0.0, "kind": "short"},
    ]
    assert "<title>long1: long</title>" in client.get(f"/jobs/{job}/map.svg").text


def test_a_scored_file_has_the_answers_of_requests_and_the_ids_of_all(tmp_path: Path) -> None:
    sequences = {"long": "MKVLAWFAALMKV", "short": "MKV"}
    rows = tmp_path / "rows"
    rows.mkdir()
    (rows / "a.fa").write_text("".join(f">{id_} of it\n{sequence}\n" for id_, sequence in sequences.items()))
    (rows / "b.csv").write_text("id,sequence\nwrong,MK*V\n")
    assert score_here(tmp_path / "storage", rows, tmp_path / "out") == 0
    answered = answers(tmp_path / "out")
    assert answered["name"].to_pylist() == ["long", "short", "wrong"]
    assert answered["header"].to_pylist() == ["long of it", "short of it", None]
    assert "stop (*) inside" in answered["error"][2].as_py()
    predictor = Predictor(open_bundle(tmp_path / "lengths"), threads=1)
    requests = [{"id": id_, "sequence": sequence} for id_, sequence in sequences.items()]
    assert_as_predicted(answered.slice(0, 2), predictor, requests)


@pytest.mark.slow
def test_each_record_has_one_answer_in_order_after_kill_9(tmp_path: Path, storage: Storage) -> None:
    count, random = 30_000, np.random.default_rng(0)
    written = "".join(f">p{n} x\n{''.join(random.choice(LETTERS, 60))}\n" for n in range(count))
    with ServerProcess(tmp_path / "storage", tmp_path / "log") as server, httpx.Client(base_url=server.url) as client:
        job = submit(client, written.encode(), FASTA)
        seen = 0
        for _ in range(2):
            seen = kill_in_job(server, client, storage, job, seen)
        finished(client, job)
        lines = result(client, job)
        places = client.get(f"/jobs/{job}/map.jsonl").text.splitlines()
        assert server.stop() == 0
    assert [line["name"] for line in lines] == [f"p{n}" for n in range(count)]
    assert [json.loads(line)["name"] for line in places] == [f"p{n}" for n in range(count)]
    assert sorted(line["id"] for line in read(storage)) == sorted(line["id"] for line in lines)
