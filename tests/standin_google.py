"""A stand-in for the Google Cloud APIs that the doctor queries, with a state that a test sets.

Paths, parameters and messages are Google's own: they come from the discovery documents, and a request or a response
that does not match them fails the test.
"""

import json
import re
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import cache
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from importlib.resources import files
from pathlib import Path
from typing import Any, Self
from urllib.parse import parse_qs, unquote, urlsplit

import jsonschema

from boatyard.cloud.schemas import google_schema
from boatyard.doctor.google import APIS
from boatyard.doctor.resources import CLEANUP, LIFECYCLE

YOU = "you"
ROOT = Path(__file__).parents[1]
Object = dict[str, Any]
Answer = Callable[["Google", list[str], Object, str], Object | None]


@dataclass
class State:
    """What exists, and who may do what on which path."""

    project: str
    project_state: str = "ACTIVE"
    billing: bool = True
    apis: set[str] = field(default_factory=set)
    buckets: dict[str, tuple[str, str]] = field(default_factory=dict)
    accounts: dict[str, Object] = field(default_factory=dict)
    repositories: dict[str, str] = field(default_factory=dict)
    kept_for_good: bool = False
    """No lifecycle of the bucket, no clean-up of the repository."""
    soft_delete_seconds: int = 0
    tags: set[str] = field(default_factory=set)
    quotas: dict[str, dict[str | None, int]] = field(default_factory=dict)
    secrets: dict[str, list[str]] = field(default_factory=dict)
    granted: dict[str, set[str]] = field(default_factory=dict)
    """The permissions of each account, on any resource."""
    refusing: set[str] = field(default_factory=set)
    """APIs that deny all access."""
    reason: Object = field(default_factory=dict)
    """Why, as google.rpc.ErrorInfo."""
    objects: dict[str, list[str]] = field(default_factory=dict)
    """The names in each bucket."""
    payer: str = "0A-0B"
    """The billing account."""
    payers: dict[str, bool] = field(default_factory=dict)
    """The billing accounts of whoever asks, and whether each is open."""
    late: int = 0
    """How often a new API or account is unknown at first."""
    taken: set[str] = field(default_factory=set)
    """The names of other people's buckets."""
    denied: set[str] = field(default_factory=set)
    """Permissions that whoever asks lacks."""
    seconds: float = 0.0
    """The delay of each response."""


REGION = "europe-west1"
T4 = "aiplatform.googleapis.com/custom_model_training_nvidia_t4_gpus"
CPUS = "aiplatform.googleapis.com/custom_model_training_cpus"
SPOT_CPUS = "aiplatform.googleapis.com/custom_model_training_preemptible_cpus"
SPOT_T4 = "aiplatform.googleapis.com/custom_model_training_preemptible_nvidia_t4_gpus"
_OBJECTS = {f"storage.objects.{verb}" for verb in ("create", "delete", "get", "list", "update")}


class AnyCommit(set[str]):
    """Every image of every commit."""

    def __contains__(self, tag: object) -> bool:
        return True


def email(project: str, role: str) -> str:
    return f"boatyard-{role}@{project}.iam.gserviceaccount.com"


def all_is_well(project: str, bucket: str, tags: set[str]) -> State:
    """`tags`: images, each as NAME/COMMIT."""
    images = {f"artifactregistry.repositories.{verb}Artifacts" for verb in ("download", "upload")}
    jobs = {f"aiplatform.customJobs.{verb}" for verb in ("create", "get")}
    services = {f"run.services.{verb}" for verb in ("create", "get", "update")}
    used = {"serviceusage.services.use", "artifactregistry.tags.get"}
    lent = {f"iam.serviceAccounts.{verb}" for verb in ("actAs", "getAccessToken", "getOpenIdToken")}
    return State(
        project=project,
        apis=set(APIS),
        buckets={bucket: (REGION.upper(), "region")},
        accounts={email(project, role): {} for role in ("train", "run", "build")},
        repositories={f"{REGION}/boatyard": "DOCKER"},
        tags=tags,
        quotas={
            T4: {None: 0, "us-central1": 9, REGION: 1},
            SPOT_T4: {None: 2},
            CPUS: {None: 0, REGION: 42},
            SPOT_CPUS: {None: 42},
        },
        secrets={"wandb-api-key": ["ENABLED"]},
        objects={bucket: ["boatyard/models/plants/1"]},
        granted={
            YOU: {"cloudbuild.builds.create", "logging.logEntries.list", *jobs, *services, *lent, *used, *_OBJECTS},
            email(project, "train"): {*_OBJECTS, "logging.logEntries.create", "secretmanager.versions.access"},
            email(project, "run"): {
                *_OBJECTS,
                "run.routes.invoke",
                "secretmanager.versions.access",
                "monitoring.timeSeries.create",
            },
            email(project, "build"): {"storage.objects.get", "logging.logEntries.create", *images},
        },
    )


