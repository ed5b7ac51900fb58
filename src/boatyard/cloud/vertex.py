"""Train on Vertex AI: submit a custom job with the trainer's image, and follow it."""

import json
import logging
import math
import re
import signal
import time
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from secrets import token_hex
from string import Template
from typing import Any

import yaml
from requests import Session
from rich.table import Table

from boatyard.cloud.access import HUB_SECRET, WANDB_SECRET
from boatyard.cloud.checkout import require_checkout
from boatyard.cloud.entries import read_entries
from boatyard.cloud.place import Place, place
from boatyard.cloud.rest import Api, ApiError, open_session
from boatyard.cloud.rows import Rows
from boatyard.config.console import say, terminal
from boatyard.config.errors import Failed, Stopped, UserError
from boatyard.config.schema import Config, Job
from boatyard.doctor.cloud import check_before_training

Object = dict[str, Any]

TEMPLATE = Path("deploy", "vertex", "job.yaml")

# the accelerator type on Vertex AI, and the prefix of the machine types that have it
_GPUS = {
    "t4": ("NVIDIA_TESLA_T4", "n1-"),
    "l4": ("NVIDIA_L4", "g2-"),
    "a100": ("NVIDIA_TESLA_A100", "a2-highgpu-"),
    "a100-80gb": ("NVIDIA_A100_80GB", "a2-ultragpu-"),
    "h100": ("NVIDIA_H100_80GB", "a3-highgpu-"),
}
_ENDED = {"SUCCEEDED", "FAILED", "CANCELLED", "EXPIRED", "PARTIALLY_SUCCEEDED"}
_PAUSE, _LONGEST_PAUSE = 1.0, 10.0  # seconds between polls
_QUIET = 10.0  # seconds without an entry, after which a job's log is complete
_LATENESS = timedelta(minutes=1)  # log entries may arrive out of order by this much

log = logging.getLogger(__name__)


def train(config: Config, overrides: Sequence[str], dry_run: bool, detach: bool) -> None:
    """Submit a job and follow it until it ends; `overrides` are those that `config` was composed from.

    Raises:
        UserError: the configuration is invalid or was refused; nothing was started.
        Failed: the job failed or was cancelled.
        Stopped: by Ctrl-C while following; the job continues.
    """
    where = place(config)
    checkout = require_checkout()
    rows = Rows(config, where)
    job = render(config, where, checkout.commit, rows.override(overrides), _new_name(config))
    vertex = _Vertex(where, Session() if dry_run else open_session())
    if dry_run:
        say(json.dumps({"method": "POST", "url": vertex.url, "body": job}, indent=2))
        return
    checkout.refuse_changes()
    check_before_training(config)
    rows.upload()
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


def render(config: Config, where: Place, commit: str, overrides: Sequence[str], name: str) -> Object:
    """The CustomJob to submit, rendered from `deploy/vertex/job.yaml`.

    Raises:
        UserError: the template is missing or invalid, or the machine cannot have that GPU, or none is used.
    """
    settings = config.cloud.train
    accelerator = _accelerator(settings)
    if accelerator and config.train.use_cpu:
        raise UserError(f"train.use_cpu=true leaves the {settings.gpu} idle, at its price: leave out one of them")
    values = {
        "name": name,
        "model": config.data.name,
        "commit": commit,
        "machine": settings.machine,
        "accelerator": accelerator,
        "accelerators": settings.gpus if accelerator else None,
        "gpus": str(settings.gpus) if accelerator else None,
        "image": where.image("trainer", commit),
        "overrides": list(overrides),
        "storage": where.storage,
        "secret": f"projects/{where.project}/secrets/{WANDB_SECRET}" if config.tracking.mode == "online" else None,
        "hub": f"projects/{where.project}/secrets/{HUB_SECRET}" if settings.hub_login else None,
        "others": settings.workers - 1,
        "timeout": f"{math.ceil(settings.hours * 3600)}s",
        "strategy": "SPOT" if settings.spot else "STANDARD",
        "spot": settings.spot,
        "standard": not settings.spot,
        "account": where.account("train"),
        "output": f"{where.storage}/training/{name}",
    }
    try:
        text = TEMPLATE.read_text(encoding="utf-8")
        job: Object = yaml.safe_load(Template(text).substitute({key: json.dumps(v) for key, v in values.items()}))
        pools = [_without_empty(pool) for pool in job["jobSpec"]["workerPoolSpecs"] if pool["replicaCount"]]
        return {**job, "jobSpec": {**job["jobSpec"], "workerPoolSpecs": pools}}
    except FileNotFoundError:
        raise UserError(f"there is no {TEMPLATE} here: run this in the repository's own folder") from None
    except (KeyError, TypeError, ValueError, yaml.YAMLError) as error:
        reason = " ".join(str(error).split())
        raise UserError(f"{TEMPLATE} cannot be filled in ({type(error).__name__}: {reason})") from None


def _without_empty(pool: Object) -> Object:
    machine, container = pool["machineSpec"], pool["containerSpec"]
    return {
        **pool,
        "machineSpec": {key: value for key, value in machine.items() if value is not None},
        "containerSpec": {
            **container,
            "env": [variable for variable in container["env"] if variable["value"] is not None],
        },
    }


def _accelerator(job: Job) -> str | None:
    if job.gpu is not None:
        accelerator, machines = _GPUS[job.gpu]
        if not job.machine.startswith(machines):
            raise UserError(
                f"cloud.train.machine={job.machine} has no {job.gpu}: choose one whose name begins with {machines}"
            )
        return accelerator
    for gpu, (_, machines) in _GPUS.items():
        if machines != "n1-" and job.machine.startswith(machines):
            raise UserError(f"cloud.train.machine={job.machine} comes with GPUs: set cloud.train.gpu={gpu}")
    return None


def _new_name(config: Config) -> str:
    return f"{config.data.name}-{datetime.now(UTC):%Y%m%dt%H%M%Sz}-{token_hex(2)}"


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
