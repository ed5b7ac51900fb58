"""What a project holds for Boatyard, beside its services: each item with the request that creates it."""

import json
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from boatyard.cloud import access
from boatyard.cloud.item import Item, Object
from boatyard.cloud.place import Account, Place
from boatyard.config.errors import UserError
from boatyard.doctor.resources import CLEANUP, LIFECYCLE

_ALERTS = Path("deploy", "alerts")
_ISSUER = "https://token.actions.githubusercontent.com"
_MAPPING = {
    "google.subject": "assertion.sub",
    "attribute.repository": "assertion.repository_id",
    # a job outside an environment has none: without `has` it would not be let in at all
    "attribute.gate": 'has(assertion.environment)?assertion.repository_id+":"+assertion.environment:""',
}
_DAY = 86400  # seconds


def foundations(where: Place, accounts: Sequence[Account], secrets: Sequence[str]) -> Iterator[Item]:
    """What every command needs: the bucket, the repository of images, the service accounts and the secrets."""
    project = f"projects/{where.project}"
    yield _bucket(where)
    repository = access.repository(where)
    yield Item(
        f"the repository of images {where.repository}",
        repository.api,
        f"v1/{project}/locations/{where.region}/repositories",
        {"format": "DOCKER", "cleanupPolicies": _cleanup()},
        repository.path,
        parameters={"repositoryId": where.repository},
        kept=("cleanupPolicies",),
    )
    for role in accounts:
        email = access.account(where, role)
        body: Object = {"accountId": f"boatyard-{role}"}
        yield Item(f"the account {email.name}", email.api, f"v1/{project}/serviceAccounts", body, email.path)
    for name in secrets:
        secret = access.secret(where, name)
        body = {"replication": {"automatic": {}}}
        yield Item(secret.name, secret.api, f"v1/{project}/secrets", body, secret.path, parameters={"secretId": name})


def federation(where: Place, repository: str) -> Iterator[Item]:
    """What lets the workflows of one repository on GitHub in, by its number."""
    pool = f"v1/projects/{where.project}/locations/global/workloadIdentityPools/github"
    yield Item(
        "the workload identity pool github",
        "iam",
        pool.rpartition("/")[0],
        {"displayName": "GitHub"},
        pool,
        parameters={"workloadIdentityPoolId": "github"},
    )
    yield Item(
        f"its provider github, for the repository {repository}",
        "iam",
        f"{pool}/providers",
        {
            "attributeCondition": f"assertion.repository_id == '{repository}'",
            "attributeMapping": _MAPPING,
            "oidc": {"issuerUri": _ISSUER},
        },
        f"{pool}/providers/github",
        parameters={"workloadIdentityPoolProviderId": "github"},
        kept=("attributeCondition", "attributeMapping"),
    )
    # part: monitor
    folder = access.folder(where, "monitor")
    body = {"name": f"{where.prefix}{folder.key}/"}
    collection = f"b/{where.bucket}/managedFolders"
    yield Item(
        f"the managed folder {folder.name}",
        "storage",
        collection,
        body,
        folder.path,
        deletion={"allowNonEmpty": "true"},
    )
    # part end


def budget(where: Place, billing: str, amount: int) -> Item:
    """`billing`: billingAccounts/NUMBER; `amount`: of its currency. Half of it, and all of it, sends an email."""
    body = {
        "displayName": f"boatyard in {where.project}",
        "budgetFilter": {"projects": [f"projects/{where.project}"]},
        "amount": {"specifiedAmount": {"units": str(amount)}},
        "thresholdRules": [{"thresholdPercent": 0.5}, {"thresholdPercent": 1.0}],
    }
    name = f"the budget, {amount} a month" if amount else "the budget"
    return Item(name, "billingbudgets", f"v1/{billing}/budgets", body, listed="budgets", kept=("amount",))


def alerts(where: Place, email: str) -> Iterator[Item]:
    """Where to send them, and the alerts of deploy/alerts/."""
    collection = f"v3/projects/{where.project}"
    body = {"displayName": "Boatyard", "type": "email", "labels": {"email_address": email}}
    channels = f"{collection}/notificationChannels"
    yield Item("a channel for alerts", "monitoring", channels, body, listed="notificationChannels", kept=("labels",))
    for file in sorted(_ALERTS.glob("*.json")):
        policy = _read(file)
        name = f"the alert {policy['conditions'][0]['displayName']}"
        yield Item(name, "monitoring", f"{collection}/alertPolicies", policy, listed="alertPolicies")


def drift_job(where: Place, monitor: str) -> Item:
    """Asks the monitor, at this address, for a drift report each morning."""
    collection = f"v1/projects/{where.project}/locations/{where.region}/jobs"
    path = f"{collection}/{where.service('drift')}"
    body = {
        "name": path.removeprefix("v1/"),
        "schedule": "17 5 * * *",
        "timeZone": "Etc/UTC",
        "attemptDeadline": "300s",  # as long as the monitor may take
        "httpTarget": {
            "uri": f"{monitor}/drift/run",
            "httpMethod": "POST",
            "oidcToken": {"serviceAccountEmail": where.account("run"), "audience": monitor},
        },
    }
    return Item(
        "a daily drift report, by Cloud Scheduler", "cloudscheduler", collection, body, path, kept=("httpTarget",)
    )


def with_channel(item: Item, channel: str) -> Item:
    """The alert, sent to this channel."""
    return replace(item, body=item.body | {"notificationChannels": [channel]})


def _bucket(where: Place) -> Item:
    on = access.bucket(where)
    lifecycle = _read(Path(LIFECYCLE))
    for rule in lifecycle["rule"]:
        condition = rule["condition"]
        written = condition["matchesPrefix"]  # below boatyard/, which is the prefix only by default
        condition["matchesPrefix"] = [where.prefix + prefix.partition("/")[2] for prefix in written]
    body = {
        "name": where.bucket,
        "location": where.region,
        "iamConfiguration": {
            "uniformBucketLevelAccess": {"enabled": True},
            "publicAccessPrevention": "enforced",
        },
        "lifecycle": lifecycle,
        "softDeletePolicy": {"retentionDurationSeconds": "0"},
    }
    kept = ("lifecycle", "softDeletePolicy")
    return Item(f"the bucket {on.name}", on.api, "b", body, on.path, parameters={"project": where.project}, kept=kept)


def _cleanup() -> Object:
    """The file that gcloud reads, in the API's words."""
    policies = {}
    for policy in _read(Path(CLEANUP)):
        sent = {"id": policy["name"], "action": policy["action"]["type"].upper()}
        if condition := policy.get("condition"):
            older = f"{int(condition['olderThan'].removesuffix('d')) * _DAY}s"
            sent["condition"] = {"tagState": condition["tagState"].upper(), "olderThan": older}
        policies[policy["name"]] = sent | {key: policy[key] for key in ("mostRecentVersions",) if key in policy}
    return policies


def _read(file: Path) -> Any:
    try:
        return json.loads(file.read_text(encoding="utf-8"))
    except OSError:
        raise UserError(f"there is no {file} here: run this in the repository's root") from None
