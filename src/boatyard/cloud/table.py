"""Who has which role on what: the whole table, and the file of it that deploy/infrastructure/ reads."""

import argparse
import json
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Literal

from boatyard.cloud import access
from boatyard.cloud.access import Grant
from boatyard.cloud.place import ENVIRONMENTS, ROLES, Place, place
from boatyard.config.compose import load_config
from boatyard.config.console import complain, say
from boatyard.config.schema import Config
from boatyard.doctor.google import APIS

YOU, WORKFLOWS = "you", "workflows"
"""Holders that are no service account: who types the commands; any workflow of the repository on GitHub; and its jobs
in each of ENVIRONMENTS."""

_FEDERATED: tuple[tuple[Literal["check", "release"], tuple[str, ...]], ...] = (
    ("check", (WORKFLOWS,)),
    ("release", ENVIRONMENTS),
)
_FILE = Path("deploy", "infrastructure", "table.json")
_ALL = ("cloud.project=project", "paths.storage=gs://bucket/boatyard", "tracking=wandb", "cloud.train.hub_login=true")


@dataclass(frozen=True)
class Binding:
    """A grant, and its holder: a service account's role in Boatyard, or one of those above."""

    holder: str
    grant: Grant


def bindings(config: Config, where: Place) -> Iterator[Binding]:
    """All of them, in the order of the holders; those of both environments, which the same accounts work for."""
    environments = [replace(where, environment=each) for each in ENVIRONMENTS]
    for role in ROLES:
        grants = [grant for each in environments for grant in access.service_account_grants(config, each, role)]
        yield from (Binding(role, grant) for grant in dict.fromkeys(grants))
    yield from (Binding(YOU, grant) for grant in access.caller_grants(where))
    for role in ROLES:
        yield from (Binding(YOU, grant) for grant in access.impersonation_grants(where, role))
    yield from (Binding(YOU, access.inspection_grant(where, role)) for role in ROLES)
    for account, holders in _FEDERATED:
        yield from (Binding(holder, access.federation_grant(where, account)) for holder in holders)
        yield from (Binding(account, grant) for grant in access.workflow_grants(where, account))


def as_json() -> str:
    """The table by names that hold in any project: Terraform puts in the rest."""
    config = load_config(_ALL)
    rows = [
        {"holder": each.holder, "role": each.grant.role, "on": each.grant.on.kind}
        | ({"name": each.grant.on.key} if each.grant.on.key else {})
        for each in bindings(config, place(config))
    ]
    lines = ",\n".join(f"    {json.dumps(row)}" for row in rows)
    apis = json.dumps([f"{api}.googleapis.com" for api in APIS], indent=4).replace("]", "  ]")
    return f'{{\n  "apis": {apis},\n  "grants": [\n{lines}\n  ]\n}}\n'


def main(arguments: Sequence[str] | None = None) -> int:
    """Write the file; with `--check` only compare it, with exit status 1 if it is out of date."""
    parser = argparse.ArgumentParser(prog="python -m boatyard.cloud.table", description=main.__doc__)
    parser.add_argument("--check", action="store_true", help="write nothing; fail if the file is out of date")
    is_current = _FILE.exists() and _FILE.read_text(encoding="utf-8") == as_json()
    if parser.parse_args(arguments).check:
        if not is_current:
            complain(f"{_FILE} is out of date: run `invoke infrastructure`")
        return not is_current
    _FILE.write_text(as_json(), encoding="utf-8")
    say("nothing to change" if is_current else f"wrote {_FILE}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
