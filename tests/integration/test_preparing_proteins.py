"""Proteins from files to prepared rows: where labels are, what is refused, and that relatives stay on one side."""

import csv
import gzip
import json
import random
import re
from pathlib import Path

import pytest

from boatyard.config.compose import load_config
from boatyard.config.errors import UserError
from boatyard.data.prepare import Prepared, prepare
from boatyard.inputs.protein.sequences import RESIDUES

pytestmark = pytest.mark.integration

CHANCE = random.Random(0)


def sequence(length: int = 120) -> str:
    return "".join(CHANCE.choices(RESIDUES, k=length))


def relative(parent: str) -> str:
    return "".join(CHANCE.choice(RESIDUES) if CHANCE.random() < 0.1 else residue for residue in parent)


PARENTS = [sequence() for _ in range(60)]
ROWS = [(f"s{number}", "kinase" if number % 2 else "other", relative(PARENTS[number // 4])) for number in range(240)]
"""Families of four, in which both labels are."""


@pytest.fixture(autouse=True)
def _here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


def fasta(rows: list[tuple[str, str, str]], file: str = "own.fasta") -> None:
    Path(file).parent.mkdir(exist_ok=True)
    text = "".join(f">{id_} class={label} so\n{row[:60]}\n{row[60:]}\n" for id_, label, row in rows)
    Path(file).write_bytes(gzip.compress(text.encode()) if file.endswith(".gz") else text.encode())


def prepared(*overrides: str, file: str = "own.fasta") -> Prepared:
    own = ("data=fasta", "data.name=own", f"data.path={file}", "data.min_rows_per_label=1")
    return prepare(load_config([*own, *overrides]))


PATTERN = r"data.label_pattern='class=(\w+)'"


def labels(of: Prepared) -> dict[str, str]:
    every = [
        (row, of.target["labels"][target])
        for split in of.splits
        for row, target in zip(of.rows(split), of.targets(split), strict=True)
    ]
    return {id_: label for (_, id_), label in every}


EXPECTED = {id_: label for id_, label, _ in ROWS}


@pytest.mark.parametrize("file", ["own.fasta", "own.faa.gz"])
def test_a_label_is_what_a_pattern_finds_in_the_header(file: str) -> None:
    fasta(ROWS, file)
    assert labels(prepared(PATTERN, file=file)) == EXPECTED


def test_a_label_is_in_a_second_file() -> None:
    fasta(ROWS)
    Path("labels.csv").write_text("label,id\n" + "".join(f"{label},{id_}\n" for id_, label, _ in ROWS))
    assert labels(prepared("data.labels=labels.csv")) == EXPECTED


def test_a_second_file_may_have_numbers_for_labels() -> None:
    fasta(ROWS)
    numbered = {id_: int(label == "kinase") for id_, label, _ in ROWS}
    Path("labels.jsonl").write_text("".join(json.dumps({"id": i, "label": n}) + "\n" for i, n in numbered.items()))
    assert labels(prepared("data.labels=labels.jsonl")) == {id_: str(number) for id_, number in numbered.items()}


def test_a_label_is_the_name_of_a_file_in_a_folder_and_may_have_several() -> None:
    others = [row for row in ROWS if row[1] == "other"]
    fasta([row for row in ROWS if row[1] == "kinase"], "folder/kinase.fasta")
    fasta(others[:50], "folder/other.fasta")
    fasta(others[50:], "folder/other.faa.gz")
    assert labels(prepared(file="folder")) == EXPECTED


def test_a_table_has_a_column_of_sequences_and_may_have_one_of_ids() -> None:
    with Path("own.csv").open("w", newline="") as file:
        csv.writer(file).writerows(
            [("protein", "id", "label"), *((row.lower(), id_, label) for id_, label, row in ROWS)]
        )
    assert labels(prepared("data.sequence_column=protein", file="own.csv")) == EXPECTED
    Path("plain.csv").write_text("sequence,label\n" + "".join(f"{row},{label}\n" for _, label, row in ROWS))
    assert sum(len(rows) for rows in prepared(file="plain.csv").splits.values()) == len(ROWS)


def test_all_labels_but_one_may_be_one() -> None:
    fasta([(id_, label if index % 3 else "lyase", row) for index, (id_, label, row) in enumerate(ROWS)])
    assert prepared(PATTERN, "data.binary=true", "data.negative=other", "data.positive=enzyme").target["labels"] == [
        "enzyme",
        "other",
    ]


def test_a_negative_that_no_row_has_is_named_with_the_labels_there_are() -> None:
    fasta(ROWS)
    with pytest.raises(UserError, match=r"no row has data.negative=none for a label; there are 'other', 'kinase'"):
        prepared(PATTERN, "data.binary=true")


def test_all_numbers_but_one_may_be_one() -> None:
    rows = [json.dumps({"sequence": row, "label": index % 3}) for index, (_, _, row) in enumerate(ROWS)]
    Path("own.jsonl").write_text("\n".join(rows))
    binary = prepared("data.binary=true", "data.negative='0'", "data.positive=enzyme", file="own.jsonl")
    assert binary.target["labels"] == ["0", "enzyme"]


@pytest.mark.parametrize(
    ("wrong", "line", "message"),
    [
        (">e class=other\n", 1, "record 'e' is empty"),
        (">e class=other\nMK*VL\n", 1, r"record 'e' has a stop \(\*\) inside, at position 3"),
        (">e class=other\nMK-VL\n", 1, "record 'e' has '-' at position 3, which is no residue"),
        (">e class=other\n" + "ACGT" * 10 + "\n", 1, "record 'e' looks like DNA or RNA: translate it first"),
        (">e class=other\nMKVL\n>e class=other\nMKVA\n", 3, "record 'e' has the id of another sequence, in line 1"),
        (">e of no class\nMKVL\n", 1, "record 'e' has no label in its header: data.label_pattern finds nothing there"),
        ("MKVL\n", 1, "comes before the first header"),
    ],
)
def test_a_record_that_cannot_be_used_is_named_by_line_and_id(wrong: str, line: int, message: str) -> None:
    fasta(ROWS)
    own = Path("own.fasta")
    own.write_text(wrong + own.read_text())
    with pytest.raises(UserError, match=rf"own.fasta, row {line}: {message}"):
        prepared(PATTERN)


@pytest.mark.parametrize(
    ("overrides", "message"),
    [
        ([], "where are the labels"),
        (["data.label_pattern='class=('"], "is no regular expression"),
        (["data.label_pattern=class"], "must have one group in parentheses"),
        (["data.labels=none.csv"], "data.labels=none.csv: there is no such file"),
        ([PATTERN, "data.group_column=organism"], "FASTA has no column 'organism'"),
        ([PATTERN, "data.earlier_splits=none.csv"], "data.earlier_splits=none.csv: cannot be read"),
        ([PATTERN, "data.earlier_splits=own.fasta"], "is not the splits.csv of a data report"),
    ],
)
def test_keys_that_do_not_fit_are_named(overrides: list[str], message: str) -> None:
    fasta(ROWS)
    with pytest.raises(UserError, match=message):
        prepared(*overrides)


def test_an_id_is_of_one_sequence_in_all_files() -> None:
    fasta([("e", "", "MKVL"), *ROWS[::2]], "parts/enzyme.fasta")
    fasta([("e", "", "MKVA"), *ROWS[1::2]], "parts/other.fasta")
    with pytest.raises(
        UserError, match=r"other.fasta, row 1: record 'e' has the id of another sequence, in line 1 of enzyme"
    ):
        prepared(file="parts")


def test_a_sequence_that_is_written_in_another_way_is_the_same() -> None:
    fasta([("e", "other", "MKVL"), ("e", "other", "mk vl"), *ROWS])
    with pytest.raises(UserError, match=r"own.fasta, row 4: repeats own.fasta row 1"):
        prepared(PATTERN)


def test_a_file_beside_those_of_splits_is_named_as_left_out(caplog: pytest.LogCaptureFixture) -> None:
    fasta(ROWS, "parts/train.fasta")
    fasta(ROWS[:4], "parts/more.faa")
    prepared(PATTERN, file="parts")
    assert "left out, since the files beside them are splits: more.faa" in caplog.text


def test_a_file_without_a_record_is_named() -> None:
    Path("own.fasta").write_text("; nothing yet\n")
    with pytest.raises(UserError, match=r"own\.fasta holds no record"):
        prepared(PATTERN)


def splits(of: Prepared) -> dict[str, str]:
    return {id_: split for split in of.splits for _, id_ in of.rows(split)}


def test_one_family_alone_cannot_be_split_and_it_is_said_why() -> None:
    fasta([(f"s{number}", "other" if number % 2 else "kinase", relative(PARENTS[0])) for number in range(40)])
    with pytest.raises(UserError, match="no row is left for validation, as relatives stay on one side; more rows"):
        prepared(PATTERN)


def test_relatives_stay_on_one_side_and_each_label_has_its_share() -> None:
    fasta(ROWS)
    of = prepared(PATTERN)
    where = splits(of)
    for family in range(60):
        assert len({where[f"s{number}"] for number in range(4 * family, 4 * family + 4)}) == 1
    assert {split: len(rows) for split, rows in of.splits.items()} == {"train": 168, "validation": 24, "test": 48}
    assert of.related


def test_new_rows_go_where_their_relatives_are_and_bridges_are_set_aside_and_named() -> None:
    fasta(ROWS)
    before = splits(prepared(PATTERN))
    Path("reports/data/own/splits.csv").rename("splits.csv")
    of = {
        split: next(number for number in range(60) if before[f"s{4 * number}"] == split) for split in ("train", "test")
    }
    bridge = PARENTS[of["train"]][:60] + PARENTS[of["test"]][:60]
    new = [("near", "other", relative(PARENTS[of["test"]])), ("bridge", "other", bridge)]
    fasta([*new, *ROWS, *((f"n{number}", "other", sequence()) for number in range(50))])
    after = splits(prepared(PATTERN, "data.earlier_splits=splits.csv"))
    assert {id_: after[id_] for id_ in before} == before
    assert after["near"] == "test"
    assert "bridge" not in after
    said = Path("reports/data/own/report.md").read_text()
    assert re.search(r"own.fasta:4 \|.*resembles rows of train and of test, and would join them: it is set aside", said)
    assert "bridge" in Path("reports/data/own/quarantine.csv").read_text()


def test_splits_of_the_source_are_left_alone_and_relatives_across_them_are_counted() -> None:
    for split, part in (("train", ROWS[::4] + ROWS[1::4]), ("validation", ROWS[2::4]), ("test", ROWS[3::4])):
        fasta(part, f"parts/{split}.fasta")
    assert set(splits(prepared(PATTERN, file="parts")).values()) == {"train", "validation", "test"}
    assert "60 of 60 rows of test resemble training rows" in Path("reports/data/own/report.md").read_text()
