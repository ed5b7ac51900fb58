"""deploy/infrastructure/ against the table of roles that the doctor checks; no provider is loaded."""

import json
import os
import re
import shutil
import subprocess
from pathlib import Path
from typing import Any, get_args

import hcl2
import pytest

from boatyard.cloud import access, inventory, table
from boatyard.cloud.place import ENVIRONMENTS, Account, place
from boatyard.config.compose import load_config

pytestmark = pytest.mark.unit

DEPLOY = Path(__file__).parents[2] / "deploy"
FOLDER = DEPLOY / "infrastructure"
TEXTS = {file.name: file.read_text(encoding="utf-8") for file in sorted(FOLDER.glob("*.tf"))}
FILES = {name: hcl2.loads(text) for name, text in TEXTS.items()}


def bare(text: str) -> str:
    return text.strip('"')


def blocks(kind: str) -> dict[str, Any]:
    """All of one kind, as TYPE.NAME for resources and data, else by their name."""
    found: dict[str, Any] = {}
    for content in FILES.values():
        for block in content.get(kind, []):
            for name, body in block.items():
                if kind in {"resource", "data"}:
                    found |= {f"{bare(name)}.{bare(key)}": value for key, value in body.items()}
                else:
                    found[bare(name)] = body
    return found


RESOURCES, VARIABLES = blocks("resource"), blocks("variable")
GRANTING = re.compile(r"_iam_(audit_config|binding|member|policy)\.")


