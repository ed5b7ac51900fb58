"""Training on Vertex AI: the real command, the API's own messages, real workers that are killed, a real bucket."""

import json
import re
import shutil
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from buckets import BUCKET
from plants import SECONDS, write_plants
from processes import free_port
from standin_google import AnyCommit, Google, all_is_well
from standin_vertex import StandInJob, StandInVertex, start_here

from boatyard.cloud import vertex as vertex_jobs
from boatyard.cloud.__main__ import main
from boatyard.config.cli import run
from boatyard.config.compose import load_config
from boatyard.data.sources import open_sources
from boatyard.registry import aliases, versions
from boatyard.retrain import __main__ as retraining
from boatyard.storage import Storage, open_storage

pytestmark = pytest.mark.cloud

PROJECT, SECRET = "my-project", "4a75sEcReT-of-wandb"
REPOSITORY = Path(__file__).parents[2]
PLANTS = ("data=csv", "data.path=plants.csv", "data.name=plants", "data.text_columns=[question]")
LONG = ("data.target=topic", "train.max_steps=500", "train.save_steps=50")


@dataclass
class Cloud:
    """A stand-in, a storage in a bucket, and a clean checkout, in which the test runs."""

    vertex: StandInVertex
    google: Google
    root: str
    checkout: Path

    @property
    def storage(self) -> Storage:
        return open_storage(self.root)

    def job(self) -> StandInJob:
        (job,) = self.vertex.jobs.values()
        return job


def says(program: str) -> Callable[..., "subprocess.Popen[str]"]:
    """A container that runs this Python instead of training."""
    return partial(start_here, entry=("-c", program))


@pytest.fixture
def program(request: pytest.FixtureRequest) -> str | None:
    """What the containers run, if not training; a test names it by parametrizing."""
    return getattr(request, "param", None)


@pytest.fixture
def cloud(
    tmp_path: Path, stand_in: str, bucket_root: str, monkeypatch: pytest.MonkeyPatch, program: str | None
) -> Iterator[Cloud]:
    checkout = tmp_path / "checkout"
    for file in ("deploy/vertex/job.yaml", load_config().data.path):
        (checkout / file).parent.mkdir(parents=True)
        shutil.copy(REPOSITORY / file, checkout / file)
    write_plants(checkout / "plants.csv")
    who = ["-c", "user.name=x", "-c", "user.email=x@example.com"]
    for words in (["init", "-q"], ["add", "."], [*who, "commit", "-qm", "all"]):
        subprocess.run(["git", *words], cwd=checkout, check=True)
    monkeypatch.chdir(checkout)
    monkeypatch.setattr(vertex_jobs, "_QUIET", 0.0 if program else 1.0)
    environment = {"STORAGE_EMULATOR_HOST": stand_in, "OMP_NUM_THREADS": "1"}
    start = says(program) if program else start_here
    well = all_is_well(PROJECT, BUCKET, AnyCommit())
    well.quotas = {metric: {None: 100} for metric in well.quotas}
    with StandInVertex(tmp_path / "workers", environment, start) as vertex, Google(well) as google:
        for name, value in (vertex.environment | google.environment).items():
            monkeypatch.setenv(name, value)
        monkeypatch.setenv("BOATYARD_STORAGE", bucket_root)
        monkeypatch.setenv("GOOGLE_CLOUD_PROJECT", PROJECT)
        yield Cloud(vertex, google, bucket_root, checkout)
    assert google.mistakes == []


def command(*words: str) -> "subprocess.Popen[str]":
    return subprocess.Popen(
        [sys.executable, "-m", "boatyard.cloud", *words], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )


def wait_for(happened: Callable[[], object], seconds: float = 120) -> None:
    limit = time.monotonic() + seconds
    while not happened():
        assert time.monotonic() < limit
        time.sleep(0.05)


def copied_checkpoints(cloud: Cloud) -> list[str]:
    return [key for key in cloud.storage.list("checkpoints/") if key.endswith("checkpoint.json")]


