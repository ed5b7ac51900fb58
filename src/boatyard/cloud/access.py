"""IAM: the roles that each account needs, on which resource, and the permissions that show whether it has them."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal
from urllib.parse import quote

from requests import Session

from boatyard.cloud.place import Account, Place, Role
from boatyard.cloud.rest import Api, ApiError
from boatyard.config.schema import Config
from boatyard.doctor.checks import Undecided

WANDB_SECRET = "wandb-api-key"  # noqa: S105 - its name in Secret Manager
HUB_SECRET = "hf-token"  # noqa: S105 - as above

_YOU = '"user:$(gcloud config get account)"'
_IMPERSONATE = ("iam.serviceAccounts.getAccessToken",)
Kind = Literal[
    "project",
    "bucket",
    "folder",  # part: monitor
    "repository",
    "account",
    "secret",
]
_OBJECT_PERMISSIONS = tuple(f"storage.objects.{verb}" for verb in ("create", "delete", "get", "list", "update"))


@dataclass(frozen=True)
class Resource:
    """Something that roles are granted on."""

    name: str
    api: str
    path: str
    binding: str
    """gcloud's words that grant a role on it, less the member and the role."""
    kind: Kind
    key: str = ""
    """Which of its kind: the role of an account, the name of a folder or a secret."""

    def grant(self, role: str, member: str) -> str:
        """The gcloud command that grants the role."""
        return f"gcloud {self.binding} --member={member} --role={role}"


@dataclass(frozen=True)
class Grant:
    """A role on a resource, and permissions that no account has without it."""

    on: Resource
    role: str
    permissions: tuple[str, ...]


@dataclass(frozen=True)
class Cloud:
    """A place on Google Cloud, and the credentials to query it with."""

    config: Config
    where: Place
    session: Session

    @property
    def caller(self) -> str:
        """The session's account as IAM's member: a service account by its name, as in a workflow; or whoever types."""
        email = getattr(getattr(self.session, "credentials", None), "service_account_email", None)
        return f"serviceAccount:{email}" if email else _YOU

    def api(self, name: str) -> Api:
        """One of Google's APIs."""
        return Api(self.session, name, "storage.googleapis.com/storage/v1" if name == "storage" else None)

    def get(self, api: str, path: str, **parameters: Any) -> dict[str, Any] | None:
        """The resource at `path`; None if there is none. Raises Undecided if access is denied."""
        try:
            return self.api(api).get(path, **parameters)
        except ApiError as error:
            self._ignore_missing(error)
            return None

    def permissions(self, on: Resource, permissions: Sequence[str]) -> set[str] | None:
        """Those that the session's account has; None if there is no such resource."""
        try:
            if on.api == "storage":  # which predates the convention of the other APIs
                content = self.api(on.api).get(f"{on.path}/iam/testPermissions", permissions=list(permissions))
            else:
                content = self.api(on.api).post(f"{on.path}:testIamPermissions", {"permissions": list(permissions)})
        except ApiError as error:
            self._ignore_missing(error)
            return None
        return set(content.get("permissions", []))

    def _ignore_missing(self, error: ApiError) -> None:
        if error.fix is not None:
            raise error
        if error.status == 403:
            raise Undecided(str(error), project(self.where).grant("roles/viewer", self.caller)) from None
        if error.status != 404:
            raise error


def project(where: Place) -> Resource:
    """The whole project."""
    binding = f"projects add-iam-policy-binding {where.project}"
    return Resource("the project", "cloudresourcemanager", f"v3/projects/{where.project}", binding, "project")


def bucket(where: Place) -> Resource:
    """The bucket of models, rows, checkpoints and the journal."""
    binding = f"storage buckets add-iam-policy-binding gs://{where.bucket}"
    return Resource(f"gs://{where.bucket}", "storage", f"b/{where.bucket}", binding, "bucket")


def repository(where: Place) -> Resource:
    """The repository of images."""
    path = f"v1/projects/{where.project}/locations/{where.region}/repositories/{where.repository}"
    binding = f"artifacts repositories add-iam-policy-binding {where.repository}"
    location = f"--location={where.region} --project={where.project}"
    name = f"the repository {where.repository}"
    return Resource(name, "artifactregistry", path, f"{binding} {location}", "repository")


# part: monitor
def folder(where: Place, name: str) -> Resource:
    """A managed folder of the bucket, below the storage's prefix, with roles of its own."""
    address = f"{where.storage}/{name}/"
    path = f"b/{where.bucket}/managedFolders/{quote(address.removeprefix(f'gs://{where.bucket}/'), safe='')}"
    binding = f"storage managed-folders add-iam-policy-binding {address}"
    return Resource(address, "storage", path, binding, "folder", name)


# part end
def account(where: Place, role: Account) -> Resource:
    """A service account, as a resource that others may use."""
    email = where.account(role)
    binding = f"iam service-accounts add-iam-policy-binding {email} --project={where.project}"
    path = f"v1/projects/{where.project}/serviceAccounts/{email}"
    return Resource(email, "iam", path, binding, "account", role)


