"""From rows to an answer in the cloud and back again, with the commands of a user, against the stand-ins."""

import json
import os
import re
import shutil
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from uuid import uuid4

import httpx
from buckets import BUCKET
from checkout import ROOT, commit, git, make_checkout
from loads import load
from plants import SECONDS, write_plants
from standin_google import AnyCommit, all_is_well
from standin_project import Project
from standin_run import CloudRun, Command, service_process
from standin_vertex import StandInJob, StandInVertex, Start, start_here

from boatyard import journal
from boatyard.registry import aliases, versions
from boatyard.storage import open_storage

PROJECT, SERVICE, STAGING, MODEL = "boatyard-test", "boatyard-api", "boatyard-staging-api", "plants"
CLOUD = re.compile(r"CLOUDSDK_|GOOGLE_|BOATYARD_")
ROWS = ("data=csv", "data.path=data/raw/plants.csv", "data.name=plants", "data.text_columns=[question]")
SMALL = (*SECONDS, "data.target=topic", "publish.alias=null")


@dataclass
class World:
    """The cloud, and somebody's clone of the repository."""

    vertex: StandInVertex
    run: CloudRun
    root: str
    clone: Path
    environment: dict[str, str]

    def command(self, *words: str, **environment: str) -> str:
        """What `python -m WORDS` in the clone printed; it must succeed."""
        ran = subprocess.run(
            [sys.executable, "-m", *words],
            cwd=self.clone,
            env=self.environment | environment,
            capture_output=True,
            text=True,
            timeout=300,
        )
        assert ran.returncode == 0, ran.stdout + ran.stderr
        return ran.stdout + ran.stderr

    def train(self, *words: str) -> "subprocess.Popen[str]":
        return subprocess.Popen(
            [sys.executable, "-m", "boatyard.cloud", "train", *ROWS, *SMALL, *words],
            cwd=self.clone,
            env=self.environment | self.vertex.environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )

    def newest_job(self) -> StandInJob:
        return list(self.vertex.jobs.values())[-1]


@contextmanager
def world(
    folder: Path, bucket_url: str, train: Start = start_here, serve: Command = service_process
) -> Iterator[World]:
    """Its storage is a new root in the stand-in's bucket; `train` and `serve` run the containers."""
    root = f"gs://{BUCKET}/{uuid4().hex}"
    reach = {"STORAGE_EMULATOR_HOST": bucket_url, "GCSFS_EXPERIMENTAL_ZB_HNS_SUPPORT": "false"}
    well = all_is_well(PROJECT, BUCKET, AnyCommit())
    with (
        StandInVertex(folder / "workers", reach | {"OMP_NUM_THREADS": "1"}, train) as vertex,
        Project(well) as google,
        CloudRun(folder / "instances", project=PROJECT, command=serve) as run,
    ):
        own = {key: value for key, value in os.environ.items() if not CLOUD.match(key)}
        environment = own | reach | google.environment | run.environment | {"BOATYARD_STORAGE": root}
        yield World(vertex, run, root, _clone(folder, root, environment), environment)
    assert google.mistakes == []


def _clone(folder: Path, root: str, environment: dict[str, str]) -> Path:
    """Where the rows are known by their hash and fetched by DVC from where another clone pushed them."""
    office = make_checkout(folder / "office")
    shutil.copytree(ROOT / ".dvc", office / ".dvc", ignore=shutil.ignore_patterns("cache", "tmp", "config.local"))
    shutil.copy(ROOT / ".dvcignore", office)
    (office / "data" / "raw").mkdir(parents=True)
    write_plants(office / "data" / "raw" / "plants.csv")

    def dvc(where: Path, *words: str) -> None:
        ran = subprocess.run(
            [sys.executable, "-m", "dvc", *words], cwd=where, env=environment, capture_output=True, text=True
        )
        assert ran.returncode == 0, ran.stdout + ran.stderr

    dvc(office, "remote", "modify", "storage", "url", f"{root}/dvc")
    dvc(office, "add", "data/raw/plants.csv")
    dvc(office, "push")
    commit(office)
    clone = folder / "clone"
    git(folder, "clone", "-q", str(office), str(clone))
    assert not (clone / "data/raw/plants.csv").exists()
    dvc(clone, "pull")
    assert (clone / "data/raw/plants.csv").read_bytes() == (office / "data/raw/plants.csv").read_bytes()
    return clone


