"""Requests to proteins: JSON and FASTA; what is none is refused with what would be right."""

import gzip
import json
from typing import Any

import jsonschema
import numpy as np
import pytest

from boatyard.api.problems import Problem
from boatyard.api.requests import parse_raw
from boatyard.inputs.protein.serving import MEDIA_TYPES, ProteinInput, request_schema
from boatyard.inputs.protein.words import known_words
from boatyard.inputs.protocol import InvalidInput

pytestmark = pytest.mark.unit

KNOWN = known_words(["MKVLAWG"])
PROTEINS = ProteinInput(10, KNOWN)
DECODE = MEDIA_TYPES["text/x-fasta"]


def test_a_request_is_a_sequence_and_may_have_an_id_by_which_its_answer_goes() -> None:
    row = PROTEINS.parse({"sequence": "mkv law*", "id": "a"})
    assert row == ("MKVLAW", "a")
    assert PROTEINS.name_of(row) == "a"
    assert PROTEINS.name_of(PROTEINS.parse({"sequence": "MKV"})) is None


@pytest.mark.parametrize(
    ("request_", "message", "pointer"),
    [
        ("MKV", 'must be an object with "sequence"', ""),
        ({"id": "a"}, '"sequence" is missing', "/sequence"),
        ({"sequence": 3}, '"sequence" must be a string', "/sequence"),
        ({"sequence": "ACGT" * 10}, '"sequence" looks like DNA or RNA', "/sequence"),
        ({"sequence": "MKV", "id": 3}, '"id" must be a string', "/id"),
        ({"sequence": "MKV", "name": "a"}, "unknown field 'name'", ""),
    ],
)
def test_a_request_that_is_no_protein_is_refused(request_: Any, message: str, pointer: str) -> None:
    with pytest.raises(InvalidInput, match=message) as refused:
        PROTEINS.parse(request_)
    assert refused.value.pointer == pointer


def test_the_schema_takes_what_is_taken() -> None:
    schema = request_schema(["sequence", "id"], None)  # type: ignore[arg-type]
    json.dumps(schema)
    jsonschema.validate({"sequence": "MKV", "id": "a"}, schema)
    for wrong in ({"id": "a"}, {"sequence": ""}, {"sequence": "MKV", "more": 1}):
        with pytest.raises(jsonschema.ValidationError):
            jsonschema.validate(wrong, schema)


def test_a_body_of_fasta_is_a_list_even_of_one_record() -> None:
    question = parse_raw(b">a\nMKV\n>b\nGGG\n", DECODE, PROTEINS)
    assert (question.rows, question.listed) == ([("MKV", "a"), ("GGG", "b")], True)
    assert parse_raw(b">a\nMKV\n", DECODE, PROTEINS).listed


def test_each_record_that_is_wrong_is_pointed_at() -> None:
    with pytest.raises(Problem) as raised:
        parse_raw(b">a\nMKV\n>b\n\n>c\nM*K\n", DECODE, PROTEINS)
    errors = raised.value.document.errors or []
    assert [error.pointer for error in errors] == ["#/inputs/1/sequence", "#/inputs/2/sequence"]
    assert [error.detail.partition(":")[0] for error in errors] == [
        "\"sequence\" of record 'b' is empty; every sequence needs a residue",
        "\"sequence\" of record 'c' has a stop (*) inside, at position 2",
    ]


@pytest.mark.parametrize(
    ("body", "message"),
    [
        (b"", "must be a list of 1 to 256 inputs, not 0"),
        (b">a\nMKV\n" * 257, "not 257 inputs"),
        (b">a\nMKV\n" * 2_000, "more than 1,000 records; POST /jobs"),
        (b"MKV", "line 1 comes before the first header"),
        (b"\x1f\x8b\x08", "the body is compressed by gzip"),
        (gzip.compress(b">a\nMK\n" + b"\n" * 2_000_000, mtime=0), "has more than 1,000,000 lines that are blank"),
    ],
)
def test_a_body_that_is_no_fasta_or_too_much_is_a_problem(body: bytes, message: str) -> None:
    with pytest.raises(Problem, match=message):
        parse_raw(body, DECODE, PROTEINS)


def test_what_is_beyond_the_limit_is_cut_off_and_a_batch_is_filled_up() -> None:
    short, long = PROTEINS.encode([("AC", ""), ("Y" * 20, "")])
    assert (short.truncated, long.truncated, short.cost, long.cost) == (False, True, 2, 10)
    batch = PROTEINS.collate([short, long])["residues"]
    assert batch.tolist() == [[1, 2, *[0] * 8], [20] * 10]
    assert PROTEINS.collate([short])["residues"].shape == (1, 4), "the shortest that a graph reads"


def test_composition_is_described_and_no_share_is_a_missing_number() -> None:
    rows = [("KKKK", ""), ("XX", "")]
    described = PROTEINS.describe(rows, PROTEINS.encode(rows))
    assert list(described) == [column.name for column in PROTEINS.described]
    assert described["charged_share"] == [1.0, 0.0]
    assert described["unknown_share"] == [0.0, 1.0]
    assert described["hydrophobicity"] == pytest.approx([-3.9, 0.0])
    assert described["entropy"] == [0.0, 0.0]


def test_stretches_are_hidden_where_they_stand() -> None:
    sequence = "ACDEFGHIKLMNPQRSTVWY" * 2
    parts = ProteinInput(30, KNOWN).parts((sequence, "a"))
    assert "".join(part.name for part in parts.names) == sequence[:30]
    whole, without = np.ones((2, len(parts.names)), bool)
    without[1] = False
    variants = parts.variants(np.array([whole, without]), np.zeros((2, len(parts.names)), np.int64))
    assert variants == [(sequence, "a"), (sequence[:5] + "XXXXX" + sequence[10:], "a")]


def test_words_that_training_sequences_have_are_known() -> None:
    rows = [(sequence, "") for sequence in ("MKVLAWG", "MKVLAG", "GGMKVLAXWG", "XXXXX", "MK")]
    described = PROTEINS.describe(rows, PROTEINS.encode(rows))
    assert described["known_share"] == [1.0, 0.5, pytest.approx(1 / 3), 0.0, 0.0]
