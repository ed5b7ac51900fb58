"""The script that sets a project up, run by a shell with a `gcloud` that refuses what Google refuses at first."""

import os
import subprocess
from pathlib import Path

import pytest

from boatyard.cloud import access
from boatyard.cloud.__main__ import main
from boatyard.cloud.place import ROLES, place
from boatyard.config.compose import load_config

pytestmark = pytest.mark.cloud

PLACE = ("cloud.project=my-project", "paths.storage=gs://my-bucket/boatyard")
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
    assert main(["setup", *PLACE]) == 0
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

    config = load_config(PLACE)
    where, you = place(config), "user:ann@example.org"
    wanted = {grant.on.grant(grant.role, you) for grant in access.caller_grants(where)}
    for role in ROLES:
        wanted |= {grant.on.grant(grant.role, you) for grant in access.impersonation_grants(where, role)}
        wanted.add(access.account(where, role).grant("roles/iam.serviceAccountTokenCreator", you))
        own = access.service_account_grants(config, where, role)
        member = f"serviceAccount:{where.account(role)}"
        wanted |= {grant.on.grant(grant.role, member) for grant in own if grant.on.api != "secretmanager"}
    assert set(grants) == wanted
    assert len(grants) == len(wanted) + 1, "what was refused at first is tried again"