class Refused(Exception):  # noqa: N818
    """An error response; `reason` and `facts` as google.rpc.ErrorInfo has them."""

    def __init__(self, status: int, message: str, reason: str = "", **facts: str) -> None:
        super().__init__(message)
        self.status = status
        self.reason = reason
        self.facts = facts


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    request_queue_size = 64  # for concurrent requests; the client would retry others after a second


class Google:
    """`with Google(state) as google:` serves at `google.environment`, and records the requests in `google.requests`."""

    def __init__(self, state: State) -> None:
        self.state = state
        self.requests: list[tuple[str, str, str]] = []
        self.mistakes: list[str] = []
        self._request = threading.local()
        self._server = _Server(("127.0.0.1", 0), self._handler())
        url = f"http://127.0.0.1:{self._server.server_port}"
        paths = {api: f"{url}/{api}" for api in {api for api, _ in self.methods}} | {
            "storage": f"{url}/storage/storage/v1"
        }
        self.environment = {f"CLOUDSDK_API_ENDPOINT_OVERRIDES_{api.upper()}": path for api, path in paths.items()}

    @property
    def path(self) -> str:
        """Of the request that this thread answers."""
        return str(self._request.path)

    @property
    def query(self) -> dict[str, list[str]]:
        """As `path`."""
        query: dict[str, list[str]] = self._request.query
        return query

    @property
    def methods(self) -> "dict[tuple[str, str], Answer]":
        """What is understood."""
        return METHODS

    def admit(self, api: str) -> None:
        """Raises Refused: nothing of this API is answered."""

    def __enter__(self) -> Self:
        threading.Thread(target=self._server.serve_forever, args=(0.05,), daemon=True).start()
        return self

    def __exit__(self, *raised: object) -> None:
        self._server.shutdown()
        self._server.server_close()

    def answer(self, verb: str, target: str, body: bytes, token: str) -> tuple[int, Object]:
        time.sleep(self.state.seconds)
        address = urlsplit(target)
        api, _, path = address.path.lstrip("/").partition("/")
        who = token.removeprefix("Bearer token-of-") or YOU
        self.requests.append((verb, api, path))
        if api in self.state.refusing:
            status, problem = _problem(403, f"Permission denied on {api}.")
            info = {"@type": "type.googleapis.com/google.rpc.ErrorInfo", "domain": "googleapis.com"}
            problem["error"]["details"] = [info | self.state.reason] if self.state.reason else []
            return status, problem
        for (name, identity), answer in self.methods.items():
            method = _described(name, identity)
            if name != api or verb != method["httpMethod"] or not (match := method["regex"].fullmatch(path)):
                continue
            query = parse_qs(address.query)
            content = json.loads(body) if body else query
            try:
                assert set(query) <= set(method["parameters"]), f"{identity} takes no {set(query)}"
                if body and "request" in method:
                    _fits(name, method, "request", content)
                self._request.path, self._request.query = unquote(path), query
                self.admit(api)
                response = answer(self, [unquote(part) for part in match.groups()], content, who)
                if response is None:
                    return _problem(404, f"{path} was not found.")
                if "response" in method:
                    _fits(name, method, "response", response)
            except Refused as refusal:
                status, problem = _problem(refusal.status, str(refusal))
                if refusal.reason:
                    info = {"reason": refusal.reason, "domain": "googleapis.com", "metadata": refusal.facts}
                    problem["error"]["details"] = [{"@type": "type.googleapis.com/google.rpc.ErrorInfo"} | info]
                return status, problem
            except PermissionError as error:
                return _problem(403, str(error))
            except (AssertionError, jsonschema.ValidationError) as error:
                self.mistakes.append(f"{identity}: {error}")
                return _problem(500, str(error))
            return 200, response
        self.mistakes.append(f"{api} has no {verb} {path}")
        return _problem(501, "no such method here")

    def _handler(self) -> type[BaseHTTPRequestHandler]:
        google = self

        class Handler(BaseHTTPRequestHandler):
            def _serve(self) -> None:
                body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
                token = self.headers.get("Authorization", "")
                status, response = google.answer(self.command, self.path, body, token)
                content = json.dumps(response).encode()
                self.send_response(status)
                self.send_header("Content-Type", "application/json")
                self.send_header("Content-Length", str(len(content)))
                self.end_headers()
                self.wfile.write(content)

            do_GET = do_POST = do_PUT = do_PATCH = do_DELETE = _serve  # noqa: N815

            def log_message(self, *words: object) -> None:
                pass

        return Handler


