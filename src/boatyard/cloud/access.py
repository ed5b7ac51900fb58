"""Who may do what: the roles that each account is granted, on what, and the permissions by which they show."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from requests import Session

from boatyard.cloud.place import Place, Role
from boatyard.cloud.rest import Api, ApiError
from boatyard.config.schema import Config
from boatyard.doctor.checks import Undecided

WANDB_SECRET = "wandb-api-key"  # noqa: S105 - its name in Secret Manager
API_KEYS_SECRET = "boatyard-api-keys"  # noqa: S105 - as above

_ME = '"user:$(gcloud config get account)"'
_OBJECTS = [f"storage.objects.{done}" for done in ("create", "delete", "get", "list", "update")]


@dataclass(frozen=True)
class Resource:
    """What roles are granted on."""

    name: str
    api: str
    path: str
    words: str
    """gcloud's, that grant a role on it; whom and which one come after them."""

    def grant(self, role: str, member: str = _ME) -> str:
        """The command."""
        return f"gcloud {self.words} --member={member} --role={role}"


@dataclass(frozen=True)
class Grant:
    """A role, and permissions that nobody has without it."""

    on: Resource
    role: str
    permissions: Sequence[str]


@dataclass(frozen=True)
class Cloud:
    """What is asked, and as whom."""

    config: Config
    where: Place
    session: Session

    def api(self, name: str) -> Api:
        """By its name."""
        return Api(self.session, name, "storage.googleapis.com/storage/v1" if name == "storage" else None)

    def look(self, api: str, path: str, **parameters: Any) -> dict[str, Any] | None:
        """What lies there; None where nothing does. Raises Undecided where that is hidden."""
        try:
            return self.api(api).get(path, **parameters)
        except ApiError as error:
            self._pass_over_nothing(error)
            return None

    def may(self, on: Resource, permissions: Sequence[str]) -> set[str] | None:
        """Those that the session's account has; None where there is no such resource."""
        try:
            if on.api == "storage":  # older than the custom of the others
                found = self.api(on.api).get(f"{on.path}/iam/testPermissions", permissions=list(permissions))
            else:
                found = self.api(on.api).post(f"{on.path}:testIamPermissions", {"permissions": list(permissions)})
        except ApiError as error:
            self._pass_over_nothing(error)
            return None
        return set(found.get("permissions", []))

    def _pass_over_nothing(self, error: ApiError) -> None:
        if error.status == 403:
            raise Undecided(str(error), project(self.where).grant("roles/viewer")) from None
        if error.status != 404:
            raise error


def project(where: Place) -> Resource:
    """All of it."""
    words = f"projects add-iam-policy-binding {where.project}"
    return Resource("the project", "cloudresourcemanager", f"v3/projects/{where.project}", words)


def bucket(where: Place) -> Resource:
    """Where everything is kept."""
    words = f"storage buckets add-iam-policy-binding gs://{where.bucket}"
    return Resource(f"gs://{where.bucket}", "storage", f"b/{where.bucket}", words)


def repository(where: Place) -> Resource:
    """Of images."""
    path = f"v1/projects/{where.project}/locations/{where.region}/repositories/{where.repository}"
    words = f"artifacts repositories add-iam-policy-binding {where.repository}"
    named = f"--location={where.region} --project={where.project}"
    return Resource(f"the repository {where.repository}", "artifactregistry", path, f"{words} {named}")


def account(where: Place, role: Role) -> Resource:
    """A service account, as what others may use."""
    email = where.account(role)
    words = f"iam service-accounts add-iam-policy-binding {email} --project={where.project}"
    return Resource(email, "iam", f"v1/projects/{where.project}/serviceAccounts/{email}", words)


def secret(where: Place, name: str) -> Resource:
    """In Secret Manager."""
    words = f"secrets add-iam-policy-binding {name} --project={where.project}"
    return Resource(f"the secret {name}", "secretmanager", f"v1/projects/{where.project}/secrets/{name}", words)


def needs(config: Config, where: Place, role: Role) -> list[Grant]:
    """The least that a service account does its work with."""
    objects = Grant(bucket(where), "roles/storage.objectUser", _OBJECTS)
    log = Grant(project(where), "roles/logging.logWriter", ["logging.logEntries.create"])
    if role == "train":
        return [objects, log, *([_reads(where, WANDB_SECRET)] if config.tracking.mode == "online" else [])]
    if role == "run":  # which also asks a new revision before that has traffic
        invoke = Grant(project(where), "roles/run.invoker", ["run.routes.invoke"])
        return [objects, invoke, _reads(where, API_KEYS_SECRET)]
    images = [f"artifactregistry.repositories.{done}Artifacts" for done in ("download", "upload")]
    return [
        Grant(bucket(where), "roles/storage.objectViewer", ["storage.objects.get"]),
        Grant(repository(where), "roles/artifactregistry.writer", images),
        log,
    ]


def lends(where: Place, role: Role) -> list[Grant]:
    """What whoever gives the commands needs on a service account: to start what runs as it, and to ask as it."""
    on = account(where, role)
    grants = [Grant(on, "roles/iam.serviceAccountUser", ["iam.serviceAccounts.actAs"])]
    if role == "run":  # a new revision is asked as it
        grants.append(Grant(on, "roles/iam.serviceAccountOpenIdTokenCreator", ["iam.serviceAccounts.getOpenIdToken"]))
    return grants


def commands(where: Place) -> list[Grant]:
    """What whoever gives the commands needs in the project."""
    on = project(where)
    return [
        Grant(on, "roles/aiplatform.user", ["aiplatform.customJobs.create", "aiplatform.customJobs.get"]),
        Grant(on, "roles/cloudbuild.builds.editor", ["cloudbuild.builds.create"]),
        Grant(on, "roles/logging.viewer", ["logging.logEntries.list"]),
        Grant(on, "roles/run.developer", ["run.services.create", "run.services.get", "run.services.update"]),
    ]


def lacks(cloud: Cloud, grants: Sequence[Grant]) -> list[Grant]:
    """Those that the session's account does not have; of what is not there, that is another check's matter."""
    found = {
        on: cloud.may(on, [p for g in grants if g.on == on for p in g.permissions]) for on in {g.on for g in grants}
    }
    return [one for one in grants if (has := found[one.on]) is not None and not set(one.permissions) <= has]


def mend(grants: Sequence[Grant], *member: str) -> str:
    """One command that grants all of them, to you unless a member is given."""
    return " && ".join(one.on.grant(one.role, *member) for one in grants)


def _reads(where: Place, name: str) -> Grant:
    return Grant(secret(where, name), "roles/secretmanager.secretAccessor", ["secretmanager.versions.access"])
