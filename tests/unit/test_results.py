"""The README's results: each figure is one that was measured, and each comparison names a fair rival."""

import json
import re
from pathlib import Path
from statistics import mean, median
from typing import Any

import pytest

pytestmark = pytest.mark.unit

ROOT = Path(__file__).parents[2]
README = (ROOT / "README.md").read_text(encoding="utf-8")
BLOCK = " ".join(README.partition("<!-- results:begin -->")[2].partition("<!-- results:end -->")[0].split())


def measured(name: str) -> Any:
    return json.loads((ROOT / "reports" / "benchmarks" / f"{name}.json").read_text(encoding="utf-8"))


def test_figures_are_those_of_the_reports() -> None:
    preparing = measured("preparing")["results"]["million"]
    training, serving, journal = measured("training")["ratios"], measured("serving"), measured("journal")
    rounds = [one["servers"]["boatyard"]["loads"]["32"] for one in serving["measured"]["rounds"]]
    start = median(measured("starting")["first_answer_seconds"]["boatyard"])
    for claim in (
        f"{preparing['rows_per_second']:,.0f} rows a second with a peak of {preparing['peak_megabytes']:.0f} MB",
        f"trains {training['trainer_defaults']:.2f} times as fast as by transformers' Trainer",
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
