"""Train on Vertex AI: submit a custom job with the trainer's image, and follow it."""

import json
import logging
import re
import signal
import time
from collections.abc import Callable, Iterator, Sequence
from datetime import UTC, datetime, timedelta
from secrets import token_hex
from typing import Any

from requests import Session
from rich.table import Table

from boatyard.cloud.checkout import require_checkout
from boatyard.cloud.entries import read_entries
from boatyard.cloud.job import render
from boatyard.cloud.place import Place, place
from boatyard.cloud.rest import Api, ApiError, open_session
from boatyard.cloud.rows import Rows
from boatyard.config.console import say, terminal
from boatyard.config.errors import Failed, Stopped, UserError
from boatyard.config.schema import Config
from boatyard.doctor.cloud import check_before_training

Object = dict[str, Any]

_ENDED = {"SUCCEEDED", "FAILED", "CANCELLED", "EXPIRED", "PARTIALLY_SUCCEEDED"}
_PAUSE, _LONGEST_PAUSE = 1.0, 10.0  # seconds between polls
_QUIET = 10.0  # seconds without an entry, after which a job's log is complete
_LATENESS = timedelta(minutes=1)  # log entries may arrive out of order by this much

log = logging.getLogger(__name__)


def retrain(config: Config, overrides: Sequence[str]) -> None:
    """As `train`, with `boatyard.retrain` in place of the pipeline, in one process."""
    job = config.cloud.train
    if job.workers > 1 or (job.gpu is not None and job.gpus > 1):
        raise UserError("retraining uses one worker and one GPU: leave cloud.train.workers and cloud.train.gpus at 1")
    if "--params" in overrides:
        raise UserError("a job is given overrides, not a file of this machine: leave out --params")
    there = [each for each in overrides if not each.startswith("retrain.on=")] + ["retrain.on=here"]
    train(config, there, dry_run=False, detach=False, command=["python", "-m", "boatyard.retrain"])


def train(
    config: Config, overrides: Sequence[str], dry_run: bool, detach: bool, command: Sequence[str] | None = None
) -> None:
    """Submit a job and follow it until it ends; `overrides` are those that `config` was composed from.

    Raises:
        UserError: the configuration is invalid or was refused; nothing was started.
        Failed: the job failed or was cancelled.
        Stopped: by Ctrl-C while following; the job continues.
    """
    where = place(config)
    rows = Rows(config, where)
    start(config, where, rows.override(overrides), config.data.name, dry_run, detach, command, rows.upload)


def start(
    config: Config,
    where: Place,
    overrides: Sequence[str],
    what: str,
    dry_run: bool,
    detach: bool,
    command: Sequence[str] | None,
    prepare: Callable[[], None] = lambda: None,
) -> None:
    """Submit a job on the machines of `cloud.train`, which is given these overrides, and follow it.

    `what`: the job's name begins with it; `prepare`: what it needs, once nothing speaks against it.
    """
    checkout = require_checkout()
    job = render(config, where, checkout.commit, overrides, _new_name(what), command)
    vertex = _Vertex(where, Session() if dry_run else open_session())
    if dry_run:
        say(json.dumps({"method": "POST", "url": vertex.url, "body": job}, indent=2))
        return
    checkout.refuse_changes()
    check_before_training(config)
    prepare()
    name = vertex.submit(job)
    log.info("submitted %s as job %s: %s", job["displayName"], _id(name), vertex.page(name))
    if detach:
        log.info(_hint(where, name))
    else:
        _follow(vertex, name)


def jobs(config: Config) -> None:
    """Print a table of the training jobs, newest first."""
    table = Table()
    for column in ("job", "state", "created", "name"):
        table.add_column(column, overflow="fold")
    for job in _Vertex(where := place(config), open_session()).jobs():
        table.add_row(_id(job["name"]), _state(job), job.get("createTime", "")[:19], job["displayName"])
    if table.row_count:
        terminal().print(table)
    else:
        log.info("there are no jobs in %s, %s", where.project, where.region)


def cancel(config: Config, job: str) -> None:
    """Request the cancellation of a job; its checkpoints stay."""
    if not re.fullmatch(r"[0-9]+", job):
        raise UserError(f"{job!r} is not a job number: `invoke cloud.jobs` lists them")
    _Vertex(place(config), open_session()).cancel(job)
    log.info("job %s is being cancelled", job)


def _new_name(what: str) -> str:
    return f"{what}-{datetime.now(UTC):%Y%m%dt%H%M%Sz}-{token_hex(2)}"