def anonymous(job: Any) -> Any:
    """Without the name, which no two jobs share."""
    return json.loads(re.sub(r"-\d{8}t\d{6}z-[0-9a-f]{4}\b", "-NEW", json.dumps(job)))


@pytest.mark.slow
def test_two_workers_with_disks_of_their_own_go_on_together_and_one_publishes(cloud: Cloud) -> None:
    chosen = ["cloud.train.workers=2", "cloud.train.spot=true"]
    assert main(["train", "--detach", *SECONDS, *PLANTS, *LONG, *chosen]) == 0
    job = cloud.job()
    wait_for(lambda: copied_checkpoints(cloud) or job.state == "JOB_STATE_FAILED")
    cloud.vertex.preempt(job, worker=1)
    wait_for(lambda: job.state in {"JOB_STATE_SUCCEEDED", "JOB_STATE_FAILED"})
    output = "\n".join(job.lines)
    assert job.state == "JOB_STATE_SUCCEEDED", output
    assert re.search(r"going on from \S+/checkpoint-\d+0", output)
    assert output.count("copied the checkpoint of step") == 1, "the other worker copies it too, in silence"
    (version,) = versions(cloud.storage, "plants")
    assert aliases(cloud.storage, "plants") == {"production": version}
    led, joined = job.folders[-2:]
    assert list(led.glob("runs/plants/*/network"))
    assert not list(joined.glob("runs/plants/*/network"))
    assert list(joined.glob("runs/plants/*/checkpoints/checkpoint-*")), "its own disk has what it went on from"


