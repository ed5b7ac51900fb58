import gzip
import json
from collections import Counter
from collections.abc import Iterable
from datetime import UTC, datetime, timedelta
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from bundles import VALUES
from scipy.stats import ttest_1samp

from boatyard.bundle.manifest import Card
from boatyard.journal import JournalError, read
from boatyard.journal.columns import Column
from boatyard.monitor.figures import figures
from boatyard.monitor.looks import FEEDBACK
from boatyard.monitor.quality import live_losses, live_quality, quality_verdict
from boatyard.monitor.results import Verdict
from boatyard.monitor.traffic import Traffic
from boatyard.retrain.feedback import Reader, collect
from boatyard.storage import Storage
from boatyard.tasks.classification.serving import Classification
from boatyard.tasks.protocol import OpenTask
from boatyard.tasks.score import Score

pytestmark = pytest.mark.unit

NOW = datetime(2026, 11, 20, 12, 30, tzinfo=UTC)
VERSION = "20261120T000000Z-01234567"
LABELS = Classification(["fees", "transfer", "caf\u00e9"])
LENGTH = Column("length", "the length of the input")


def prediction(
    number: int, *, hours: float = 1, answer: dict[str, Any] | None = None, **changes: Any
) -> dict[str, Any]:
    return {
        "event": "prediction",
        "id": f"{number * 2654435761 % 2**32:032x}",
        "time": (NOW - timedelta(hours=hours)).isoformat(timespec="milliseconds"),
        "input": "text",
        "task": "classification",
        "model": "ferry",
        "version": VERSION,
        "request": {"text": f"message {number}"},
        "truncated": False,
        "measured": {"length": 5},
        "answer": {"label": "fees", "score": 0.5, "top": [{"label": "fees", "score": 0.5}]} | (answer or {}),
        "duration_ms": 2.0,
    } | changes


def feedback(number: int, label: str, *, hours: float = 0.5) -> dict[str, Any]:
    line = prediction(number, hours=hours)
    return {"event": "feedback", "id": line["id"], "time": line["time"], "truth": {"label": label}}


def valued(number: int, value: float | None, **changes: Any) -> dict[str, Any]:
    """A prediction of a number."""
    return prediction(number, task="regression", **changes) | {"answer": {"value": value, "low": 0, "high": 9}}


def ship(storage: Storage, name: str, lines: Iterable[dict[str, Any]], day: str = "2026-11-20") -> None:
    content = "".join(json.dumps(line) + "\n" for line in lines)
    storage.write_once(f"journal/date={day}/{name}.jsonl.gz", gzip.compress(content.encode()))


def traffic(storage: Storage, task: OpenTask = LABELS, *, days: float = 7, sample: int = 50) -> Traffic:
    name = "classification" if task is LABELS else "regression"
    card = Card.model_construct(name="ferry", input="text", task=name)
    return Traffic(storage, card, [*task.columns, LENGTH], days=days, sample=sample)


def accuracy(value: float, low: float | None = None) -> Score:
    return Score("accuracy", value, low)


def verdict(losses: Any, accepted: Score | None, unknown: int = 0, task: OpenTask = LABELS) -> Verdict:
    each = np.asarray(losses, np.float64)
    return quality_verdict(live_quality(each, task, accepted, unknown), each, task)


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
    assert len(live_losses(seen, seen.predictions, LABELS)[0]) == 1


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
    ship(storage, "a-2", (prediction(number, answer={"label": "transfer"}) for number in range(1000, 1300)))
    seen = traffic(storage, sample=200)
    seen.refresh(NOW)
    drawn = seen.sample(VERSION, 0, NOW.timestamp(), 200)
    assert len({one.id for one in drawn}) == 200
    assert 25 <= sum(one.values["label"] == "transfer" for one in drawn) <= 70  # 46 expected


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
    [
        {"event": None},
        {"version": None, "measured": {"length": "long"}},
        {"time": "soon"},
        {"id": "\u20ac"},
        {"answer": {"score": "x"}},
        {"answer": {"label": []}},
        {"measured": 5},
        {"event": "feedback", "truth": "fees"},
    ],
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
    assert [one.request["text"] for one in drawn] == ["message 1"]


