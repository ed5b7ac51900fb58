"""A shell script that makes all that the commands need in a project, from the table of roles that the doctor checks."""

from collections.abc import Iterator
from shlex import quote

from boatyard.cloud.place import ROLES, Place, place
from boatyard.cloud.table import YOU, bindings
from boatyard.config.schema import Config
from boatyard.doctor.google import APIS
from boatyard.doctor.resources import configure_bucket, configure_repository, create_bucket, create_repository

_HEAD = """#!/bin/sh
# Safe to run again: what exists is left as it is. An account or an API needs a minute until all of Google knows of it.
set -eu
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
_GCLOUDS_ACCOUNT = '"user:$(gcloud config get account)"'


def script(config: Config, you: str = "") -> str:
    """The whole of it. `you`: who types the commands, as IAM's member; empty: gcloud's account.

    Raises UserError: no project or bucket is named.
    """
    who = f"you={quote(you) if you else _GCLOUDS_ACCOUNT}"
    return "\n".join([_HEAD, who, *_commands(config, place(config))])


def _commands(config: Config, where: Place) -> Iterator[str]:
    project = f"--project={where.project}"
    yield f"try gcloud services enable {' '.join(f'{api}.googleapis.com' for api in APIS)} {project}"
    yield _unless(f"gcloud storage buckets describe gs://{where.bucket}", create_bucket(where, where.bucket))
    *before, configure = configure_bucket(where).split(" && ")
    yield from before
    yield f"try {configure}"
    there = f"gcloud artifacts repositories describe {where.repository} --location={where.region} {project}"
    yield _unless(there, create_repository(where, where.repository))
    yield f"try {configure_repository(where)}"
    for role in ROLES:  # all accounts before the first grant, which may come too early for a new one
        there = f"gcloud iam service-accounts describe {where.account(role)} {project}"
        yield _unless(there, f"gcloud iam service-accounts create boatyard-{role} {project}")
    members = {role: f"serviceAccount:{where.account(role)}" for role in ROLES} | {YOU: _YOU}
    for each in bindings(config, where):
        # a secret needs a value, which somebody types; the workflows on GitHub need more than roles
        if each.holder in members and each.grant.on.kind != "secret":
            yield f"try {each.grant.on.grant(each.grant.role, members[each.holder])}"


def _unless(there: str, command: str) -> str:
    return f'unless "{there}" "{command}"'