@pytest.mark.parametrize("program", ["pass"], indirect=True)
def test_the_dry_run_prints_what_is_sent_and_asks_nobody(
    cloud: Cloud, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    words = ["train", *SECONDS, *PLANTS, "data.target=topic", "cloud.train.gpu=t4", "cloud.train.workers=3"]
    with monkeypatch.context() as nowhere:
        nowhere.delenv("CLOUDSDK_AUTH_DISABLE_CREDENTIALS")
        nowhere.setenv("STORAGE_EMULATOR_HOST", f"http://127.0.0.1:{free_port()}")
        assert main([*words, "--dry-run"]) == 0
    request = json.loads(capsys.readouterr().out)
    assert cloud.vertex.requests == []
    assert main([*words, "--detach"]) == 0
    (sent,) = cloud.vertex.bodies()
    assert anonymous(request["body"]) == anonymous(sent)
    assert (request["method"], request["url"]) == ("POST", cloud.vertex.url + cloud.vertex.requests[0][1])


@pytest.mark.parametrize("program", ["pass"], indirect=True)
def test_a_job_says_what_was_chosen_and_no_more(cloud: Cloud) -> None:
    assert main(["train", "--detach", "model=scratch"]) == 0
    assert main(["train", "--detach", "cloud.train.gpu=t4", "cloud.train.workers=3", "cloud.train.spot=true"]) == 0
    plain, chosen = cloud.vertex.bodies()
    name = plain["displayName"]
    (pool,) = plain["jobSpec"]["workerPoolSpecs"]
    assert pool["machineSpec"] == {"machineType": "n1-standard-8"}
    assert plain["jobSpec"]["scheduling"] == {
        "strategy": "STANDARD",
        "timeout": "21600s",
        "restartJobOnWorkerRestart": False,
        "disableRetries": True,
    }
    assert plain["jobSpec"]["baseOutputDirectory"]["outputUriPrefix"] == f"{cloud.root}/training/{name}"
    commit = subprocess.run(["git", "rev-parse", "HEAD"], check=True, capture_output=True, text=True).stdout.strip()
    assert plain["labels"] == {"app": "boatyard", "model": load_config().data.name, "commit": commit}
    container = pool["containerSpec"]
    assert container["imageUri"] == f"europe-west1-docker.pkg.dev/{PROJECT}/boatyard/trainer:{commit}"
    assert container["env"] == [{"name": "BOATYARD_STORAGE", "value": cloud.root}]
    assert container["args"][0] == "model=scratch"
    assert "command" not in container, "the image's own"
    assert [int(pool["replicaCount"]) for pool in chosen["jobSpec"]["workerPoolSpecs"]] == [1, 2]
    for pool in chosen["jobSpec"]["workerPoolSpecs"]:
        assert pool["machineSpec"]["acceleratorType"] == "NVIDIA_TESLA_T4"
        assert not any(word.startswith("cloud.") for word in pool["containerSpec"]["args"])
    scheduling = chosen["jobSpec"]["scheduling"]
    assert (scheduling["strategy"], scheduling["restartJobOnWorkerRestart"]) == ("SPOT", True)
    assert not scheduling["disableRetries"]
    assert {"name": "BOATYARD_GPUS", "value": "1"} in chosen["jobSpec"]["workerPoolSpecs"][1]["containerSpec"]["env"]
    assert chosen["displayName"] != name


@pytest.mark.parametrize("program", ["pass"], indirect=True)
def test_retraining_is_a_job_of_the_same_image_with_another_command(
    cloud: Cloud, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    followed: list[str] = []
    monkeypatch.setattr(vertex_jobs, "_follow", lambda _, name: followed.append(name))

    def retrain(*words: str) -> int:
        monkeypatch.setattr(sys, "argv", ["retrain", *words])
        return run("retrain", "", retraining.main)

    assert retrain("retrain.on=vertex", "cloud.train.gpu=t4") == 0
    assert len(followed) == 1
    (pool,) = cloud.vertex.bodies()[0]["jobSpec"]["workerPoolSpecs"]
    assert pool["containerSpec"]["command"] == ["python", "-m", "boatyard.retrain"]
    there, rows = pool["containerSpec"]["args"]
    assert there == "retrain.on=here", "or it would start another job"
    assert rows.startswith("data.path=gs://")
    assert retrain("retrain.on=vertex", "cloud.train.workers=2") == 2
    assert "retraining uses one worker" in capsys.readouterr().err


@pytest.mark.parametrize("program", ["import sys; print('no such column'); sys.exit(2)"], indirect=True)
def test_a_job_that_fails_ends_the_command_with_the_apis_own_words(
    cloud: Cloud, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["train"]) == 1
    output, errors = capsys.readouterr()
    assert "workerpool0-0  no such column" in output
    assert "failed: The replica workerpool0-0 exited with a non-zero status of 2;" in errors
    assert cloud.job().state == "JOB_STATE_FAILED"


@pytest.mark.parametrize("program", ["print('x')"], indirect=True)
@pytest.mark.parametrize("status", [403, 500])
def test_without_its_log_a_job_is_followed_all_the_same(
    cloud: Cloud, capsys: pytest.CaptureFixture[str], status: int, caplog: pytest.LogCaptureFixture
) -> None:
    cloud.vertex.log_status = status
    assert main(["train"]) == 0
    assert capsys.readouterr().out == ""
    assert caplog.text.count("its log cannot be read") == (status == 403)


@pytest.mark.parametrize("program", ["import time; time.sleep(60)"], indirect=True)
def test_ctrl_c_leaves_the_job_alone_and_says_how_to_go_on(cloud: Cloud, capsys: pytest.CaptureFixture[str]) -> None:
    signal.signal(signal.SIGINT, signal.default_int_handler)  # in the background it is ignored, by children too
    following = command("train")
    wait_for(lambda: any(method == "GET" for method, _, _ in cloud.vertex.requests) or following.poll() is not None)
    following.send_signal(signal.SIGINT)
    _, errors = following.communicate(timeout=30)
    assert following.returncode == 130
    job = cloud.job()
    for hint in ("stopped", f"job {job.id} continues", f"invoke cloud.cancel {job.id}", f"stream-logs {job.id}"):
        assert hint in errors
    assert job.state == "JOB_STATE_RUNNING"
    assert main(["jobs"]) == 0
    listed = capsys.readouterr().out
    assert job.id in listed
    assert "RUNNING" in listed
    assert main(["cancel", job.id]) == 0
    assert job.state == "JOB_STATE_CANCELLED"


@pytest.mark.parametrize("program", ["import time; time.sleep(60)"], indirect=True)
def test_a_job_that_is_cancelled_ends_the_following(cloud: Cloud, capsys: pytest.CaptureFixture[str]) -> None:
    def cancel() -> None:
        wait_for(lambda: cloud.vertex.jobs)
        assert main(["cancel", cloud.job().id]) == 0

    threading.Thread(target=cancel, daemon=True).start()
    assert main(["train"]) == 1
    assert f"job {cloud.job().id} cancelled" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["train.sed=1"], "unknown key train.sed; did you mean train.seed?"),
        (["cloud.train.gpu=v100"], "cloud.train.gpu='v100': input should be 't4', 'l4', 'a100'"),
        (["cloud.train.gpu=t4", "train.use_cpu=true"], "train.use_cpu=true leaves the t4 idle"),
        (["cloud.train.gpu=l4"], "has no l4: choose one whose name begins with g2-"),
        (["cloud.train.machine=a2-highgpu-1g"], "comes with GPUs: set cloud.train.gpu=a100"),
        (["data=csv", "data.path=gone.csv", "data.name=gone"], "data.path=gone.csv: there is no such file or folder"),
        (["model=minilm", "model.name=deploy"], "model.name=deploy is a folder of this machine"),
        (["cloud.project=null"], "no project is named: set GOOGLE_CLOUD_PROJECT"),
        (["paths.storage=here"], "no bucket is named: set BOATYARD_STORAGE"),
    ],
)
@pytest.mark.parametrize("program", ["pass"], indirect=True)
def test_what_is_wrong_is_refused_before_anything_is_sent(
    cloud: Cloud, words: list[str], message: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["train", *words]) == 2
    errors = capsys.readouterr().err
    assert message in errors
    assert errors.count("\n") == 1
    assert cloud.vertex.requests == []
    assert cloud.storage.list() == []