def test_a_request_that_was_not_kept_is_none(storage: Storage) -> None:
    line = prediction(1)
    del line["request"]
    ship(storage, "a-1", [line | {"request_sha256": "0" * 64}])
    seen = traffic(storage)
    seen.refresh(NOW)
    assert seen.sample(VERSION, 0, NOW.timestamp(), 10)[0].request is None


def test_live_accuracy_counts_each_judged_answer_once_by_what_was_said_last(storage: Storage) -> None:
    ship(
        storage,
        "a-1",
        [*(prediction(number) for number in range(4)), feedback(0, "fees"), feedback(1, "transfer", hours=0.4)],
    )
    ship(storage, "b-1", [feedback(1, "fees", hours=0.2), feedback(2, "transfer"), feedback(77, "fees")])
    seen = traffic(storage)
    seen.refresh(NOW)
    losses, unknown = live_losses(seen, seen.predictions, LABELS)
    quality = live_quality(losses, LABELS, accuracy(0.9), unknown)
    assert quality.feedback == 3
    assert quality.score is not None
    assert quality.score.name == "accuracy"
    assert quality.score.value == pytest.approx(2 / 3)
    assert quality.score.low is not None
    assert quality.score.high is not None
    assert quality.score.low < 2 / 3 < quality.score.high


def test_the_monitor_counts_the_correction_that_retraining_learns(storage: Storage) -> None:
    """The latest by time, in whatever object and day; of two in one moment the same one for both."""
    ship(storage, "b-1", [feedback(0, "fees", hours=0.1), feedback(1, "fees"), prediction(2)])
    ship(storage, "z-1", [feedback(2, "card", hours=30)], day="2026-11-19")
    ship(storage, "a-1", [prediction(0), prediction(1), feedback(0, "card", hours=0.9)])
    ship(storage, "c-1", [feedback(0, "card", hours=0.5), feedback(1, "card"), feedback(2, "fees", hours=31)])
    seen = traffic(storage)
    seen.refresh(NOW)
    counted = {one["id"].decode(): json.loads(seen.truths.all[one["truth"]])["label"] for one in seen.feedback}
    reader = Reader(
        served=SimpleNamespace(parse=lambda request: (request["text"],)),
        training=SimpleNamespace(
            request=lambda _, row: {"text": row[0]},
            group_key=lambda row: row[0].encode(),
        ),
        task=Classification(["card", "fees"]),
        fields=["text"],
        read=lambda cells: (cells["text"],),
    )
    learned = collect(lambda: read(storage), "ferry", reader, known={}, holdout=0.0)
    labels = {f"message {number}": counted[prediction(number)["id"]] for number in range(3)}
    assert {row[0]: truth["label"] for row, truth in learned.train} == labels
    assert labels == {"message 0": "fees", "message 1": "fees", "message 2": "card"}


def test_feedback_is_compared_as_training_stores_labels_and_counts_where_the_model_has_the_label(
    storage: Storage,
) -> None:
    labels = ["fees ", "fe\u0301es", "FEES", "no such label", "transfer"]
    accented = prediction(6, answer={"label": "caf\u00e9"})
    ship(storage, "a-1", [*(prediction(number) for number in range(6)), accented])
    ship(storage, "b-1", [*(feedback(number, label) for number, label in enumerate(labels))])
    ship(storage, "b-2", [feedback(6, "cafe\u0301\t")])
    ship(storage, "c-1", [feedback(number, "transfer") for number in range(100, 160)])  # ids that nobody issued
    seen = traffic(storage)
    seen.refresh(NOW)
    losses, unknown = live_losses(seen, seen.predictions, LABELS)
    assert (losses.tolist().count(0.0), len(losses), unknown) == (2, 3, 3)
    assert verdict(losses, accuracy(0.9, 0.88), unknown).sentence.endswith(
        "Feedback on 3 more names what this model cannot answer."
    )


