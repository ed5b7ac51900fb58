"""Setting a project up and taking it down, against a stand-in that refuses what Google refuses."""

import builtins
import os
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import pytest
from standin_project import NUMBER, OWNER, PAYER, Project, fresh

from boatyard.cloud import item, plan, run_api
from boatyard.cloud.__main__ import main
from boatyard.cloud.destroy import destroy
from boatyard.cloud.place import ROLES, place
from boatyard.cloud.plan import Plan
from boatyard.cloud.setup import setup
from boatyard.cloud.table import YOU, bindings
from boatyard.config.compose import load_config
from boatyard.config.errors import UserError
from boatyard.config.schema import Config
from boatyard.doctor import cloud as doctor
from boatyard.doctor import google
from boatyard.doctor.google import APIS

pytestmark = pytest.mark.cloud

NAME = "my-project"
PLACE = (f"cloud.project={NAME}", "paths.storage=gs://my-bucket/boatyard")
WISH = {"billing": PAYER, "budget": 50, "github": "77", "email": "ann@example.org", "user": "ann@example.org"}
ROOT = Path(__file__).parents[2]
# remembers what was created, and answers once to a grant to a new account as if there were none
GCLOUD = """#!/bin/sh
echo "gcloud $@" >> "$TOLD"
case "$*" in
  "config get account") echo ann@example.org ;;
  *" describe "*) [ -f "$MADE/$2-$(basename "${4%%@*}")" ] ;;
  *" create "*) touch "$MADE/$2-$(basename "$4")" ;;
  *boatyard-train*objectUser) [ -f "$MADE/known" ] || { touch "$MADE/known"; echo "does not exist" >&2; exit 1; } ;;
esac
"""


def test_the_script_makes_all_that_the_table_says_and_no_more_and_may_run_again(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["setup", "--print", *PLACE]) == 0
    (script := tmp_path / "setup.sh").write_text(capsys.readouterr().out)
    (tmp_path / "gcloud").write_text(GCLOUD)
    (tmp_path / "gcloud").chmod(0o755)
    (made := tmp_path / "made").mkdir()
    told = tmp_path / "told"
    environment = {"PATH": f"{tmp_path}{os.pathsep}{os.environ['PATH']}", "TOLD": str(told), "MADE": str(made)}

    def run() -> list[str]:
        told.unlink(missing_ok=True)
        subprocess.run(["sh", script], env=environment | {"PAUSE": "0"}, check=True, capture_output=True)
        return told.read_text().splitlines()

    first, second = run(), run()
    creations = [number for number, line in enumerate(first) if " create " in line]
    grants = [line for line in first if "-policy-binding " in line]
    assert len(creations) == 2 + len(ROLES)
    assert max(creations) < first.index(grants[0]), "all accounts come before the first grant"
    assert [line for line in second if " create " in line] == []

    where, you = place(config()), "user:ann@example.org"
    members = {role: f"serviceAccount:{where.account(role)}" for role in ROLES} | {YOU: you}
    wanted = {
        each.grant.on.grant(each.grant.role, members[each.holder])
        for each in bindings(config(), where)
        if each.holder in members and each.grant.on.kind != "secret"
    }
    assert len(wanted) > 20
    assert set(grants) == wanted
    assert len(grants) == len(wanted) + 1, "what was refused at first is tried again"


@pytest.fixture
def project(monkeypatch: pytest.MonkeyPatch) -> Iterator[Project]:
    """An empty one; nobody is at the terminal."""
    monkeypatch.chdir(ROOT)
    monkeypatch.setattr(plan, "_PAUSE", 0.0)
    monkeypatch.setattr(item, "_PAUSE", 0.0)
    monkeypatch.setattr(google, "gcloud_account", lambda: "ann@example.org")
    with Project(fresh(NAME)) as running:
        for name, value in running.environment.items():
            monkeypatch.setenv(name, value)
        monkeypatch.setenv("CLOUDSDK_AUTH_DISABLE_CREDENTIALS", "true")
        deployed = running.deployed
        monkeypatch.setattr(run_api.RunApi, "find", lambda _, name: deployed.get(name))
        monkeypatch.setattr(run_api.RunApi, "delete", lambda _, name: deployed.pop(name))
        yield running
    assert running.mistakes == []


