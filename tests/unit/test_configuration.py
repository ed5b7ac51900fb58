"""`deploy/check.py`, which `invoke lint` runs over workflows and deploy/."""

import runpy
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

pytestmark = pytest.mark.unit

ROOT = Path(__file__).parents[2]
problems: Callable[[Path], Iterator[str]] = runpy.run_path(str(ROOT / "deploy" / "check.py"))["problems"]

SERVICE = """
apiVersion: serving.knative.dev/v1
kind: Service
metadata: {name: api}
spec:
  template:
    spec:
      containerConcurrency: $concurrency
      containers: [{image: "${image}", ports: [{containerPort: 8080}]}]
"""
JOB = """
displayName: $name
jobSpec:
  workerPoolSpecs:
    - {replicaCount: 1, machineSpec: {machineType: n1-standard-8}, containerSpec: {imageUri: $image, args: $args}}
"""
WORKFLOW = """
on: push
jobs:
  one: {runs-on: ubuntu-latest, timeout-minutes: 5, steps: [{run: uv run invoke test}]}
"""


def found(root: Path, name: str, content: str) -> list[str]:
    file = root / name
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(content)
    return list(problems(root))


def test_this_repository_is_right() -> None:
    assert list(problems(ROOT)) == []


def test_what_is_not_there_yet_is_not_missed(tmp_path: Path) -> None:
    assert list(problems(tmp_path)) == []


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("deploy/run/api.yaml", SERVICE),
        ("deploy/vertex/job.yaml", JOB),
        ("deploy/alerts/errors.json", '{"displayName": "errors", "combiner": "OR"}'),
        ("deploy/trigger.yaml", "name: images\nfilename: cloudbuild.yaml"),
        ("cloudbuild.yaml", "steps: [{name: gcr.io/cloud-builders/docker, args: [build, .]}]"),
        (".github/workflows/tests.yml", WORKFLOW),
    ],
)
def test_a_right_file_passes_and_a_placeholder_fits_anywhere(tmp_path: Path, name: str, content: str) -> None:
    assert found(tmp_path, name, content) == []


@pytest.mark.parametrize(
    ("name", "content", "where"),
    [
        ("deploy/run/api.yaml", SERVICE.replace("image:", "images:"), "spec.template.spec.containers[0]"),
        (
            "deploy/run/api.yaml",
            SERVICE.replace("8080", "'$port/http'"),
            "spec.template.spec.containers[0].ports[0].containerPort",
        ),
        ("deploy/vertex/job.yaml", JOB.replace("replicaCount", "replicas"), "jobSpec.workerPoolSpecs[0]"),
        ("deploy/alerts/errors.json", '{"combiner": "EITHER"}', "combiner"),
        ("deploy/trigger.yaml", "file: cloudbuild.yaml", "$"),
        ("cloudbuild.yaml", "steps: [{named: docker}]", "steps[0]"),
        (".github/workflows/tests.yml", WORKFLOW.replace("steps", "step"), "jobs.one"),
        (".github/workflows/tests.yml", WORKFLOW.replace("timeout-minutes: 5,", ""), "jobs.one"),
        (".github/dependabot.yml", "version: 2\nupdates: [{package-ecosystem: uvv}]", "updates[0]"),
        (".github/ISSUE_TEMPLATE/bug.yml", "name: Bug\ndescription: A bug", "$"),
    ],
)
def test_a_mistake_is_named_with_its_file_and_place(tmp_path: Path, name: str, content: str, where: str) -> None:
    lines = found(tmp_path, name, content)
    assert lines
    assert all(line.startswith(f"{name}: {where}") for line in lines)


def test_a_file_that_no_rule_covers_is_a_problem(tmp_path: Path) -> None:
    assert found(tmp_path, "deploy/new/thing.yaml", "a: 1") == [
        "deploy/new/thing.yaml: nothing checks it; add a rule to deploy/check.py"
    ]


def test_what_cannot_be_parsed_is_a_problem(tmp_path: Path) -> None:
    (line,) = found(tmp_path, "deploy/run/api.yaml", "kind: Service\nkind: [")
    assert line.startswith("deploy/run/api.yaml: ")
