"""From a file to checked, split and encoded rows: what is kept, what is set aside, what is done twice."""

import csv
import json
from pathlib import Path

import pytest
from plants import write_plants
from stages import plants_config, small_config
from tokenizers import Tokenizer

from boatyard.config.errors import UserError
from boatyard.data.encode import encode
from boatyard.data.prepare import prepare
from boatyard.inputs.text.serving import TextInput
from boatyard.inputs.training_protocol import ROW, TARGET

pytestmark = pytest.mark.integration


@pytest.fixture
def plants(tmp_path: Path) -> Path:
    return write_plants(tmp_path / "plants.csv")


def append(path: Path, row: bytes) -> None:
    with path.open("ab") as file:
        file.write(row)


def test_every_row_arrives_once_with_its_label_and_the_line_it_came_from(tmp_path: Path, plants: Path) -> None:
    prepared = prepare(plants_config(tmp_path, plants))
    lines = plants.read_text().splitlines()
    found = {}
    for split, rows in prepared.splits.items():
        for (text,), label, row in zip(prepared.rows(split), prepared.targets(split), rows[ROW][:], strict=True):
            assert lines[row - 1] == f"{text},{prepared.target['labels'][label]}"
            found[row] = split
    assert sorted(found) == list(range(2, 122))
    assert set(found.values()) == {"train", "validation", "test"}


def test_a_text_that_no_server_takes_is_trained_on_with_a_warning(tmp_path: Path, plants: Path) -> None:
    append(plants, b"what is it about? " + b"ferns " * 4_000 + b",light\n")
    prepared = prepare(plants_config(tmp_path, plants))
    assert 122 in (row for split in prepared.splits.values() for row in split[ROW])
    report = json.loads((tmp_path / "reports/data/plants/report.json").read_text())
    (issue,) = (issue for issue in report["issues"] if issue["kind"] == "unservable")
    assert (issue["severity"], issue["row"]) == ("warning", 122)
    assert issue["message"].startswith("has 24,018 characters, and a server takes 20,000")


def test_a_test_split_that_no_server_could_be_asked_about_stops_before_training(tmp_path: Path) -> None:
    rows = tmp_path / "plants.csv"
    with rows.open("w") as file:
        file.write("question,topic,split\n")
        for number in range(40):
            split = "test" if number % 4 == 0 else "validation" if number % 4 == 1 else "train"
            file.write(f"{number} {'ferns ' * 4_000 * (split == 'test')},{'ab'[number // 4 % 2]},{split}\n")
    config = plants_config(tmp_path, rows, "data.split_column=split")
    for _ in range(2):  # prepared already, the second time
        with pytest.raises(UserError, match=r"plants\.csv: no test row could be asked of a server: the last has 24,0"):
            prepare(config)


@pytest.mark.parametrize(
    ("row", "sentence"),
    [
        (b"is it warm,%s\n" % (b"light" * 50), "plants.csv, row 122, column 'topic': has 250 characters; a label may"),
        (b",light\n", "plants.csv, row 122, column 'question': is empty"),
        (b"caf\xe9 light,light\n", "plants.csv, row 122, column 'question': holds bytes that are not UTF-8"),
        (b"lonely\n", "plants.csv, row 122: has 1 cell where the header names 2"),
        (b'"why is it so,light\n', "plants.csv, row 122: opens a quote that is never closed"),
        (
            b'"one quote,light\nand another",pests\n',
            "plants.csv, row 122: opens a quote in which 2 lines look like rows",
        ),
        (b"\x1c\xe2\x80\x8b,light\n", "plants.csv, row 122, column 'question': is empty"),
        (b"how long," + b"x" * 201 + b"\n", "plants.csv, row 122, column 'topic': has 201 characters"),
        ("caf\u00e9,pests\ncafe\u0301,pests\n".encode(), "plants.csv, row 123: repeats plants.csv row 122"),
        (b"tiny flies sit on my fern,pests\n", "plants.csv, row 122: repeats plants.csv row"),
        (b"tiny flies sit on my fern,light\n", "plants.csv, row 122, column 'topic': says 'light', but the same"),
        (b"what is it worth,price\n", "plants.csv, row 122, column 'topic': 'price' "),
    ],
)
def test_a_bad_row_stops_the_run_with_its_place_and_leaves_the_last_good_state(
    tmp_path: Path, plants: Path, row: bytes, sentence: str
) -> None:
    good = prepare(plants_config(tmp_path, plants))
    append(plants, row)
    with pytest.raises(UserError) as refusal:
        prepare(plants_config(tmp_path, plants))
    assert str(refusal.value).startswith(sentence)
    assert "data.on_bad_row=quarantine" in str(refusal.value)
    assert [folder.name for folder in (tmp_path / "processed" / "plants").glob("[!.]*")] == [good.folder.name]