@cache
def config(*overrides: str) -> Config:
    return load_config([*PLACE, *overrides])


def set_up(*overrides: str, yes: bool = True, **wish: Any) -> None:
    setup(config(*overrides), script=False, yes=yes, **(WISH | wish))


def take_down(*, yes: bool = True, data: bool = False) -> None:
    destroy(config(), yes, data)


def lines(capsys: pytest.CaptureFixture[str]) -> list[str]:
    return capsys.readouterr().out.splitlines()


def changes(project: Project) -> list[str]:
    """What was asked for, but to read."""
    reading = (":getIamPolicy", ":testIamPermissions", ":generateAccessToken")
    return [path for verb, _, path in project.requests if verb != "GET" and not path.endswith(reading)]


def test_one_command_fills_an_empty_project_so_that_the_doctor_is_content_and_a_second_run_makes_nothing(
    project: Project, capsys: pytest.CaptureFixture[str]
) -> None:
    project.state.late = 2
    set_up("tracking=wandb")
    shown = lines(capsys)
    assert "grant roles/run.developer on the project to boatyard-release" in shown
    assert f"let billing account {PAYER} pay" in shown

    asked = changes(project)
    accounts = [number for number, path in enumerate(asked) if path.endswith("/serviceAccounts")]
    roles = [number for number, path in enumerate(asked) if path.endswith((":setIamPolicy", "/iam"))]
    assert len(set(accounts)) >= 5
    assert max(accounts) < min(roles), "all accounts come before the first role"

    project.state.secrets["wandb-api-key"].append("ENABLED")  # somebody types it
    project.settle()
    found = doctor.examine(config("tracking=wandb"))
    others = ("image", "CPU quota")
    assert [each for each in found if each.state != "ok" and not each.name.startswith(others)] == []

    project.requests.clear()
    set_up("tracking=wandb")
    assert changes(project) == []
    assert all(line.startswith(("there: ", "on: ", "later: ", "all of it is there")) for line in lines(capsys))

    project.deployed["boatyard-monitor"] = {"status": {"url": "https://monitor.run.app"}}
    set_up("tracking=wandb")
    assert changes(project) == [f"v1/projects/{NAME}/locations/europe-west1/jobs"]


def test_what_is_granted_is_the_table_and_no_more(project: Project) -> None:
    set_up()
    where = place(config())
    pool = f"principalSet://iam.googleapis.com/projects/{NUMBER}/locations/global/workloadIdentityPools/github"
    members = {role: f"serviceAccount:{where.account(role)}" for role in (*ROLES, "check", "release")}
    members |= {
        YOU: OWNER,
        "workflows": f"{pool}/attribute.repository/77",
        **{name: f"{pool}/attribute.gate/77:{name}" for name in ("production", "staging")},
    }
    wanted = {
        (
            each.grant.on.path.removeprefix("v1/").removeprefix("v3/").replace("%2F", "/"),
            each.grant.role,
            members[each.holder],
        )
        for each in bindings(config(), where)
        if each.grant.on.kind != "secret"
    }
    granted = {
        (path, binding["role"], member)
        for path, policy in project.policies.items()
        for binding in policy["bindings"]
        for member in binding["members"]
    }
    assert granted == wanted


def test_the_keys_of_both_environments_may_be_read_where_they_are(project: Project) -> None:
    set_up()
    project.state.secrets |= {"boatyard-api-keys": ["ENABLED"], "boatyard-staging-api-keys": ["ENABLED"]}
    set_up()
    for name in ("boatyard-api-keys", "boatyard-staging-api-keys"):
        [binding] = project.policies[f"projects/{NAME}/secrets/{name}"]["bindings"]
        assert binding["role"] == "roles/secretmanager.secretAccessor"
        assert binding["members"] == [f"serviceAccount:{place(config()).account('run')}"]