def test_the_table_that_terraform_reads_is_the_one_that_the_doctor_checks(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(DEPLOY.parent)
    assert table.main(["--check"]) == 0, "run `invoke infrastructure`"
    config = load_config(["cloud.project=any-other", "paths.storage=gs://other", "tracking=wandb"])
    written = {(row["holder"], row["role"], row["on"], row.get("name", "")) for row in read_table()}
    for each in table.bindings(config, place(config)):
        assert (each.holder, each.grant.role, each.grant.on.kind, each.grant.on.key) in written


def read_table() -> list[dict[str, str]]:
    rows: list[dict[str, str]] = json.loads((FOLDER / "table.json").read_text())["grants"]
    return rows


def test_a_table_that_is_out_of_date_is_said_and_written_anew(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "deploy" / "infrastructure").mkdir(parents=True)
    assert table.main(["--check"]) == 1
    assert "run `invoke infrastructure`" in capsys.readouterr().err
    assert [table.main([]), table.main(["--check"])] == [0, 0]


def test_each_row_of_the_table_is_granted_by_one_resource_and_nothing_else_grants() -> None:
    granting = {name: body for name, body in RESOURCES.items() if GRANTING.search(name)}
    kinds = [re.search(r'if grant\.on == "(\w+)"', body["for_each"]) for body in granting.values()]
    assert all(kinds), "each takes its rows from the table"
    assert sorted(match[1] for match in kinds if match) == sorted(get_args(access.Kind))
    for name, body in granting.items():
        assert name.endswith("_iam_member.grant"), "a binding or a policy would take roles from others"
        assert (body["role"], body["member"]) == ("${each.value.role}", "${each.value.member}")
        assert body["for_each"].startswith("${{for key, grant in local.grants :")
    assert {row["on"] for row in read_table()} <= set(get_args(access.Kind))


def names_of(kind: str) -> set[str]:
    """Of what the table gives roles on, those of a kind."""
    return {row["name"] for row in read_table() if row["on"] == kind}


def test_every_account_secret_and_folder_of_the_table_is_created() -> None:
    accounts = re.findall(r'"(\w+)"', RESOURCES["google_service_account.account"]["for_each"])
    assert sorted(accounts) == sorted(get_args(Account))
    [allowed] = VARIABLES["secrets"]["validation"]
    assert set(re.findall(r'"([\w-]+)"', allowed["condition"])) == names_of("secret")
    # part: monitor
    assert names_of("folder") == {"monitor"}
    assert "{ monitor = google_storage_managed_folder.monitor.name }[each.value.name]" in TEXTS["grants.tf"]
    # part end


def test_github_gets_in_by_the_same_rule_as_with_the_command_and_not_by_how_it_writes_a_subject() -> None:
    """A subject has two forms: of repositories that were made or renamed since July 2026 it has their numbers too."""
    where = place(load_config(["cloud.project=project", "paths.storage=gs://bucket/boatyard"]))
    _, made, *_ = inventory.federation(where, "${var.github_repository_id}")
    provider = RESOURCES["google_iam_workload_identity_pool_provider.github"]
    mapping = {json.loads(key): json.loads(value) for key, value in provider["attribute_mapping"].items()}
    assert mapping == made.body["attributeMapping"]
    assert json.loads(provider["attribute_condition"]) == made.body["attributeCondition"]
    gate = 'has(assertion.environment)?assertion.repository_id+":"+assertion.environment:""'
    assert mapping["attribute.gate"] == gate
    assert "/subject/" not in TEXTS["github.tf"]


def test_all_that_the_page_names_is_there() -> None:
    kinds = {name.partition(".")[0] for name in RESOURCES if not GRANTING.search(name)}
    assert kinds == {
        "google_artifact_registry_repository",
        "google_billing_budget",
        "google_cloud_scheduler_job",  # part: monitor
        "google_iam_workload_identity_pool",
        "google_iam_workload_identity_pool_provider",
        "google_monitoring_alert_policy",
        "google_monitoring_notification_channel",
        "google_project_service",
        "google_secret_manager_secret",
        "google_service_account",
        "google_storage_bucket",
        "google_storage_managed_folder",  # part: monitor
    }


def test_variables_are_described_declared_and_used_and_the_provider_is_pinned() -> None:
    used = {name for text in TEXTS.values() for name in re.findall(r"\bvar\.(\w+)", text)}
    assert used == set(VARIABLES)
    assert [name for name, body in VARIABLES.items() if not bare(body.get("description", ""))] == []
    [terraform] = FILES["versions.tf"]["terraform"]
    [providers] = terraform["required_providers"]
    assert re.fullmatch(r"\d+\.\d+\.\d+", bare(providers["google"]["version"]))
    example = (FOLDER / "terraform.tfvars.example").read_text()
    assert set(re.findall(r"^(?:# )?(\w+) *=", example, re.MULTILINE)) <= set(VARIABLES)


def test_resources_refer_to_resources_that_exist() -> None:
    there = {*RESOURCES, *blocks("data")}
    named = {name for text in TEXTS.values() for name in re.findall(r"\bgoogle_\w+\.\w+", text)}
    assert named - there == set()


needs_terraform = pytest.mark.skipif(shutil.which("terraform") is None, reason="terraform is not on this machine")


@needs_terraform
def test_terraform_finds_the_files_well_formed() -> None:
    shown = subprocess.run(
        ["terraform", "fmt", "-check", "-diff", "-no-color"], cwd=FOLDER, capture_output=True, text=True
    )
    assert shown.returncode == 0, shown.stdout + shown.stderr


@needs_terraform
def test_terraform_works_out_who_holds_what_as_the_command_does(tmp_path: Path) -> None:
    """Its expressions alone: what a provider would answer is put in their place."""
    (folder := tmp_path / "deploy" / "infrastructure").mkdir(parents=True)
    for name in ("variables.tf", "table.json"):
        shutil.copy(FOLDER / name, folder)
    text = TEXTS["grants.tf"] + TEXTS["github.tf"]
    blocks_ = "\n".join(re.findall(r"^locals \{\n.*?^\}", text, re.DOTALL | re.MULTILINE))
    blocks_ = blocks_.replace("google_service_account.account", "local.accounts")
    blocks_ = blocks_.replace("${data.google_project.project.number}", "42")
    roles = json.dumps(get_args(Account))
    stand_in = f'locals {{ accounts = {{ for role in {roles} : role => {{ member = "account:${{role}}" }} }} }}'
    (folder / "main.tf").write_text(f"{blocks_}\n{stand_in}\n")

    chosen = {"project": "p", "bucket": "b", "users": '["user:a"]', "github_repository_id": "77"}
    words = [f"-var={key}={value}" for key, value in (chosen | {"secrets": '["hf-token"]'}).items()]
    environment = os.environ | {"CHECKPOINT_DISABLE": "1", "TF_CLI_CONFIG_FILE": os.devnull}
    question = "jsonencode([for grant in values(local.grants) : [grant.member, grant.role, grant.on, grant.name]])"
    console = ["terraform", "console", *words]
    shown = subprocess.run(console, cwd=folder, input=question, env=environment, capture_output=True, text=True)
    assert shown.returncode == 0, shown.stderr

    pool = "principalSet://iam.googleapis.com/projects/42/locations/global/workloadIdentityPools/github"
    members = {role: f"account:{role}" for role in get_args(Account)} | {
        "you": "user:a",
        "workflows": f"{pool}/attribute.repository/77",
        **{name: f"{pool}/attribute.gate/77:{name}" for name in ENVIRONMENTS},
    }
    wanted = {
        (members[row["holder"]], row["role"], row["on"], row.get("name", ""))
        for row in read_table()
        if row["on"] != "secret" or row["name"] == "hf-token"
    }
    assert {tuple(row) for row in json.loads(json.loads(shown.stdout))} == wanted