@pytest.mark.parametrize("program", ["pass"], indirect=True)
def test_what_the_doctor_finds_wrong_stops_a_submit_before_it_costs(
    cloud: Cloud, capsys: pytest.CaptureFixture[str]
) -> None:
    cloud.google.state.tags = set()
    assert main(["train", *SECONDS, *PLANTS]) == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert "image trainer: there is none of commit" in line
    assert "gcloud beta builds submit" in line
    assert cloud.vertex.requests == []
    assert cloud.storage.list() == []


def test_what_is_not_committed_is_in_no_image(cloud: Cloud, capsys: pytest.CaptureFixture[str]) -> None:
    Path("new.py").touch()
    assert main(["train"]) == 2
    assert "does not hold your later changes" in capsys.readouterr().err
    shutil.rmtree(".git")
    assert main(["train"]) == 2
    assert "run this in the git repository" in capsys.readouterr().err
    assert cloud.vertex.requests == []


@pytest.mark.parametrize("program", ["pass"], indirect=True)
@pytest.mark.parametrize("status", [403, 429, 500, None])
def test_an_api_that_refuses_or_is_down_is_one_sentence_and_is_asked_once(
    cloud: Cloud, status: int | None, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    cloud.vertex.faults = iter([status])
    if status is None:
        monkeypatch.setenv("CLOUDSDK_API_ENDPOINT_OVERRIDES_AIPLATFORM", f"http://127.0.0.1:{free_port()}")
    assert main(["train"]) == 2
    errors = capsys.readouterr().err
    assert errors.count("\n") == 1
    assert (f"aiplatform: said the stand-in ({status})" if status else "does not answer") in errors
    assert len(cloud.vertex.requests) == (status is not None)
    assert cloud.vertex.jobs == {}


@pytest.mark.usefixtures("cloud")
def test_a_body_that_the_api_does_not_know_is_refused_by_its_message(
    capsys: pytest.CaptureFixture[str],
) -> None:
    template = Path("deploy/vertex/job.yaml")
    template.write_text(template.read_text().replace("serviceAccount", "serviceAcount"))
    subprocess.run(["git", "-c", "user.name=x", "-c", "user.email=x@y", "commit", "-qam", "typo"], check=True)
    assert main(["train"]) == 2
    assert "Additional properties are not allowed ('serviceAcount' was unexpected) (400)" in capsys.readouterr().err


READ = """
import sys
from boatyard.config.cli import run
from boatyard.config.compose import load_config
from boatyard.data.sources import open_sources
for source in open_sources(load_config(sys.argv[1:])): print('read', source.name, source.split, source.digest)
"""


@pytest.mark.parametrize("program", [READ], indirect=True)
def test_a_folder_of_rows_is_copied_once_and_read_there(cloud: Cloud, capsys: pytest.CaptureFixture[str]) -> None:
    folder = Path("rows")
    folder.mkdir()
    for split in ("train", "test"):
        write_plants(folder / f"{split}.csv", text="text", label="category")
    (folder / "private.csv").touch()
    shutil.move(folder, source := cloud.checkout.parent / "rows")
    words = ["data=banking77", f"data.path={source}"]
    for _ in range(2):
        assert main(["train", *words]) == 0
    sources = open_sources(load_config(words))
    read = {f"read {source.name} {source.split} {source.digest}" for source in sources}
    for job in cloud.vertex.jobs.values():
        assert set(job.lines) == read
    copied = cloud.storage.list("data/")
    assert [key.rpartition("/")[2] for key in copied] == ["test.csv", "train.csv"]
    assert capsys.readouterr().out.count("read train.csv") == 2


TRACKING = """
import os, sys
from types import SimpleNamespace as Any
key = lambda **_: print('key of', len(os.environ.get('WANDB_API_KEY', '')), 'characters') or sys.exit()
sys.modules['wandb'] = Any(run=None, errors=Any(Error=ValueError), init=key)
from boatyard.config.cli import run
from boatyard.config.compose import load_config
from boatyard.train.tracking import tracked
with tracked(load_config(sys.argv[1:]), 'train'): pass
"""


@pytest.mark.parametrize("program", [TRACKING], indirect=True)
@pytest.mark.parametrize("tracking", ["wandb", "offline"])
def test_the_key_of_wandb_is_fetched_where_it_is_used_and_shown_nowhere(
    cloud: Cloud, tracking: str, capfd: pytest.CaptureFixture[str]
) -> None:
    cloud.vertex.secrets["wandb-api-key"] = SECRET
    assert main(["train", f"tracking={tracking}", "data.path=null"]) == 0
    output, errors = capfd.readouterr()
    paths = [path for _, path, _ in cloud.vertex.requests if "secrets" in path]
    if tracking == "wandb":
        assert f"key of {len(SECRET)} characters" in output
        assert paths == [f"/v1/projects/{PROJECT}/secrets/wandb-api-key/versions/latest:access"]
    else:
        assert "key of 0 characters" in output
        assert paths == []
    everything = [output, errors, json.dumps(cloud.vertex.requests), *cloud.job().lines, json.dumps(cloud.job().facts)]
    assert not any(SECRET in text for text in everything)
    assert not any(SECRET in file.read_text() for file in cloud.job().folders[0].rglob("*") if file.is_file())


HUB = """
import os
from boatyard.cloud.secrets import load_secret
load_secret('HF_TOKEN')
print(len(os.environ['HF_TOKEN']))
"""


@pytest.mark.parametrize("program", [HUB], indirect=True)
def test_a_token_of_the_hub_is_a_secret_too(cloud: Cloud) -> None:
    cloud.vertex.secrets["hf-token"] = SECRET
    cloud.google.state.secrets["hf-token"] = ["ENABLED"]
    assert main(["train", "cloud.train.hub_login=true"]) == 0
    assert cloud.job().lines == [str(len(SECRET))]
    assert SECRET not in json.dumps(cloud.vertex.requests)


@pytest.mark.parametrize("program", [TRACKING], indirect=True)
def test_a_secret_that_is_not_there_is_named(cloud: Cloud) -> None:
    assert main(["train", "tracking=wandb"]) == 1
    assert "Secret [wandb-api-key] not found" in "".join(cloud.job().lines)
