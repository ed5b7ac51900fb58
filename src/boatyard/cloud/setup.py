"""A shell script that makes all that the commands need in a project, from the table of roles that the doctor checks."""

from collections.abc import Iterator

from boatyard.cloud import access
from boatyard.cloud.place import ROLES, Place, place
from boatyard.config.console import say
from boatyard.config.schema import Config
from boatyard.doctor.google import APIS
from boatyard.doctor.resources import configure_bucket, configure_repository, create_bucket, create_repository

_HEAD = """#!/bin/sh
# Safe to run again: what exists is left as it is. An account or an API needs a minute until all of Google knows of it.
set -eu
you="user:$(gcloud config get account)"
try() {
  tries=12
  until "$@" >/dev/null; do
    tries=$((tries - 1))
    [ "$tries" -gt 0 ] || exit 1
    sleep "${PAUSE:-10}"
  done
}
unless() { $1 >/dev/null 2>&1 || try $2; }
"""
_YOU = '"$you"'


def setup(config: Config) -> None:
    """Print it. Raises UserError: no project or bucket is named."""
    say("\n".join([_HEAD, *_commands(config, place(config))]))


def _commands(config: Config, where: Place) -> Iterator[str]:
    project = f"--project={where.project}"
    yield f"try gcloud services enable {' '.join(f'{api}.googleapis.com' for api in APIS)} {project}"
    yield _unless(f"gcloud storage buckets describe gs://{where.bucket}", create_bucket(where, where.bucket))
    yield f"try {configure_bucket(where)}"
    there = f"gcloud artifacts repositories describe {where.repository} --location={where.region} {project}"
    yield _unless(there, create_repository(where, where.repository))
    yield f"try {configure_repository(where)}"
    for role in ROLES:  # all accounts before the first grant, which may come too early for a new one
        there = f"gcloud iam service-accounts describe {where.account(role)} {project}"
        yield _unless(there, f"gcloud iam service-accounts create boatyard-{role} {project}")
    for role in ROLES:
        for grant in access.service_account_grants(config, where, role):
            if grant.on.api != "secretmanager":  # a secret needs a value, which somebody types
                yield f"try {grant.on.grant(grant.role, f'serviceAccount:{where.account(role)}')}"
    own = [
        *access.caller_grants(where),
        *(grant for role in ROLES for grant in access.impersonation_grants(where, role)),
    ]
    for grant in own:
        yield f"try {grant.on.grant(grant.role, _YOU)}"
    for role in ROLES:
        yield f"try {access.account(where, role).grant('roles/iam.serviceAccountTokenCreator', _YOU)}"


def _unless(there: str, command: str) -> str:
    return f'unless "{there}" "{command}"'