@pytest.mark.parametrize(("share", "suspicious"), [(0.925, False), (0.91, True)])
def test_a_fall_that_is_too_small_to_matter_is_none_however_many_answers_prove_it(
    share: float, suspicious: bool
) -> None:
    judged = verdict(np.arange(1_000_000) >= 1_000_000 * share, accuracy(0.93, 0.929))
    assert judged.p is not None
    assert judged.p < 1e-9
    assert judged.suspicious == suspicious


@pytest.mark.parametrize(("right", "suspicious"), [(90, False), (85, False), (70, True)])
def test_more_mistakes_than_chance_explains_raise_the_alarm(right: int, suspicious: bool) -> None:
    judged = verdict(np.arange(100) >= right, accuracy(0.9, 0.88))
    assert judged.suspicious == suspicious
    assert judged.value == pytest.approx(1 - right / 100)
    assert f"The accuracy of 100 judged answers is {right / 100:.4f} (" in judged.sentence


def test_little_feedback_decides_nothing() -> None:
    judged = verdict(np.ones(29), accuracy(0.9, 0.88))
    assert not judged.suspicious
    assert judged.sentence.startswith("Not enough feedback: 29 answers were judged, ")
    assert verdict(np.ones(1), accuracy(0.9, 0.88)).sentence.startswith("Not enough feedback: 1 answer was judged, ")


@pytest.mark.parametrize("accepted", [None, Score("mean_absolute_error", 2.0, 1.9, 2.1, higher_is_better=False)])
def test_without_an_accepted_score_of_that_name_nothing_is_decided(accepted: Score | None) -> None:
    judged = verdict(np.ones(50), accepted)
    assert not judged.suspicious
    assert judged.value is None
    assert judged.sentence.startswith("The accuracy of 50 judged answers is 0.0000 ")


ERROR = Score("mean_absolute_error", 2.0, 1.9, 2.1, higher_is_better=False)


@pytest.mark.parametrize(("scale", "suspicious"), [(2.0, False), (2.2, False), (3.5, True)])
def test_errors_that_grow_by_more_than_chance_explains_raise_the_alarm(scale: float, suspicious: bool) -> None:
    losses = np.random.default_rng(0).exponential(scale, 200)
    judged = verdict(losses, ERROR, task=VALUES)
    assert judged.suspicious == suspicious
    assert judged.value == pytest.approx(losses.mean())
    assert judged.p is not None
    assert (judged.p < 1e-3) == suspicious
    assert judged.p == pytest.approx(min(1, ttest_1samp(losses, 2.1, alternative="greater").pvalue / FEEDBACK))
    assert judged.sentence.startswith(f"The mean absolute error of 200 judged answers is {losses.mean():.4f} (")


def test_errors_are_compared_in_their_own_unit_however_large_or_alike_they_are() -> None:
    def suspicious(error: float, accepted: float, count: int = 100_000) -> bool:
        losses = np.resize([error * 0.9, error * 1.1], count)
        score = Score("mean_absolute_error", accepted, accepted, accepted, higher_is_better=False)
        return verdict(losses, score, task=VALUES).suspicious

    assert not suspicious(20_100, 20_000), "half a percent is too little to matter"
    assert suspicious(20_500, 20_000)
    assert not verdict(np.full(50, 2.0), ERROR, task=VALUES).suspicious
    assert verdict(np.full(50, 2.2), ERROR, task=VALUES).suspicious
    assert verdict(np.ones(50), Score("mean_absolute_error", 0.5, 0.4, 0.6, False), task=VALUES).suspicious
    assert not verdict(np.ones(50), ERROR, task=VALUES).suspicious


@pytest.mark.parametrize("scale", [1.0, 40.0])
def test_errors_as_before_are_seldom_suspicious_however_skewed_they_are(scale: float) -> None:
    draw = np.random.default_rng(1)
    score = Score("mean_absolute_error", scale, scale, scale, higher_is_better=False)
    assert sum(verdict(draw.exponential(scale, 40), score, task=VALUES).suspicious for _ in range(300)) <= 3


