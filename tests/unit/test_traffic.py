import gzip
import json
from collections import Counter
from collections.abc import Iterable
from datetime import UTC, datetime, timedelta
from typing import Any

import numpy as np
import pytest

from boatyard.journal import JournalError, read
from boatyard.monitor.figures import figures
from boatyard.monitor.quality import is_right, live_quality, quality_verdict
from boatyard.monitor.traffic import Traffic
from boatyard.retrain.labelled import labelled_rows
from boatyard.storage import Storage

pytestmark = pytest.mark.unit

NOW = datetime(2026, 11, 20, 12, 30, tzinfo=UTC)
VERSION = "20261120T000000Z-01234567"


def prediction(number: int, *, hours: float = 1, **changes: Any) -> dict[str, Any]:
    return {
        "event": "prediction",
        "id": f"{number * 2654435761 % 2**32:032x}",
        "time": (NOW - timedelta(hours=hours)).isoformat(timespec="milliseconds"),
        "kind": "text",
        "model": "inbox",
        "version": VERSION,
        "input": {"text": f"message {number}"},
        "length": 5,
        "truncated": False,
        "label": "fees",
        "score": 0.5,
        "top": [["fees", 0.5]],
        "duration_ms": 2.0,
    } | changes


def feedback(number: int, label: str, *, hours: float = 0.5) -> dict[str, Any]:
    line = prediction(number, hours=hours)
    return {"event": "feedback", "id": line["id"], "time": line["time"], "label": label}


def ship(storage: Storage, name: str, lines: Iterable[dict[str, Any]], day: str = "2026-11-20") -> None:
    content = "".join(json.dumps(line) + "\n" for line in lines)
    storage.write_once(f"journal/date={day}/{name}.jsonl.gz", gzip.compress(content.encode()))


def traffic(storage: Storage, *, days: float = 7, sample: int = 50) -> Traffic:
    return Traffic(storage, "inbox", days=days, sample=sample)


def test_each_object_is_read_once(storage: Storage, monkeypatch: pytest.MonkeyPatch) -> None:
    asked: Counter[str] = Counter()
    read = storage.read

    def counted(key: str) -> bytes:
        asked[key] += 1
        return read(key)

    monkeypatch.setattr(storage, "read", counted)
    ship(storage, "a-1", [prediction(1)])
    seen = traffic(storage)
    assert seen.refresh(NOW) == 1
    ship(storage, "a-2", [prediction(2), prediction(3)])
    assert seen.refresh(NOW) == 1
    assert seen.refresh(NOW) == 0
    assert len(seen.predictions) == seen.rows_read == 3
    assert set(asked.values()) == {1}
    assert len(asked) == 2


def test_a_row_of_a_job_that_was_begun_twice_counts_once(storage: Storage) -> None:
    rows = [prediction(number, job="j", row=number) for number in (1, 2, 3)]
    ship(storage, "a-1", rows[:2], day="2026-11-19")
    ship(storage, "a-2", [rows[1], rows[2], rows[2]])
    ship(storage, "a-3", [prediction(4, job="other", row=1), feedback(2, "fees")])
    seen = traffic(storage)
    seen.refresh(NOW)
    assert len(seen.predictions) == 4
    assert len(seen.sample(VERSION, 0, NOW.timestamp(), 50)) == 4
    ship(storage, "a-4", rows)
    seen.refresh(NOW)
    assert len(seen.predictions) == 4
    assert len(is_right(seen.predictions, seen.feedback, seen.labels, ["fees"])[0]) == 1


def test_what_is_too_old_is_not_read_and_is_forgotten(storage: Storage) -> None:
    ship(storage, "a-1", [prediction(1, hours=24 * 30)], day="2026-10-21")
    ship(storage, "a-2", [prediction(2)])
    seen = traffic(storage, days=1)
    seen.refresh(NOW)
    assert len(seen.predictions) == 1
    seen.refresh(NOW + timedelta(days=9))
    assert len(seen.predictions) == 0