class _Vertex:
    """The custom jobs of a project and region."""

    def __init__(self, where: Place, session: Session) -> None:
        self.where = where
        self.session = session
        self._api = Api(session, "aiplatform", f"{where.region}-aiplatform.googleapis.com")
        self._path = f"v1/projects/{where.project}/locations/{where.region}/customJobs"
        self.url = f"{self._api.address}/{self._path}"

    def submit(self, job: Object) -> str:
        """Returns the name of the new job."""
        return str(self._api.post(self._path, job)["name"])

    def job(self, name: str) -> Object:
        return self._api.get(f"v1/{name}")

    def jobs(self) -> Iterator[Object]:
        return self._api.pages(self._path, "customJobs", filter="labels.app=boatyard", pageSize=100)

    def cancel(self, number: str) -> None:
        self._api.post(f"{self._path}/{number}:cancel")

    def page(self, name: str) -> str:
        """The job's page in the console."""
        place_ = f"locations/{self.where.region}/training/{_id(name)}?project={self.where.project}"
        return f"https://console.cloud.google.com/vertex-ai/{place_}"


class _JobLog:
    """Prints a job's log entries, each once. If reading them is denied, one warning says so."""

    def __init__(self, vertex: _Vertex, name: str) -> None:
        self._session = vertex.session
        self._project = vertex.where.project
        self._filter = f'resource.type="ml_job" AND resource.labels.job_id="{_id(name)}"'
        self._newest: datetime | None = None
        self._printed: set[str] = set()
        self._denied = False

    def show(self) -> bool:
        """Print the new entries; whether there were any."""
        if self._denied:
            return False
        try:
            entries = [entry for entry in self._entries() if entry.get("insertId") not in self._printed]
        except ApiError as error:  # the job matters more than its log
            if error.status in {401, 403}:
                self._denied = True
                log.warning("its log cannot be read (%s); roles/logging.viewer allows it", error)
            return False
        for entry in entries:
            self._printed.add(entry["insertId"])
            at = datetime.fromisoformat(entry["timestamp"])
            self._newest = max(self._newest or at, at)
            worker = entry.get("resource", {}).get("labels", {}).get("task_name", "")
            say(f"{worker}  {_message(entry)}".strip())
        return bool(entries)

    def show_late_ones(self) -> None:
        """Those of the last seconds of a job arrive after its end: wait until none has come for a while."""
        quiet = 0.0
        while quiet < _QUIET and not self._denied:
            time.sleep(_PAUSE)
            quiet = 0.0 if self.show() else quiet + _PAUSE

    def _entries(self) -> Iterator[Object]:
        since = "" if self._newest is None else f' AND timestamp>="{(self._newest - _LATENESS).isoformat()}"'
        return read_entries(self._session, self._project, self._filter + since, "asc", 1000)


def _message(entry: Object) -> str:
    message = entry.get("jsonPayload", {}).get("message", entry.get("textPayload"))
    return str(message).rstrip() if message is not None else json.dumps(entry.get("jsonPayload", {}))


def _follow(vertex: _Vertex, name: str) -> None:
    """Log states and print log entries until the job ends. An error or Ctrl-C here does not affect the job."""
    entries, state, pause = _JobLog(vertex, name), "", _PAUSE
    try:
        while state not in _ENDED:
            job = vertex.job(name)
            changed = _state(job) != state
            if changed:
                state = _state(job)
                log.info("job %s: %s", _id(name), state.lower())
            new = entries.show()
            pause = _PAUSE if changed or new else min(2 * pause, _LONGEST_PAUSE)
            if state not in _ENDED:
                time.sleep(pause)
    except KeyboardInterrupt:
        raise Stopped(signal.SIGINT, _hint(vertex.where, name)) from None
    except ApiError as error:
        raise ApiError(f"{error}; {_hint(vertex.where, name)}", error.status) from None
    entries.show_late_ones()
    if state != "SUCCEEDED":
        reason = job.get("error", {}).get("message", "the API gives no reason").rstrip(".")
        raise Failed(f"job {_id(name)} {state.lower().replace('_', ' ')}: {reason}; {vertex.page(name)}")


def _hint(where: Place, name: str) -> str:
    number = _id(name)
    return (
        f"job {number} continues: `gcloud ai custom-jobs stream-logs {number} --project={where.project} "
        f"--region={where.region}` follows it, `invoke cloud.jobs` shows its state, "
        f"`invoke cloud.cancel {number}` ends it"
    )


def _id(name: str) -> str:
    return name.rpartition("/")[2]


def _state(job: Object) -> str:
    return str(job.get("state", "JOB_STATE_QUEUED")).removeprefix("JOB_STATE_")