def _project(google: Google, path: list[str], _: Object, __: str) -> Object | None:
    if path != [google.state.project]:
        raise PermissionError("The caller does not have permission")
    return {"name": "projects/1", "projectId": path[0], "state": google.state.project_state}


def _billing(google: Google, path: list[str], _: Object, __: str) -> Object:
    on = google.state.billing
    return {"projectId": path[0], "billingEnabled": on} | (
        {"billingAccountName": f"billingAccounts/{google.state.payer}"} if on else {}
    )


def _services(google: Google, _: list[str], content: Object, __: str) -> Object:
    def state(name: str) -> str:
        return "ENABLED" if name.rpartition("/")[2].partition(".")[0] in google.state.apis else "DISABLED"

    return {"services": [{"name": name, "state": state(name)} for name in content["names"]]}


def _quota(google: Google, path: list[str], content: Object, __: str) -> Object | None:
    metric = path[-1]
    if (limits := google.state.quotas.get(metric)) is None:
        return None

    def bucket(region: str | None, limit: int) -> Object:  # zeros are left out
        value: Object = {"effectiveLimit": str(limit)} if limit else {}
        return value | ({"dimensions": {"region": region}} if region else {})

    full = content.get("view") == ["FULL"]  # otherwise only what somebody has set
    buckets = [bucket(region, limit) for region, limit in limits.items() if full or region is None]
    unit = "1/{project}/{region}"
    return {"metric": metric, "consumerQuotaLimits": [{"metric": metric, "unit": unit, "quotaBuckets": buckets}]}


def _bucket(google: Google, path: list[str], _: Object, __: str) -> Object | None:
    if (place := google.state.buckets.get(path[0])) is None:
        return None
    kept: Object = {} if google.state.kept_for_good else {"lifecycle": json.loads((ROOT / LIFECYCLE).read_text())}
    soft = {"softDeletePolicy": {"retentionDurationSeconds": str(google.state.soft_delete_seconds)}}
    return {"kind": "storage#bucket", "name": path[0], "location": place[0], "locationType": place[1], **kept, **soft}


def _bucket_permissions(google: Google, path: list[str], content: Object, who: str) -> Object | None:
    return _permissions(google, path, content, who) if path[0] in google.state.buckets else None


def _permissions(google: Google, _: list[str], content: Object, who: str) -> Object:
    has = google.state.granted.get(who, set())
    allowed = [permission for permission in content["permissions"] if permission in has]
    return {"permissions": allowed} if allowed else {}


def _account(google: Google, path: list[str], _: Object, __: str) -> Object | None:
    facts = google.state.accounts.get(path[1])
    return None if facts is None else {"email": path[1], **facts}


def _token(google: Google, path: list[str], _: Object, who: str) -> Object:
    if "iam.serviceAccounts.getAccessToken" not in google.state.granted.get(who, set()):
        raise PermissionError(
            "Permission 'iam.serviceAccounts.getAccessToken' denied on resource (or it may not exist)."
        )
    return {"accessToken": f"token-of-{path[1]}", "expireTime": "2030-01-01T00:00:00Z"}


def _repository(google: Google, path: list[str], _: Object, __: str) -> Object | None:
    kind = google.state.repositories.get("/".join(path[1:]))
    kept: Object = {} if google.state.kept_for_good else {"cleanupPolicies": _cleanup()}
    return None if kind is None else {"name": "/".join(path), "format": kind, **kept}


def _cleanup() -> Object:
    """The policies of the file that gcloud reads, in the API's words."""
    days = 86400
    policies = {}
    for policy in json.loads((ROOT / CLEANUP).read_text()):
        sent = {"id": policy["name"], "action": policy["action"]["type"].upper()}
        if condition := policy.get("condition"):
            older = f"{int(condition['olderThan'].removesuffix('d')) * days}s"
            sent["condition"] = {"tagState": condition["tagState"].upper(), "olderThan": older}
        policies[policy["name"]] = sent | {key: policy[key] for key in ("mostRecentVersions",) if key in policy}
    return policies