def test_quarantine_sets_just_the_bad_rows_aside_with_the_reason_and_the_very_bytes(
    tmp_path: Path, plants: Path
) -> None:
    append(plants, b"caf\xe9 light,light\n,pests\ntiny flies sit on my fern,pests\nwhat is it worth,price\n")
    append(plants, b'"never closed,light\nsome, too, many\nlonely\n')
    prepared = prepare(plants_config(tmp_path, plants, "data.on_bad_row=quarantine"))
    assert sum(len(rows) for rows in prepared.splits.values()) == 120
    assert prepared.target["labels"] == ["delivery", "light", "pests", "watering"]

    kept = tmp_path / "reports" / "data" / "plants" / "quarantine.csv"
    with kept.open(encoding="utf-8", errors="surrogateescape", newline="") as file:
        rows = list(csv.DictReader(file))
    assert sorted((row["file"], row["row"]) for row in rows) == [("plants.csv", str(n)) for n in range(122, 129)]
    assert all(row["why"] for row in rows)
    assert [row["text"] for row in rows if not row["target"]] == [
        '"never closed,light',
        "some, too, many",
        "lonely",
    ]
    assert b"caf\xe9 light" in kept.read_bytes()
    assert "quarantine.csv" in (kept.parent / "report.md").read_text()


def test_bad_lines_of_json_are_set_aside_too(tmp_path: Path, plants: Path) -> None:
    with plants.open(newline="") as file:
        records = [json.dumps(record) for record in csv.DictReader(file)]
    rows = tmp_path / "plants.jsonl"
    bad = ["nonsense", "[1]", '{"question": NaN, "topic": "light"}', '{"topic": "light"}', "[" * 10_000]
    rows.write_text("\n".join([bad[0], *records, *bad[1:]]))
    with pytest.raises(UserError, match=r"^plants\.jsonl, row 1: is not JSON.*; 4 more"):
        prepare(plants_config(tmp_path, rows))
    prepared = prepare(plants_config(tmp_path, rows, "data.on_bad_row=quarantine"))
    assert sum(len(split) for split in prepared.splits.values()) == 120
    with (tmp_path / "reports/data/plants/quarantine.csv").open(encoding="utf-8", newline="") as file:
        assert [row["row"] for row in csv.DictReader(file)] == ["1", "122", "123", "124", "125"]


def test_labels_that_look_alike_are_a_warning_that_names_both(tmp_path: Path, plants: Path) -> None:
    others = ["LIGHT", "p\u0435sts", "wat\u200bering"]  # capitals, a Cyrillic letter, a space of no width
    append(plants, "".join(f"question {i} of {t},{t}\n" for t in others for i in range(20)).encode())
    append(plants, b"is it normal,  light\t\n")
    prepared = prepare(plants_config(tmp_path, plants))
    assert len(prepared.target["labels"]) == 7
    facts = json.loads((tmp_path / "reports/data/plants/report.json").read_text())
    assert facts["issue_counts"]["warning:similar_labels"] == 3
    named = {issue["message"].partition(",")[0] for issue in facts["issues"] if issue["kind"] == "similar_labels"}
    assert named == {
        "'LIGHT' looks like 'light'",
        r"'p\u0435sts' looks like 'pests'",
        r"'wat\u200bering' looks like 'watering'",
    }


def test_half_a_surrogate_pair_is_set_aside_too(tmp_path: Path, plants: Path) -> None:
    with plants.open(newline="") as file:
        records = list(csv.DictReader(file))
    rows = tmp_path / "plants.jsonl"
    rows.write_text("".join(json.dumps(record) + "\n" for record in records))
    append(rows, b'{"question": "my fern \\ud83d", "topic": "light"}\n')
    prepared = prepare(plants_config(tmp_path, rows, "data.on_bad_row=quarantine"))
    assert sum(len(split) for split in prepared.splits.values()) == 120
    assert b"my fern \xed\xa0\xbd,light" in (tmp_path / "reports/data/plants/quarantine.csv").read_bytes()