def test_nothing_is_made_before_somebody_agrees(
    project: Project, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    words = [f"--{name}={value}" for name, value in WISH.items()]
    assert main(["setup", *words, *PLACE]) == 2
    captured = capsys.readouterr()
    assert "make the bucket gs://my-bucket" in captured.out
    assert "nothing was changed: --yes does what is listed above" in captured.err

    monkeypatch.setattr(sys.stdin, "isatty", lambda: True)
    monkeypatch.setattr(builtins, "input", lambda _: "no")
    with pytest.raises(UserError, match="nothing was changed"):
        set_up(yes=False)
    assert changes(project) == []
    monkeypatch.setattr(builtins, "input", lambda _: "yes")
    set_up(yes=False)
    assert set(APIS) <= project.state.apis


def test_what_others_hold_stays_also_where_they_change_it_meanwhile_or_under_a_condition(project: Project) -> None:
    limited = {
        "role": "roles/run.invoker",
        "members": ["user:bob@example.org"],
        "condition": {"title": "until May", "expression": "request.time < timestamp('2027-05-01T00:00:00Z')"},
    }
    owner = {"role": "roles/owner", "members": [OWNER]}
    project.policies[f"projects/{NAME}"] = {"bindings": [owner, limited], "etag": "1", "version": 3}
    set_up()
    meanwhile = {"role": "roles/logging.viewer", "members": ["user:cid@example.org"]}
    project.policies[f"projects/{NAME}"]["bindings"] = [owner, limited]
    project.races = [meanwhile, {"role": "roles/owner", "members": []}]
    set_up()
    bindings_ = project.policies[f"projects/{NAME}"]["bindings"]
    assert limited in bindings_
    assert owner in bindings_
    [viewers] = [each for each in bindings_ if each["role"] == "roles/logging.viewer"]
    release = f"serviceAccount:{place(config()).account('release')}"
    assert set(viewers["members"]) == {"user:cid@example.org", OWNER, release}


def test_what_differs_is_set_again_and_the_rest_left(project: Project, capsys: pytest.CaptureFixture[str]) -> None:
    set_up()
    bucket = project.contents["b/my-bucket"]
    bucket["softDeletePolicy"] = {"retentionDurationSeconds": "604800", "effectiveTime": "2026-11-01T00:00:00Z"}
    others = {"action": {"type": "Delete"}, "condition": {"age": 7, "matchesPrefix": ["letters/"]}}
    ours = bucket["lifecycle"]["rule"]
    bucket["lifecycle"] = {"rule": [others, ours[0]]}
    lines(capsys)
    set_up(github="78")
    changed = [line for line in lines(capsys) if line.startswith("change ")]
    assert changed == [
        "change the bucket gs://my-bucket: lifecycle, softDeletePolicy",
        "change its provider github, for the repository 78: attributeCondition, attributeMapping",
    ]
    bucket = project.contents["b/my-bucket"]
    assert bucket["softDeletePolicy"]["retentionDurationSeconds"] == "0"
    assert bucket["lifecycle"]["rule"] == [others, *ours]


@dataclass
class Refused:
    """What is wrong with the project or the command, and the sentence that says so."""

    state: dict[str, Any]
    sentence: str
    billing: str = PAYER
    nothing_done: bool = True


REFUSALS = {
    "nobody chose who pays": Refused(
        {"apis": {"serviceusage", "cloudbilling"}},
        f"no billing account pays for my-project: choose one with --billing=NUMBER (open: {PAYER} Ann's)",
        "",
    ),
    "who pays cannot be seen yet": Refused({}, "`gcloud billing accounts list --filter=open=true` lists yours", ""),
    "another account pays": Refused(
        {"apis": {"serviceusage", "cloudbilling"}, "billing": True, "payer": "0F-0F"},
        f"billing account 0F-0F pays for my-project, not {PAYER}: leave --billing out, or change it",
    ),
    "a billing account that is not yours": Refused(
        {"payers": {}},
        f"you lack the permission billing.resourceAssociations.create on billingAccounts/{PAYER}",
        nothing_done=False,
    ),
    "the API that says what is on is off": Refused(
        {"apis": set()},
        "serviceusage.googleapis.com is off in this project (403); run `gcloud services enable "
        "serviceusage.googleapis.com --project=my-project`",
    ),
    "the bucket is somebody else's": Refused(
        {"taken": {"my-bucket"}}, "gs://my-bucket is somebody else's, or you may not see it: choose another"
    ),
    "budgets are others' business": Refused(
        {"denied": {"budgets.list"}, "apis": {*APIS}, "billing": True, "payer": PAYER},
        "you lack the permission budgets.list on v1/billingAccounts/0A0A0A-0B0B0B-0C0C0C/budgets (403); "
        "--budget=0 goes on without a budget",
    ),
    "no right to create accounts": Refused(
        {"denied": {"iam.serviceAccounts.create"}},
        "iam: you lack the permission iam.serviceAccounts.create on v1/projects/my-project/serviceAccounts (403)",
        nothing_done=False,
    ),
    "no right to grant": Refused(
        {"denied": {"setIamPolicy on projects"}}, "you lack the permission setIamPolicy on projects", nothing_done=False
    ),
}


@pytest.mark.parametrize("refused", REFUSALS.values(), ids=REFUSALS)
def test_what_google_refuses_is_said_in_one_sentence(refused: Refused, project: Project) -> None:
    for name, value in refused.state.items():
        setattr(project.state, name, value)
    with pytest.raises(UserError) as error:
        set_up(billing=refused.billing)
    assert refused.sentence in str(error.value)
    assert (changes(project) == []) == refused.nothing_done


@pytest.mark.usefixtures("project")
def test_an_account_that_google_never_knows_ends_the_wait(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(plan, "_PATIENCE", 0.0)
    with pytest.raises(UserError, match="User ann@nowhere does not exist"):
        set_up(user="ann@nowhere")


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["--github=owner/repository"], "--github=owner/repository: must be the repository's number"),
        (["--github=1' || true"], "must be the repository's number"),
        (["--email=ann"], "--email=ann: must be an address"),
        (["--user=ann"], "--user=ann: must be an address"),
        (["--user=user:ann"], "--user=user:ann: must be an address"),
        (["--user=ann@example.org,bob@example.org"], "must be an address"),
        (["--budget=-5"], "--budget=-5: must be 0, for none, or more"),
        (["--print", "--github=77"], "--print takes --user alone"),
        (["--print", "--budget=5"], "--print takes --user alone"),
    ],
)
def test_what_makes_no_sense_is_refused_before_anything_is_asked(
    words: list[str], said: str, project: Project, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["setup", "--yes", *words, *PLACE]) == 2
    assert said in capsys.readouterr().err
    assert project.requests == []


