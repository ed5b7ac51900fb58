"""From a file to checked, split and encoded rows: what is kept, what is set aside, what is done twice."""

import csv
from pathlib import Path

import pytest
from plants import write_plants
from stages import plants_config
from tokenizers import Tokenizer

from boatyard.data.encode import encode
from boatyard.data.prepare import prepare
from boatyard.errors import UserError
from boatyard.kinds.text.serving import TextModel

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
        for (text,), label, row in zip(prepared.rows(split), prepared.targets(split), rows["row"][:], strict=True):
            assert lines[row - 1] == f"{text},{prepared.labels[label]}"
            found[row] = split
    assert sorted(found) == list(range(2, 122))
    assert set(found.values()) == {"train", "validation", "test"}


@pytest.mark.parametrize(
    ("row", "sentence"),
    [
        (b",light\n", "plants.csv, row 122, column 'question': is empty"),
        (b"caf\xe9 light,light\n", "plants.csv, row 122, column 'question': holds bytes that are not UTF-8"),
        (b"lonely\n", "plants.csv, row 122, column 'topic': has no value"),
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
    assert [folder.name for folder in (tmp_path / "processed" / "plants").iterdir()] == [good.folder.name]


def test_quarantine_sets_just_the_bad_rows_aside_with_the_reason_and_the_very_bytes(
    tmp_path: Path, plants: Path
) -> None:
    append(plants, b"caf\xe9 light,light\n,pests\ntiny flies sit on my fern,pests\nwhat is it worth,price\n")
    prepared = prepare(plants_config(tmp_path, plants, "data.on_bad_row=quarantine"))
    assert sum(len(rows) for rows in prepared.splits.values()) == 120
    assert prepared.labels == ["delivery", "light", "pests", "watering"]

    kept = tmp_path / "reports" / "data" / "plants" / "quarantine.csv"
    with kept.open(encoding="utf-8", errors="surrogateescape", newline="") as file:
        rows = list(csv.DictReader(file))
    assert [(row["file"], row["row"]) for row in rows] == [("plants.csv", str(n)) for n in (122, 123, 124, 125)]
    assert all(row["why"] for row in rows)
    assert b"caf\xe9 light" in kept.read_bytes()
    assert "quarantine.csv" in (kept.parent / "report.md").read_text()


def test_a_clean_run_leaves_no_quarantine_behind(tmp_path: Path, plants: Path) -> None:
    append(plants, b",pests\n")
    prepare(plants_config(tmp_path, plants, "data.on_bad_row=quarantine"))
    write_plants(plants)
    prepare(plants_config(tmp_path, plants))
    assert not (tmp_path / "reports" / "data" / "plants" / "quarantine.csv").exists()


def test_what_is_prepared_is_not_prepared_again_until_rows_or_settings_change(tmp_path: Path, plants: Path) -> None:
    config = plants_config(tmp_path, plants)
    first = encode(config, prepare(config))
    written = (first.folder / "train.arrow").stat().st_mtime_ns
    again = encode(config, prepare(config))
    assert (again.folder / "train.arrow").stat().st_mtime_ns == written
    other = plants_config(tmp_path, plants, "data.test_share=0.3")
    assert prepare(other).fingerprint != prepare(config).fingerprint
    append(plants, b"a new question about water,watering\n")
    assert prepare(config).fingerprint != first.fingerprint


def test_training_sees_the_tokens_that_serving_sees_in_the_order_of_the_rows(tmp_path: Path, plants: Path) -> None:
    config = plants_config(tmp_path, plants, "model.max_tokens=8")
    prepared = prepare(config)
    encoded = encode(config, prepared)
    served = TextModel(Tokenizer.from_file(str(encoded.folder / "tokenizer.json")), ["text"], 8)
    for split in prepared.splits:
        expected = [row.ids for row in served.encode(prepared.rows(split))]
        assert encoded.splits[split]["input_ids"][:] == expected
        assert encoded.splits[split]["label"][:] == prepared.targets(split).tolist()
    assert max(encoded.splits["train"]["length"][:]) == 8


def test_fewer_training_rows_are_a_part_of_all_and_the_rest_stays(tmp_path: Path, plants: Path) -> None:
    everything = prepare(plants_config(tmp_path, plants))
    few = prepare(plants_config(tmp_path, plants, "data.max_train_rows=10"))
    assert len(few.rows("train")) == 10
    assert set(few.rows("train")) < set(everything.rows("train"))
    assert few.rows("test") == everything.rows("test")
    assert few.labels == everything.labels


def test_one_label_is_not_enough(tmp_path: Path) -> None:
    rows = tmp_path / "one.csv"
    rows.write_text("question,topic\n" + "".join(f"question {i},same\n" for i in range(50)))
    with pytest.raises(UserError, match=r"one\.csv: a classifier needs at least two labels"):
        prepare(plants_config(tmp_path, rows))


def test_a_header_without_rows_is_told_as_such(tmp_path: Path) -> None:
    rows = tmp_path / "none.csv"
    rows.write_text("question,topic\n")
    with pytest.raises(UserError, match=r"none\.csv: a classifier needs at least two labels, found \[\]"):
        prepare(plants_config(tmp_path, rows))