def test_the_report_is_of_what_was_asked_for_last(tmp_path: Path, plants: Path) -> None:
    """Also where that was prepared long ago."""
    report = tmp_path / "reports" / "data" / "plants"
    prepare(plants_config(tmp_path, plants))
    clean = (report / "report.md").read_text()
    append(plants, b",pests\n")
    with pytest.raises(UserError):
        prepare(plants_config(tmp_path, plants))
    stopped = (report / "report.md").read_text()
    prepare(plants_config(tmp_path, plants, "data.on_bad_row=quarantine"))
    assert (report / "quarantine.csv").exists()
    write_plants(plants)
    prepare(plants_config(tmp_path, plants))
    assert not (report / "quarantine.csv").exists()
    assert (report / "report.md").read_text() == clean != stopped
    assert [folder.name for folder in report.parent.iterdir()] == ["plants"]


def test_the_report_says_the_same_to_people_and_programs(tmp_path: Path, plants: Path) -> None:
    append(plants, b"Tiny flies sit on my FERN!,pests\n")
    prepared = prepare(plants_config(tmp_path, plants))
    report = tmp_path / "reports" / "data" / "plants"
    facts = json.loads((report / "report.json").read_text())
    assert facts["fingerprint"] == prepared.fingerprint
    assert facts["split_rows"] == {split: len(rows) for split, rows in prepared.splits.items()}
    assert facts["issue_counts"] == {"warning:duplicate": 1}
    assert "plants.csv:122" in (report / "report.md").read_text()
    assert (report / "labels.png").exists()


def test_a_first_run_that_stops_leaves_nothing_prepared(tmp_path: Path, plants: Path) -> None:
    append(plants, b",pests\n")
    with pytest.raises(UserError):
        prepare(plants_config(tmp_path, plants))
    assert not list((tmp_path / "processed" / "plants").glob("[!.]*"))


def test_rows_that_the_source_splits_stay_where_it_put_them(tmp_path: Path) -> None:
    places = {}
    with (tmp_path / "given.csv").open("w") as file:
        file.write("question,topic,part\n")
        for number in range(60):
            places[number + 2] = ("train", "validation", "test")[number % 3]
            file.write(f"question {number},{'ab'[number % 2]},{('train', 'Dev', 'TEST')[number % 3]}\n")
    rows = tmp_path / "given.csv"
    prepared = prepare(plants_config(tmp_path, rows, "data.split_column=part"))
    assert {row: split for split, found in prepared.splits.items() for row in found[ROW][:]} == places

    append(rows, b"one more question,a,tset\n")
    with pytest.raises(UserError, match=r"^given\.csv, row 62, column 'part': says 'tset'; known are train"):
        prepare(plants_config(tmp_path, rows, "data.split_column=part"))


def test_a_row_of_the_training_file_that_is_in_the_test_file_too_stops_the_run(tmp_path: Path) -> None:
    folder = tmp_path / "split"
    folder.mkdir()
    write_plants(folder / "train.csv")
    (folder / "test.csv").write_text("question,topic\nwhere to put it,light\ntiny flies sit on my fern,pests\n")
    with pytest.raises(UserError) as refusal:
        prepare(plants_config(tmp_path, folder))
    assert "is in train and in test (test.csv row 3)" in str(refusal.value)


@pytest.mark.slow
def test_the_bundled_inbox_has_no_bad_row(tmp_path: Path) -> None:
    inbox = Path(__file__).parents[2] / "data" / "raw" / "inbox.csv"
    prepared = prepare(small_config(tmp_path, f"data.path={inbox}"))
    with inbox.open(encoding="utf-8", newline="") as file:
        assert sum(len(rows) for rows in prepared.splits.values()) == sum(1 for _ in csv.DictReader(file))


def test_what_is_prepared_is_not_prepared_again_until_rows_or_settings_change(tmp_path: Path, plants: Path) -> None:
    config = plants_config(tmp_path, plants)
    first = encode(config, prepare(config))
    files = [file for file in tmp_path.rglob("*") if file.is_file()]
    written = [file.stat().st_mtime_ns for file in files]
    encode(config, prepare(config))
    assert [file for file in tmp_path.rglob("*") if file.is_file()] == files
    assert [file.stat().st_mtime_ns for file in files] == written
    shorter = plants_config(tmp_path, plants, "model.text.max_tokens=8")
    assert encode(shorter, prepare(shorter)).fingerprint != first.fingerprint
    other = plants_config(tmp_path, plants, "data.test_share=0.3")
    assert prepare(other).fingerprint != prepare(config).fingerprint
    append(plants, b"a new question about water,watering\n")
    assert encode(config, prepare(config)).fingerprint != first.fingerprint


