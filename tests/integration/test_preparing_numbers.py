"""Rows with a number as their target, from a file to what training reads."""

import csv
import json
from collections.abc import Sequence
from itertools import pairwise
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from stages import plants_config

from boatyard.config.errors import UserError
from boatyard.config.schema import Config
from boatyard.data.encode import encode
from boatyard.data.prepare import prepare
from boatyard.inputs.training_protocol import TARGET

pytestmark = pytest.mark.integration

PRICES = [round(7654.321 * number - 1234567.89, 2) for number in range(80)]


def texts(count: int = len(PRICES)) -> list[str]:
    return [f"a fern in pot number {number}" for number in range(count)]


def config(root: Path, rows: Path, *overrides: str) -> Config:
    return plants_config(root, rows, "data.task=regression", "data.target=price", *overrides)


def write_csv(path: Path, prices: Sequence[object] = PRICES) -> Path:
    with path.open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file)
        writer.writerow(["question", "price"])
        writer.writerows(zip(texts(len(prices)), prices, strict=True))
    return path


def write_jsonl(path: Path, prices: Sequence[object] = PRICES) -> Path:
    rows = zip(texts(len(prices)), prices, strict=True)
    path.write_text("".join(json.dumps({"question": text, "price": price}) + "\n" for text, price in rows))
    return path


def write_parquet(path: Path, prices: Sequence[object] = PRICES, kind: pa.DataType | None = None) -> Path:
    column = pa.array(prices, kind) if kind is None else pa.array(prices).cast(kind)
    pq.write_table(pa.table({"question": texts(len(prices)), "price": column}), path)
    return path


@pytest.fixture(params=["csv", "jsonl", "parquet", "decimals"])
def rows(request: pytest.FixtureRequest, tmp_path: Path) -> Path:
    """The same rows as text, as JSON numbers, as floats and as decimal numbers."""
    match request.param:
        case "csv":
            return write_csv(tmp_path / "rows.csv")
        case "jsonl":
            return write_jsonl(tmp_path / "rows.jsonl")
        case "parquet":
            return write_parquet(tmp_path / "rows.parquet")
    return write_parquet(tmp_path / "rows.parquet", kind=pa.decimal128(12, 2))


def test_every_number_arrives_with_its_text_whatever_the_format(tmp_path: Path, rows: Path) -> None:
    prepared = prepare(config(tmp_path, rows, "data.unit=EUR"))
    of_text = dict(zip(texts(), PRICES, strict=True))
    arrived = {}
    for split in prepared.splits:
        targets = prepared.targets(split)
        assert targets.dtype == np.float64
        arrived |= {text: target for (text,), target in zip(prepared.rows(split), targets.tolist(), strict=True)}
    assert arrived == of_text
    learnt = prepared.targets("train")
    facts = prepared.target
    assert (facts["unit"], facts["minimum"], facts["maximum"]) == ("EUR", learnt.min(), learnt.max())
    assert (facts["mean"], facts["std"]) == pytest.approx((learnt.mean(), learnt.std()))


@pytest.mark.parametrize(
    "prices",
    [
        PRICES,
        [2006.0 + number % 15 for number in range(80)],
        [1e-9 * number**3 for number in range(80)],
        [0.0, 1.0] * 40,
    ],
    ids=["prices", "years", "skewed and small", "two"],
)
def test_the_buckets_are_strictly_ascending_and_part_the_rows(tmp_path: Path, prices: list[float]) -> None:
    prepared = prepare(config(tmp_path, write_jsonl(tmp_path / "rows.jsonl", prices)))
    learnt, buckets = prepared.targets("train"), prepared.target["buckets"]
    assert all(low < high for low, high in pairwise(buckets))
    most = np.histogram(learnt, [-np.inf, *buckets, np.inf])[0].max() / len(learnt)
    assert most <= 0.75
    assert len(buckets) >= min(8, len(set(prices)) - 1)