def test_the_errors_of_numeric_answers_are_taken_from_feedback(storage: Storage) -> None:
    truths = [{"value": 3.0}, {"value": 0.5}, {"value": 1e300}, {"label": "fees"}]
    lines = [
        {**feedback(number, ""), "truth": truth, "time": prediction(number)["time"]}
        for number, truth in enumerate(truths)
    ]
    ship(storage, "a-1", [*(valued(number, 1.0) for number in range(4)), *lines])
    seen = traffic(storage, VALUES)
    seen.refresh(NOW)
    losses, unknown = live_losses(seen, seen.predictions, VALUES)
    assert (sorted(losses), unknown) == ([0.5, 2.0], 2)


def test_answers_of_another_task_or_without_a_column_are_counted_but_not_compared(storage: Storage) -> None:
    older = prediction(2, version="20261119T000000Z-89abcdef")
    ship(
        storage,
        "a-1",
        [
            valued(0, 2.5),
            prediction(1),  # it has a length, too: of another task's answer it is not taken
            valued(2, None),
            older | {"task": "regression", "answer": {"score": []}, "measured": {}},
            *({**feedback(number, ""), "truth": {"value": 3.0}} for number in range(3)),
        ],
    )
    seen = traffic(storage, VALUES)
    seen.refresh(NOW)
    losses, unknown = live_losses(seen, seen.predictions, VALUES)
    assert (losses.tolist(), unknown) == ([0.5], 0)
    shown = figures(seen, 0, VALUES, None)
    assert shown["rows"] == 3
    assert shown["numbers"]["value"]["p50"] == 2.5
    drawn = seen.sample(VERSION, 0, NOW.timestamp(), 10)
    assert [one.values["value"] for one in drawn if one.id == prediction(0)["id"]] == [2.5]


def test_the_figures_are_by_hour(storage: Storage) -> None:
    ship(
        storage,
        "a-1",
        [
            prediction(1),
            prediction(2),
            prediction(3, hours=3, answer={"label": "transfer", "score": None}, duration_ms=9.0, truncated=True),
            feedback(1, "fees"),
        ],
    )
    seen = traffic(storage)
    seen.refresh(NOW)
    shown = figures(seen, 0, LABELS, accuracy(0.9))
    assert shown["rows"] == 3
    assert shown["hours"] == [f"2026-11-20T{hour:02}:00:00+00:00" for hour in (9, 10, 11)]
    assert shown["counts"] == [1, 0, 2]
    assert shown["categories"] == {"label": {"fees": [0, 0, 2], "transfer": [1, 0, 0]}}
    assert shown["latency_ms"]["p50"] == 2.0
    assert shown["numbers"]["score"]["p50"] == 0.5
    assert shown["numbers"]["length"]["p95"] == 5.0
    assert shown["numbers_by_hour"]["length"]["p50"] == [5.0, None, 5.0]
    assert shown["numbers_by_hour"]["score"]["p95"] == [None, None, 0.5]
    assert shown["truncated"] == 1
    assert shown["quality"]["score"]["value"] == 1.0
    assert shown["quality"]["accepted"]["value"] == 0.9
    json.dumps(shown, allow_nan=False)


def test_figures_of_no_traffic_are_empty(storage: Storage) -> None:
    shown = figures(traffic(storage), 0, LABELS, None)
    assert shown["rows"] == 0
    assert shown["hours"] == shown["counts"] == []
    assert shown["categories"] == {"label": {}}
    assert shown["numbers_by_hour"]["score"] == {"p5": [], "p25": [], "p50": [], "p75": [], "p95": []}
    assert shown["latency_ms"] == {"p50": None, "p95": None, "p99": None}
    assert shown["quality"] == {"feedback": 0, "score": None, "accepted": None, "unknown": 0}