def walk(there: World) -> None:
    """All of it, in order."""
    storage = open_storage(there.root)

    long = "train.max_steps=500", "train.save_steps=50"
    following = there.train(*long, "cloud.train.spot=true", "paths.runs=/nowhere")
    wait_for(lambda: there.vertex.jobs or following.poll() is not None, following)
    job = there.newest_job()
    wait_for(lambda: any(key.endswith("checkpoint.json") for key in storage.list("checkpoints/")), following)
    there.vertex.preempt(job)
    output, _ = following.communicate(timeout=300)
    assert following.returncode == 0, output
    assert job.starts == 2
    assert len(re.findall(r"going on from \S+/checkpoint-\d+0", output)) == 1, output
    for state in ("running", "succeeded"):
        assert f"job {job.id}: {state}" in output
    assert not any("/nowhere" in line for line in job.lines), "a folder of this machine"
    (rows,) = storage.list("data/")
    assert storage.read(rows) == (there.clone / "data/raw/plants.csv").read_bytes()
    (first,) = versions(storage, MODEL)

    there.command("boatyard.registry", "promote", MODEL, first, "--alias=staging")
    there.command("boatyard.cloud", "deploy", *ROWS, "data.target=topic", "cloud.environment=staging")
    tried = curl(there, STAGING)
    assert tried["version"] == first

    there.command("boatyard.registry", "promote", MODEL, first)
    there.command("boatyard.cloud", "deploy", *ROWS, "data.target=topic")
    assert curl(there, SERVICE)["version"] == first

    again = there.train("train.max_steps=60", "train.seed=7")
    output, _ = again.communicate(timeout=300)
    assert again.returncode == 0, output
    (second,) = set(versions(storage, MODEL)) - {first}
    with load(lambda: ask(there)) as answers:
        there.command("boatyard.registry", "promote", MODEL, second)
        wait_for(lambda: answers and answers[-1].json().get("version") == second)
        there.command("boatyard.registry", "rollback", MODEL)
        wait_for(lambda: answers[-1].json().get("version") == first)
    assert {answer.status_code for answer in answers} == {200}
    assert aliases(storage, MODEL) == {"production": first, "staging": first}

    there.command("boatyard.cloud", "destroy", "--yes")
    wait_for(lambda: len(there.run.exits) == 2)
    assert [(end.status, end.killed) for end in there.run.exits] == [(0, False)] * 2
    kept = [line["id"] for line in journal.read(storage)]
    answered = [answer.json()["id"] for answer in answers]
    assert len(kept) == len(set(kept)), "a line is there twice"
    assert set(answered) <= set(kept)
    assert tried["id"] not in kept
    assert tried["id"] in {line["id"] for line in journal.read(open_storage(f"{there.root}/staging"))}
    versions_kept = {line["version"] for line in journal.read(storage)}
    assert versions_kept == {first, second}


def curl(there: World, service: str) -> dict[str, Any]:
    """As docs/cloud-run.md has it."""
    url = f"{there.run.service_url(service)}/predict"
    words = ["curl", "-s", url, "-H", f"Authorization: Bearer {there.run.token(service)}"]
    words += ["-H", "Content-Type: application/json", "-d", '{"text": "my parcel with the ivy is late"}']
    answer: dict[str, Any] = json.loads(subprocess.run(words, check=True, capture_output=True, text=True).stdout)
    return answer


def ask(there: World) -> httpx.Response:
    url, headers = f"{there.run.service_url(SERVICE)}/predict", there.run.headers(SERVICE)
    return httpx.post(url, json={"text": "white bugs on my rose"}, headers=headers, timeout=30)


def wait_for(happened: Callable[[], object], following: "subprocess.Popen[str] | None" = None) -> None:
    limit = time.monotonic() + 180
    while not happened():
        if following is not None and following.poll() is not None and following.stdout is not None:
            raise AssertionError(following.stdout.read())
        assert time.monotonic() < limit
        time.sleep(0.05)