def _repository_permissions(google: Google, path: list[str], content: Object, who: str) -> Object | None:
    return _permissions(google, path, content, who) if "/".join(path[1:]) in google.state.repositories else None


def _tag(google: Google, path: list[str], _: Object, __: str) -> Object | None:
    return {"name": "/".join(path)} if "/".join(path[-2:]) in google.state.tags else None


def _secret(google: Google, path: list[str], _: Object, __: str) -> Object | None:
    return {"name": path[1]} if path[1] in google.state.secrets else None


def _secret_permissions(google: Google, path: list[str], content: Object, who: str) -> Object | None:
    return _permissions(google, path, content, who) if path[1] in google.state.secrets else None


def _version(google: Google, path: list[str], _: Object, __: str) -> Object | None:
    states = google.state.secrets.get(path[1]) or []
    return {"name": str(len(states)), "state": states[-1]} if states and path[2] == "latest" else None


_VERSIONS = {
    "artifactregistry": "v1",
    "billingbudgets": "v1",
    "cloudbilling": "v1",
    "cloudresourcemanager": "v3",
    "cloudscheduler": "v1",  # part: monitor
    "iam": "v1",
    "iamcredentials": "v1",
    "monitoring": "v3",
    "secretmanager": "v1",
    "serviceusage": "v1",
    "storage": "v1",
}
_IMAGES = "artifactregistry.projects.locations.repositories"
METHODS: dict[tuple[str, str], Answer] = {
    ("artifactregistry", f"{_IMAGES}.get"): _repository,
    ("artifactregistry", f"{_IMAGES}.packages.tags.get"): _tag,
    ("artifactregistry", f"{_IMAGES}.testIamPermissions"): _repository_permissions,
    ("cloudbilling", "cloudbilling.projects.getBillingInfo"): _billing,
    ("cloudresourcemanager", "cloudresourcemanager.projects.get"): _project,
    ("cloudresourcemanager", "cloudresourcemanager.projects.testIamPermissions"): _permissions,
    ("iam", "iam.projects.serviceAccounts.get"): _account,
    ("iam", "iam.projects.serviceAccounts.testIamPermissions"): _permissions,
    ("iamcredentials", "iamcredentials.projects.serviceAccounts.generateAccessToken"): _token,
    ("secretmanager", "secretmanager.projects.secrets.get"): _secret,
    ("secretmanager", "secretmanager.projects.secrets.testIamPermissions"): _secret_permissions,
    ("secretmanager", "secretmanager.projects.secrets.versions.get"): _version,
    ("serviceusage", "serviceusage.services.batchGet"): _services,
    ("serviceusage", "serviceusage.services.consumerQuotaMetrics.get"): _quota,
    ("storage", "storage.buckets.get"): _bucket,
    ("storage", "storage.buckets.testIamPermissions"): _bucket_permissions,
}


@cache
def _described(api: str, identity: str) -> Object:
    """The method's description, its path as a regular expression and its version."""
    version = "v1beta1" if "consumerQuotaMetrics" in identity else _VERSIONS[api]
    method = document = _document(api, version)
    for part in identity.split(".")[1:-1]:
        method = method["resources"][part]
    method = method["methods"][identity.rpartition(".")[2]]
    path = document["servicePath"] + method.get("flatPath", method["path"])
    regex = re.sub(r"\\\{\w+\\\}", "([^/:]+?)", re.escape(path))
    return {**method, "regex": re.compile(regex), "version": version}


@cache
def _document(api: str, version: str) -> Object:
    file = files("googleapiclient").joinpath("discovery_cache", "documents", f"{api}.{version}.json")
    document: Object = json.loads(file.read_text(encoding="utf-8"))
    return document


def _fits(api: str, method: Object, side: str, content: Object) -> None:
    _validator(f"{api}.{method['version']}", method[side]["$ref"]).validate(content)


@cache
def _validator(api: str, message: str) -> jsonschema.Draft202012Validator:
    return jsonschema.Draft202012Validator(google_schema(api, message))


def _problem(status: int, message: str) -> tuple[int, Object]:
    return status, {"error": {"code": status, "message": message}}
