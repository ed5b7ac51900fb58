"""Deployments to Cloud Run, by the command line as real processes, against a stand-in that runs real servers."""

import io
import json
import logging
import os
import re
import subprocess
import sys
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import chdir, redirect_stderr, redirect_stdout
from dataclasses import replace
from pathlib import Path
from typing import Any
from unittest.mock import patch

import httpx
import pytest
import yaml
from buckets import BUCKET
from bundles import Publish
from checkout import ROOT, commit, git, make_checkout
from jsonschema import Draft202012Validator
from loads import load
from references import publish_watchable
from requests import Session
from standin_google import AnyCommit, Google, all_is_well
from standin_project import Project
from standin_run import BODY_BYTES, CloudRun, Command

from boatyard import journal, registry
from boatyard.cloud.__main__ import main
from boatyard.cloud.place import SERVICES, place
from boatyard.cloud.probe import probe
from boatyard.cloud.schemas import google_schema
from boatyard.config.compose import load_config
from boatyard.doctor import cloud as doctor
from boatyard.frontend.services import Trouble, addresses
from boatyard.storage import Storage

pytestmark = pytest.mark.cloud

NAME = "boatyard-api"
CLOUD = re.compile(r"CLOUDSDK_|GOOGLE_|BOATYARD_")


class Commands:
    """What `python -m boatyard.cloud` does in a clean checkout, without the time that its start takes."""

    def __init__(self, folder: Path, storage: str, cloud: CloudRun, google: Google) -> None:
        self.folder = folder
        self.storage = storage
        self.environment = {key: value for key, value in os.environ.items() if not CLOUD.match(key)}
        self.environment |= google.environment | cloud.environment | {"BOATYARD_STORAGE": storage}

    def __call__(self, *words: str, status: int = 0) -> str:
        """What it printed and logged."""
        output = io.StringIO()
        logged = logging.StreamHandler(output)
        logger = logging.getLogger("boatyard")
        logger.addHandler(logged)
        try:
            here = chdir(self.folder), patch.dict(os.environ, self.environment, clear=True)
            with here[0], here[1], redirect_stdout(output), redirect_stderr(output):
                ended = main(words)
        finally:
            logger.removeHandler(logged)
        assert ended == status, output.getvalue()
        return output.getvalue()

    def change(self, old: str, new: str) -> None:
        """In the template, and commit it."""
        file = self.folder / "deploy" / "run" / "api.yaml"
        text = file.read_text()
        assert text.count(old) == 1
        file.write_text(text.replace(old, new))
        commit(self.folder)


@pytest.fixture
def cloud(tmp_path: Path, bucket_root: str) -> Iterator[CloudRun]:  # noqa: ARG001 - names the stand-in of the bucket
    with CloudRun(tmp_path / "instances") as running:
        yield running


@pytest.fixture
def google(cloud: CloudRun) -> Iterator[Project]:
    with Project(all_is_well(cloud.project, BUCKET, AnyCommit())) as running:
        yield running
    assert running.mistakes == []


@pytest.fixture
def command(tmp_path: Path, bucket_root: str, cloud: CloudRun, google: Google) -> Commands:
    return Commands(make_checkout(tmp_path / "checkout"), bucket_root, cloud, google)


def serving(cloud: CloudRun) -> str:
    [(revision, share)] = cloud.traffic(NAME).items()
    assert share == 100
    return revision


def ask(cloud: CloudRun) -> httpx.Response:
    url = f"{cloud.service_url(NAME)}/predict"
    return httpx.post(url, json={"text": "send a transfer"}, headers=cloud.headers(NAME), timeout=30)


def wait_until(condition: Any) -> None:
    limit = time.monotonic() + 30
    while not condition():
        assert time.monotonic() < limit
        time.sleep(0.05)


