"""One look at the traffic: read the new journal objects, compare, store the report.

monitor/<name>/<time>.json    a report: written once
monitor/<name>/latest.html    the latest report as a page
monitor/<name>/days/<date>    marks the day's first look that compared something
"""

import logging
import threading
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from boatyard import registry
from boatyard.bundle.manifest import REFERENCE, Manifest
from boatyard.bundle.predict import Predictor, served_files
from boatyard.monitor.drift import Columns, compare, compared_columns, look_at, read_reference, why_incomparable
from boatyard.monitor.figures import figures
from boatyard.monitor.looks import level, ring
from boatyard.monitor.page import page
from boatyard.monitor.quality import live_losses, live_quality, quality_verdict
from boatyard.monitor.results import Findings, Past, Verdict, Window
from boatyard.monitor.settings import Settings
from boatyard.monitor.traffic import Traffic
from boatyard.storage import AlreadyExists, NotFound, open_storage

ROOT = "monitor/"
PAGE = "latest.html"
HISTORY_DAYS = 7
"""The days that the service's figures cover."""
_MOST_PAST = 200

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class _Watched:
    """An open version, with the traffic in its columns."""

    predictor: Predictor
    reference: Columns
    traffic: Traffic


class Monitor:
    """Watches one model. It is thread-safe, but only one thread may `run` at a time."""

    def __init__(self, settings: Settings, *, days: float) -> None:
        """`days`: how much of the journal is read."""
        self.settings = settings
        self._storage, self._registry = open_storage(settings.storage), open_storage(settings.registry)
        self._home = f"{ROOT}{settings.model.name}/"
        self._days = days
        self._reading = threading.Lock()
        self._opening = threading.Lock()
        self._watched: _Watched | None = None
        self._latest: tuple[str, Findings] | None = None
        self._past: dict[str, Past] = {}

    @property
    def rows_read(self) -> int:
        """Lines of the journal that were read so far."""
        return self._watched.traffic.rows_read if self._watched else 0

    def run(self, now: datetime | None = None) -> tuple[Findings, str]:
        """Look now; returns the findings, which are stored, and the page."""
        until = now or datetime.now(UTC)
        since = until - timedelta(hours=self.settings.hours)
        watched = self._open()
        predictor, traffic = watched.predictor, watched.traffic
        manifest, task = predictor.manifest, predictor.task
        with self._reading:
            traffic.refresh(until)
            sample = traffic.sample(manifest.version, since.timestamp(), until.timestamp(), self.settings.rows)
            rows = traffic.predictions
            rows = rows[(rows["time"] >= since.timestamp()) & (rows["time"] <= until.timestamp())]
            rows = rows[rows["version"] == traffic.versions.number(manifest.version)]
            losses, unknown = live_losses(traffic, rows, task)
        logger.info("drift: %d predictions of %s, %d of them compared", len(rows), manifest.version, len(sample))
        window = look_at(sample, predictor)
        quality = live_quality(losses, task, manifest.accepted, unknown)
        min_effect = self.settings.min_effect
        verdicts = [
            *compare(watched.reference, window, compared_columns(predictor), min_effect=min_effect),
            quality_verdict(quality, losses, task, min_effect),
        ]
        before = self.latest()
        at = self._spend(verdicts, before, until)
        same = before is not None and before.version == manifest.version
        verdicts = ring(verdicts, at, [one.name for one in before.verdicts if one.drifted] if before and same else [])
        findings = Findings(
            model=manifest.name,
            version=manifest.version,
            time=_as_time(until),
            window=Window(rows=len(rows), sampled=len(window), from_=_as_time(since), to=_as_time(until)),
            alarm=any(verdict.drifted for verdict in verdicts),
            comparable=why_incomparable(watched.reference) is None,
            level=at,
            verdicts=verdicts,
            quality=quality,
        )
        shown = page(findings, watched.reference, window)
        self._storage.write(self._home + PAGE, shown.encode())
        self._storage.write_once(f"{self._home}{until:%Y%m%dT%H%M%S-%fZ}.json", findings.as_json())
        return findings, shown

    def latest(self) -> Findings | None:
        """The latest report of any process."""
        keys = self._keys()
        if not keys:
            return None
        if self._latest is None or self._latest[0] != keys[-1]:
            self._latest = keys[-1], self._report(keys[-1])
        return self._latest[1]

    def latest_page(self) -> bytes | None:
        """The page of the latest report."""
        try:
            return self._storage.read(self._home + PAGE)
        except NotFound:
            return None

    def history(self) -> list[Past]:
        """The last reports, the oldest first."""
        keys = self._keys()[-_MOST_PAST:]
        for key in keys:
            if key not in self._past:  # of a report, only this is kept in memory
                self._past[key] = _past(self._report(key))
        return [self._past[key] for key in keys]

    def figures(self, now: datetime | None = None) -> dict[str, Any]:
        """Of the traffic of the last HISTORY_DAYS, by hour."""
        until = now or datetime.now(UTC)
        watched = self._open()
        since = (until - timedelta(days=HISTORY_DAYS)).timestamp()
        with self._reading:
            watched.traffic.refresh(until)
            return figures(watched.traffic, since, watched.predictor.task, watched.predictor.manifest.accepted)

    def model(self) -> tuple[str, str]:
        """The name and the current version of the watched model. Raises UserError."""
        return self.settings.model.name, registry.resolve(self._registry, self.settings.model)

    def why_incomparable(self) -> str | None:
        """Why the version's reference is too small to compare anything with; None if it is not."""
        return why_incomparable(self._open().reference)

    def _spend(self, verdicts: Sequence[Verdict], before: Findings | None, now: datetime) -> float:
        """The level of a look with these verdicts; the day's first look that compared something may spend more."""
        daily = any(verdict.p is not None for verdict in verdicts)
        if daily:
            try:
                self._storage.write_once(f"{self._home}days/{now.astimezone(UTC):%Y-%m-%d}", _as_time(now).encode())
            except AlreadyExists:
                daily = False
        return level(daily=daily, since=None if before is None else now - datetime.fromisoformat(before.time))

    def _open(self) -> _Watched:
        with self._opening:
            _, version = self.model()
            if self._watched is None or self._watched.predictor.manifest.version != version:
                with TemporaryDirectory(prefix="boatyard-monitor-") as folder:
                    bundle = registry.fetch(self._registry, self.settings.model, Path(folder), _needed)
                    predictor = Predictor(bundle)
                    reference = read_reference(bundle.folder, compared_columns(predictor))
                    self._watched = _Watched(predictor, reference, self._traffic_for(predictor))
            return self._watched

    def _traffic_for(self, predictor: Predictor) -> Traffic:
        """The traffic of the previous version, or new traffic if that has other columns."""
        card, columns = predictor.manifest, predictor.columns
        if self._watched is not None and self._watched.traffic.serves(card, columns):
            return self._watched.traffic
        return Traffic(self._storage, card, columns, days=self._days, sample=self.settings.rows)

    def _keys(self) -> list[str]:
        return [key for key in self._storage.list(self._home) if key.endswith(".json")]

    def _report(self, key: str) -> Findings:
        return Findings.model_validate_json(self._storage.read(key))


def _past(report: Findings) -> Past:
    return Past(
        time=report.time,
        version=report.version,
        rows=report.window.rows,
        alarm=report.alarm,
        drifted=[verdict.name for verdict in report.verdicts if verdict.drifted],
        suspicious=[verdict.name for verdict in report.verdicts if verdict.state],
    )


def _needed(manifest: Manifest) -> list[str]:
    return [*served_files(manifest), *({REFERENCE} & manifest.files.keys())]


def _as_time(time: datetime) -> str:
    return time.isoformat(timespec="seconds")
