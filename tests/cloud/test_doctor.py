"""The doctor of the cloud, and what stops a submit, against Google's REST as its own description has it."""

import json
import os
import re
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from types import SimpleNamespace

import gcloud_commands
import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import rsa
from requests import Session
from standin_google import CPUS, REGION, SPOT_T4, T4, YOU, Google, State, all_is_well
from standin_google import email as account_email

from boatyard.cloud import access
from boatyard.cloud.__main__ import main
from boatyard.cloud.place import place
from boatyard.cloud.script import script
from boatyard.config.compose import load_config
from boatyard.config.errors import UserError
from boatyard.config.schema import Config
from boatyard.doctor import cloud as doctor
from boatyard.doctor import resources
from boatyard.doctor.checks import Result
from boatyard.doctor.google import APIS

pytestmark = pytest.mark.cloud

ROOT = Path(__file__).parents[2]
PROJECT, BUCKET = "my-project", "my-bucket"
PLACE = (f"cloud.project={PROJECT}", f"paths.storage=gs://{BUCKET}/boatyard")


def email(role: str) -> str:
    return account_email(PROJECT, role)


@cache
def config(*overrides: str) -> Config:
    return load_config([*PLACE, *overrides])


@pytest.fixture
def commit(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    """Of a repository that is the working folder."""
    folder = tmp_path / "repository"
    folder.mkdir()
    monkeypatch.chdir(folder)
    monkeypatch.delenv("BOATYARD_COMMIT", raising=False)
    for who in ("AUTHOR", "COMMITTER"):
        monkeypatch.setenv(f"GIT_{who}_NAME", "A")
        monkeypatch.setenv(f"GIT_{who}_EMAIL", "a@example.org")
    subprocess.run(["git", "init", "-q"], check=True)
    subprocess.run(["git", "commit", "-q", "--allow-empty", "-m", "first"], check=True)
    return subprocess.run(["git", "rev-parse", "HEAD"], check=True, capture_output=True, text=True).stdout.strip()


@pytest.fixture
def gcloud(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """What answers as gcloud: somebody is logged in."""
    folder = tmp_path / "bin"
    folder.mkdir()
    return _gcloud(folder, "echo somebody@example.org", monkeypatch)


def _gcloud(folder: Path, does: str, monkeypatch: pytest.MonkeyPatch) -> Path:
    script = folder / "gcloud"
    script.write_text(f"#!/bin/sh\n{does}\n")
    script.chmod(0o755)
    monkeypatch.setenv("PATH", str(folder), prepend=os.pathsep)
    return script


@pytest.fixture
def google(commit: str, gcloud: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Google]:  # noqa: ARG001
    tags = {f"{name}/{commit}" for name in ("trainer", *doctor.SERVICES)}
    with Google(all_is_well(PROJECT, BUCKET, tags)) as running:
        for name, value in running.environment.items():
            monkeypatch.setenv(name, value)
        monkeypatch.setenv("CLOUDSDK_AUTH_DISABLE_CREDENTIALS", "true")
        yield running
        for thread in threading.enumerate():
            if thread.name.startswith("check "):  # abandoned, it would ask the server of the next test
                thread.join(30)
    assert running.mistakes == []


def bad(*overrides: str) -> dict[str, Result]:
    """What is not ok, by name."""
    return {result.name: result for result in doctor.examine(config(*overrides)) if result.state != "ok"}


@pytest.mark.usefixtures("google")
def test_nothing_is_wrong_where_all_is_there() -> None:
    results = doctor.examine(config("cloud.train.gpu=t4", "tracking=wandb"))
    assert {result.name: result.state for result in results} == dict.fromkeys((r.name for r in results), "ok")
    assert [result.name for result in results] == [
        *("gcloud", "credentials", "project", "billing", "APIs", "your roles", "bucket"),
        *("boatyard-train", "boatyard-run", "boatyard-build", "repository"),
        *(f"image {name}" for name in ("trainer", *doctor.SERVICES)),
        *("GPU quota", "CPU quota", "wandb-api-key", "boatyard-api-keys"),
    ]
    assert all(result.fix is None for result in results)


@dataclass
class Flaw:
    """A change to the state, and how it shows: the check, part of its sentence, and part of its fix."""

    change: Callable[[State], object]
    name: str
    sentence: str
    fix: str
    state: str = "wrong"
    overrides: tuple[str, ...] = ()


CREATE_BUCKET = f"--project={PROJECT} --location={REGION} --uniform-bucket-level-access --public-access-prevention"
CREATE_REPOSITORY = f"--repository-format=docker --location={REGION} --project={PROJECT}"
ME = '--member="user:$(gcloud config get account)"'
ACT_AS_TRAIN = f"gcloud iam service-accounts add-iam-policy-binding {email('train')} --project={PROJECT} {ME}"
ONLINE, ONE_T4 = ("tracking=wandb",), ("cloud.train.gpu=t4",)


def without(account: str, *permissions: str) -> Callable[[State], object]:
    return lambda state: state.granted[account].difference_update(permissions)


FLAWS = {
    "project hidden": Flaw(
        lambda s: setattr(s, "project", "another"), "project", "there is no my-project, or",
        f"gcloud projects create {PROJECT}"
    ),
    "project going": Flaw(
        lambda s: setattr(s, "project_state", "DELETE_REQUESTED"), "project", "about to be",
        f"gcloud projects undelete {PROJECT}"
    ),
    "billing": Flaw(
        lambda s: setattr(s, "billing", False), "billing", "off: no billing account is linked; choose who pays",
        f"gcloud billing accounts list --filter=open=true && gcloud billing projects link {PROJECT} "
        "--billing-account=ACCOUNT"
    ),
    "an API": Flaw(
        lambda s: s.apis.remove("run"), "APIs", "off: run.googleapis.com",
        f"gcloud services enable run.googleapis.com --project={PROJECT}"
    ),
    "your role": Flaw(
        without(YOU, "run.services.create"), "your roles", "you lack roles/run.developer on the project",
        f"gcloud projects add-iam-policy-binding {PROJECT} {ME} --role=roles/run.developer", "warning",
    ),
    "no bucket": Flaw(
        lambda s: s.buckets.clear(), "bucket", "there is no gs://my-bucket",
        f"gcloud storage buckets create gs://{BUCKET} {CREATE_BUCKET}"
    ),
    "bucket elsewhere": Flaw(
        lambda s: s.buckets.update({BUCKET: ("US-EAST1", "region")}), "bucket", "is in us-east1, not in europe-west1",
        f"gcloud storage buckets create gs://{BUCKET}-{REGION} {CREATE_BUCKET} && "
        f"export BOATYARD_STORAGE=gs://{BUCKET}-{REGION}/boatyard",
    ),
    "bucket on another continent": Flaw(
        lambda s: s.buckets.update({BUCKET: ("US", "multi-region")}), "bucket", "is in us,", "buckets create"
    ),
    "bucket around": Flaw(
        lambda s: s.buckets.update({BUCKET: ("EU", "multi-region")}), "bucket", "is in eu,",
        f"gcloud storage buckets relocate gs://{BUCKET} --location={REGION}", "warning",
    ),
    "bucket that is charged for what is gone": Flaw(
        lambda s: setattr(s, "soft_delete_seconds", 604800), "bucket", "deleted or overwritten in 7 days",
        f"gcloud storage buckets update gs://{BUCKET} --lifecycle-file=deploy/storage/lifecycle.json "
        "--clear-soft-delete", "warning",
    ),
    "no account": Flaw(
        lambda s: s.accounts.pop(email("build")), "boatyard-build", "does not exist",
        f"gcloud iam service-accounts create boatyard-build --project={PROJECT}",
    ),
    "disabled account": Flaw(
        lambda s: s.accounts.update({email("run"): {"disabled": True}}), "boatyard-run", "disabled",
        f"gcloud iam service-accounts enable {email('run')} --project={PROJECT}",
    ),
    "account's objects": Flaw(
        without(email("train"), "storage.objects.delete"), "boatyard-train", "roles/storage.objectUser on gs://my-bucket",
        f"gcloud storage buckets add-iam-policy-binding gs://{BUCKET} --member=serviceAccount:{email('train')} "
        "--role=roles/storage.objectUser",
    ),
    "account's roles": Flaw(
        lambda s: s.granted.pop(email("build")), "boatyard-build",
        "it lacks roles/storage.objectViewer on gs://my-bucket, "
        "roles/artifactregistry.writer on the repository boatyard, roles/logging.logWriter on the project",
        f" && gcloud artifacts repositories add-iam-policy-binding boatyard --location={REGION} --project={PROJECT} "
        f"--member=serviceAccount:{email('build')} --role=roles/artifactregistry.writer && ",
    ),
    "account's invoking": Flaw(
        without(email("run"), "run.routes.invoke"), "boatyard-run", "roles/run.invoker on the project",
        "--role=roles/run.invoker"
    ),
    "account's secret": Flaw(
        without(email("train"), "secretmanager.versions.access"), "boatyard-train", "on the secret wandb-api-key",
        f"gcloud secrets add-iam-policy-binding wandb-api-key --project={PROJECT} "
        f"--member=serviceAccount:{email('train')} --role=roles/secretmanager.secretAccessor",
        overrides=ONLINE,
    ),
    "no repository": Flaw(
        lambda s: s.repositories.clear(), "repository", "there is no boatyard in europe-west1",
        f"gcloud artifacts repositories create boatyard {CREATE_REPOSITORY}",
    ),
    "repository of something else": Flaw(
        lambda s: s.repositories.update({f"{REGION}/boatyard": "PYTHON"}), "repository", "holds no images",
        f"gcloud artifacts repositories create boatyard-images {CREATE_REPOSITORY}",
    ),
    "GPUs": Flaw(
        lambda s: s.quotas[T4].update({REGION: 0}), "GPU quota", "1 t4 requested, but 0 allowed in europe-west1",
        "--preferred-value=1", overrides=ONE_T4,
    ),
    "GPUs of several workers": Flaw(
        lambda _: None, "GPU quota", "4 t4 requested, but 1 allowed", "--preferred-value=4",
        overrides=(*ONE_T4, "cloud.train.gpus=2", "cloud.train.workers=2"),
    ),
    "spot GPUs": Flaw(
        lambda s: s.quotas[SPOT_T4].update({None: 0}), "GPU quota", "1 t4 (spot) requested, but 0 allowed",
        f"--filter='metric={SPOT_T4}'", overrides=(*ONE_T4, "cloud.train.spot=true"),
    ),
    "unknown GPUs": Flaw(
        lambda s: s.quotas.pop(T4), "GPU quota", "cannot tell: Google knows no quota", "", "warning", ONE_T4
    ),
    "GPUs of another region": Flaw(
        lambda s: s.quotas.update({T4: {"us-central1": 9}}), "GPU quota", "cannot tell: Google names no limit", "",
        "warning", ONE_T4,
    ),
    "CPUs": Flaw(
        lambda s: s.quotas[CPUS].update({REGION: 4}), "CPU quota", "8 CPUs requested, but 4 allowed in europe-west1",
        f"--filter='metric={CPUS}'"
    ),
    "CPUs of several workers": Flaw(
        lambda _: None, "CPU quota", "96 CPUs requested, but 42 allowed", "--preferred-value=96",
        overrides=("cloud.train.workers=3", "cloud.train.machine=n1-standard-32"),
    ),
    "no secret": Flaw(
        lambda s: s.secrets.clear(), "wandb-api-key", "does not exist",
        f"gcloud secrets create wandb-api-key --project={PROJECT} --data-file=-", overrides=ONLINE,
    ),
    "empty secret": Flaw(
        lambda s: s.secrets.update({"wandb-api-key": []}), "wandb-api-key", "no version",
        f"gcloud secrets versions add wandb-api-key --project={PROJECT} --data-file=-", overrides=ONLINE,
    ),
    "disabled secret": Flaw(
        lambda s: s.secrets.update({"boatyard-api-keys": ["ENABLED", "DISABLED"]}), "boatyard-api-keys",
        "version is disabled",
        f"gcloud secrets versions add boatyard-api-keys --project={PROJECT} --data-file=-",
    ),
}  # fmt: skip


@pytest.mark.parametrize("flaw", FLAWS.values(), ids=FLAWS)
def test_a_flaw_is_reported_by_its_own_check_alone_with_the_command_that_fixes_it(flaw: Flaw, google: Google) -> None:
    flaw.change(google.state)
    results = bad(*flaw.overrides)
    assert set(results) == {flaw.name}
    result = results[flaw.name]
    assert result.state == flaw.state
    assert flaw.sentence in result.sentence
    assert flaw.fix in (result.fix or "")


@pytest.mark.parametrize("flaw", FLAWS.values(), ids=FLAWS)
def test_gcloud_has_the_commands_that_fix(flaw: Flaw, google: Google, gcloud: Path) -> None:
    flaw.change(google.state)
    results = bad(*flaw.overrides)
    gcloud.unlink()  # the real one, from here on
    for result in results.values():
        assert gcloud_commands.mistakes(result.fix or "") == []


def test_what_is_kept_for_good_is_warned_of(google: Google) -> None:
    google.state.kept_for_good = True
    results = bad()
    assert {name: result.state for name, result in results.items()} == dict.fromkeys(
        ("bucket", "repository"), "warning"
    )
    assert "keeps boatyard/checkpoints/ for good" in results["bucket"].sentence
    assert "--policy=deploy/cloudbuild/cleanup.json" in (results["repository"].fix or "")


@pytest.mark.parametrize(("below", "prefix"), [("/boatyard", "boatyard/"), ("/teams/ours/", "teams/ours/"), ("", "")])
def test_the_mend_deletes_what_is_old_below_the_prefix_that_is_used(
    below: str, prefix: str, google: Google, gcloud: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    google.state.kept_for_good = True
    overrides = [f"cloud.project={PROJECT}", f"paths.storage=gs://{BUCKET}{below}"]
    [fix] = [each.fix for each in doctor.examine(load_config(overrides)) if each.name == "bucket"]
    assert fix is not None
    *before, command = fix.split(" && ")
    assert f"try {command}" in script(load_config(overrides)), "the script does the same"
    assert [line for line in before if line not in script(load_config(overrides)).splitlines()] == []
    monkeypatch.chdir(ROOT)
    monkeypatch.setenv("TMPDIR", str(tmp_path))
    gcloud.write_text('#!/bin/sh\nfor word; do case $word in --lifecycle-file=*) cat "${word#*=}" ;; esac; done\n')
    shown = subprocess.run(["sh", "-c", fix], capture_output=True, text=True, check=True)
    asked = [each for rule in json.loads(shown.stdout)["rule"] for each in rule["condition"]["matchesPrefix"]]
    assert len(asked) == 5
    assert {f"{prefix}checkpoints/", f"{prefix}journal/"} <= set(asked)
    assert all(each.startswith(prefix) and each.count("/") == prefix.count("/") + 1 for each in asked)


@pytest.mark.parametrize(
    "storage", ["gs://", "gs:///x", "gs://B", 'gs://bucket/a"b', "gs://bucket/$(id)", "gs://bucket/../x"]
)
def test_a_storage_that_no_command_could_name_is_refused(storage: str) -> None:
    with pytest.raises(UserError, match="is not gs://BUCKET/PREFIX"):
        place(config().model_copy(update={"paths": config().paths.model_copy(update={"storage": storage})}))


def test_a_caller_who_may_not_act_as_an_account_is_warned(google: Google) -> None:
    google.state.granted[YOU] -= {"iam.serviceAccounts.actAs", "iam.serviceAccounts.getOpenIdToken"}
    results = bad()
    assert {name: result.state for name, result in results.items()} == {
        f"boatyard-{r}": "wrong" for r in ("train", "run", "build")
    }
    assert results["boatyard-train"].fix == f"{ACT_AS_TRAIN} --role=roles/iam.serviceAccountUser"
    assert "roles/iam.serviceAccountOpenIdTokenCreator" in results["boatyard-run"].sentence


def test_the_roles_of_an_account_that_cannot_be_impersonated_are_not_known(google: Google) -> None:
    google.state.granted[YOU].remove("iam.serviceAccounts.getAccessToken")
    del google.state.granted[email("train")]
    results = bad()
    assert {result.state for result in results.values()} == {"warning"}
    assert results["boatyard-train"].sentence == "its roles are not known: you may not impersonate it"
    assert results["boatyard-train"].fix == f"{ACT_AS_TRAIN} --role=roles/iam.serviceAccountTokenCreator"


def test_a_negative_limit_means_unlimited(google: Google) -> None:
    google.state.quotas[T4] = {None: -1}
    assert bad("cloud.train.gpu=t4", "cloud.train.gpus=8") == {}


def test_images_are_those_of_the_commit(google: Google, commit: str, gcloud: Path) -> None:
    google.state.tags = {f"trainer/{commit}"}
    results = bad()
    assert set(results) == {f"image {name}" for name in doctor.SERVICES}
    result = results["image api"]
    assert result.state == "wrong"
    assert commit[:12] in result.sentence
    assert (result.fix or "").startswith(f"gcloud beta builds submit --project={PROJECT} --region={REGION} ")
    assert f'--substitutions="COMMIT_SHA={commit},_REPOSITORY=boatyard"' in (result.fix or "")
    gcloud.unlink()
    assert gcloud_commands.mistakes(result.fix or "") == []


def test_files_that_were_changed_since_the_commit_are_warned_of(google: Google) -> None:  # noqa: ARG001
    Path("new.py").write_text("")
    assert {result.state for result in bad().values()} == {"warning"}
    assert "changed since" in bad()["image trainer"].sentence


@pytest.mark.usefixtures("google")
def test_without_a_commit_no_image_is_asked_for(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (empty := tmp_path / "empty").mkdir()
    monkeypatch.chdir(empty)
    assert {result.sentence for result in bad().values()} == {"no commit here, but images are tagged by commit"}


@pytest.mark.parametrize("api", ["cloudbilling", "serviceusage", "storage", "artifactregistry", "secretmanager", "iam"])
def test_what_is_hidden_is_a_warning_that_says_how_to_be_let_in(api: str, google: Google) -> None:
    google.state.refusing = {api}
    results = bad("cloud.train.gpu=t4", "tracking=wandb")
    assert results
    for result in results.values():
        assert result.state == "warning"
        assert f"Permission denied on {api}" in result.sentence
        assert result.fix == f"gcloud projects add-iam-policy-binding {PROJECT} {ME} --role=roles/viewer"


REFUSALS = {
    "SERVICE_DISABLED": (
        {"service": "storage.googleapis.com", "consumer": "projects/42"},
        "storage.googleapis.com is off in this project",
        "gcloud services enable storage.googleapis.com --project=42",
    ),
    "SERVICE_DISABLED for want of a quota project": (
        {"service": "storage.googleapis.com", "consumer": "projects/764086051850"}, "name no project to count requests",
        f"gcloud auth application-default set-quota-project {PROJECT}",
    ),
    "USER_PROJECT_DENIED": ({}, "roles/serviceusage.serviceUsageConsumer", "roles/viewer"),
    "IAM_PERMISSION_DENIED": (
        {"permission": "storage.buckets.get", "resource": "b"}, "you lack the permission storage.buckets.get on b",
        "roles/viewer",
    ),
}  # fmt: skip


@pytest.mark.parametrize("reason", REFUSALS)
def test_what_google_refuses_for_another_reason_is_another_sentence_with_another_fix(
    reason: str, google: Google, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("GOOGLE_CLOUD_PROJECT", PROJECT)
    facts, sentence, fix = REFUSALS[reason]
    google.state.refusing = {"storage"}
    google.state.reason = {"reason": reason.split()[0], "metadata": facts}
    result = resources.bucket(doctor._connect(config(), place(config())))
    assert sentence in result.sentence
    assert fix in (result.fix or "")


def test_what_does_not_answer_in_time_is_a_warning(google: Google, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(doctor, "_SECONDS", 0.3)
    google.state.seconds = 1.0
    assert {result.sentence for result in bad().values()} == {"no answer in 0.3 s"}


@pytest.mark.slow
def test_all_of_it_ends_within_twenty_seconds_where_each_answer_takes_one(google: Google) -> None:
    google.state.seconds = 1.0
    begun = time.monotonic()
    assert bad("cloud.train.gpu=t4", "tracking=wandb") == {}
    assert time.monotonic() - begun < 20


def test_nothing_is_changed(google: Google) -> None:
    before = repr(google.state)
    bad("cloud.train.gpu=t4", "tracking=wandb")
    assert repr(google.state) == before
    assert {
        verb for verb, _, path in google.requests if not path.endswith((":testIamPermissions", ":generateAccessToken"))
    } == {"GET"}


def test_gcloud_may_be_absent(google: Google, gcloud: Path, monkeypatch: pytest.MonkeyPatch) -> None:  # noqa: ARG001
    git = gcloud.with_name("git")
    git.symlink_to(
        next(Path(folder, "git") for folder in os.environ["PATH"].split(os.pathsep) if Path(folder, "git").exists())
    )
    gcloud.unlink()
    monkeypatch.setenv("PATH", str(gcloud.parent))
    assert {name: result.state for name, result in bad().items()} == {"gcloud": "warning"}


@pytest.mark.parametrize("does", ["exit 0", "exit 1"])
def test_nobody_may_be_logged_in_to_gcloud(does: str, google: Google, gcloud: Path) -> None:  # noqa: ARG001
    gcloud.write_text(f"#!/bin/sh\n{does}\n")
    assert {name: (result.sentence, result.fix) for name, result in bad().items()} == {
        "gcloud": ("it has no active account", "gcloud auth login")
    }


def test_without_credentials_nothing_else_is_asked(
    google: Google, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("CLOUDSDK_AUTH_DISABLE_CREDENTIALS")
    monkeypatch.setenv("GOOGLE_APPLICATION_CREDENTIALS", str(tmp_path / "none.json"))
    results = bad()
    assert {name: (result.state, result.sentence, result.fix) for name, result in results.items()} == {
        "credentials": ("wrong", "there are none", "gcloud auth application-default login")
    }
    assert google.requests == []


def test_credentials_that_do_not_work_are_wrong(
    google: Google, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    key = rsa.generate_private_key(public_exponent=65537, key_size=2048).private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    content = {
        "type": "service_account",
        "client_email": "someone@my-project.iam.gserviceaccount.com",
        "private_key": key.decode(),
        "token_uri": google.environment["CLOUDSDK_API_ENDPOINT_OVERRIDES_IAM"],
    }
    (file := tmp_path / "key.json").write_text(json.dumps(content))
    google.state.refusing = {"iam"}
    monkeypatch.delenv("CLOUDSDK_AUTH_DISABLE_CREDENTIALS")
    monkeypatch.setenv("GOOGLE_APPLICATION_CREDENTIALS", str(file))
    result = bad()["credentials"]
    assert (result.state, result.fix) == ("wrong", "gcloud auth application-default login")
    assert "Permission denied" in result.sentence
    assert "PRIVATE KEY" not in result.sentence


def test_a_wrong_check_ends_the_command_with_status_one_and_a_right_one_with_nought(
    google: Google, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["doctor", *PLACE]) == 0
    google.state.billing = False
    assert main(["doctor", *PLACE]) == 1
    assert "wrong: billing" in capsys.readouterr().err


def test_without_a_project_one_sentence_says_so(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("GOOGLE_CLOUD_PROJECT", raising=False)
    assert main(["doctor"]) == 2
    assert "GOOGLE_CLOUD_PROJECT" in capsys.readouterr().err


def test_the_table_fits_eighty_columns_and_no_command_is_cut(google: Google) -> None:
    google.state.buckets.clear()
    google.state.apis.clear()
    google.state.tags.clear()
    words = [sys.executable, "-m", "boatyard.cloud", "doctor", *PLACE]
    shown = subprocess.run(words, capture_output=True, text=True, encoding="utf-8", env=os.environ | {"COLUMNS": "80"})
    assert shown.returncode == 1
    lines = shown.stdout.splitlines()
    assert max(len(line) for line in lines if not line.startswith("gcloud ")) <= 80
    assert f"gcloud storage buckets create gs://{BUCKET} {CREATE_BUCKET}" in lines
    assert sum(line.startswith("gcloud beta builds submit") for line in lines) == 1  # for all images
    assert f"gcloud services enable {' '.join(f'{api}.googleapis.com' for api in APIS)} --project={PROJECT}" in lines


BEFORE_TRAINING = ("billing", "an API", "no bucket", "account's objects", "account's secret", "GPUs", "no secret")


@pytest.mark.parametrize("name", BEFORE_TRAINING)
def test_a_job_is_stopped_by_what_it_needs(name: str, google: Google) -> None:
    flaw = FLAWS[name]
    doctor.check_before_training(config(*flaw.overrides))
    flaw.change(google.state)
    with pytest.raises(UserError) as stopped:
        doctor.check_before_training(config(*flaw.overrides))
    assert str(stopped.value).startswith(f"{flaw.name}: ")
    assert flaw.fix in str(stopped.value)


def test_a_job_is_stopped_by_a_missing_image_and_not_by_a_service_s(google: Google, commit: str) -> None:
    google.state.tags = {f"trainer/{commit}"}
    google.state.accounts = {email("train"): {}}
    doctor.check_before_training(config())
    google.state.tags = {f"api/{commit}"}
    with pytest.raises(UserError, match="image trainer: there is none of commit"):
        doctor.check_before_training(config())


def test_a_service_is_stopped_by_what_it_needs_and_not_by_what_training_does(google: Google, commit: str) -> None:
    google.state.tags = {f"api/{commit}"}
    google.state.accounts = {email("run"): {}}
    google.state.quotas = {}
    doctor.check_before_deploying(config("cloud.train.gpu=t4", "tracking=wandb"), "api")
    google.state.tags.clear()
    with pytest.raises(UserError, match="image api: there is none of commit"):
        doctor.check_before_deploying(config(), "api")


def test_an_undecided_check_stops_nothing(google: Google) -> None:
    google.state.refusing = {"cloudbilling", "serviceusage", "iam"}
    doctor.check_before_training(config("cloud.train.gpu=t4"))


PAGE = Path(__file__).parents[2] / "docs" / "google-cloud.md"


def filled_in(page: Path) -> str:
    """The page's text in one line, with this module's names for its variables."""
    text = page.read_text(encoding="utf-8").replace("\\\n", "")
    named = {"PROJECT": PROJECT, "REGION": REGION, "BUCKET": BUCKET}
    return " ".join(re.sub(r"\$([A-Z]+)", lambda match: named.get(match[1], match[0]), text).split())


def test_the_account_that_workflows_run_as_passes_the_checks_of_a_deployment_and_of_retraining(google: Google) -> None:
    where = place(config())
    wanted = [*access.impersonation_grants(where, "run"), *access.impersonation_grants(where, "train")]
    wanted += access.caller_grants(where, "release")
    google.state.granted[YOU] = {name for grant in wanted for name in grant.permissions}
    doctor.check_before_deploying(config(), "api")
    doctor.check_before_training(config())
    assert set(wanted) <= set(access.workflow_grants(where, "release"))
    google.state.granted[YOU].remove("iam.serviceAccounts.getOpenIdToken")
    with pytest.raises(UserError, match=r"you lack roles/iam\.serviceAccountOpenIdTokenCreator"):
        doctor.check_before_deploying(config(), "api")


def test_a_mend_names_the_service_account_that_a_workflow_runs_as() -> None:
    session = Session()
    assert access.Cloud(config(), place(config()), session).caller == '"user:$(gcloud config get account)"'
    session.credentials = SimpleNamespace(service_account_email=email("release"))  # type: ignore[attr-defined]
    assert access.Cloud(config(), place(config()), session).caller == f"serviceAccount:{email('release')}"


def test_the_script_or_the_page_has_every_command_that_makes_what_is_missing(google: Google) -> None:
    written = filled_in(PAGE) + script(config()).replace('"$you"', ME.partition("=")[2])
    fixes = set[str]()

    def look() -> None:
        fixes.update(result.fix or "" for result in bad("tracking=wandb").values())

    have = google.state
    there = [set(have.tags), dict(have.accounts), dict(have.repositories), dict(have.buckets), dict(have.secrets)]
    for kept in (have.tags, have.accounts, have.repositories, have.buckets, have.secrets, have.apis):
        kept.clear()
    have.billing = False
    have.granted[YOU] = {"iam.serviceAccounts.getAccessToken"}
    look()
    for kept, before in zip(
        (have.tags, have.accounts, have.repositories, have.buckets, have.secrets), there, strict=True
    ):
        kept.update(before)  # type: ignore[arg-type]
    look()
    have.granted = {YOU: {"iam.serviceAccounts.actAs", "iam.serviceAccounts.getOpenIdToken"}}
    look()
    have.granted[YOU].add("iam.serviceAccounts.getAccessToken")
    look()
    others = ("gcloud beta builds", "gcloud secrets")  # which need a commit and a value
    parts = {part for command in fixes for part in command.split(" && ") if not part.startswith(others)}
    assert len(parts) > 20
    assert [command for command in sorted(parts) if command not in written] == []


def test_gcloud_has_the_commands_of_the_page() -> None:
    blocks = re.findall(r"```bash\n(.*?)```", PAGE.read_text(encoding="utf-8").replace("\\\n", ""), re.DOTALL)
    lines = [line for block in blocks for line in block.splitlines() if line.startswith("gcloud ")]
    assert lines
    assert [wrong for line in lines for wrong in gcloud_commands.mistakes(line)] == []