def secret(where: Place, name: str) -> Resource:
    """A secret in Secret Manager."""
    binding = f"secrets add-iam-policy-binding {name} --project={where.project}"
    path = f"v1/projects/{where.project}/secrets/{name}"
    return Resource(f"the secret {name}", "secretmanager", path, binding, "secret", name)


def training_secrets(config: Config) -> list[str]:
    """The names of those that a training job reads."""
    needed = {WANDB_SECRET: config.tracking.mode == "online", HUB_SECRET: config.cloud.train.hub_login}
    return [name for name, is_needed in needed.items() if is_needed]


def service_account_grants(config: Config, where: Place, role: Role) -> list[Grant]:
    """The least privileges that a service account needs."""
    objects = Grant(bucket(where), "roles/storage.objectUser", _OBJECT_PERMISSIONS)
    log = Grant(project(where), "roles/logging.logWriter", ("logging.logEntries.create",))
    if role == "train":
        return [objects, log, *(_read_secret(where, name) for name in training_secrets(config))]
    if role == "run":  # which also probes a new revision before it has traffic
        invoke = Grant(project(where), "roles/run.invoker", ("run.routes.invoke",))
        metrics = Grant(project(where), "roles/monitoring.metricWriter", ("monitoring.timeSeries.create",))
        return [objects, invoke, metrics, _read_secret(where, where.keys_secret)]
    images = tuple(f"artifactregistry.repositories.{verb}Artifacts" for verb in ("download", "upload"))
    return [
        Grant(bucket(where), "roles/storage.objectViewer", ("storage.objects.get",)),
        Grant(repository(where), "roles/artifactregistry.writer", images),
        log,
    ]


def workflow_grants(where: Place, account: Literal["check", "release"]) -> list[Grant]:
    """What the workflows need that run as boatyard-check, and those in the environment `production`, as -release."""
    if account == "check":
        return [
            Grant(bucket(where), "roles/storage.objectViewer", ("storage.objects.get", "storage.objects.list")),
            # part: monitor
            # a look at drift stores its report, by which the next look is judged
            Grant(folder(where, "monitor"), "roles/storage.objectUser", _OBJECT_PERMISSIONS),
            # part end
        ]
    return [
        Grant(bucket(where), "roles/storage.objectUser", _OBJECT_PERMISSIONS),
        *caller_grants(where, "release"),
        *impersonation_grants(where, "train"),
        *impersonation_grants(where, "run"),
    ]


def impersonation_grants(where: Place, role: Role) -> list[Grant]:
    """What the caller needs on a service account: to start resources that run as it, and to get tokens for it."""
    on = account(where, role)
    grants = [Grant(on, "roles/iam.serviceAccountUser", ("iam.serviceAccounts.actAs",))]
    if role == "run":  # a new revision is probed with its token
        grants.append(Grant(on, "roles/iam.serviceAccountOpenIdTokenCreator", ("iam.serviceAccounts.getOpenIdToken",)))
    return grants


def inspection_grant(where: Place, role: Role) -> Grant:
    """What the doctor needs on a service account to query its permissions as that account."""
    return Grant(account(where, role), "roles/iam.serviceAccountTokenCreator", _IMPERSONATE)


def federation_grant(where: Place, role: Account) -> Grant:
    """What a workflow on GitHub needs on the service account that it runs as."""
    return Grant(account(where, role), "roles/iam.workloadIdentityUser", _IMPERSONATE)


def caller_grants(where: Place, purpose: Literal["all", "release"] = "all") -> list[Grant]:
    """What the caller of the commands needs: of all of them, or only of what workflows do: retrain and deploy."""
    on = project(where)
    used = Grant(on, "roles/serviceusage.serviceUsageConsumer", ("serviceusage.services.use",))
    pull = Grant(repository(where), "roles/artifactregistry.reader", ("artifactregistry.tags.get",))
    deploy = Grant(on, "roles/run.developer", ("run.services.create", "run.services.get", "run.services.update"))
    train = Grant(on, "roles/aiplatform.user", ("aiplatform.customJobs.create", "aiplatform.customJobs.get"))
    follow = Grant(on, "roles/logging.viewer", ("logging.logEntries.list",))
    if purpose == "release":
        return [used, pull, train, follow, deploy]
    return [
        used,
        pull,
        Grant(bucket(where), "roles/storage.objectUser", _OBJECT_PERMISSIONS),
        train,
        Grant(on, "roles/cloudbuild.builds.editor", ("cloudbuild.builds.create",)),
        follow,
        deploy,
    ]


def missing_grants(cloud: Cloud, grants: Sequence[Grant]) -> list[Grant]:
    """Those that the session's account lacks; missing resources are ignored, since other checks report them."""
    held = {
        on: cloud.permissions(on, [name for grant in grants if grant.on == on for name in grant.permissions])
        for on in {grant.on for grant in grants}
    }
    return [grant for grant in grants if (names := held[grant.on]) is not None and not set(grant.permissions) <= names]


def grant_command(grants: Sequence[Grant], member: str) -> str:
    """One command that grants all of them."""
    return " && ".join(grant.on.grant(grant.role, member) for grant in grants)


def _read_secret(where: Place, name: str) -> Grant:
    return Grant(secret(where, name), "roles/secretmanager.secretAccessor", ("secretmanager.versions.access",))