def test_the_sample_is_a_fair_draw_across_objects(storage: Storage) -> None:
    ship(storage, "a-1", (prediction(number) for number in range(1000)))
    ship(storage, "a-2", (prediction(number, label="transfer") for number in range(1000, 1300)))
    seen = traffic(storage, sample=200)
    seen.refresh(NOW)
    drawn = seen.sample(VERSION, 0, NOW.timestamp(), 200)
    assert len({one.id for one in drawn}) == 200
    assert 25 <= sum(one.label == "transfer" for one in drawn) <= 70  # 46 expected


def test_of_many_objects_no_more_inputs_are_held_than_a_look_may_draw(storage: Storage) -> None:
    rows = [prediction(number, hours=24 - number / 200) for number in range(4000)]
    for start in range(0, len(rows), 100):
        ship(storage, f"a-{start:04}", rows[start : start + 100])
    seen = traffic(storage, sample=20)
    seen.refresh(NOW)
    assert len(seen._sample) < 600
    for hours in (24, 12, 5):
        since = NOW - timedelta(hours=hours)
        drawn = [one.id for one in seen.sample(VERSION, since.timestamp(), NOW.timestamp(), 20)]
        assert drawn == sorted(row["id"] for row in rows if row["time"] >= since.isoformat())[:20]


@pytest.mark.parametrize(
    "changes",
    [{"event": None}, {"version": None, "length": "long"}, {"time": "soon"}, {"id": "\u20ac"}, {"score": "x"}],
)
def test_a_line_that_no_server_wrote_is_named(storage: Storage, changes: dict[str, Any]) -> None:
    line = {key: value for key, value in prediction(2, **changes).items() if value is not None}
    ship(storage, "a-1", [prediction(1), line])
    with pytest.raises(JournalError, match=r"journal/date=2026-11-20/a-1\.jsonl\.gz, up to line 2,"):
        traffic(storage).refresh(NOW)


def test_events_of_a_later_version_are_passed_over(storage: Storage) -> None:
    ship(storage, "a-1", [{"event": "started"}, prediction(1)])
    seen = traffic(storage)
    seen.refresh(NOW)
    assert len(seen.predictions) == 1


def test_other_models_versions_and_times_are_left_out(storage: Storage) -> None:
    other = "20261119T000000Z-89abcdef"
    ship(
        storage,
        "a-1",
        [prediction(1), prediction(2, model="news"), prediction(3, version=other), prediction(4, hours=50)],
    )
    seen = traffic(storage)
    seen.refresh(NOW)
    assert len(seen.predictions) == 3
    drawn = seen.sample(VERSION, (NOW - timedelta(hours=24)).timestamp(), NOW.timestamp(), 10)
    assert [one.input["text"] for one in drawn] == ["message 1"]


def test_an_input_that_was_not_kept_is_none(storage: Storage) -> None:
    line = prediction(1)
    del line["input"]
    ship(storage, "a-1", [line | {"input_sha256": "0" * 64}])
    seen = traffic(storage)
    seen.refresh(NOW)
    assert seen.sample(VERSION, 0, NOW.timestamp(), 10)[0].input is None


def test_live_accuracy_counts_each_judged_answer_once_by_what_was_said_last(storage: Storage) -> None:
    ship(
        storage,
        "a-1",
        [*(prediction(number) for number in range(4)), feedback(0, "fees"), feedback(1, "transfer", hours=0.4)],
    )
    ship(storage, "b-1", [feedback(1, "fees", hours=0.2), feedback(2, "transfer"), feedback(77, "fees")])
    seen = traffic(storage)
    seen.refresh(NOW)
    right, unknown = is_right(seen.predictions, seen.feedback, seen.labels, ["fees", "transfer"])
    quality = live_quality(right, 0.9, unknown)
    assert quality.feedback == 3
    assert quality.accuracy == pytest.approx(2 / 3)
    assert quality.low is not None
    assert quality.high is not None
    assert quality.low < 2 / 3 < quality.high


