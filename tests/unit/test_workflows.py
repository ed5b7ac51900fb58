"""The workflows' promises: what they run exists here, is pinned, and is written down."""

import json
import os
import re
import runpy
import shlex
import subprocess
import tomllib
from collections.abc import Iterator
from itertools import product
from pathlib import Path
from typing import Any

import pytest
import yaml
from invoke import Program
from invoke.exceptions import ParseError
from invoke.parser import Parser
from needs import needs

pytestmark = pytest.mark.unit

ROOT = Path(__file__).parents[2]
FILES = sorted((ROOT / ".github" / "workflows").glob("*.yml"))
# all values as strings, and `on` no truth value
WORKFLOWS = {file.name: yaml.load(file.read_text(), yaml.BaseLoader) for file in FILES}  # noqa: S506
GUIDE = (ROOT / "docs" / "automation.md").read_text()
TASKS = runpy.run_path(str(ROOT / "tasks.py"))["namespace"]


def jobs() -> Iterator[tuple[str, dict[str, Any]]]:
    for name, workflow in WORKFLOWS.items():
        yield from ((f"{name}: {job}", content) for job, content in workflow["jobs"].items())


def steps() -> Iterator[tuple[str, dict[str, Any]]]:
    for name, job in jobs():
        yield from ((name, step) for step in job["steps"])


def commands() -> list[tuple[str, str]]:
    lines = ((name, line) for name, step in steps() for line in step.get("run", "").splitlines())
    return [(name, line.strip()) for name, line in lines if line.strip()]


def refusal(line: str) -> str | None:
    """Why the line may not stand in a workflow; None if it may."""
    if "${{" in line:
        return "what is put into a command's text is run: give it by env"
    words = shlex.split(line, comments=True)
    chosen = [word for word in words if re.fullmatch(r"--no-default-groups|--group=\w+|--with=torch==[\d.]+", word)]
    words = [word for word in words if word not in chosen]
    if words[:3] != ["uv", "run", "invoke"]:
        return "not `uv run invoke ...`"
    parser = Parser(contexts=TASKS.to_contexts(), initial=Program().initial_context)
    try:
        parser.parse_argv(words[3:])
    except ParseError as error:
        return str(error)
    return None


@pytest.mark.parametrize(("where", "line"), commands())
def test_each_command_is_a_task_with_its_parameters(where: str, line: str) -> None:
    assert refusal(line) is None, where


@pytest.mark.parametrize(
    "line",
    [
        "uv run invoke builds",
        "uv run invoke test --unitt",
        "uv run invoke promote ferry",
        "uv run invoke test && curl example.org",
        "uv run pytest",
        "curl example.org | sh",
        'uv run invoke stage "${{ inputs.name }}" "$VERSION"',
    ],
)
def test_any_other_command_would_be_found(line: str) -> None:
    assert refusal(line) is not None


def test_each_command_of_the_cloud_takes_overrides() -> None:
    commands = [context for context in TASKS.to_contexts() if str(context.name).startswith("cloud.")]
    assert len(commands) > 8
    assert [context.name for context in commands if "--override" not in context.flags] == []


def test_what_builds_the_images_leaves_the_disk_to_them_and_installs_no_torch() -> None:
    lines = [line for name, line in commands() if name.startswith("images.yml")]
    assert len(lines) == 2
    assert all(line.startswith("uv run --no-default-groups --group=images invoke ") for line in lines)
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())
    group, extras = project["dependency-groups"]["images"], project["project"]["optional-dependencies"]
    named = re.findall(r"[\w]+", group[0].partition("[")[2])
    needed = [*group[1:], *(requirement for extra in named for requirement in extras[extra])]
    assert [word for word in needed if re.match("torch|transformers|accelerate", word)] == []


def test_the_parts_of_ci_are_there() -> None:
    found = {line.removeprefix("uv run ") for _, line in commands()}
    assert found >= {f"invoke {task}" for task in ("test", "test --unit", "lint", "types", "data", "docs")}
    names = {"tests", "lint", "images", "data", "codeql", "docs", "template"}
    names |= {"model", "deploy"}  # part: cloud
    names |= {"drift"}  # part: cloud, monitor
    names |= {"parts"}  # part: story
    assert {file.stem for file in FILES} == names


def test_ci_begins_with_the_readmes_commands_where_nothing_is_that_a_test_may_be_skipped_for() -> None:
    script = (ROOT / ".ci" / "run").read_text()
    (hidden,) = re.findall(r"^optional='(.+)'$", script, re.MULTILINE)
    named = re.findall(r'@needs\("([\w-]+)"\)', "".join(file.read_text() for file in ROOT.glob("tests/*/test_*.py")))
    assert {"curl", "node", "promtool"} <= set(named)  # part: text, classification
    assert [name for name in (*named, "chromium", "gcloud", "prometheus") if not re.fullmatch(hidden, name)] == []
    (begin,) = re.findall(r"grep '\^(.+?) ?' README\.md", script)
    lines = [line for line in (ROOT / "README.md").read_text().splitlines() if line.startswith(begin)]
    assert [line.removeprefix(begin).split() for line in lines] == [["pipeline"], ["test"]]
    assert script.index(begin) < script.index('" install_optional')


