"""The rule over looks: what a year of them may spend, and how a monitor that starts anew goes on with it."""

import gzip
import json
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from references import messages, publish_watchable
from starlette.testclient import TestClient

from boatyard.config.errors import UserError
from boatyard.monitor.looks import DAILY, DAY, RESERVE, YEAR, level, ring
from boatyard.monitor.results import Findings, Verdict
from boatyard.monitor.run import Monitor
from boatyard.monitor.service import create_app
from boatyard.monitor.settings import Settings
from boatyard.registry import Reference
from boatyard.storage import Storage

pytestmark = pytest.mark.unit

MORNING = datetime(2026, 11, 20, 8, tzinfo=UTC)
MINUTE, HOUR = timedelta(minutes=1), timedelta(hours=1)
ANSWERS = 60
LABELS = ("card_lost", "fees")


def verdict(name: str, p: float | None, *, suspicious: bool = True) -> Verdict:
    return Verdict(
        name=name, group="input", statistic="", value=1, threshold=0, p=p, suspicious=suspicious, sentence=""
    )


def ringing(at: float, *verdicts: Verdict, before: tuple[str, ...] = ()) -> list[str]:
    return [one.name for one in ring(verdicts, at, before) if one.drifted]


@pytest.mark.parametrize("pace", [timedelta(seconds=1), MINUTE, HOUR, DAY, 3 * DAY])
def test_the_levels_of_a_year_add_up_to_one_false_alarm_at_most(pace: timedelta) -> None:
    days = YEAR / DAY
    looks = YEAR / pace
    daily = min(looks, days) * level(daily=True, since=pace) + max(0, looks - days) * level(daily=False, since=pace)
    assert daily <= 1 + 1e-9


def test_a_clock_that_goes_back_or_a_long_gap_earns_nothing() -> None:
    assert level(daily=False, since=-HOUR) == 0
    assert level(daily=False, since=400 * DAY) == level(daily=False, since=None) == RESERVE / 365


def test_one_suspicious_look_is_no_alarm() -> None:
    assert ringing(DAILY, verdict("score", 0.01)) == []
    assert ringing(DAILY, verdict("score", 0.001), verdict("length", 0.01)) == ["score"]


def test_what_is_too_small_to_matter_does_not_ring_however_sure_it_is() -> None:
    assert ringing(DAILY, verdict("score", 1e-12, suspicious=False), before=("score",)) == []


def test_what_is_no_matter_of_chance_rings_in_any_look() -> None:
    assert ringing(level(daily=False, since=timedelta(0)), verdict("missing_score", 0.0)) == ["missing_score"]


def test_an_alarm_lasts_while_its_verdict_is_suspicious() -> None:
    assert ringing(1e-6, verdict("score", 0.015), before=("score",)) == ["score"]
    assert ringing(1e-6, verdict("score", 0.5, suspicious=False), before=("score",)) == []


class Watched:
    """A storage with a model in production, monitors that start anew for each look, and answers that people judge."""

    def __init__(self, storage: Storage, folder: Path) -> None:
        self.storage, self.folder, self.shipped = storage, folder, 0
        self.version = publish_watchable(storage, folder / "first", ["my card was lost"])

    def judged(self, time: datetime, wrong: int) -> None:
        lines = []
        for number in range(ANSWERS):
            self.shipped += 1
            id_ = f"{self.shipped:032x}"
            at = (time - MINUTE).isoformat()
            answer = {
                "event": "prediction",
                "id": id_,
                "time": at,
                "input": "text",
                "task": "classification",
                "model": "ferry",
                "version": self.version,
                "truncated": False,
                "measured": {"length": 3},
                "answer": {"label": LABELS[0], "score": 0.9},
                "duration_ms": 1.0,
            }
            truth = {"label": LABELS[number < wrong]}
            lines += [answer, {"event": "feedback", "id": id_, "time": at, "truth": truth}]
        content = gzip.compress("".join(json.dumps(line) + "\n" for line in lines).encode())
        self.storage.write_once(f"journal/date={time:%Y-%m-%d}/a-{self.shipped}.jsonl.gz", content)

    def look(self, time: datetime, root: str) -> Findings:
        settings = Settings(storage=root, model=Reference("ferry"), hours=1)
        return Monitor(settings, days=1).run(time)[0]


@pytest.fixture
def watched(storage: Storage, tmp_path: Path) -> Watched:
    return Watched(storage, tmp_path)