def test_the_script_is_for_the_one_who_is_named(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["setup", "--print", "--user=group:o'neill@example.org", *PLACE]) == 0
    written = [line for line in capsys.readouterr().out.splitlines() if line.startswith("you=")]
    shown = subprocess.run(["sh", "-c", f'{written[0]}; echo "$you"'], capture_output=True, text=True, check=True)
    assert (len(written), shown.stdout) == (1, "group:o'neill@example.org\n")


def test_a_budget_is_changed_where_that_is_said_and_else_stays(
    project: Project, capsys: pytest.CaptureFixture[str]
) -> None:
    def shown(budget: int | None) -> list[str]:
        lines(capsys)
        set_up(budget=budget)
        return [line for line in lines(capsys) if "the budget" in line]

    def units() -> list[str]:
        return [
            each["amount"]["specifiedAmount"]["units"] for name, each in project.contents.items() if "/budgets/" in name
        ]

    assert (shown(None), units()) == (["make the budget, 50 a month"], ["50"])
    assert (shown(20), units()) == (["change the budget, 20 a month: amount"], ["20"])
    assert (shown(None), units()) == (["there: the budget, as it is"], ["20"])


def test_somebody_must_be_named_where_gcloud_knows_nobody(
    project: Project, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(UserError, match="name who types the commands with --user=ADDRESS"):
        set_up(user="")
    assert project.requests == []


def test_what_was_set_up_is_taken_down_but_for_the_data(project: Project, capsys: pytest.CaptureFixture[str]) -> None:
    others = {"role": "roles/logging.viewer", "members": ["user:cid@example.org"]}
    project.policies[f"projects/{NAME}"] = {"bindings": [others], "etag": "1", "version": 1}
    set_up("tracking=wandb")
    project.state.objects["my-bucket"] = ["boatyard/models/plants/1"]
    project.deployed["boatyard-monitor"] = {"status": {"url": "https://monitor.run.app"}}
    lines(capsys)

    with pytest.raises(UserError, match="nothing was changed"):
        take_down(yes=False)
    assert project.state.accounts
    take_down()
    shown = lines(capsys)
    assert "stays: the bucket gs://my-bucket with its data, models, rows and journal; --data deletes it" in shown
    assert "delete the service boatyard-monitor" in shown
    state = project.state
    assert (state.accounts, state.repositories, state.secrets) == ({}, {}, {})
    assert state.objects == {"my-bucket": ["boatyard/models/plants/1"]}
    assert {each.get("state") for name, each in project.contents.items() if name != "b/my-bucket"} == {"DELETED"}
    kept = {
        (binding["role"], member)
        for name in (f"projects/{NAME}", "b/my-bucket")
        for binding in project.policies[name]["bindings"]
        for member in binding["members"]
    }
    assert {member for _, member in kept} == {OWNER, "user:cid@example.org"}, "of nobody who is gone"

    take_down()
    assert "there is nothing to delete" in lines(capsys)
    set_up()
    assert "restore the workload identity pool github" in lines(capsys)


@pytest.mark.parametrize("others", [[], ["letters/1"]], ids=["alone", "beside something else"])
def test_data_is_deleted_only_where_that_is_said_and_nothing_of_others(
    others: list[str], project: Project, capsys: pytest.CaptureFixture[str]
) -> None:
    set_up()
    project.state.objects["my-bucket"] = [f"boatyard/journal/{number}" for number in range(12)] + others
    lines(capsys)
    take_down(data=True)
    shown = lines(capsys)
    assert "delete 12 objects below gs://my-bucket/boatyard: models, rows, the journal" in shown
    assert project.state.objects["my-bucket"] == others
    assert ("my-bucket" in project.state.buckets) == bool(others)
    assert any("since it holds what is not below" in line for line in shown) == bool(others)


def test_the_name_of_the_project_is_typed_before_anything_is_deleted(
    project: Project, monkeypatch: pytest.MonkeyPatch
) -> None:
    set_up()
    monkeypatch.setattr(sys.stdin, "isatty", lambda: True)
    asked = []
    monkeypatch.setattr(builtins, "input", lambda question: asked.append(question) or "yes")
    with pytest.raises(UserError, match="nothing was changed"):
        take_down(yes=False)
    assert project.state.accounts
    monkeypatch.setattr(builtins, "input", lambda _: NAME)
    take_down(yes=False)
    assert project.state.accounts == {}
    assert asked == ["Delete this in my-project, for good? Type my-project: "]


def test_a_bucket_to_which_something_came_meanwhile_stays_and_says_so(
    project: Project, monkeypatch: pytest.MonkeyPatch
) -> None:
    set_up()
    monkeypatch.setattr(Plan, "show", lambda _: project.state.objects.update({"my-bucket": ["boatyard/journal/late"]}))
    with pytest.raises(UserError, match=r"The bucket you tried to delete is not empty \(409\)"):
        take_down()
    assert "my-bucket" in project.state.buckets
