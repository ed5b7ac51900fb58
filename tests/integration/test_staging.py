"""`invoke stage`: a published version beside the one in production, on real bundles and rows."""

import csv
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
from bundles import WORDS, Publish

from boatyard import registry
from boatyard.bundle.predict import Predictor
from boatyard.config.schema import Staging
from boatyard.inputs.text.serving import request_schema
from boatyard.registry import staging
from boatyard.registry.staging import Measured, Speed, find_refusals, measure_speed
from boatyard.storage import Storage
from boatyard.tasks.score import Score

pytestmark = pytest.mark.integration

LIMITS = Staging(max_megabytes=100, max_slowdown=1.5, max_score_loss=0.01, behaviour="none")
PRODUCTION = Measured("before", 50, Speed(p95_ms=10, rows_per_second=900), Score("accuracy", 0.9))

Stage = Callable[..., int]


@pytest.fixture
def stage(tmp_path: Path, storage: Storage) -> Stage:  # noqa: ARG001 - made before it is named
    rows = tmp_path / "rows.csv"
    with rows.open("w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(["text", "label", "subject"])
        for label, words in WORDS.items():
            writer.writerows([f"{word} no{i}", label, "none"] for word in words for i in range(20))
    places = [f"paths.{place}={tmp_path / place}" for place in ("processed", "runs", "reports", "storage")]

    def ask(version: str, *overrides: str) -> int:
        data = "data=csv", "data.name=ferry", f"data.path={rows}", "data.label_column=label"
        (tmp_path / "behaviour").mkdir(exist_ok=True)
        limits = "staging.max_slowdown=100", f"staging.behaviour={tmp_path / 'behaviour'}"
        return staging.main(["ferry", version, *data, *places, *limits, *overrides])

    return ask


def test_an_equal_version_is_fit_and_its_numbers_stand_beside_productions(
    stage: Stage, storage: Storage, publish: Publish, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    before, after = publish().version, publish(bias=(0.1, 0, 0)).version
    registry.promote(storage, "ferry", before)
    assert stage(after) == 0
    shown = capsys.readouterr().out
    assert f"| Version | {after} | {before} |" in shown
    assert "| Accuracy | 1.0000 | 1.0000 |" in shown
    assert "Behaviour cases asked: 0." in shown
    assert f"invoke promote ferry {after} --expected={before}`" in shown
    assert (tmp_path / "reports/staging/ferry/report.md").read_text().strip() == shown.strip()
    assert registry.aliases(storage, "ferry") == {"production": before}, "looking moves nothing"


def test_a_less_accurate_version_is_refused_with_both_numbers(
    stage: Stage, storage: Storage, publish: Publish, capsys: pytest.CaptureFixture[str]
) -> None:
    before, after = publish().version, publish(bias=(100, 0, 0)).version
    registry.promote(storage, "ferry", before)
    assert stage(after) == 1
    (refusal,) = [line for line in capsys.readouterr().out.splitlines() if line.startswith("- ")]
    assert "its accuracy is 0." in refusal
    assert "production's 1.0000" in refusal
    assert stage(after, "staging.max_score_loss=0.9") == 0


def test_a_version_that_fails_a_required_behaviour_is_refused_by_its_name(
    stage: Stage, publish: Publish, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    version, file = publish().version, tmp_path / "behaviour" / "ferry.yaml"
    file.parent.mkdir()
    lines = "- {name: cards, input: {text: my card}, answer: {label: LABEL}}"
    file.write_text(f"model: ferry\nbehaviour:\n  {lines.replace('LABEL', 'card_lost')}\n")
    assert stage(version) == 0
    assert "| cards | 1 of 1 | yes |" in capsys.readouterr().out
    file.write_text(f"model: ferry\nbehaviour:\n  {lines.replace('LABEL', 'fees')}\n")
    assert stage(version) == 1
    assert f"- it fails the behaviour 'cards' of {file}: asked " in capsys.readouterr().out
    file.write_text(f"model: ferry\nbehaviour:\n  {lines.replace('LABEL', 'fee')}\n")
    assert stage(version) == 2
    assert "the model never answers fee; did you mean fees?" in capsys.readouterr().err


def test_a_version_that_is_too_big_is_refused_even_as_the_first(
    stage: Stage, publish: Publish, capsys: pytest.CaptureFixture[str]
) -> None:
    first = publish().version
    assert stage(first) == 0
    shown = capsys.readouterr().out
    assert f"Nothing is in production to compare with: `invoke promote ferry {first} --expected=none`" in shown
    assert stage(first, "staging.max_megabytes=0.001") == 1
    assert "staging.max_megabytes is 0.001" in capsys.readouterr().out


def test_a_version_that_no_server_could_answer_with_is_one_sentence_and_status_2(
    stage: Stage, publish: Publish, capsys: pytest.CaptureFixture[str]
) -> None:
    assert stage(publish(examples=[{"text": "x" * 201}]).version) == 2
    assert "does not answer its own example" in capsys.readouterr().err


def test_a_version_that_takes_other_input_is_refused(
    stage: Stage, storage: Storage, publish: Publish, capsys: pytest.CaptureFixture[str]
) -> None:
    registry.promote(storage, "ferry", publish().version)
    longer = publish(request_schema=request_schema(["text"], max_characters=100), bias=(0, 0.1, 0)).version
    assert stage(longer) == 1
    assert "- it takes other input than production" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("changes", "sentence"),
    [
        (["data.name=other"], "stage: the rows are of other, not of ferry"),
        (["data.text_columns=[subject,text]"], "stage: ferry@"),
    ],
)
def test_rows_that_are_not_the_models_are_one_sentence_and_status_2(
    stage: Stage, publish: Publish, capsys: pytest.CaptureFixture[str], changes: list[str], sentence: str
) -> None:
    assert stage(publish().version, *changes) == 2
    assert capsys.readouterr().err.splitlines()[-1].startswith(sentence)


def test_an_unknown_version_is_one_sentence_and_status_2(
    stage: Stage, publish: Publish, capsys: pytest.CaptureFixture[str]
) -> None:
    publish()
    assert stage("20260102T030405Z-0a1b2c3d") == 2
    assert "has no version" in capsys.readouterr().err


def test_a_slower_version_is_seen_to_be_slower(
    storage: Storage, publish: Publish, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    bundle = registry.fetch(storage, registry.Reference("ferry", publish().version), tmp_path / "fetched")
    quick, slow = Predictor(bundle), Predictor(bundle)
    encode = slow.input.encode
    monkeypatch.setattr(
        slow.input, "encode", lambda rows: (encode([row for row in rows for _ in range(300)]), encode(rows))[1]
    )
    row = quick.input.parse({"text": "my card"})
    of_slow, of_quick = measure_speed([slow, quick], [row] * 20)
    assert of_slow.p95_ms > 1.5 * of_quick.p95_ms
    assert of_slow.rows_per_second < of_quick.rows_per_second / 1.5


@pytest.mark.parametrize(
    ("candidate", "sentences"),
    [
        (PRODUCTION, []),
        (replace(PRODUCTION, score=Score("accuracy", 0.895), speed=Speed(14.9, 601)), []),
        (
            replace(PRODUCTION, score=Score("accuracy", 0.88)),
            ["its accuracy is 0.8800 on the test rows, production's 0.9000"],
        ),
        (replace(PRODUCTION, speed=Speed(16, 900)), ["95% of answers take up to 16.00 ms, production's 10.00 ms"]),
        (replace(PRODUCTION, speed=Speed(10, 500)), ["it answers 500 rows a second, production 900"]),
        (replace(PRODUCTION, megabytes=101), ["it has 101.0 MB; staging.max_megabytes is 100"]),
    ],
)
def test_each_limit_refuses_what_is_past_it_and_nothing_else(candidate: Measured, sentences: list[str]) -> None:
    refusals = list(find_refusals(LIMITS, candidate, PRODUCTION))
    assert len(refusals) == len(sentences)
    assert all(refusal.startswith(start) for refusal, start in zip(refusals, sentences, strict=True))


def test_where_less_is_better_a_larger_error_is_refused_and_a_smaller_one_is_not() -> None:
    def candidate(error: float) -> Measured:
        return replace(PRODUCTION, score=Score("mean_absolute_error", error, higher_is_better=False))

    assert not list(find_refusals(LIMITS, candidate(2.0), candidate(3.0)))
    (sentence,) = find_refusals(LIMITS, candidate(3.1), candidate(3.0))
    assert sentence.startswith("its mean absolute error is 3.1000 on the test rows, production's 3.0000")


def test_a_version_that_answers_another_question_is_refused(
    stage: Stage, storage: Storage, publish: Publish, capsys: pytest.CaptureFixture[str]
) -> None:
    registry.promote(storage, "ferry", publish(truth_schema={"type": "object"}).version)
    assert stage(publish(bias=(0, 0.1, 0)).version) == 1
    assert "- it answers another question than production" in capsys.readouterr().out
