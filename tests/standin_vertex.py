"""A stand-in for Vertex AI: the API's own messages over a real socket, and workers that are real processes.

It also answers for what a job needs besides: its log (Cloud Logging) and one secret (Secret Manager).
"""

import json
import os
import re
import subprocess
import sys
import threading
import time
from base64 import b64encode
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from types import TracebackType
from typing import Any, Self
from urllib.parse import parse_qs, urlsplit

import psutil
from jsonschema import Draft202012Validator
from processes import free_port

import boatyard
from boatyard.cloud.schemas import google_schema

Object = dict[str, Any]
Start = Callable[[str, Sequence[str], Mapping[str, str], Path], "subprocess.Popen[str]"]
"""Starts a container: image, arguments, environment, an empty folder to work in.

Its output is text in one pipe; `kill()` of the process ends the container like the preemption of its machine.
"""

_APIS = {
    "CLOUDSDK_API_ENDPOINT_OVERRIDES_AIPLATFORM",
    "CLOUDSDK_API_ENDPOINT_OVERRIDES_LOGGING",
    "CLOUDSDK_API_ENDPOINT_OVERRIDES_SECRETMANAGER",
}
_JOB, _ENTRIES = (
    Draft202012Validator(google_schema(api, message))
    for api, message in (
        ("aiplatform.v1", "GoogleCloudAiplatformV1CustomJob"),
        ("logging.v2", "ListLogEntriesRequest"),
    )
)
_OUTPUT_ONLY = {"name", "state", "createTime", "startTime", "endTime", "updateTime", "error"}
_ENDED = {"JOB_STATE_SUCCEEDED", "JOB_STATE_FAILED", "JOB_STATE_CANCELLED"}
_PACKAGE = Path(boatyard.__file__).parents[1]
_LABEL = re.compile(r"[a-z0-9_-]{0,63}")


def start_here(
    image: str,
    arguments: Sequence[str],
    environment: Mapping[str, str],
    folder: Path,
    entry: Sequence[str] = ("-m", "boatyard.train.launch"),
) -> "subprocess.Popen[str]":
    """The trainer image's entry point, with this Python instead of the image's."""
    assert "/trainer:" in image
    return subprocess.Popen(
        [sys.executable, *entry, *arguments],
        cwd=folder,
        env={"PATH": os.environ["PATH"], "PYTHONPATH": str(_PACKAGE), "HOME": str(folder), **environment},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        start_new_session=True,
    )


class Refused(Exception):  # noqa: N818 - says what happened
    """An answer other than 200, as Google's APIs give it."""

    def __init__(self, status: int, message: str) -> None:
        super().__init__(message)
        self.status = status


@dataclass
class StandInJob:
    """A job, and what became of its workers. `folders` has one for each start of a worker."""

    facts: Object
    workers: "list[subprocess.Popen[str]]" = field(default_factory=list)
    folders: list[Path] = field(default_factory=list)
    lines: list[str] = field(default_factory=list)
    starts: int = 0
    restarting: bool = False

    @property
    def id(self) -> str:
        return str(self.facts["name"]).rpartition("/")[2]

    @property
    def state(self) -> str:
        return str(self.facts["state"])