def test_rows_set_aside_come_with_the_reason_and_the_cell_as_it_was(tmp_path: Path) -> None:
    rows = write_csv(tmp_path / "rows.csv", [*PRICES, "1,000", ""])
    with rows.open("a") as file:
        file.write("a fern in pot number 0,99.5\n")
    prepared = prepare(config(tmp_path, rows, "data.on_bad_row=quarantine"))
    assert sum(map(len, prepared.splits.values())) == len(PRICES) + 1
    with (tmp_path / "reports/data/plants/quarantine.csv").open(newline="") as file:
        aside = {row["row"]: (row["target"], row["why"]) for row in csv.DictReader(file)}
    assert aside == {
        "82": ("1,000", "price holds '1,000'; expected a number such as 1234.5"),
        "83": ("", "price has no value; every row needs a number"),
    }


def test_equal_rows_may_have_different_numbers_and_a_warning_names_those_far_apart(tmp_path: Path) -> None:
    prices = [1_000.0 + number for number in range(80)]
    rows = write_csv(tmp_path / "rows.csv", prices)
    with rows.open("a") as file:
        file.writelines(f"a fern in pot number {pot},{price}\n" for pot, price in ((5, 1_006), (7, 9_001), (7, 9_002)))
    prepared = prepare(config(tmp_path, rows))
    assert sorted(np.concatenate([prepared.targets(split) for split in prepared.splits])) == sorted(
        [*prices, 1_006, 9_001, 9_002]
    )
    report = json.loads((tmp_path / "reports/data/plants/report.json").read_text())
    assert [(issue["severity"], issue["row"], issue["message"]) for issue in report["issues"]] == [
        ("warning", 84, "says 9002, but the same content in rows.csv row 9 says 1007")
    ]


def test_equal_rows_with_equal_numbers_are_duplicates(tmp_path: Path) -> None:
    rows = write_csv(tmp_path / "rows.csv")
    with rows.open("a") as file:
        file.writelines(["a fern in pot number 80,3\n"] * 2)
    with pytest.raises(UserError, match=r"rows\.csv, row 83: repeats rows\.csv row 82"):
        prepare(config(tmp_path, rows))


def test_the_report_shows_how_the_numbers_lie(tmp_path: Path) -> None:
    prepared = prepare(config(tmp_path, write_csv(tmp_path / "rows.csv"), "data.unit=EUR"))
    report = tmp_path / "reports/data/plants"
    assert {file.name for file in report.iterdir()} == {"report.json", "report.md", "sizes.png", "targets.png"}
    assert "| In EUR | Lowest | 5% up to |" in (report / "report.md").read_text()
    facts = json.loads((report / "report.json").read_text())
    assert facts["targets"]["train"]["p100"] == prepared.targets("train").max()
    assert facts["samples"].keys() == {"lowest third", "middle third", "highest third"}


def test_fewer_training_rows_keep_the_lowest_and_the_highest(tmp_path: Path) -> None:
    rows = write_csv(tmp_path / "rows.csv")
    everything = prepare(config(tmp_path, rows)).targets("train")
    few = prepare(config(tmp_path, rows, "data.max_train_rows=5")).targets("train")
    assert len(few) == 5
    assert (few.min(), few.max()) == (everything.min(), everything.max())
    with pytest.raises(UserError, match=r"^data\.max_train_rows=1 is too few: the lowest and the highest number"):
        prepare(config(tmp_path, rows, "data.max_train_rows=1"))


def test_the_unit_makes_other_rows_and_the_task_other_inputs(tmp_path: Path) -> None:
    rows = write_csv(tmp_path / "rows.csv", [number % 4 for number in range(80)])
    numbers = prepare(config(tmp_path, rows))
    assert prepare(config(tmp_path, rows, "data.unit=EUR")).fingerprint != numbers.fingerprint
    labels = prepare(plants_config(tmp_path, rows, "data.target=price", "data.min_rows_per_label=1"))
    assert labels.folder != numbers.folder
    assert labels.target == {"labels": ["0", "1", "2", "3"]}


def test_encoded_targets_are_the_numbers(tmp_path: Path) -> None:
    settings = config(tmp_path, write_csv(tmp_path / "rows.csv"))
    prepared = prepare(settings)
    encoded = encode(settings, prepared)
    for split in prepared.splits:
        assert encoded.splits[split][TARGET][:] == prepared.targets(split).tolist()