def test_tests_run_on_three_systems_and_every_python_that_the_package_allows() -> None:
    matrix = WORKFLOWS["tests.yml"]["jobs"]["tests"]["strategy"]["matrix"]
    assert [system.partition("-")[0] for system in matrix["system"]] == ["ubuntu", "macos", "windows"]
    assert matrix["python"] == ["3.11", "3.12", "3.13"]
    assert 'requires-python = ">=3.11,<3.14"' in (ROOT / "pyproject.toml").read_text()


def test_the_oldest_torch_that_the_package_allows_is_tried_and_the_newest() -> None:
    oldest, newest = WORKFLOWS["tests.yml"]["jobs"]["torch"]["strategy"]["matrix"]["torch"]
    assert newest == "newest"
    assert f'"torch>={oldest.removesuffix(".0")}"' in (ROOT / "pyproject.toml").read_text()
    tried = [line for name, line in commands() if name == "tests.yml: torch"]
    assert tried == [f"uv run --with=torch=={oldest} invoke test --unit", "uv run invoke test --unit"]


def test_what_a_merge_waits_for_are_jobs_of_workflows() -> None:
    ruleset = json.loads((ROOT / ".github" / "ruleset.json").read_text())
    (required,) = [rule["parameters"] for rule in ruleset["rules"] if rule["type"] == "required_status_checks"]
    names = set()
    for _, job in jobs():
        matrix = job.get("strategy", {}).get("matrix", {})
        for values in product(*matrix.values()):
            name = job["name"]
            for key, value in zip(matrix, values, strict=True):
                name = name.replace(f"${{{{ matrix.{key} }}}}", value)
            names.add(name)
    assert {check["context"] for check in required["required_status_checks"]} <= names


def test_one_action_has_one_commit_and_one_version_everywhere() -> None:
    lines = [line.strip() for file in FILES for line in file.read_text().splitlines() if "uses:" in line]
    pinned = [re.fullmatch(r"(?:- )?uses: ([\w/-]+)@([0-9a-f]{40}) # v([\d.]+)", line) for line in lines]
    assert all(pinned), lines
    pins = {(found[1], found[2], found[3]) for found in pinned if found}
    assert len({action for action, _, _ in pins}) == len(pins)
    assert len({step["with"]["version"] for _, step in steps() if "setup-uv" in step.get("uses", "")}) == 1


def test_nothing_is_allowed_that_a_job_does_not_ask_for_and_no_two_runs_collide() -> None:
    for name, workflow in WORKFLOWS.items():
        assert workflow["permissions"] == {}, name
        assert workflow["concurrency"]["group"], name
    for name, job in jobs():
        assert job["permissions"], name


def test_only_jobs_that_log_in_to_google_cloud_or_publish_the_site_may_prove_who_they_are() -> None:
    for name, job in jobs():
        asked = any(
            re.match("google-github-actions/auth|actions/deploy-pages", step.get("uses", "")) for step in job["steps"]
        )
        assert asked == ("id-token" in job["permissions"]), name


def test_a_look_at_drift_that_left_no_report_fails_and_nothing_is_retrained() -> None:
    look, retrain = WORKFLOWS["drift.yml"]["jobs"].values()
    assert retrain["needs"] == "look"
    *_, keep = look["steps"]
    assert (keep["with"]["path"], keep["with"]["if-no-files-found"]) == ("reports/drift", "error")


def test_the_only_secrets_are_the_key_that_probes_a_deployment_and_the_token_that_pushes_an_update() -> None:
    used = [(file.name, name) for file in FILES for name in re.findall(r"secrets\.(\w+)", file.read_text())]
    assert set(used) == {("deploy.yml", "BOATYARD_API_KEY"), ("template.yml", "TEMPLATE_TOKEN")}


def test_a_build_s_source_goes_where_its_account_may_read_it_and_its_log_is_followed() -> None:
    texts = [
        file.read_text() for file in (*ROOT.glob("docs/*.md"), ROOT / "cloudbuild.yaml", *ROOT.glob("deploy/**/*.yaml"))
    ]
    submits = re.findall(r"gcloud (?:beta )?builds submit(?:\\\n|[^\n`])*", "\n".join(texts))
    commands = [command for command in submits if "COMMIT_SHA" in command]
    assert len(commands) >= 3
    assert [c for c in commands if "beta" not in c or "--gcs-source-staging-dir=" not in c] == []


def test_what_moves_an_environment_waits_for_it_and_production_comes_after_staging() -> None:
    moved: dict[str, set[str]] = {"staging": set(), "production": set()}
    for name, job in jobs():
        for step in job["steps"]:
            if re.search("promote|retrain|deploy", command := step.get("run", "")):
                moved["staging" if "=staging" in command else "production"].add(name)
    for environment, moving in moved.items():
        assert moving == {name for name, job in jobs() if job.get("environment") == environment} != set()
    assert "staging" in WORKFLOWS["deploy.yml"]["jobs"]["production"]["needs"]
    assert "staging" in WORKFLOWS["model.yml"]["jobs"]["promote"]["needs"]