class StandInVertex:
    """`environment` is what the cloud's network gives a container: how it finds Cloud Storage and the APIs."""

    def __init__(self, folder: Path, environment: Mapping[str, str], start: Start = start_here) -> None:
        self.jobs: dict[str, StandInJob] = {}
        self.requests: list[tuple[str, str, Any]] = []
        self.secrets: dict[str, str] = {}
        self.faults: Iterator[int | None] = iter(())
        """Statuses to answer next, each in place of one answer of Vertex AI's own."""
        self.log_status: int | None = None
        self._folder = folder
        self._start = start
        self._entries: list[Object] = []
        self._lock = threading.RLock()
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), _Handler)
        self._server.daemon_threads = True
        self._server.stand_in = self  # type: ignore[attr-defined]
        self.url = f"http://127.0.0.1:{self._server.server_port}"
        self.environment = {"CLOUDSDK_AUTH_DISABLE_CREDENTIALS": "true", **dict.fromkeys(_APIS, self.url)}
        """What clients of it need."""
        self._given = {**environment, **self.environment}

    def __enter__(self) -> Self:
        threading.Thread(target=self._server.serve_forever, args=(0.05,), daemon=True).start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, raised: BaseException | None, at: TracebackType | None
    ) -> None:
        for job in self.jobs.values():
            self._end(job, "JOB_STATE_CANCELLED")
        self._server.shutdown()
        self._server.server_close()

    def preempt(self, job: StandInJob, worker: int = 0) -> None:
        """Take a worker's machine away: SIGKILL, and a new one with an empty disk. All of the job starts anew."""
        scheduling = job.facts["jobSpec"]["scheduling"]
        assert scheduling["restartJobOnWorkerRestart"]
        assert not scheduling.get("disableRetries"), "which overrides it"
        with self._lock:
            assert job.state == "JOB_STATE_RUNNING"
            job.restarting = True
            _kill(job.workers[worker])

    def bodies(self) -> list[Object]:
        """The jobs that were asked for."""
        return [body for method, path, body in self.requests if method == "POST" and path.endswith("/customJobs")]

    def answer(self, method: str, path: str, query: dict[str, str], body: Any) -> Object:
        """Raises Refused."""
        self.requests.append((method, path, body))
        if (method, path) == ("POST", "/v2/entries:list"):
            return self._log(body)
        if secret := re.fullmatch(r"/v1/projects/[^/]+/secrets/([^/]+)/versions/latest:access", path):
            return self._secret(secret[1])
        if (fault := next(self.faults, None)) is not None:
            raise Refused(fault, "said the stand-in")
        parts = re.fullmatch(r"/v1/(projects/[^/]+/locations/[^/]+)/customJobs(?:/([0-9]+))?(:cancel)?", path)
        match (method, parts and parts[2], parts and parts[3]):
            case ("POST", None, None) if parts:
                return self._create(parts[1], body)
            case ("GET", None, None) if parts:
                return {"customJobs": [job.facts for job in reversed(self._listed(query["filter"]))]}
            case ("GET", str(number), None):
                return self._known(number).facts
            case ("POST", str(number), ":cancel"):
                self._end(self._known(number), "JOB_STATE_CANCELLED")
                return {}
        raise Refused(404, f"there is no {method} {path}")

    def _create(self, parent: str, body: Any) -> Object:
        _check(body, _JOB)
        if keys := _OUTPUT_ONLY & set(body):
            raise Refused(400, f"Field is output only: {sorted(keys)[0]}")
        pools = body["jobSpec"]["workerPoolSpecs"]
        if not body.get("displayName") or not pools or int(pools[0]["replicaCount"]) != 1:
            raise Refused(400, "displayName and a first worker pool of one replica are required")
        if not all(_LABEL.fullmatch(word) for label in body.get("labels", {}).items() for word in label):
            raise Refused(400, "Labels must match [a-z0-9_-]{0,63}")
        number = f"{len(self.jobs) + 1}{time.time_ns() % 10**9:09}"
        facts = {"name": f"{parent}/customJobs/{number}", **body, "state": "JOB_STATE_QUEUED", "createTime": _now()}
        self.jobs[number] = job = StandInJob(facts)
        threading.Thread(target=self._run, args=(job,), daemon=True).start()
        return dict(facts)

    def _listed(self, query: str) -> list[StandInJob]:
        clause = re.fullmatch(r"labels\.(\w+)=(\w+)", query)
        if clause is None:
            raise Refused(400, f"cannot filter by {query}")
        return [job for job in self.jobs.values() if job.facts["labels"].get(clause[1]) == clause[2]]

    def _known(self, number: str) -> StandInJob:
        if number not in self.jobs:
            raise Refused(404, f"The CustomJob does not exist: {number}")
        return self.jobs[number]

    def _secret(self, name: str) -> Object:
        if name not in self.secrets:
            raise Refused(404, f"Secret [{name}] not found")
        return {"name": name, "payload": {"data": b64encode(self.secrets[name].encode()).decode()}}

    def _log(self, body: Any) -> Object:
        if self.log_status is not None:
            raise Refused(self.log_status, "Permission denied for all log views")
        _check(body, _ENTRIES)
        match = re.fullmatch(
            r'resource\.type="ml_job" AND resource\.labels\.job_id="([0-9]+)"(?: AND timestamp>="([^"]+)")?',
            body["filter"],
        )
        if match is None:
            raise Refused(400, f"Unparseable filter: {body['filter']}")
        since = datetime.fromisoformat(match[2]) if match[2] else datetime.min.replace(tzinfo=UTC)
        start, most = int(body.get("pageToken", 0)), body.get("pageSize", 50)
        with self._lock:
            entries = [
                entry
                for entry in self._entries
                if entry["resource"]["labels"]["job_id"] == match[1]
                and datetime.fromisoformat(entry["timestamp"]) >= since
            ]
        page: Object = {"entries": entries[start : start + most]}
        return page | ({"nextPageToken": str(start + most)} if len(entries) > start + most else {})

    def _run(self, job: StandInJob) -> None:
        readers: list[threading.Thread] = []
        while True:
            with self._lock:
                if job.state in _ENDED:
                    return
                job.facts["state"] = "JOB_STATE_PENDING"
                job.restarting, job.starts = False, job.starts + 1
                job.workers.clear()
                for task, words, image, environment in self._tasks(job):
                    folder = self._folder / f"{job.id}-{job.starts}-{task}"
                    folder.mkdir(parents=True)
                    job.folders.append(folder)
                    worker = self._start(image, words, environment, folder)
                    job.workers.append(worker)
                    reader = threading.Thread(target=self._read, args=(job, task, worker), daemon=True)
                    readers.append(reader)
                    reader.start()
                job.facts["state"] = "JOB_STATE_RUNNING"
                job.facts.setdefault("startTime", _now())
            failed = self._wait(job)
            if job.restarting:
                for worker in job.workers:
                    _kill(worker)
                continue
            readers[0].join(10)
            if failed is not None and job.state not in _ENDED:
                job.facts["error"] = {"code": 3, "message": failed}
            self._end(job, "JOB_STATE_SUCCEEDED" if failed is None else "JOB_STATE_FAILED")
            return

    def _tasks(self, job: StandInJob) -> Iterator[tuple[str, list[str], str, dict[str, str]]]:
        spec = job.facts["jobSpec"]
        output = spec["baseOutputDirectory"]["outputUriPrefix"].rstrip("/")
        pools = {f"workerpool{n}": pool for n, pool in enumerate(spec["workerPoolSpecs"])}
        cluster = {
            name: [f"127.0.0.1:{free_port()}" for _ in range(int(pool["replicaCount"]))] for name, pool in pools.items()
        }
        for name, pool in pools.items():
            for index in range(len(cluster[name])):
                container = pool["containerSpec"]
                own = {variable["name"]: variable["value"] for variable in container.get("env", [])}
                yield (
                    f"{name}-{index}",
                    container.get("args", []),
                    container["imageUri"],
                    {
                        **self._given,
                        "AIP_MODEL_DIR": f"{output}/model/",
                        "AIP_CHECKPOINT_DIR": f"{output}/checkpoints/",
                        "AIP_TENSORBOARD_LOG_DIR": f"{output}/logs/",
                        "CLOUD_ML_PROJECT_ID": job.facts["name"].split("/")[1],
                        "CLOUD_ML_JOB_ID": job.id,
                        "CLUSTER_SPEC": json.dumps(
                            {"cluster": cluster, "environment": "cloud", "task": {"type": name, "index": index}}
                        ),
                        **own,
                    },
                )

    def _wait(self, job: StandInJob) -> str | None:
        """Until the first worker is done, or any failed; why, if so."""
        while True:
            for number, worker in enumerate(job.workers):
                status = worker.poll()
                if status:
                    replica = f"workerpool{min(number, 1)}-{max(number - 1, 0)}"
                    return f"The replica {replica} exited with a non-zero status of {status}."
            if job.workers[0].poll() == 0:
                return None
            time.sleep(0.02)

    def _read(self, job: StandInJob, task: str, worker: "subprocess.Popen[str]") -> None:
        assert worker.stdout is not None
        for line in worker.stdout:
            with self._lock:
                job.lines.append(line.rstrip("\n"))
                self._entries.append(
                    {
                        "insertId": f"i{len(self._entries)}",
                        "timestamp": _now(),
                        "resource": {"type": "ml_job", "labels": {"job_id": job.id, "task_name": task}},
                        "jsonPayload": {"message": line},
                    }
                )

    def _end(self, job: StandInJob, state: str) -> None:
        with self._lock:
            if job.state not in _ENDED:
                job.facts |= {"state": state, "endTime": _now()}
            for worker in job.workers:
                _kill(worker)


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True

    def _serve(self) -> None:
        stand_in: StandInVertex = self.server.stand_in  # type: ignore[attr-defined]
        content = self.rfile.read(int(self.headers.get("content-length") or 0))
        url = urlsplit(self.path)
        query = {key: values[0] for key, values in parse_qs(url.query).items()}
        try:
            body = json.loads(content) if content else None
            status, answer = 200, stand_in.answer(self.command, url.path, query, body)
        except Refused as refused:
            status, answer = refused.status, {"error": {"code": refused.status, "message": str(refused)}}
        payload = json.dumps(answer).encode()
        self.send_response_only(status)
        self.send_header("content-type", "application/json")
        self.send_header("content-length", str(len(payload)))
        self.end_headers()
        self.wfile.write(payload)

    do_GET = do_POST = _serve  # noqa: N815 - http.server's names


def _check(body: Any, schema: Draft202012Validator) -> None:
    for error in schema.iter_errors(body):
        raise Refused(400, f"Invalid JSON payload received. {error.json_path}: {error.message}")


def _kill(worker: "subprocess.Popen[str]") -> None:
    """With all that it started: torchrun's processes are in sessions of their own."""
    if worker.poll() is None:
        started: list[psutil.Process] = []
        with suppress(psutil.NoSuchProcess):  # it may end by itself meanwhile
            started = psutil.Process(worker.pid).children(recursive=True)
        worker.kill()
        for process in started:
            with suppress(psutil.NoSuchProcess):
                process.kill()
        worker.wait(30)


def _now() -> str:
    return datetime.now(UTC).isoformat().replace("+00:00", "Z")