@pytest.mark.parametrize(
    "override", ["max_tokens=16", "word_dropout=0.2", "scratch.hidden_size=16", "scratch.vocabulary=200"]
)
def test_any_key_of_the_inputs_own_section_makes_other_inputs(tmp_path: Path, plants: Path, override: str) -> None:
    config, other = plants_config(tmp_path, plants), plants_config(tmp_path, plants, f"model.text.{override}")
    prepared = prepare(config)
    assert prepare(other).folder == prepared.folder
    assert encode(other, prepared).folder != encode(config, prepared).folder


def test_training_sees_the_tokens_that_serving_sees_in_the_order_of_the_rows(tmp_path: Path, plants: Path) -> None:
    config = plants_config(tmp_path, plants, "model.text.max_tokens=8")
    prepared = prepare(config)
    encoded = encode(config, prepared)
    served = TextInput(Tokenizer.from_file(str(encoded.folder / "tokenizer.json")), ["text"], 8)
    for split in prepared.splits:
        expected = [row.ids for row in served.encode(prepared.rows(split))]
        assert encoded.splits[split]["input_ids"][:] == expected
        assert encoded.splits[split][TARGET][:] == prepared.targets(split).tolist()
    assert max(encoded.splits["train"]["cost"][:]) == 8


def test_fewer_training_rows_are_a_part_of_all_and_the_rest_stays(tmp_path: Path, plants: Path) -> None:
    everything = prepare(plants_config(tmp_path, plants))
    few = prepare(plants_config(tmp_path, plants, "data.max_train_rows=10"))
    assert len(few.rows("train")) == 10
    assert set(few.rows("train")) < set(everything.rows("train"))
    assert few.rows("test") == everything.rows("test")
    assert few.target == everything.target


def test_each_label_keeps_a_training_row_however_few_are_taken(tmp_path: Path, plants: Path) -> None:
    least = prepare(plants_config(tmp_path, plants, "data.max_train_rows=4"))
    assert sorted(least.targets("train").tolist()) == [0, 1, 2, 3]
    with pytest.raises(
        UserError, match=r"^data\.max_train_rows=3 is too few: each of the 4 labels needs a training row"
    ):
        prepare(plants_config(tmp_path, plants, "data.max_train_rows=3"))


@pytest.mark.parametrize(
    ("columns", "sentence"),
    [
        ("[body, boatyard.row]", "'boatyard.row' is boatyard's own name"),
        ("[body, ' body']", "'body' is given twice"),
        ("[topic]", "'topic' is data.target too"),
        ("['']", "a column without a name cannot be read"),
    ],
)
def test_columns_that_cannot_be_fields_are_refused(tmp_path: Path, plants: Path, columns: str, sentence: str) -> None:
    with pytest.raises(UserError, match=rf"^data\.text_columns: {sentence}"):
        prepare(plants_config(tmp_path, plants, f"data.text_columns={columns}"))


def test_one_label_is_not_enough(tmp_path: Path) -> None:
    rows = tmp_path / "one.csv"
    rows.write_text("question,topic\n" + "".join(f"question {i},same\n" for i in range(50)))
    with pytest.raises(UserError, match=r"one\.csv: a classifier needs at least two labels"):
        prepare(plants_config(tmp_path, rows))


def test_a_file_of_which_no_row_is_left_says_that_they_were_set_aside(tmp_path: Path) -> None:
    rows = tmp_path / "latin.csv"
    rows.write_bytes(b"question,topic\n" + b"caf\xe9,light\n" * 9)
    sentence = r"at least two labels, found \[\] \(9 rows were set aside; \S+report\.md says why\)"
    with pytest.raises(UserError, match=sentence):
        prepare(plants_config(tmp_path, rows, "data.on_bad_row=quarantine"))


def test_a_label_may_have_any_number_of_blanks_around_it(tmp_path: Path, plants: Path) -> None:
    append(plants, b"is it warm there," + b" " * 300 + b"light\n")
    assert "light" in prepare(plants_config(tmp_path, plants)).target["labels"]


def test_a_header_without_rows_is_told_as_such(tmp_path: Path) -> None:
    rows = tmp_path / "none.csv"
    rows.write_text("question,topic\n")
    with pytest.raises(UserError, match=r"none\.csv: a classifier needs at least two labels, found \[\]"):
        prepare(plants_config(tmp_path, rows))
