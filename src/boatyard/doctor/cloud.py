"""What training and serving on Google Cloud need, asked by REST; nothing is changed.

Each check's command is whole: run as it is, it mends what was found. docs/google-cloud.md has the same ones in order.
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
from requests.adapters import HTTPAdapter

from boatyard.cloud import access
from boatyard.cloud.access import API_KEYS_SECRET, WANDB_SECRET, Cloud
from boatyard.cloud.checkout import read_checkout
from boatyard.cloud.place import ROLES, SERVICES, Place, Role, place
from boatyard.cloud.rest import ApiError, open_session
from boatyard.config.errors import UserError
from boatyard.config.schema import Config
from boatyard.doctor.checks import (
    Check,
    Question,
    Undecided,
    Verdict,
    ask,
    check,
    ok,
    stop_at_wrong,
    tell,
    warning,
    wrong,
)

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

_SECONDS = 8.0  # for each of two rounds: most can be asked only by one who is logged in
_LOG_IN = "gcloud auth application-default login"
_AROUND = {
    "as": "asia-",
    "eu": "europe-",
    "na": "us-",
    "us": "us-",
}  # how the names of larger places than regions begin


@check("gcloud")
def gcloud(config: Config) -> Verdict:  # noqa: ARG001
    """Only builds, and the commands that mend, need it."""
    if (found := shutil.which("gcloud")) is None:
        return warning("not there: the commands that mend need it", "open https://cloud.google.com/sdk/docs/install")
    words = [found, "auth", "list", "--filter=status:ACTIVE", "--format=value(account)"]
    asked = subprocess.run(words, capture_output=True, text=True)  # noqa: S603 - the user's own
    if asked.returncode or not (account := asked.stdout.strip()):
        return warning("nobody is logged in", "gcloud auth login")
    return ok(account)


@check("credentials")
def credentials(config: Config) -> Verdict:  # noqa: ARG001
    """The application default ones, which all of boatyard takes."""
    try:
        session = open_session()
        if not isinstance(session, AuthorizedSession):
            return ok("none are sent, as CLOUDSDK_AUTH_DISABLE_CREDENTIALS asks")
        session.credentials.refresh(Request())
    except UserError:
        return wrong("there are none", _LOG_IN)
    except GoogleAuthError as error:
        return wrong(f"they do not work: {error.args[0]}".rstrip("."), _LOG_IN)
    return ok(getattr(session.credentials, "service_account_email", "yours"))


@check("project")
def project(cloud: Cloud) -> Verdict:
    """It is there, and not about to be deleted."""
    name = cloud.where.project
    try:
        found = cloud.look("cloudresourcemanager", f"v3/projects/{name}")
    except Undecided:  # as Google answers for what is not there, too
        return wrong(f"there is no {name}, or you may not see it", f"gcloud projects create {name}")
    if found is None:
        return wrong(f"there is no {name}", f"gcloud projects create {name}")
    if found.get("state") == "DELETE_REQUESTED":
        return wrong(f"{name} is about to be deleted", f"gcloud projects undelete {name}")
    return ok(name)


@check("billing")
def billing(cloud: Cloud) -> Verdict:
    """Some account is charged; without one nothing runs."""
    name = cloud.where.project
    found = cloud.look("cloudbilling", f"v1/projects/{name}/billingInfo") or {}
    if found.get("billingEnabled"):
        return ok(found.get("billingAccountName", "on"))
    first = "gcloud billing accounts list --filter=open=true --format='value(name.basename())' --limit=1"
    return wrong("off: no account is charged", f'gcloud billing projects link {name} --billing-account="$({first})"')


@check("APIs")
def apis(cloud: Cloud) -> Verdict:
    """Those that any command here asks."""
    name = cloud.where.project
    wanted = [f"{api}.googleapis.com" for api in APIS]
    names = [f"projects/{name}/services/{api}" for api in wanted]
    found = (cloud.look("serviceusage", f"v1/projects/{name}/services:batchGet", names=names) or {}).get("services", [])
    on = {service["name"].rpartition("/")[2] for service in found if service.get("state") == "ENABLED"}
    if off := [api for api in wanted if api not in on]:
        return wrong(f"off: {', '.join(off)}", f"gcloud services enable {' '.join(off)} --project={name}")
    return ok(f"{len(APIS)} are on")


@check("your roles")
def yours(cloud: Cloud) -> Verdict:
    """What whoever gives the commands may do: train, build, deploy, read logs."""
    if missing := access.lacks(cloud, access.commands(cloud.where)):
        return warning(f"you lack {_roles(missing)}", access.mend(missing))
    return ok("you may train, build, deploy and read logs")


@check("bucket")
def bucket(cloud: Cloud) -> Verdict:
    """Where training and serving run: what crosses regions is slow and paid for."""
    where, name = cloud.where, cloud.where.bucket
    found = cloud.look("storage", access.bucket(where).path)
    if found is None:
        return wrong(f"there is no gs://{name}", _new_bucket(where, name))
    location = found.get("location", "").lower()
    if location == where.region:
        return ok(f"gs://{name} in {location}")
    told = f"gs://{name} is in {location}, not in {where.region}"
    if found.get("locationType") != "region" and where.region.startswith(_AROUND.get(location[:2], " ")):
        return warning(told, f"gcloud storage buckets relocate gs://{name} --location={where.region}")
    new = f"{name}-{where.region}"
    return wrong(told, f"{_new_bucket(where, new)} && export BOATYARD_STORAGE={where.storage.replace(name, new, 1)}")


def account(role: Role, cloud: Cloud) -> Verdict:
    """Whether a service account is there, can be lent to what runs as it, and has its roles.

    It is asked as itself, since Google tells of permissions only whom they belong to.
    """
    where, email = cloud.where, cloud.where.account(role)
    found = cloud.look("iam", access.account(where, role).path)
    if found is None:
        return wrong("not there", f"gcloud iam service-accounts create boatyard-{role} --project={where.project}")
    if found.get("disabled"):
        return wrong("disabled", f"gcloud iam service-accounts enable {email} --project={where.project}")
    if missing := access.lacks(cloud, access.lends(where, role)):
        return wrong(f"you lack {_roles(missing)}", access.mend(missing))
    with Session() as session:
        try:
            session.headers["Authorization"] = f"Bearer {_token(cloud, email)}"
        except ApiError as error:
            if error.status != 403:
                raise
            as_it = access.account(where, role).grant("roles/iam.serviceAccountTokenCreator")
            return warning("its roles are not known: you may not ask as it", as_it)
        missing = access.lacks(Cloud(cloud.config, where, session), access.needs(cloud.config, where, role))
    if missing:
        return wrong(f"it lacks {_roles(missing)}", access.mend(missing, f"serviceAccount:{email}"))
    return ok("has its roles")


@check("repository")
def repository(cloud: Cloud) -> Verdict:
    """Of images, in the region where they run."""
    where, name = cloud.where, cloud.where.repository
    found = cloud.look("artifactregistry", access.repository(where).path)
    kind = f"--repository-format=docker --location={where.region} --project={where.project}"
    if found is None:
        return wrong(f"there is no {name} in {where.region}", f"gcloud artifacts repositories create {name} {kind}")
    if found.get("format") != "DOCKER":
        told = f"{name} holds no images: create another, and give cloud.repository={name}-images"
        return wrong(told, f"gcloud artifacts repositories create {name}-images {kind}")
    return ok(f"{name} in {where.region}")


def image(name: str, cloud: Cloud) -> Verdict:
    """Whether the image of the commit that is checked out was built."""
    where = cloud.where
    if (checkout := read_checkout()) is None:
        return warning(
            "no commit here, and images are named by it", 'git init && git add --all && git commit --message "Start"'
        )
    commit = checkout.commit
    found = cloud.look("artifactregistry", f"{access.repository(where).path}/packages/{name}/tags/{commit}")
    if found is None:
        return wrong(f"there is none of commit {commit[:12]}", _build(where, commit))
    if checkout.changed:
        again = f"git add --all && git commit && {_build(where, '$(git rev-parse HEAD)')}"
        return warning(f"that of commit {commit[:12]} is there, but files were changed since", again)
    return ok(f"that of commit {commit[:12]} is there")


@check("GPU quota")
def quota(cloud: Cloud) -> Verdict:
    """How many GPUs may train at once in the region; how many of them are in use is not told."""
    where, job = cloud.where, cloud.config.cloud.train
    if job.gpu is None:
        return ok("no GPU is asked for")
    kind = "preemptible_nvidia" if job.spot else "nvidia"
    metric = f"aiplatform.googleapis.com/custom_model_training_{kind}_{job.gpu.replace('-', '_')}_gpus"
    services = f"v1beta1/projects/{where.project}/services/aiplatform.googleapis.com"
    found = cloud.look("serviceusage", f"{services}/consumerQuotaMetrics/{quote(metric, safe='')}")
    if found is None:
        raise Undecided(f"Google knows no quota {metric}")
    limit, needed = _limit(found, where.region), job.gpus * job.workers
    if limit is None or limit >= needed:
        return ok(f"{needed} {job.gpu} of {'any number' if limit is None else limit} in {where.region}")
    vertex = f"--service=aiplatform.googleapis.com --project={where.project}"
    its_id = f"gcloud beta quotas info list {vertex} --filter='metric={metric}' --format='value(quotaId)'"
    return wrong(
        f"{needed} {job.gpu}{' (spot)' if job.spot else ''} are asked for, and {limit} allowed in {where.region}",
        f'gcloud beta quotas preferences create {vertex} --quota-id="$({its_id})" --dimensions=region={where.region} '
        f'--preferred-value={needed} --email="$(gcloud config get account)"',
    )


def secret(name: str, needed: bool, cloud: Cloud) -> Verdict:
    """Whether its newest version can be used; what it holds is not looked at."""
    path = access.secret(cloud.where, name).path
    typed = f"{name} --project={cloud.where.project} --data-file=-"  # into the terminal: no history keeps it
    if cloud.look("secretmanager", path) is None:
        return (
            wrong("not there", f"gcloud secrets create {typed}")
            if needed
            else ok("none: callers need roles/run.invoker")
        )
    newest = cloud.look("secretmanager", f"{path}/versions/latest")
    if newest is None or newest.get("state") != "ENABLED":
        told = "it has no version" if newest is None else f"its newest version is {str(newest.get('state')).lower()}"
        return wrong(told, f"gcloud secrets versions add {typed}")
    return ok("there")


def doctor(config: Config) -> None:
    """Print the table.

    Raises:
        UserError: no project or bucket is named.
        Failed: something is wrong.
    """
    tell(examine(config))


def examine(config: Config) -> list[Check]:
    """All of the checks; the first two alone where nobody is logged in. Raises UserError, as `doctor`."""
    where = place(config)
    found = ask((gcloud, credentials), config, _SECONDS)
    if found[-1].state == "wrong":
        return found
    questions = (
        *(project, billing, apis, yours, bucket),
        *map(_account, ROLES),
        repository,
        *map(_image, ("trainer", *SERVICES)),
        quota,
        *_secrets(config),
        _API_KEYS,
    )
    return [*found, *ask(questions, _cloud(config, where), _SECONDS)]


def check_before_training(config: Config) -> None:
    """Raises UserError: what a training job needs is wrong, and what mends it."""
    _stop_at_wrong(config, (billing, apis, bucket, _account("train"), _image("trainer"), quota, *_secrets(config)))


def check_before_deploying(config: Config, service: str) -> None:
    """Raises UserError: what a service needs is wrong, and what mends it."""
    _stop_at_wrong(config, (billing, apis, bucket, _account("run"), _image(service), _API_KEYS))


def _stop_at_wrong(config: Config, questions: Sequence[Question[Cloud]]) -> None:
    stop_at_wrong(ask(questions, _cloud(config, place(config)), _SECONDS))


def _cloud(config: Config, where: Place) -> Cloud:
    session = open_session()
    for scheme in ("http://", "https://"):
        session.mount(scheme, HTTPAdapter(pool_maxsize=32))  # for all that is asked at once
    return Cloud(config, where, session)


def _account(role: Role) -> Question[Cloud]:
    return Question(f"boatyard-{role}", partial(account, role))


def _image(name: str) -> Question[Cloud]:
    return Question(f"image {name}", partial(image, name))


def _secrets(config: Config) -> list[Question[Cloud]]:
    wanted = [WANDB_SECRET] if config.tracking.mode == "online" else []
    return [Question(name, partial(secret, name, True)) for name in wanted]


_API_KEYS = Question(API_KEYS_SECRET, partial(secret, API_KEYS_SECRET, False))


def _new_bucket(where: Place, name: str) -> str:
    return (
        f"gcloud storage buckets create gs://{name} --project={where.project} --location={where.region} "
        "--uniform-bucket-level-access --public-access-prevention"
    )


def _build(where: Place, commit: str) -> str:
    return (
        f"gcloud builds submit --project={where.project} --region={where.region} "
        f"--gcs-source-staging-dir={where.storage}/build "
        f'--substitutions="COMMIT_SHA={commit},_REPOSITORY={where.repository}"'
    )


def _token(cloud: Cloud, email: str) -> str:
    """Of a service account, for five minutes."""
    path = f"v1/projects/-/serviceAccounts/{email}:generateAccessToken"
    asked = {"scope": ["https://www.googleapis.com/auth/cloud-platform"], "lifetime": "300s"}
    return str(cloud.api("iamcredentials").post(path, asked)["accessToken"])


def _roles(missing: Sequence[access.Grant]) -> str:
    return ", ".join(f"{one.role} on {one.on.name}" for one in missing)


def _limit(metric: dict[str, Any], region: str) -> int | None:
    """The region's own limit, or else that of all regions; None where there is none."""
    buckets = [one for limit in metric.get("consumerQuotaLimits", []) for one in limit.get("quotaBuckets", [])]
    given = {one.get("dimensions", {}).get("region"): int(one.get("effectiveLimit", 0)) for one in buckets}
    limit = given.get(region, given.get(None, 0))
    return None if limit < 0 else limit
