"""The checks of Google Cloud, one for each requirement of training and serving, by REST; nothing is changed.

Each fix is a complete command that corrects what its check reports. docs/google-cloud.md has the same ones.
"""

import shutil
import subprocess
from collections.abc import Sequence
from functools import partial
from typing import Any
from urllib.parse import quote

from google.auth.exceptions import GoogleAuthError
from google.auth.transport.requests import AuthorizedSession, Request
from requests import Session

from boatyard.cloud import access
from boatyard.cloud.access import API_KEYS_SECRET, Cloud
from boatyard.cloud.checkout import read_checkout
from boatyard.cloud.place import Place, Role
from boatyard.cloud.rest import ApiError, open_session
from boatyard.config.errors import UserError
from boatyard.config.schema import Config
from boatyard.doctor.checks import Check, Undecided, Verdict, check, ok, warning, wrong

APIS = (
    "aiplatform",
    "artifactregistry",
    "cloudbilling",
    "cloudbuild",
    "cloudquotas",
    "cloudresourcemanager",
    "iam",
    "iamcredentials",
    "logging",
    "monitoring",
    "run",
    "secretmanager",
    "serviceusage",
    "storage",
)

_LOG_IN = "gcloud auth application-default login"
_REGION_PREFIXES = {"as": "asia-", "eu": "europe-", "na": "us-", "us": "us-"}  # by the start of a multi-region's name


@check("gcloud")
def gcloud(config: Config) -> Verdict:  # noqa: ARG001
    """Needed only by builds and by the commands that fix things."""
    if (program := shutil.which("gcloud")) is None:
        return warning("not installed: the commands below need it", "open https://cloud.google.com/sdk/docs/install")
    words = [program, "auth", "list", "--filter=status:ACTIVE", "--format=value(account)"]
    process = subprocess.run(words, capture_output=True, text=True)  # noqa: S603 - the user's own
    if process.returncode or not (account := process.stdout.strip()):
        return warning("it has no active account", "gcloud auth login")
    return ok(account)


@check("credentials")
def credentials(config: Config) -> Verdict:  # noqa: ARG001
    """The application default credentials, which all of boatyard uses."""
    try:
        session = open_session()
        if not isinstance(session, AuthorizedSession):
            return ok("none are sent: CLOUDSDK_AUTH_DISABLE_CREDENTIALS is set")
        session.credentials.refresh(Request())
    except UserError:
        return wrong("there are none", _LOG_IN)
    except GoogleAuthError as error:
        return wrong(f"they do not work: {error.args[0]}".rstrip("."), _LOG_IN)
    return ok(getattr(session.credentials, "service_account_email", "yours"))


@check("project")
def project(cloud: Cloud) -> Verdict:
    """It exists and is not about to be deleted."""
    name = cloud.where.project
    try:
        content = cloud.get("cloudresourcemanager", f"v3/projects/{name}")
    except Undecided:  # Google denies access to what does not exist, too
        return wrong(f"there is no {name}, or you may not see it", f"gcloud projects create {name}")
    if content is None:
        return wrong(f"there is no {name}", f"gcloud projects create {name}")
    if content.get("state") == "DELETE_REQUESTED":
        return wrong(f"{name} is about to be deleted", f"gcloud projects undelete {name}")
    return ok(name)


@check("billing")
def billing(cloud: Cloud) -> Verdict:
    """A billing account is linked; without one nothing runs."""
    name = cloud.where.project
    info = cloud.get("cloudbilling", f"v1/projects/{name}/billingInfo") or {}
    if info.get("billingEnabled"):
        return ok(info.get("billingAccountName", "on"))
    first = "gcloud billing accounts list --filter=open=true --format='value(name.basename())' --limit=1"
    return wrong(
        "off: no billing account is linked", f'gcloud billing projects link {name} --billing-account="$({first})"'
    )


@check("APIs")
def apis(cloud: Cloud) -> Verdict:
    """Those that any command here calls."""
    name = cloud.where.project
    required = [f"{api}.googleapis.com" for api in APIS]
    names = [f"projects/{name}/services/{api}" for api in required]
    content = cloud.get("serviceusage", f"v1/projects/{name}/services:batchGet", names=names) or {}
    services = content.get("services", [])
    on = {service["name"].rpartition("/")[2] for service in services if service.get("state") == "ENABLED"}
    if off := [api for api in required if api not in on]:
        return wrong(f"off: {', '.join(off)}", f"gcloud services enable {' '.join(off)} --project={name}")
    return ok(f"{len(APIS)} are on")


