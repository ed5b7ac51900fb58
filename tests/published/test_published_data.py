"""The published data sets that the presets name, as they lie in ../shared/data; skipped where they are not."""

from collections import Counter
from pathlib import Path

import pytest

from boatyard.config.compose import load_config
from boatyard.data import prepare as preparing
from boatyard.data.prepare import prepare
from boatyard.data.summary import DataSummary
from boatyard.inputs.training_protocol import SOURCE

pytestmark = pytest.mark.published

SHARED = Path(__file__).parents[3] / "shared" / "data"


def shared(name: str) -> Path:
    path = SHARED / name
    if not path.exists():
        pytest.skip(f"../shared/data/{name} is not here")
    return path


@pytest.fixture
def summaries(monkeypatch: pytest.MonkeyPatch) -> list[DataSummary]:
    """The summaries that the report is written from."""
    seen: list[DataSummary] = []
    write = preparing.write_data_report
    monkeypatch.setattr(
        preparing, "write_data_report", lambda folder, s, *others: (seen.append(s), write(folder, s, *others))[1]
    )
    return seen


def places(tmp_path: Path) -> list[str]:
    return [f"paths.{place}={tmp_path / place}" for place in ("processed", "runs", "reports", "storage")]


def test_banking77_holds_just_the_findings_that_are_known_of_it(tmp_path: Path, summaries: list[DataSummary]) -> None:
    prepared = prepare(load_config(["data=banking77", f"data.path={shared('banking77')}", *places(tmp_path)]))
    assert len(prepared.target["labels"]) == 77
    assert len(prepared.rows("test")) == 3080
    assert len(prepared.rows("train")) + len(prepared.rows("validation")) == 10_003
    (summary,) = summaries
    assert Counter((issue.severity, issue.kind, issue.file) for issue in summary.issues) == {
        ("warning", "leakage", "test.csv"): 25,
        ("warning", "duplicate", "train.csv"): 31,
        ("warning", "conflict", "train.csv"): 1,
        # within the test split, which no list of this data set's flaws seems to mention
        ("warning", "duplicate", "test.csv"): 4,
        ("warning", "conflict", "test.csv"): 1,
    }


def test_no_test_row_of_banking77_is_trained_or_tuned_on(tmp_path: Path) -> None:
    prepared = prepare(load_config(["data=banking77", f"data.path={shared('banking77')}", *places(tmp_path)]))
    for split in ("train", "validation"):
        assert set(prepared.splits[split][SOURCE][:]) == {"train.csv"}
    assert set(prepared.splits["test"][SOURCE][:]) == {"test.csv"}


def test_the_split_column_of_fakenews_is_honoured(tmp_path: Path) -> None:
    news = shared("fakenews") / "news.csv"
    prepared = prepare(load_config(["data=fakenews", f"data.path={news}", *places(tmp_path)]))
    assert {split: len(rows) for split, rows in prepared.splits.items()} == {
        "train": 3900,
        "validation": 475,
        "test": 468,
    }
    assert prepared.fields == ["title", "text"]