@pytest.mark.slow
def test_a_deployment_answers_the_next_takes_over_under_load_and_a_rollback_takes_it_back(
    cloud: CloudRun, google: Project, command: Commands, storage: Storage, publish: Publish
) -> None:
    version = publish(name="inbox").version
    registry.promote(storage, "inbox", version)
    google.state.objects = {BUCKET: [f"{command.storage.removeprefix(f'gs://{BUCKET}/')}/models/inbox/{version}"]}
    assert "boatyard-api: not deployed" in command("status")
    planned = json.loads(command("deploy", "--dry-run").partition("\n(")[0])

    output = command("deploy")
    first = serving(cloud)
    assert f"{first} has all the traffic: {cloud.service_url(NAME)}" in output
    assert cloud.tags(NAME) == {}, "the candidate's address is gone"
    assert ask(cloud).json()["label"] == "transfer"
    assert httpx.post(f"{cloud.service_url(NAME)}/predict", json={"text": "a"}).status_code == 403, "no token"

    method, path, body = cloud.requests[0]
    revision = planned["body"]["spec"]["template"]["metadata"]["name"]
    assert (planned["method"], planned["url"]) == (method, cloud.url + path)
    assert json.dumps(planned["body"]).replace(revision, first) == json.dumps(body)

    head = commit(command.folder)
    with load(lambda: ask(cloud)) as answers:
        wait_until(lambda: len(answers) > 5)
        command("deploy")
        count = len(answers)
        wait_until(lambda: len(answers) > count + 5)
    second = serving(cloud)
    assert second != first
    assert {answer.status_code for answer in answers} == {200}
    wait_until(lambda: cloud.exits)
    [gone] = cloud.exits
    assert (gone.revision, gone.status, gone.killed) == (first, 0, False)
    assert list(journal.read(storage)), "of the one that was stopped"

    assert 'boatyard_requests_total{route="/predict",status="200"}' in cloud.scrape(NAME)
    shown = command("status")
    assert re.search(rf"{second}\s*│ 100 %\s*│ yes\s*│ {head[:12]}", shown), shown
    assert re.search(rf"{first}\s*│ \s*│ yes", shown), shown
    assert "/predict" in command("logs")

    assert f"{first} has all the traffic again, instead of {second}" in command("rollback")
    assert serving(cloud) == first
    assert ask(cloud).status_code == 200
    assert f"nothing to go back to: only {first}" in command("rollback", status=2)

    assert f"delete the service {NAME}" in command("destroy", status=2)
    assert serving(cloud) == first
    assert f"stays: the bucket gs://{BUCKET} with its data" in command("destroy", "--yes")
    assert "there is nothing to delete" in command("destroy")
    assert google.state.accounts == {}
    assert registry.aliases(storage, "inbox") == {"production": version}
    wait_until(lambda: len(cloud.exits) == 3)
    assert {(each.status, each.killed) for each in cloud.exits} == {(0, False)}
    shipped = [line["id"] for line in journal.read(storage)]
    assert {answer.json()["id"] for answer in answers} < set(shipped)
    assert len(shipped) == len(set(shipped))


@pytest.mark.slow
def test_a_revision_that_does_not_start_or_answer_gets_no_traffic(
    cloud: CloudRun, command: Commands, storage: Storage, publish: Publish
) -> None:
    registry.promote(storage, "inbox", publish(name="inbox").version)
    command.change("value: /tmp/spool", "value: /proc/spool")
    output = command("deploy", status=1)
    assert "did not listen on port" in output.lower()
    assert f"it was the first, and {NAME} is deleted again" in output

    command.change("value: /proc/spool", "value: /tmp/spool")
    command("deploy")
    good = serving(cloud)

    with load(lambda: ask(cloud), threads=1) as answers:
        command.change("value: /tmp/spool", "value: /proc/spool")
        output = command("deploy", status=1)
        assert "did not listen on port" in output.lower()
        assert f"{good} serves as before" in output

        command.change("value: /proc/spool", "value: /tmp/spool")
        command.change(
            'value: "1"', f'value: ""\n            - name: BOATYARD_API_KEYS\n              value: ana:{"0" * 64}'
        )
        output = command("deploy", status=1)
        assert "GET /model of the new revision returned 401 the request needs a key in X-API-Key" in output
        assert f"{good} serves as before" in output
    assert {answer.status_code for answer in answers} == {200}
    assert serving(cloud) == good
    assert cloud.tags(NAME) == {}

    git(command.folder, "revert", "--no-edit", "HEAD")
    command("deploy")
    assert f"{good} has all the traffic again" in command("rollback"), "what failed is not what served before"


def test_without_a_promoted_model_nothing_is_created_and_what_is_left_is_named(
    cloud: CloudRun, command: Commands, publish: Publish
) -> None:
    publish(name="inbox")
    output = command("deploy", "--service=all", status=2)
    assert "model 'inbox' has no alias 'production'" in output
    assert "left as they were: boatyard-monitor, boatyard-frontend" in output
    assert not [request for request in cloud.requests if request[0] != "GET"]