@check("your roles")
def caller(cloud: Cloud) -> Verdict:
    """The caller of the commands may train, build, deploy and read logs."""
    if missing := access.missing_grants(cloud, access.caller_grants(cloud.where)):
        return warning(f"you lack {_roles(missing)}", access.grant_command(missing, cloud.caller))
    return ok("you may train, build, deploy and read logs")


@check("bucket")
def bucket(cloud: Cloud) -> Verdict:
    """It is in the region where training and serving run: traffic between regions is slow and costs money."""
    where, name = cloud.where, cloud.where.bucket
    content = cloud.get("storage", access.bucket(where).path)
    if content is None:
        return wrong(f"there is no gs://{name}", _create_bucket(where, name))
    location = content.get("location", "").lower()
    if location == where.region:
        return ok(f"gs://{name} in {location}")
    sentence = f"gs://{name} is in {location}, not in {where.region}"
    if content.get("locationType") != "region" and where.region.startswith(_REGION_PREFIXES.get(location[:2], " ")):
        return warning(sentence, f"gcloud storage buckets relocate gs://{name} --location={where.region}")
    new = f"{name}-{where.region}"
    export = f"export BOATYARD_STORAGE={where.storage.replace(name, new, 1)}"
    return wrong(sentence, f"{_create_bucket(where, new)} && {export}")


def account(role: Role) -> Check[Cloud]:
    """A service account exists, may be used by the caller, and has its roles."""
    return Check(f"boatyard-{role}", partial(_judge_account, role))


def _judge_account(role: Role, cloud: Cloud) -> Verdict:
    """The roles are queried as the account itself, since Google reports permissions only to their holder."""
    where, email = cloud.where, cloud.where.account(role)
    content = cloud.get("iam", access.account(where, role).path)
    if content is None:
        return wrong("does not exist", f"gcloud iam service-accounts create boatyard-{role} --project={where.project}")
    if content.get("disabled"):
        return wrong("disabled", f"gcloud iam service-accounts enable {email} --project={where.project}")
    if missing := access.missing_grants(cloud, access.impersonation_grants(where, role)):
        return wrong(f"you lack {_roles(missing)}", access.grant_command(missing, cloud.caller))
    with Session() as session:
        try:
            session.headers["Authorization"] = f"Bearer {_token(cloud, email)}"
        except ApiError as error:
            if error.status != 403:
                raise
            fix = access.account(where, role).grant("roles/iam.serviceAccountTokenCreator", cloud.caller)
            return warning("its roles are not known: you may not impersonate it", fix)
        grants = access.service_account_grants(cloud.config, where, role)
        missing = access.missing_grants(Cloud(cloud.config, where, session), grants)
    if missing:
        return wrong(f"it lacks {_roles(missing)}", access.grant_command(missing, f"serviceAccount:{email}"))
    return ok("has its roles")


@check("repository")
def repository(cloud: Cloud) -> Verdict:
    """The repository of images, in the region where they run."""
    where, name = cloud.where, cloud.where.repository
    content = cloud.get("artifactregistry", access.repository(where).path)
    options = f"--repository-format=docker --location={where.region} --project={where.project}"
    if content is None:
        return wrong(f"there is no {name} in {where.region}", f"gcloud artifacts repositories create {name} {options}")
    if content.get("format") != "DOCKER":
        sentence = f"{name} holds no images: create another, and set cloud.repository={name}-images"
        return wrong(sentence, f"gcloud artifacts repositories create {name}-images {options}")
    return ok(f"{name} in {where.region}")


def image(name: str) -> Check[Cloud]:
    """The image of the commit that is checked out was built."""
    return Check(f"image {name}", partial(_judge_image, name))


def _judge_image(name: str, cloud: Cloud) -> Verdict:
    where = cloud.where
    if (checkout := read_checkout()) is None:
        return warning(
            "no commit here, but images are tagged by commit",
            'git init && git add --all && git commit --message "Start"',
        )
    commit = checkout.commit
    content = cloud.get("artifactregistry", f"{access.repository(where).path}/packages/{name}/tags/{commit}")
    if content is None:
        return wrong(f"there is none of commit {commit[:12]}", _build(where, commit))
    if checkout.changed:
        again = f"git add --all && git commit && {_build(where, '$(git rev-parse HEAD)')}"
        return warning(f"that of commit {commit[:12]} exists, but files were changed since", again)
    return ok(f"that of commit {commit[:12]} exists")