def state(findings: Findings) -> str:
    return next(one.state for one in findings.verdicts if one.name == "quality")


def test_the_days_first_look_rings_where_another_is_only_suspicious_and_restarts_change_nothing(
    watched: Watched, tmp_path: Path
) -> None:
    root = str(tmp_path / "storage")
    wrong = 13  # of 60: too many for chance in one look of a day, not for one in any hour
    assert watched.look(MORNING - 2 * HOUR, root).level == level(daily=False, since=None), "nothing was measured"
    watched.judged(MORNING, wrong=0)
    assert watched.look(MORNING, root).level == pytest.approx(level(daily=True, since=2 * HOUR))
    watched.judged(MORNING + 2 * HOUR, wrong)
    later = watched.look(MORNING + 2 * HOUR, root)
    assert (state(later), later.alarm, later.conclusion) == ("suspicious", False, "one look is suspicious")
    assert later.level == pytest.approx(level(daily=False, since=2 * HOUR))
    watched.judged(MORNING + DAY, wrong)
    tomorrow = watched.look(MORNING + DAY, root)
    assert (state(tomorrow), tomorrow.alarm) == ("drifted", True)
    held = watched.look(MORNING + DAY + MINUTE / 2, root)
    assert (state(held), held.alarm) == ("drifted", True), "suspicious yet"
    watched.judged(MORNING + DAY + 3 * HOUR, wrong=0)
    assert not watched.look(MORNING + DAY + 3 * HOUR, root).alarm, "it is over"


def test_another_version_does_not_inherit_the_alarm(watched: Watched, storage: Storage, tmp_path: Path) -> None:
    root = str(tmp_path / "storage")
    watched.judged(MORNING, wrong=13)
    assert watched.look(MORNING, root).alarm
    watched.version = publish_watchable(storage, tmp_path / "second", ["what is the fee"], bias=(1, 0, 0))
    watched.judged(MORNING + HOUR / 2, wrong=13)
    findings = watched.look(MORNING + HOUR / 2, root)
    assert (findings.version, state(findings), findings.alarm) == (watched.version, "suspicious", False)


def test_overwhelming_evidence_need_not_wait_for_tomorrow(watched: Watched, tmp_path: Path) -> None:
    root = str(tmp_path / "storage")
    watched.judged(MORNING, wrong=0)
    assert not watched.look(MORNING, root).alarm
    watched.judged(MORNING + MINUTE, wrong=55)
    assert watched.look(MORNING + MINUTE, root).alarm


def test_a_reference_of_one_row_is_said_to_be_too_small(watched: Watched, tmp_path: Path) -> None:
    watched.judged(MORNING, wrong=0)
    findings = watched.look(MORNING, str(tmp_path / "storage"))
    assert not findings.comparable
    assert findings.conclusion == "the reference is too small to compare with"
    assert findings.verdicts[0].sentence.startswith("Cannot compare: the reference has 1 row, and 100 are needed")
    with TestClient(create_app(Settings(storage=str(tmp_path / "storage"), model=Reference("ferry")))) as client:
        ready = client.get("/readyz").json()
        assert (ready["status"], ready["reason"]) == ("limited", findings.verdicts[0].sentence)
        assert 'boatyard_drift_comparable{model="ferry"} 0.0' in client.get("/metrics").text


def test_a_reference_that_is_large_enough_is_ready(storage: Storage, tmp_path: Path) -> None:
    publish_watchable(storage, tmp_path / "model", messages(100, seed=0))
    with TestClient(create_app(Settings(storage=str(tmp_path / "storage"), model=Reference("ferry")))) as client:
        assert client.get("/readyz").json()["status"] == "ready"


@pytest.mark.parametrize("share", ["1", "-0.1", "much", "1e-3", "0.", "nan"])
def test_a_smallest_effect_that_is_no_share_is_one_sentence(share: str) -> None:
    with pytest.raises(UserError, match=r"BOATYARD_DRIFT_LEAST: .* is not a share"):
        Settings.from_environment({"BOATYARD_DRIFT_LEAST": share})


@pytest.mark.parametrize(("share", "min_effect"), [("", 0.01), ("0", 0.0), (".02", 0.02), ("0.1", 0.1)])
def test_the_smallest_relevant_effect_is_a_setting(share: str, min_effect: float) -> None:
    assert Settings.from_environment({"BOATYARD_DRIFT_LEAST": share}).min_effect == min_effect
