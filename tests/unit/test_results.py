"""The README's results: each figure is one that was measured, and each comparison names a fair rival."""

import json
import re
from importlib import import_module
from pathlib import Path
from statistics import mean, median
from typing import Any

import pytest

pytestmark = pytest.mark.unit

ROOT = Path(__file__).parents[2]
README = (ROOT / "README.md").read_text(encoding="utf-8")
ACCURACIES = ["inbox", "banking77", "fakenews", "spanish"]
BLOCK = " ".join(README.partition("<!-- results:begin -->")[2].partition("<!-- results:end -->")[0].split())


def measured(name: str) -> Any:
    return json.loads((ROOT / "reports" / "benchmarks" / f"{name}.json").read_text(encoding="utf-8"))


def test_figures_are_those_of_the_reports() -> None:
    preparing = measured("preparing")["all_cores"]["million"]
    training, serving, journal = measured("training")["ratios"], measured("serving"), measured("journal")
    rounds = [one["servers"]["boatyard"]["loads"]["32"] for one in serving["rounds"]]
    start = median(measured("starting")["first_answer_seconds"]["boatyard"])
    for claim in (
        f"{preparing['rows_per_second']:,.0f} rows a second with a peak of {preparing['peak_megabytes']:.0f} MB",
        f"trains {training['trainer_defaults']:.2f} times as fast as with transformers' Trainer",
        f"at {training['bare_loop']:.2f} of a bare loop",
        f"answers 32 connections {median([one['per_second'] for one in rounds]):.0f} times a second",
        f"{serving['ratios']['lit_onnx']:.1f} times LitServe and {serving['ratios']['bento']:.1f} times BentoML",
        f"{serving['ratios']['limit']:.2f} of the engine without HTTP",
        f"lost and doubled none of {journal['predictions']:,} predictions",
        f"a start takes {start:.1f} s",
    ):
        assert claim in BLOCK
    assert (journal["journal"]["missing"], journal["journal"]["doubled"]) == (0, 0)


@pytest.mark.parametrize("name", ["inbox", "banking77"])
def test_accuracies_are_the_means_of_the_reports(name: str) -> None:
    results = measured(name)["results"]
    (row,) = [line for line in README.splitlines() if line.lower().startswith(f"| {name} |")]
    for runs in results.values():
        trained, served = (mean(run[f"accuracy_{which}"] for run in runs) for which in ("trained", "served"))
        assert f"{trained:.4f}, {served:.4f}" in row


def test_no_headline_compares_with_the_plain_way() -> None:
    straw = [measured("serving")["ratios"]["plain"], measured("training")["ratios"]["plain_way"]]
    claimed = [float(number) for number in re.findall(r"([0-9.]+) times (?:as|FastAPI|LitServe|BentoML)", README)]
    assert claimed
    assert max(claimed) < min(straw)


@pytest.fixture
def benchmarks(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(ROOT)
    monkeypatch.syspath_prepend(ROOT / "benchmarks")


@pytest.mark.usefixtures("benchmarks")
@pytest.mark.parametrize("name", ACCURACIES)
def test_a_report_says_what_its_benchmark_writes_and_no_more(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    report = import_module(name).REPORT
    facts = report.measured()
    monkeypatch.chdir(tmp_path)
    report.write(facts)
    for written in (tmp_path / "reports" / "benchmarks").iterdir():
        assert written.read_text(encoding="utf-8") == (ROOT / "reports" / "benchmarks" / written.name).read_text(
            encoding="utf-8"
        )


@pytest.mark.usefixtures("benchmarks")
@pytest.mark.parametrize(
    ("served", "seconds", "verdicts"),
    [
        (0.71, 80, ["met", "met", "met"]),
        (0.69, 100, ["missed", "met", "missed"]),
        (0.49, None, ["missed", "missed", "not measured"]),
    ],
)
def test_a_report_names_the_goals_that_are_missed(
    served: float, seconds: float | None, verdicts: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    accuracy, facts = import_module("accuracy"), measured("inbox")
    goals = [
        accuracy.Goal("tiny", "accuracy_served", least=0.7),
        accuracy.Goal("tiny", "accuracy_served", least="accuracy_baseline"),
        accuracy.Goal("tiny", "seconds", most=90),
    ]
    for run in facts["results"]["tiny"]:
        time = None if seconds is None else {"seconds": seconds, "cpu_seconds": 1}
        run.update(accuracy_served=served, accuracy_baseline=0.5, pipeline=time)
    monkeypatch.chdir(tmp_path)
    accuracy.Report("made", "benchmark", ["# Made"], goals, "Scored once.").write(facts)
    text = Path("reports/benchmarks/made.md").read_text(encoding="utf-8")
    assert re.findall(r"\| (met|missed|not measured) \|", text) == verdicts
    missed = json.loads(Path("reports/benchmarks/made.json").read_text(encoding="utf-8"))["missed"]
    assert len(missed) == 3 - verdicts.count("met")


@pytest.mark.usefixtures("benchmarks")
def test_a_command_in_a_report_has_no_path_of_the_machine_that_ran_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    report = import_module("banking77").REPORT
    facts = report.measured() | {"commands": ["python -m boatyard.pipeline data.path=/home/me/rows train.seed=42"]}
    monkeypatch.chdir(tmp_path)
    report.write(facts)
    assert "data.path=FOLDER train.seed=42" in Path("reports/benchmarks/banking77.md").read_text(encoding="utf-8")