@check("GPU quota")
def quota(cloud: Cloud) -> Verdict:
    """How many GPUs may train at once in the region; Google does not report how many are in use."""
    where, job = cloud.where, cloud.config.cloud.train
    if job.gpu is None:
        return ok("no GPU is requested")
    kind = "preemptible_nvidia" if job.spot else "nvidia"
    metric = f"aiplatform.googleapis.com/custom_model_training_{kind}_{job.gpu.replace('-', '_')}_gpus"
    services = f"v1beta1/projects/{where.project}/services/aiplatform.googleapis.com"
    content = cloud.get("serviceusage", f"{services}/consumerQuotaMetrics/{quote(metric, safe='')}")
    if content is None:
        raise Undecided(f"Google knows no quota {metric}")
    limit, needed = _limit(content, where.region), job.gpus * job.workers
    if limit is None or limit >= needed:
        return ok(f"{needed} {job.gpu} of {'any number' if limit is None else limit} in {where.region}")
    vertex = f"--service=aiplatform.googleapis.com --project={where.project}"
    quota_id = f"gcloud beta quotas info list {vertex} --filter='metric={metric}' --format='value(quotaId)'"
    return wrong(
        f"{needed} {job.gpu}{' (spot)' if job.spot else ''} requested, but {limit} allowed in {where.region}",
        f'gcloud beta quotas preferences create {vertex} --quota-id="$({quota_id})" --dimensions=region={where.region} '
        f'--preferred-value={needed} --email="$(gcloud config get account)"',
    )


def secret(name: str, required: bool = True) -> Check[Cloud]:
    """The newest version of a secret is enabled; its value is not read."""
    return Check(name, partial(_judge_secret, name, required))


def _judge_secret(name: str, required: bool, cloud: Cloud) -> Verdict:
    path = access.secret(cloud.where, name).path
    words = f"{name} --project={cloud.where.project} --data-file=-"  # typed into the terminal: no history keeps it
    if cloud.get("secretmanager", path) is None:
        if required:
            return wrong("does not exist", f"gcloud secrets create {words}")
        return ok("none: callers need roles/run.invoker")
    newest = cloud.get("secretmanager", f"{path}/versions/latest")
    if newest is None:
        return wrong("it has no version", f"gcloud secrets versions add {words}")
    if newest.get("state") != "ENABLED":
        state = str(newest.get("state")).lower()
        return wrong(f"its newest version is {state}", f"gcloud secrets versions add {words}")
    return ok("enabled")


API_KEYS = secret(API_KEYS_SECRET, required=False)


def _create_bucket(where: Place, name: str) -> str:
    return (
        f"gcloud storage buckets create gs://{name} --project={where.project} --location={where.region} "
        "--uniform-bucket-level-access --public-access-prevention"
    )


def _build(where: Place, commit: str) -> str:
    return (
        f"gcloud beta builds submit --project={where.project} --region={where.region} "
        f"--gcs-source-staging-dir={where.storage}/build "
        f'--substitutions="COMMIT_SHA={commit},_REPOSITORY={where.repository}"'
    )


def _token(cloud: Cloud, email: str) -> str:
    """An access token of a service account, valid for five minutes."""
    path = f"v1/projects/-/serviceAccounts/{email}:generateAccessToken"
    body = {"scope": ["https://www.googleapis.com/auth/cloud-platform"], "lifetime": "300s"}
    return str(cloud.api("iamcredentials").post(path, body)["accessToken"])


def _roles(grants: Sequence[access.Grant]) -> str:
    return ", ".join(f"{grant.role} on {grant.on.name}" for grant in grants)


def _limit(metric: dict[str, Any], region: str) -> int | None:
    """The region's own limit, or else that of all regions; None if it is unlimited."""
    buckets = [bucket for limit in metric.get("consumerQuotaLimits", []) for bucket in limit.get("quotaBuckets", [])]
    limits = {bucket.get("dimensions", {}).get("region"): int(bucket.get("effectiveLimit", 0)) for bucket in buckets}
    limit = limits.get(region, limits.get(None, 0))
    return None if limit < 0 else limit
