"""The checks of Google Cloud itself: the caller, the project, its APIs and accounts, by REST; nothing is changed.

Each fix is a complete command that corrects what its check reports; `invoke cloud.setup` does most of them at once.
"""

import shutil
import subprocess
from collections.abc import Sequence
from functools import partial

from google.auth.exceptions import GoogleAuthError
from google.auth.transport.requests import AuthorizedSession, Request
from requests import Session

from boatyard.cloud import access
from boatyard.cloud.access import Cloud
from boatyard.cloud.place import Role
from boatyard.cloud.rest import ApiError, open_session
from boatyard.config.errors import UserError
from boatyard.config.schema import Config
from boatyard.doctor.checks import Check, Undecided, Verdict, check, ok, warning, wrong

APIS = (
    "aiplatform",
    "artifactregistry",
    "billingbudgets",
    "cloudbilling",
    "cloudbuild",
    "cloudquotas",
    "cloudresourcemanager",
    "cloudscheduler",  # part: monitor
    "iam",
    "iamcredentials",
    "logging",
    "monitoring",
    "run",
    "secretmanager",
    "serviceusage",
    "storage",
    "sts",
)

_LOG_IN = "gcloud auth application-default login"


@check("gcloud")
def gcloud(config: Config) -> Verdict:  # noqa: ARG001
    """Needed only by builds and by the commands that fix things."""
    if (account := gcloud_account()) is None:
        return warning("not installed: the commands below need it", "open https://cloud.google.com/sdk/docs/install")
    return ok(account) if account else warning("it has no active account", "gcloud auth login")


def gcloud_account() -> str | None:
    """Who is logged in to gcloud; empty: nobody; None: there is no gcloud."""
    if (program := shutil.which("gcloud")) is None:
        return None
    words = [program, "auth", "list", "--filter=status:ACTIVE", "--format=value(account)"]
    process = subprocess.run(words, capture_output=True, text=True)  # noqa: S603 - the user's own
    return "" if process.returncode else process.stdout.strip()


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
    return wrong(
        "off: no billing account is linked; choose who pays",
        "gcloud billing accounts list --filter=open=true && "
        f"gcloud billing projects link {name} --billing-account=ACCOUNT",
    )


@check("APIs")
def apis(cloud: Cloud) -> Verdict:
    """Those that any command here calls."""
    on = enabled_apis(cloud)
    if off := [f"{api}.googleapis.com" for api in APIS if api not in on]:
        fix = f"gcloud services enable {' '.join(off)} --project={cloud.where.project}"
        return wrong(f"off: {', '.join(off)}", fix)
    return ok(f"{len(APIS)} are on")


def enabled_apis(cloud: Cloud) -> set[str]:
    """Those of APIS that are on."""
    project = f"projects/{cloud.where.project}"
    names = [f"{project}/services/{api}.googleapis.com" for api in APIS]
    services = (cloud.get("serviceusage", f"v1/{project}/services:batchGet", names=names) or {}).get("services", [])
    on = {service["name"].rpartition("/")[2] for service in services if service.get("state") == "ENABLED"}
    return {api for api in APIS if f"{api}.googleapis.com" in on}


@check("your roles")
def caller(cloud: Cloud) -> Verdict:
    """The caller of the commands may train, build, deploy and read logs."""
    if missing := access.missing_grants(cloud, access.caller_grants(cloud.where)):
        return warning(f"you lack {_roles(missing)}", access.grant_command(missing, cloud.caller))
    return ok("you may train, build, deploy and read logs")


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
            fix = access.grant_command([access.inspection_grant(where, role)], cloud.caller)
            return warning("its roles are not known: you may not impersonate it", fix)
        grants = access.service_account_grants(cloud.config, where, role)
        missing = access.missing_grants(Cloud(cloud.config, where, session), grants)
    if missing:
        return wrong(f"it lacks {_roles(missing)}", access.grant_command(missing, f"serviceAccount:{email}"))
    return ok("has its roles")


def _token(cloud: Cloud, email: str) -> str:
    """An access token of a service account, valid for five minutes."""
    path = f"v1/projects/-/serviceAccounts/{email}:generateAccessToken"
    body = {"scope": ["https://www.googleapis.com/auth/cloud-platform"], "lifetime": "300s"}
    return str(cloud.api("iamcredentials").post(path, body)["accessToken"])


def _roles(grants: Sequence[access.Grant]) -> str:
    return ", ".join(f"{grant.role} on {grant.on.name}" for grant in grants)