def test_the_guide_lists_each_workflow_variable_and_event() -> None:
    texts = [file.read_text() for file in FILES]
    variables = {name for text in texts for name in re.findall(r"vars\.(\w+)", text)}
    pages = GUIDE + (ROOT / "docs" / "how-to" / "update.md").read_text()
    assert set(re.findall(r"^\| (?:the variable )?`([A-Z0-9_]+)` ", pages, re.MULTILINE)) == variables
    workflows = GUIDE.partition("Dependabot")[0]  # further tables are of other things
    listed = set(re.findall(r"^\| `([^`]*[a-z][^`]*)` \|", workflows, re.MULTILINE))
    assert listed == {workflow["name"] for workflow in WORKFLOWS.values()}
    # part: cloud
    assert WORKFLOWS["model.yml"]["on"]["repository_dispatch"]["types"] == ["model-published"]
    assert "event_type=model-published" in GUIDE
    # part end


def script(workflow: str) -> str:
    (found,) = [
        step["with"]["script"]
        for job in WORKFLOWS[workflow]["jobs"].values()
        for step in job["steps"]
        if "github-script" in step.get("uses", "")
    ]
    return str(found)


def run_script(workflow: str, folder: Path, comments: list[dict[str, Any]], **environment: str) -> list[Any]:
    """The calls that the script makes, each with its name and what it is given."""
    program = f"""
        const calls = []
        const call = (name) => async (given) => calls.push([name, given])
        const issues = {{ updateComment: call('update'), createComment: call('create'), listComments: 'list' }}
        const github = {{ rest: {{ issues }}, paginate: async () => {json.dumps(comments)} }}
        const context = {{ repo: {{ owner: 'o', repo: 'r' }}, issue: {{ number: 7 }} }}
        const core = {{
            summary: {{ addRaw: (text) => ({{ write: () => call('summary')(text) }}) }},
            setOutput: (name, value) => calls.push([name, value]),
        }}
        const main = async () => {{ {script(workflow)} }}
        main().then(() => console.log(JSON.stringify(calls)))
    """
    ran = subprocess.run(
        ["node", "-e", program],
        cwd=folder,
        env=os.environ | environment,
        capture_output=True,
        text=True,
        check=True,
        timeout=60,
    )
    calls: list[Any] = json.loads(ran.stdout)
    return calls


@pytest.fixture
def reported(tmp_path: Path) -> Path:
    for name in ("ferry", "plants"):
        folder = tmp_path / "reports" / name
        folder.mkdir(parents=True)
        (folder / "report.md").write_text(f"# {name}\n\n![Labels](labels.png)\n\nask @maintainer `x` ${{1}}\n")
    return tmp_path


@needs("node")
def test_the_data_report_becomes_one_comment_that_calls_nobody(reported: Path) -> None:
    ((name, given),) = run_script("data.yml", reported, [], REPORT="https://example.org/report")
    assert (name, given["issue_number"]) == ("create", 7)
    assert given["body"].startswith("<!-- data report -->\n# ferry")
    assert "# plants" in given["body"]
    assert "@maintainer" not in given["body"]
    assert "![" not in given["body"]
    assert given["body"].endswith("(https://example.org/report)")


@needs("node")
def test_a_later_push_changes_the_comment_instead_of_adding_one(reported: Path) -> None:
    comments = [
        {"id": 1, "user": {"type": "User"}, "body": "<!-- data report --> mine"},
        {"id": 2, "user": {"type": "Bot"}, "body": "<!-- data report -->\nbefore"},
    ]
    ((name, given),) = run_script("data.yml", reported, comments, REPORT="")
    assert (name, given["comment_id"]) == ("update", 2)


@needs("node")
def test_a_long_report_still_fits_into_a_comment(reported: Path) -> None:
    (reported / "reports" / "ferry" / "report.md").write_text("row\n" * 50_000)
    ((_, given),) = run_script("data.yml", reported, [], REPORT="https://example.org/report")
    assert len(given["body"]) < 65_536
    assert given["body"].endswith("(https://example.org/report)")


@needs("node")
@pytest.mark.parametrize(
    ("said", "expected"),
    [
        ("Refused:\n\n- too big", "unknown"),
        ("Fit: `invoke promote ferry B --expected=20260102T030405Z-0a1b2c3d`", "20260102T030405Z-0a1b2c3d"),
    ],
)
def test_the_numbers_of_staging_are_shown_and_what_they_were_compared_with_is_kept(
    tmp_path: Path, said: str, expected: str
) -> None:
    assert run_script("model.yml", tmp_path, [], NAME="ferry") == []
    report = tmp_path / "reports" / "staging" / "ferry" / "report.md"
    report.parent.mkdir(parents=True)
    report.write_text(f"# ferry: staging\n\n{said}\n")
    assert run_script("model.yml", tmp_path, [], NAME="ferry") == [
        ["expected", expected],
        ["summary", report.read_text()],
    ]