def test_a_deployment_waits_for_the_image_of_its_commit(
    command: Commands, google: Google, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(doctor, "_PAUSE", 0.1)
    google.state.tags = set()
    assert "image api: there is none of commit" in command("deploy", "--wait=0.01", status=2)
    looks = [path for _, _, path in google.requests if "/tags/" in path]
    assert len(looks) > 3
    google.state.tags = AnyCommit()
    assert "model 'inbox'" in command("deploy", "--wait=60", status=2), "at once"


def test_what_the_doctor_finds_wrong_stops_a_deployment(cloud: CloudRun, command: Commands, google: Google) -> None:
    google.state.billing = False
    assert "billing: off: no billing account is linked" in command("deploy", status=2)
    assert not [request for request in cloud.requests if request[0] != "GET"]


@pytest.mark.slow
def test_traffic_that_something_else_moved_is_not_guessed_at(
    cloud: CloudRun, command: Commands, storage: Storage, publish: Publish
) -> None:
    registry.promote(storage, "inbox", publish(name="inbox").version)
    for _ in range(2):
        command("deploy")
        commit(command.folder)
    url = f"{cloud.url}/apis/serving.knative.dev/v1/namespaces/{cloud.project}/services/{NAME}"
    service = httpx.get(url).json()
    latest, other = serving(cloud), cloud.requests[0][2]["spec"]["template"]["metadata"]["name"]
    service["spec"]["traffic"] = [{"revisionName": other, "percent": 100}]
    del service["status"]
    httpx.put(url, json=service).raise_for_status()
    wait_until(lambda: serving(cloud) == other)
    output = command("rollback", status=2)
    assert f"what served before {other} is not known" in output
    assert latest in output


@pytest.mark.slow
def test_traffic_that_somebody_moves_while_a_revision_starts_stays_where_it_was_moved(
    cloud: CloudRun, command: Commands, storage: Storage, publish: Publish
) -> None:
    registry.promote(storage, "inbox", publish(name="inbox").version)
    command("deploy")
    first = serving(cloud)
    commit(command.folder)
    puts = [method for method, *_ in cloud.requests].count("PUT")
    moved = []

    def move_once_it_starts() -> None:
        wait_until(lambda: [method for method, *_ in cloud.requests].count("PUT") > puts)
        url = f"{cloud.url}/apis/serving.knative.dev/v1/namespaces/{cloud.project}/services/{NAME}"
        service = httpx.get(url).json()
        service["spec"]["traffic"][0]["tag"] = "pinned"
        del service["status"]
        moved.append(httpx.put(url, json=service).status_code)

    with ThreadPoolExecutor() as pool:
        operator = pool.submit(move_once_it_starts)
        output = command("deploy", status=1)
        operator.result()
    assert moved == [200]
    assert "was changed meanwhile" in output
    assert f"{NAME} is left as it is" in output
    wait_until(lambda: "pinned" in cloud.tags(NAME))
    assert serving(cloud) == first


@pytest.mark.slow
def test_keys_come_from_the_secret_that_the_template_refers_to(
    tmp_path: Path, bucket_root: str, storage: Storage, publish: Publish
) -> None:
    registry.promote(storage, "inbox", publish(name="inbox").version)
    printed = subprocess.run(
        [sys.executable, "-m", "boatyard.api.keys", "ana"], check=True, capture_output=True, text=True
    ).stdout
    key, entry = (line.split()[-1] for line in printed.splitlines())
    running = CloudRun(tmp_path / "instances", secrets={"boatyard-api-keys": entry})
    with running as cloud, Google(all_is_well(cloud.project, BUCKET, AnyCommit())) as google:
        google.state.secrets["boatyard-api-keys"] = ["ENABLED"]
        command = Commands(make_checkout(tmp_path / "checkout"), bucket_root, cloud, google)
        file = command.folder / "deploy" / "run" / "api.yaml"
        file.write_text(re.sub(r"^( +)# (?=- name|  )", r"\1", file.read_text(), flags=re.M))
        commit(command.folder)
        assert "GET /model of the new revision returned 401" in command("deploy", status=1)
        command.environment["BOATYARD_API_KEY"] = key
        output = command("deploy")
        assert ask(cloud).status_code == 401
        assert entry not in json.dumps(cloud.requests) + output
        assert key not in json.dumps(cloud.requests) + output


@pytest.mark.slow
def test_the_page_reaches_the_others_as_the_account_that_it_runs_as(
    cloud: CloudRun, command: Commands, storage: Storage, tmp_path: Path
) -> None:
    publish_watchable(storage, tmp_path, ["my card was stolen", "send a transfer", "the fee"] * 50, name="inbox")
    output = command("deploy", "--service=frontend", status=2)
    assert "boatyard-api has no address yet: run `invoke cloud.deploy --service=api` first" in output
    for service in SERVICES:
        command("deploy", f"--service={service}")
    shown = command("status")
    assert all(cloud.service_url(f"boatyard-{service}") in shown for service in SERVICES)
    url = cloud.service_url("boatyard-frontend")
    assert "Streamlit" in httpx.get(url, headers=cloud.headers("boatyard-frontend")).text
    assert httpx.get(url).status_code == 403

    (revision,) = cloud.traffic("boatyard-frontend")
    environment = {each["name"]: each["value"] for each in cloud.revision(revision).container["env"]}
    environment["GCE_METADATA_HOST"] = cloud.url.removeprefix("http://")
    [api, *others] = addresses(environment)
    assert api.get("/model")["name"] == "inbox"
    assert all("quality" in each.get("/statistics") for each in others)
    with pytest.raises(Trouble) as refused:
        replace(api, identity="").get("/model")
    assert refused.value.status == 403


def test_what_is_wrong_is_one_sentence(
    tmp_path: Path, cloud: CloudRun, command: Commands, storage: Storage, publish: Publish
) -> None:
    registry.promote(storage, "inbox", publish(name="inbox").version)

    def refused(*words: str) -> str:
        output = command(*words, status=2)
        assert len(output.strip().splitlines()) == 1, output
        return output

    assert "boatyard-api is not deployed" in refused("rollback")
    (command.folder / "new").touch()
    assert "does not hold your later changes" in refused("deploy")
    git(command.folder, "clean", "-fq")
    command.change("containerConcurrency: 80", "containerConcurency: 80")
    assert "containerConcurency" in refused("deploy")
    command.change("containerConcurency: 80", "containerConcurrency: $many")
    assert "unknown placeholder $many" in refused("deploy")
    command.change("containerConcurrency: $many", "containerConcurrency: 80")
    del command.environment["CLOUDSDK_AUTH_DISABLE_CREDENTIALS"]
    command.environment["GOOGLE_APPLICATION_CREDENTIALS"] = str(tmp_path / "none.json")
    assert "no credentials for Google Cloud" in refused("deploy")
    assert '"method": "POST"' in command("deploy", "--dry-run"), "it needs none"
    command.folder = tmp_path
    assert "in the git repository" in refused("deploy")
    assert cloud.requests[0][0] == "POST"
    assert len(cloud.requests) == 1, "nothing else was sent"


def test_a_page_behind_identity_aware_proxy_is_not_asked_since_that_lets_only_people_in(
    caplog: pytest.LogCaptureFixture,
) -> None:
    where = place(load_config(["cloud.project=my-project", "paths.storage=gs://my-bucket"]))
    manifest = yaml.safe_load((ROOT / "deploy/run/frontend.yaml").read_text())
    manifest["metadata"]["annotations"]["run.googleapis.com/iap-enabled"] = "true"
    with caplog.at_level("INFO"), Session() as session:
        probe(where, session, manifest, {})
    assert "Identity-Aware Proxy is in front" in caplog.text


def test_staging_has_names_an_alias_and_a_storage_of_its_own(command: Commands) -> None:
    """So that no job of production is answered by it, and nothing that is said to it counts as traffic."""

    def planned(*words: str) -> tuple[str, str, dict[str, str]]:
        body = json.loads(command("deploy", "--dry-run", *words).partition("\n(")[0])["body"]
        metadata, spec = body["metadata"], body["spec"]["template"]["spec"]
        env = {each["name"]: each.get("value", "") for each in spec["containers"][0]["env"]}
        return metadata["name"], env["BOATYARD_MODEL"], env["BOATYARD_STORAGE"]

    root = command.storage
    assert planned() == ("boatyard-api", f"{root}/models/inbox@production", root)
    staging = "boatyard-staging-api", f"{root}/models/inbox@staging", f"{root}/staging"
    assert planned("cloud.environment=staging") == staging
    assert "boatyard-staging-monitor: not deployed" in command("status", "cloud.environment=staging")


@pytest.mark.parametrize("service", SERVICES)
def test_a_template_says_what_google_knows_and_holds_no_secret(service: str) -> None:
    body = yaml.safe_load((ROOT / "deploy" / "run" / f"{service}.yaml").read_text())
    Draft202012Validator(google_schema("run.v1", "Service")).validate(body)
    spec = body["spec"]["template"]["spec"]
    assert "@" not in json.dumps(spec), "accounts are filled in"
    assert spec["serviceAccountName"] == "$account"


@pytest.mark.parametrize("service", ["api", "monitor"])
def test_the_metrics_that_the_alerts_are_about_are_collected(service: str) -> None:
    template = yaml.safe_load((ROOT / "deploy" / "run" / f"{service}.yaml").read_text())["spec"]["template"]
    served, collector = template["spec"]["containers"]
    notes = template["metadata"]["annotations"]
    assert "cloud-run-gmp-sidecar:" in collector["image"]
    assert served["ports"][0]["containerPort"] == 8080, "where the collector looks unless told otherwise"
    assert json.loads(notes["run.googleapis.com/container-dependencies"]) == {collector["name"]: [served["name"]]}
    assert notes["run.googleapis.com/cpu-throttling"] == "false"


# the stand-in itself: what it promises of Cloud Run

STUBBORN = """
import http.server, os, signal, sys, time
class Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    def do_GET(self):
        if self.path == "/slow":
            time.sleep(0.3)
        if self.path == "/stuck":
            time.sleep(60)
        self.reply(" ".join(os.environ[name] for name in ("K_SERVICE", "K_REVISION", "K_CONFIGURATION")))
    def do_POST(self):
        self.reply(str(len(self.rfile.read(int(self.headers["content-length"])))))
    def reply(self, text):
        self.send_response(200)
        self.send_header("content-length", str(len(text)))
        self.end_headers()
        self.wfile.write(text.encode())
    def log_message(self, *words):
        pass
if "stubborn" in os.environ["KIND"]:
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
http.server.ThreadingHTTPServer(("127.0.0.1", int(os.environ["PORT"])), Handler).serve_forever()
"""


def stubborn(image: str, environment: Any, folder: Path) -> Any:  # noqa: ARG001
    return [sys.executable, "-c", STUBBORN], environment


def deploy_by_hand(cloud: CloudRun, name: str, kind: str = "", **spec: Any) -> None:
    probe = {"httpGet": {"path": "/"}, "periodSeconds": 1, "failureThreshold": 30}
    container = {"image": "image", "env": [{"name": "KIND", "value": kind or "meek"}], "startupProbe": probe}
    body = {
        "apiVersion": "serving.knative.dev/v1",
        "kind": "Service",
        "metadata": {
            "name": "echo",
            "namespace": cloud.project,
            "annotations": {"run.googleapis.com/invoker-iam-disabled": "true"},
        },
        "spec": {
            "template": {"metadata": {"name": name}, "spec": {**spec, "containers": [container]}},
            "traffic": [{"revisionName": name, "percent": 100}],
        },
    }
    httpx.post(
        f"{cloud.url}/apis/serving.knative.dev/v1/namespaces/{cloud.project}/services", json=body
    ).raise_for_status()
    wait_until(lambda: cloud.traffic("echo").get(name) == 100)


def run_stubborn(folder: Path, **options: Any) -> CloudRun:
    command: Command = stubborn
    return CloudRun(folder, command=command, **options)


@pytest.mark.slow
def test_an_instance_gets_no_more_requests_at_once_than_it_takes_and_the_rest_wait_or_are_turned_away(
    tmp_path: Path,
) -> None:
    with run_stubborn(tmp_path, queue_seconds=1) as cloud, ThreadPoolExecutor(6) as pool:
        deploy_by_hand(cloud, "echo-1", containerConcurrency=2, timeoutSeconds=2)
        url = cloud.service_url("echo")
        assert httpx.get(url).text == "echo echo-1 echo"
        assert [answer.status_code for answer in pool.map(httpx.get, [f"{url}/slow"] * 6)] == [200] * 6
        assert cloud.revision("echo-1").peak == 2
        stuck = [pool.submit(httpx.get, f"{url}/stuck", timeout=30) for _ in range(3)]
        assert sorted(each.result().status_code for each in stuck) == [429, 504, 504]


def test_a_request_may_have_32_mib(tmp_path: Path) -> None:
    with run_stubborn(tmp_path) as cloud:
        deploy_by_hand(cloud, "echo-1")
        url = cloud.service_url("echo")
        assert httpx.post(url, content=bytes(BODY_BYTES), timeout=30).text == str(BODY_BYTES)
        assert httpx.post(url, content=bytes(BODY_BYTES + 1), timeout=30).status_code == 413
        assert httpx.get(f"{url}/healthz").status_code == 404, "Google keeps such paths"


@pytest.mark.parametrize("kind", ["meek", "stubborn"])
def test_who_does_not_end_in_time_is_killed_and_it_shows(tmp_path: Path, kind: str) -> None:
    with run_stubborn(tmp_path, grace_seconds=2) as cloud:
        deploy_by_hand(cloud, "echo-1", kind)
        process = cloud.revision("echo-1").instance
        assert process is not None
    [gone] = cloud.exits
    assert gone.killed == (kind == "stubborn")
    assert gone.status == (-9 if gone.killed else -15)