def test_the_monitor_counts_the_correction_that_retraining_learns(storage: Storage) -> None:
    """The latest by time, in whatever object and day; of two in one moment the same one for both."""
    ship(storage, "b-1", [feedback(0, "fees", hours=0.1), feedback(1, "fees"), prediction(2)])
    ship(storage, "z-1", [feedback(2, "card", hours=30)], day="2026-11-19")
    ship(storage, "a-1", [prediction(0), prediction(1), feedback(0, "card", hours=0.9)])
    ship(storage, "c-1", [feedback(0, "card", hours=0.5), feedback(1, "card"), feedback(2, "fees", hours=31)])
    seen = traffic(storage)
    seen.refresh(NOW)
    counted = {one["id"].decode(): seen.labels.all[one["label"]] for one in seen.feedback}
    learned = labelled_rows(
        lambda: read(storage),
        "inbox",
        parse=lambda payload: (payload["text"],),  # type: ignore[index]
        words=lambda row: row,
        labels=["card", "fees"],
        known={"train": [], "validation": [], "test": []},
        holdout=0.0,
    )
    labels = {f"message {number}": counted[prediction(number)["id"]] for number in range(3)}
    assert {row[0]: label for row, label in learned.train} == labels
    assert labels == {"message 0": "fees", "message 1": "fees", "message 2": "card"}


def test_feedback_is_compared_as_training_stores_labels_and_counts_where_the_model_has_the_label(
    storage: Storage,
) -> None:
    said = ["fees ", "fe\u0301es", "FEES", "no such label", "transfer"]
    ship(storage, "a-1", [*(prediction(number) for number in range(6)), prediction(6, label="f\u00e9es")])
    ship(storage, "b-1", [*(feedback(number, label) for number, label in enumerate(said)), feedback(6, "fe\u0301es\t")])
    ship(storage, "c-1", [feedback(number, "transfer") for number in range(100, 160)])  # ids that nobody issued
    seen = traffic(storage)
    seen.refresh(NOW)
    right, unknown = is_right(seen.predictions, seen.feedback, seen.labels, ["fees", "transfer"])
    assert (int(right.sum()), len(right), unknown) == (2, 3, 3)
    verdict = quality_verdict(live_quality(right, 0.9, unknown), low=0.88)
    assert verdict.sentence.endswith("3 more were said to be what the model has no label for.")


@pytest.mark.parametrize(("share", "suspicious"), [(0.925, False), (0.91, True)])
def test_a_fall_that_is_too_small_to_matter_is_none_however_many_answers_prove_it(
    share: float, suspicious: bool
) -> None:
    quality = live_quality(np.arange(1_000_000) < 1_000_000 * share, accepted=0.93)
    verdict = quality_verdict(quality, low=0.929)
    assert verdict.p is not None
    assert verdict.p < 1e-9
    assert verdict.suspicious == suspicious


@pytest.mark.parametrize(("right", "rung"), [(90, False), (85, False), (70, True)])
def test_more_mistakes_than_chance_explains_raise_the_alarm(right: int, rung: bool) -> None:
    quality = live_quality(np.arange(100) < right, accepted=0.9)
    assert quality_verdict(quality, low=0.88).suspicious == rung


def test_little_feedback_decides_nothing() -> None:
    verdict = quality_verdict(live_quality(np.zeros(29, dtype=bool), accepted=0.9), low=0.88)
    assert not verdict.suspicious
    assert verdict.sentence.startswith("Not enough feedback: 29")


def test_the_figures_are_told_by_hour(storage: Storage) -> None:
    ship(
        storage,
        "a-1",
        [
            prediction(1),
            prediction(2),
            prediction(3, hours=3, label="transfer", duration_ms=9.0, score=None),
            feedback(1, "fees"),
        ],
    )
    seen = traffic(storage)
    seen.refresh(NOW)
    told = figures(seen, 0, 0.9, ["fees"])
    assert told["rows"] == 3
    assert told["hours"] == [f"2026-11-20T{hour:02}:00:00+00:00" for hour in (9, 10, 11)]
    assert told["counts"] == [1, 0, 2]
    assert told["labels"] == {"fees": [0, 0, 2], "transfer": [1, 0, 0]}
    assert told["latency_ms"]["p50"] == 2.0
    assert told["score"]["p50"] == 0.5
    assert told["quality"]["accuracy"] == 1.0


def test_figures_of_no_traffic_are_empty(storage: Storage) -> None:
    told = figures(traffic(storage), 0, None, [])
    assert told["rows"] == 0
    assert told["hours"] == told["counts"] == []
    assert told["latency_ms"] == {"p50": None, "p95": None, "p99": None}
