"""A stand-in for Cloud Run: its Admin API (v1) and what runs the services, each instance a real process.

It is strict: what Cloud Run refuses is refused. It also serves the two other APIs that are used, for identity tokens
and for logs, and the metadata server of the instances. It lacks more than one instance of a revision, restarts by the
liveness probe, and volumes. Of side-cars it has the collector of metrics: `scrape`.
"""

import asyncio
import json
import os
import random
import re
import signal
import socket
import sys
import threading
import time
from collections.abc import Awaitable, Callable, Coroutine, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from secrets import token_urlsafe
from types import TracebackType
from typing import Any, Self

import httpx
import uvicorn
from jsonschema import Draft202012Validator
from processes import free_port
from starlette.applications import Starlette
from starlette.requests import ClientDisconnect, Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from boatyard.cloud.schemas import google_schema
from boatyard.cloud.service import annotations

Object = dict[str, Any]
Command = Callable[[str, Mapping[str, str], Path], tuple[Sequence[str], Mapping[str, str]]]

PROJECT_NUMBER = "123456789012"  # by which the API names the project
BODY_BYTES = 32 * 2**20
MOST_START_SECONDS = 240
_HOST = ("PATH", "HOME", "PYTHONPATH", "STORAGE_EMULATOR_HOST")  # the machine's, and where its network leads
_HOP = {"connection", "keep-alive", "transfer-encoding", "te", "upgrade", "host", "content-length"}
_COLLECTOR = "/cloud-run-gmp-sidecar:"
_RESERVED = {"PORT", "K_SERVICE", "K_REVISION", "K_CONFIGURATION"}


_MODULES = {"api": ["boatyard.api"], "monitor": ["boatyard.monitor", "serve"], "frontend": ["boatyard.frontend"]}


def service_process(
    image: str,
    environment: Mapping[str, str],
    folder: Path,
) -> tuple[Sequence[str], Mapping[str, str]]:
    """The command and environment that stand for a container of a service's image; its /tmp is the folder."""
    own = {key: str(folder) + value[4:] if value.startswith("/tmp/") else value for key, value in environment.items()}  # noqa: S108
    name = image.rpartition("/")[2].partition(":")[0]
    return [sys.executable, "-m", *_MODULES[name]], own | {"TMPDIR": str(folder)}


class Refused(Exception):  # noqa: N818
    """An error response of the API."""

    def __init__(self, status: int, message: str) -> None:
        super().__init__(message)
        self.status = status


class StartError(Exception):
    """A revision does not become ready."""


@dataclass(frozen=True)
class Exit:
    """How an instance ended."""

    revision: str
    status: int
    killed: bool
    """SIGTERM was not enough."""


@dataclass
class Instance:
    process: asyncio.subprocess.Process
    url: str
    slots: asyncio.Semaphore
    in_flight: int = 0
    serving: int = 0
    """Of those in flight, the ones that do not wait."""


@dataclass
class Revision:
    name: str
    service: str
    template: Object
    created: str
    ready: bool | None = None
    message: str = ""
    instance: Instance | None = None
    starting: asyncio.Lock = field(default_factory=asyncio.Lock)
    starts: int = 0
    peak: int = 0
    """Most requests at once."""

    @property
    def container(self) -> Object:
        """The one that listens; a collector may stand beside it."""
        return _listening(self.template["spec"]["containers"])


@dataclass
class Service:
    metadata: Object
    spec: Object
    url: str
    changing: asyncio.Lock = field(default_factory=asyncio.Lock)
    revisions: dict[str, Revision] = field(default_factory=dict)
    routes: list[Object] = field(default_factory=list)
    tags: dict[str, str] = field(default_factory=dict)
    observed: int = 0
    latest_ready: str | None = None
    conditions: dict[str, tuple[str, str]] = field(default_factory=dict)


class CloudRun:
    """Serves while `with` is entered; `environment` is what sends the project's commands here."""

    def __init__(
        self,
        folder: Path,
        *,
        project: str = "boatyard-test",
        command: Command = service_process,
        secrets: Mapping[str, str] | None = None,
        queue_seconds: float = 10.0,
        grace_seconds: float = 10.0,
    ) -> None:
        self.project = project
        self.requests: list[tuple[str, str, Any]] = []
        """Method, path and body of all that the Admin API was asked to change."""
        self.exits: list[Exit] = []
        self._folder = folder
        self._command = command
        self._secrets = dict(secrets or {})
        self._queue_seconds = queue_seconds
        self._grace_seconds = grace_seconds
        self._services: dict[str, Service] = {}
        self._tokens: dict[str, str] = {}
        self._tasks: set[asyncio.Task[Any]] = set()
        self._servers: list[uvicorn.Server] = []
        self._version = 0
        self._schema = Draft202012Validator(google_schema("run.v1", "Service"))

    # for tests

    @property
    def environment(self) -> dict[str, str]:
        names = ("RUN", "IAMCREDENTIALS", "LOGGING")
        return {
            **{f"CLOUDSDK_API_ENDPOINT_OVERRIDES_{name}": self.url for name in names},
            "CLOUDSDK_AUTH_DISABLE_CREDENTIALS": "true",
            "GOOGLE_CLOUD_PROJECT": self.project,
        }

    def service_url(self, name: str) -> str:
        return self._services[name].url

    def token(self, name: str) -> str:
        """An identity token of somebody who may call the service."""
        return self._new_token(self._services[name].url)

    def headers(self, name: str) -> dict[str, str]:
        return {"Authorization": f"Bearer {self.token(name)}"}

    def revision(self, name: str) -> Revision:
        return next(service.revisions[name] for service in self._services.values() if name in service.revisions)

    def traffic(self, name: str) -> dict[str, int]:
        return {route["revisionName"]: route["percent"] for route in self._services[name].routes if route["percent"]}

    def tags(self, name: str) -> dict[str, str]:
        return {route["tag"]: route["revisionName"] for route in self._services[name].routes if "tag" in route}

    def scrape(self, name: str) -> str:
        """What the collector beside a service reads, as it does unless told otherwise: /metrics on port 8080."""
        (revision,) = [self.revision(revision) for revision in self.traffic(name)]
        assert any(_COLLECTOR in each["image"] for each in revision.template["spec"]["containers"]), "no collector"
        assert annotations(revision.template)["run.googleapis.com/cpu-throttling"] == "false", "it would stand still"
        assert revision.container["ports"][0]["containerPort"] == 8080
        assert revision.instance is not None
        return httpx.get(f"{revision.instance.url}/metrics").raise_for_status().text

    def __enter__(self) -> Self:
        self._folder.mkdir(parents=True, exist_ok=True)
        started = threading.Event()
        self._thread = threading.Thread(target=lambda: asyncio.run(self._serve(started)), daemon=True)
        self._thread.start()
        assert started.wait(30)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, raised: BaseException | None, at: TracebackType | None
    ) -> None:
        self._loop.call_soon_threadsafe(self._over.set)
        self._thread.join(60)
        assert not self._thread.is_alive()

    # the loop that all of it runs in

    async def _serve(self, started: threading.Event) -> None:
        self._loop = asyncio.get_running_loop()
        self._over = asyncio.Event()
        limits = httpx.Limits(max_connections=None, max_keepalive_connections=0)
        self._client = httpx.AsyncClient(limits=limits, trust_env=False)
        self.url = await self._listen(self._admin())
        started.set()
        await self._over.wait()
        for task in list(self._tasks):
            if task.get_name() != "server":
                task.cancel()
        revisions = [revision for service in self._services.values() for revision in service.revisions.values()]
        await asyncio.gather(*(self._retire(revision) for revision in revisions))
        for server in self._servers:
            server.should_exit = True
        await asyncio.gather(*self._tasks, return_exceptions=True)
        await self._client.aclose()

    def _spawn(self, work: Coroutine[Any, Any, Any], name: str | None = None) -> None:
        task = self._loop.create_task(work, name=name)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _listen(self, app: Any) -> str:
        listening = socket.socket()
        listening.bind(("127.0.0.1", 0))
        server = uvicorn.Server(
            uvicorn.Config(app, log_level="critical", lifespan="off", ws="none", timeout_graceful_shutdown=1)
        )
        self._servers.append(server)
        self._spawn(server.serve(sockets=[listening]), "server")
        while not server.started:
            await asyncio.sleep(0.01)
        return f"http://127.0.0.1:{listening.getsockname()[1]}"

    # the Admin API

    def _admin(self) -> Starlette:
        services = f"/apis/serving.knative.dev/v1/namespaces/{self.project}/services"
        revisions = f"/apis/serving.knative.dev/v1/namespaces/{self.project}/revisions"

        def route(path: str, method: str, answer: Callable[[Request, Any], Awaitable[Any]]) -> Route:
            async def handle(request: Request) -> Response:
                sent = await request.body()
                body = json.loads(sent) if sent else None
                if method != "GET" and path.startswith("/apis/"):
                    self.requests.append((method, request.url.path, body))
                try:
                    return JSONResponse(await answer(request, body))
                except Refused as why:
                    error = {"code": why.status, "message": str(why)}
                    return JSONResponse({"error": error}, why.status)

            return Route(path, handle, methods=[method])

        return Starlette(
            routes=[
                route(services, "POST", self._create),
                route(services + "/{name}", "GET", self._get),
                route(services + "/{name}", "PUT", self._replace),
                route(services + "/{name}", "DELETE", self._delete),
                route(revisions, "GET", self._list_revisions),
                route("/v1/projects/-/serviceAccounts/{account}", "POST", self._generate_token),
                route("/v2/entries:list", "POST", self._list_entries),
                Route("/computeMetadata/v1/instance/service-accounts/default/identity", self._metadata_token),
            ]
        )

    async def _create(self, request: Request, body: Object) -> Object:  # noqa: ARG002
        self._check(body)
        name = body["metadata"]["name"]
        if name in self._services:
            raise Refused(409, f"Resource '{name}' already exists.")
        self._check_template(body, None)
        metadata = {**body["metadata"], "generation": 0, "creationTimestamp": _now(), "uid": token_urlsafe(8)}
        metadata["annotations"] = {**metadata.get("annotations", {}), "serving.knative.dev/creator": "somebody"}
        service = Service(metadata, {}, "")
        service.url = await self._listen(self._front(service, None))
        self._services[name] = service
        return self._accept(service, body)

    async def _replace(self, request: Request, body: Object) -> Object:
        service = self._find(request)
        self._check(body)
        if body["metadata"]["name"] != service.metadata["name"]:
            raise Refused(400, "metadata.name: is not the name in the path.")
        if (
            body["metadata"].get("resourceVersion", service.metadata["resourceVersion"])
            != (service.metadata["resourceVersion"])
        ):
            raise Refused(409, "Conflict for resource: the service was changed meanwhile.")
        creator = "serving.knative.dev/creator"
        if body["metadata"].get("annotations", {}).get(creator) != service.metadata["annotations"][creator]:
            raise Refused(400, f"metadata.annotations[{creator}]: annotation value is immutable.")
        self._check_template(body, service)
        for part in ("annotations", "labels"):
            service.metadata[part] = body["metadata"].get(part, {})
        return self._accept(service, body)

    async def _get(self, request: Request, body: Object) -> Object:  # noqa: ARG002
        return self._shown(self._find(request))

    async def _delete(self, request: Request, body: Object) -> Object:  # noqa: ARG002
        service = self._services.pop(self._find(request).metadata["name"])
        service.routes = []
        for revision in service.revisions.values():
            self._spawn(self._retire(revision))
        return {"kind": "Status", "status": "Success"}

    async def _list_revisions(self, request: Request, body: Object) -> Object:  # noqa: ARG002
        name = request.query_params["labelSelector"].removeprefix("serving.knative.dev/service=")
        revisions = self._services[name].revisions.values() if name in self._services else []
        return {"kind": "RevisionList", "items": [_shown_revision(revision) for revision in revisions]}

    async def _generate_token(self, request: Request, body: Object) -> Object:
        account, _, verb = request.path_params["account"].partition(":")
        if verb == "generateAccessToken":  # by which standin_google.py identifies the caller
            return {"accessToken": f"token-of-{account}", "expireTime": "2030-01-01T00:00:00Z"}
        if verb != "generateIdToken":
            raise Refused(404, "no such method")
        if account != f"boatyard-run@{self.project}.iam.gserviceaccount.com":
            raise Refused(403, f"Permission 'iam.serviceAccounts.getOpenIdToken' denied on {account}")
        return {"token": self._new_token(body["audience"])}

    async def _metadata_token(self, request: Request) -> Response:
        if request.headers.get("metadata-flavor") != "Google":
            return Response("403: the header Metadata-Flavor is missing", 403)
        return Response(self._new_token(request.query_params["audience"]))

    async def _list_entries(self, request: Request, body: Object) -> Object:  # noqa: ARG002
        terms = dict(re.findall(r'([\w.]+)="([^"]*)"', body["filter"]))
        assert terms["resource.type"] == "cloud_run_revision"
        assert 'timestamp>="' in body["filter"], "or else all that is kept is searched"
        if "pageToken" not in body:  # where it has searched for a while and found nothing yet
            return {"nextPageToken": "1"}
        entries = []
        for file in sorted(self._folder.glob(f"{terms['resource.labels.service_name']}-*/log")):
            for line in file.read_text(errors="replace").splitlines():
                with suppress(ValueError):
                    payload = json.loads(line)
                    stamp, severity = payload.pop("time"), payload.pop("severity")
                    entries.append({"timestamp": stamp, "severity": severity, "jsonPayload": payload})
                    continue
                entries.append({"timestamp": _now(), "textPayload": line})
        entries.sort(key=lambda entry: entry["timestamp"], reverse=body.get("orderBy") == "timestamp desc")
        return {"entries": entries[: body["pageSize"]]}

    def _find(self, request: Request) -> Service:
        name = request.path_params["name"]
        if name not in self._services:
            raise Refused(404, f"Resource '{name}' of kind 'SERVICE' does not exist.")
        return self._services[name]

    def _new_token(self, audience: str) -> str:
        token = token_urlsafe()
        self._tokens[token] = audience
        return token

    # what it refuses

    def _check(self, body: Object) -> None:
        for wrong in self._schema.iter_errors(body):
            raise Refused(400, f"Invalid JSON payload received at '{wrong.json_path}': {wrong.message}")
        if (body.get("apiVersion"), body.get("kind")) != ("serving.knative.dev/v1", "Service"):
            raise Refused(400, "apiVersion and kind must be serving.knative.dev/v1 and Service.")
        if body["metadata"].get("namespace") not in {self.project, PROJECT_NUMBER}:
            raise Refused(400, "metadata.namespace: must be the project of the path.")
        spec = body["spec"]["template"]["spec"]
        if "volumes" in spec:
            raise Refused(501, "the stand-in has no volumes.")
        _check_containers(spec["containers"], annotations(body["spec"]["template"]))
        container = _listening(spec["containers"])
        names = [variable["name"] for variable in container.get("env", [])]
        if reserved := _RESERVED & set(names):
            raise Refused(400, f"The following reserved env names were provided: {', '.join(sorted(reserved))}.")
        if len(names) != len(set(names)):
            raise Refused(400, "spec.template.spec.containers[0].env: a name is given twice.")
        for variable in container.get("env", []):
            if not isinstance(variable.get("value", ""), str) or ("value" in variable) == ("valueFrom" in variable):
                raise Refused(400, f"env {variable['name']}: give a value or valueFrom.")
        for kind, most in (("startupProbe", MOST_START_SECONDS), ("livenessProbe", 3600)):
            probe = container.get(kind, {})
            if probe.get("timeoutSeconds", 1) > probe.get("periodSeconds", 10):
                raise Refused(400, f"{kind}.timeout_seconds: must not be greater than period_seconds.")
            if kind == "startupProbe" and probe.get("periodSeconds", 10) * probe.get("failureThreshold", 3) > most:
                raise Refused(400, f"{kind}: must end within {most} seconds.")
        targets = body["spec"].get("traffic") or []
        if any(target.get("latestRevision") or "revisionName" not in target for target in targets):
            raise Refused(501, "the stand-in routes to revisions by their names.")
        if targets and sum(target.get("percent", 0) for target in targets) != 100:
            raise Refused(400, "spec.traffic: the percentages must add up to 100.")
        tags = [target["tag"] for target in targets if "tag" in target]
        if len(tags) != len(set(tags)):
            raise Refused(400, "spec.traffic: a tag is given twice.")

    def _check_template(self, body: Object, service: Service | None) -> None:
        name, template = body["metadata"]["name"], body["spec"]["template"]
        revision = template.get("metadata", {}).get("name")
        if revision is None:
            raise Refused(501, "the stand-in makes up no names for revisions.")
        if not re.fullmatch(rf"{re.escape(name)}-[a-z0-9]([a-z0-9-]*[a-z0-9])?", revision) or len(revision) > 63:
            raise Refused(400, f"spec.template.metadata.name: {revision} must begin with {name}- and be short.")
        known = service.revisions if service else {}
        if revision in known and known[revision].template != template:
            raise Refused(409, f"Revision named '{revision}' with different configuration already exists.")

    # what it does with what it accepted

    def _accept(self, service: Service, body: Object) -> Object:
        self._version += 1
        service.spec = body["spec"]
        service.metadata["generation"] += 1
        service.metadata["resourceVersion"] = f"v{self._version}"
        template, name = body["spec"]["template"], body["metadata"]["name"]
        latest = template["metadata"]["name"]
        if latest not in service.revisions:
            service.revisions[latest] = Revision(latest, name, template, _now())
        service.conditions = dict.fromkeys(("Ready", "ConfigurationsReady", "RoutesReady"), ("Unknown", ""))
        self._spawn(self._reconcile(service, service.metadata["generation"], body["spec"]))
        return self._shown(service)

    async def _reconcile(self, service: Service, generation: int, spec: Object) -> None:
        async with service.changing:
            latest = service.revisions[spec["template"]["metadata"]["name"]]
            if latest.ready is None:
                with suppress(StartError):
                    await self._running(latest)
                    service.latest_ready = latest.name
            routed, message = list(spec.get("traffic", [])), ""
            for target in routed:
                revision = service.revisions.get(target["revisionName"])
                try:
                    if revision is None:
                        raise StartError(f"Revision '{target['revisionName']}' does not exist.")
                    if revision.ready is False:
                        raise StartError(revision.message)
                    await self._running(revision)
                except StartError as why:
                    message = str(why)
            if not message:
                for target in routed:
                    if "tag" in target and target["tag"] not in service.tags:
                        service.tags[target["tag"]] = await self._listen(self._front(service, target["tag"]))
                service.routes = [{"percent": 0, **target} for target in routed]
            if generation == service.metadata["generation"]:
                configured = ("True", "") if latest.ready else ("False", latest.message)
                reached = ("False", message) if message else ("True", "")
                service.conditions = {
                    "Ready": next((each for each in (configured, reached) if each[0] == "False"), ("True", "")),
                    "ConfigurationsReady": configured,
                    "RoutesReady": reached,
                }
                service.observed = generation
            asked_for = {target["revisionName"] for target in service.routes}
            for revision in service.revisions.values():
                if revision.name not in asked_for and revision.instance:
                    self._spawn(self._retire(revision))

    def _shown(self, service: Service) -> Object:
        traffic = [
            {**target, **({"url": service.tags[target["tag"]]} if "tag" in target else {})} for target in service.routes
        ]
        return {
            "apiVersion": "serving.knative.dev/v1",
            "kind": "Service",
            "metadata": service.metadata | {"namespace": PROJECT_NUMBER},
            "spec": service.spec,
            "status": {
                "observedGeneration": service.observed,
                "conditions": [_condition(kind, *state) for kind, state in service.conditions.items()],
                "latestCreatedRevisionName": list(service.revisions)[-1],
                "latestReadyRevisionName": service.latest_ready,
                "traffic": traffic,
                "url": service.url,
            },
        }

    # instances

    async def _running(self, revision: Revision) -> Instance:
        """Its instance, started where there is none. Raises StartError."""
        async with revision.starting:
            if revision.instance and revision.instance.process.returncode is None:
                return revision.instance
            try:
                revision.instance = await self._start(revision)
            except StartError as why:
                if revision.ready is None:
                    revision.ready = False
                    revision.message = f"Revision '{revision.name}' is not ready and cannot serve traffic. {why}"
                raise StartError(revision.message or str(why)) from None
            revision.ready = True
            return revision.instance

    async def _start(self, revision: Revision) -> Instance:
        revision.starts += 1
        container, port = revision.container, free_port()
        environment = {"PORT": str(port), "K_SERVICE": revision.service, "K_CONFIGURATION": revision.service}
        environment["K_REVISION"] = revision.name
        environment["GCE_METADATA_HOST"] = self.url.removeprefix("http://")
        for variable in container.get("env", []):
            environment[variable["name"]] = variable.get("value") or self._secret(variable)
        folder = self._folder / f"{revision.name}-{revision.starts}"  # a new instance has an empty disk
        folder.mkdir()
        words, variables = self._command(container["image"], environment, folder)
        variables = {key: os.environ[key] for key in _HOST if key in os.environ} | dict(variables)
        with (folder / "log").open("wb") as log:
            process = await asyncio.create_subprocess_exec(*words, env=variables, cwd=folder, stdout=log, stderr=log)
        cap = revision.template["spec"].get("containerConcurrency") or 80
        instance = Instance(process, f"http://127.0.0.1:{port}", asyncio.Semaphore(cap))
        probe = container.get("startupProbe", {})
        path = probe.get("httpGet", {}).get("path", "/")
        await asyncio.sleep(probe.get("initialDelaySeconds", 0))
        for _ in range(probe.get("failureThreshold", 3)):
            began = time.monotonic()
            if process.returncode is not None:
                raise StartError(f"The container exited with status {process.returncode} and did not listen on PORT.")
            with suppress(httpx.TransportError):
                response = await self._client.get(instance.url + path, timeout=probe.get("timeoutSeconds", 1))
                if response.is_success:
                    return instance
            await asyncio.sleep(max(0.0, began + probe.get("periodSeconds", 10) - time.monotonic()))
        await self._end(revision, instance)
        raise StartError(f"The startup probe of the container failed at {path} too often.")

    def _secret(self, variable: Object) -> str:
        if "valueFrom" not in variable:
            return ""
        reference = variable["valueFrom"]["secretKeyRef"]
        if reference["name"] not in self._secrets:
            raise StartError(f"Secret {reference['name']}/versions/{reference['key']} was not found.")
        return self._secrets[reference["name"]]

    async def _retire(self, revision: Revision) -> None:
        """What is in flight is answered first, as long as a request may take."""
        instance, revision.instance = revision.instance, None
        if instance is None:
            return
        limit = time.monotonic() + revision.template["spec"].get("timeoutSeconds", 300)
        while instance.in_flight and time.monotonic() < limit and not self._over.is_set():
            await asyncio.sleep(0.02)
        await self._end(revision, instance)

    async def _end(self, revision: Revision, instance: Instance) -> None:
        killed = False
        if instance.process.returncode is None:
            instance.process.send_signal(signal.SIGTERM)
            try:
                await asyncio.wait_for(instance.process.wait(), self._grace_seconds)
            except TimeoutError:
                killed = True
                instance.process.kill()
        self.exits.append(Exit(revision.name, await instance.process.wait(), killed))

    # the front: who may call, what is too large, which revision answers

    def _front(self, service: Service, tag: str | None) -> Any:
        async def handle(request: Request) -> Response:
            path = request.url.path
            if path.endswith("z") or path == "/eventlog" or path.startswith("/_ah/"):
                return Response("404: Google's own path", 404)
            annotations = service.metadata.get("annotations", {})
            if annotations.get("run.googleapis.com/invoker-iam-disabled") != "true":
                token = request.headers.get("authorization", "").removeprefix("Bearer ")
                if self._tokens.get(token) != service.url:
                    return Response("403: the caller may not invoke this service", 403)
            body = bytearray()
            try:
                async for part in request.stream():
                    body += part
                    if len(body) > BODY_BYTES:
                        return Response("413: more than 32 MiB", 413)
            except ClientDisconnect:
                return Response(status_code=499)
            if (target := _target(service, tag)) is None:
                return Response("404: nothing is routed here", 404)
            return await self._answer(service.revisions[target["revisionName"]], request, bytes(body))

        return Starlette(routes=[Route("/{path:path}", handle, methods=["GET", "POST", "PUT", "PATCH", "DELETE"])])

    async def _answer(self, revision: Revision, request: Request, body: bytes) -> Response:
        instance = revision.instance
        if instance is None or instance.process.returncode is not None:
            try:
                instance = await self._running(revision)
            except StartError as why:
                return Response(f"503: {why}", 503)
        instance.in_flight += 1
        try:
            try:
                await asyncio.wait_for(instance.slots.acquire(), self._queue_seconds)
            except TimeoutError:
                return Response("429: no instance is free", 429)
            instance.serving += 1
            revision.peak = max(revision.peak, instance.serving)
            try:
                return await self._forward(revision, instance, request, body)
            finally:
                instance.serving -= 1
                instance.slots.release()
        finally:
            instance.in_flight -= 1

    async def _forward(self, revision: Revision, instance: Instance, request: Request, body: bytes) -> Response:
        headers = [(key, value) for key, value in request.headers.items() if key not in _HOP]
        url = f"{instance.url}{request.url.path}" + (f"?{request.url.query}" if request.url.query else "")
        forwarded = self._client.build_request(request.method, url, headers=headers, content=body or None, timeout=None)
        seconds = revision.template["spec"].get("timeoutSeconds", 300)
        try:
            async with asyncio.timeout(seconds):
                answer = await self._client.send(forwarded, stream=True)
                try:
                    content = b"".join([part async for part in answer.aiter_raw()])
                finally:
                    await answer.aclose()
        except TimeoutError:
            return Response(f"504: no answer in {seconds} s", 504)
        except httpx.TransportError as error:
            return Response(f"503: {type(error).__name__}", 503)
        kept = {key: value for key, value in answer.headers.items() if key not in _HOP}
        return Response(content, answer.status_code, kept)


def _listening(containers: Sequence[Object]) -> Object:
    return next((container for container in containers if "ports" in container), containers[0])


def _check_containers(containers: Sequence[Object], notes: Mapping[str, str]) -> None:
    """Raises Refused."""
    if any(not container.get("image") for container in containers):
        raise Refused(400, "spec.template.spec.containers[0].image: is required.")
    if len(containers) > 1 and sum("ports" in container for container in containers) != 1:
        raise Refused(400, "spec.template.spec.containers: exactly one container must have a port.")
    names = {container.get("name") for container in containers}
    if len(containers) > 1 and (None in names or len(names) < len(containers)):
        raise Refused(400, "spec.template.spec.containers: each needs a name of its own.")
    waits: dict[str, list[str]] = json.loads(notes.get("run.googleapis.com/container-dependencies", "{}"))
    if unknown := {*waits, *(name for others in waits.values() for name in others)} - names:
        raise Refused(400, f"run.googleapis.com/container-dependencies: no container {sorted(unknown)[0]}.")
    if notes.get("run.googleapis.com/cpu-throttling") == "false":
        for container in containers:
            cpu = str(container.get("resources", {}).get("limits", {}).get("cpu", "1"))
            if cpu.endswith("m") or float(cpu) < 1:
                raise Refused(400, "CPU is always allocated: less than 1 vCPU is not supported.")


def _target(service: Service, tag: str | None) -> Object | None:
    if tag is not None:
        return next((route for route in service.routes if route.get("tag") == tag), None)
    shares = [route["percent"] for route in service.routes]
    return random.choices(service.routes, shares)[0] if sum(shares) else None


def _shown_revision(revision: Revision) -> Object:
    status = {True: "True", False: "False", None: "Unknown"}[revision.ready]
    return {
        "metadata": {"name": revision.name, "creationTimestamp": revision.created},
        "spec": revision.template["spec"],
        "status": {"conditions": [_condition("Ready", status, revision.message)]},
    }


def _condition(kind: str, status: str, message: str) -> Object:
    return {"type": kind, "status": status, **({"message": message} if message else {})}


def _now() -> str:
    return datetime.now(UTC).isoformat()
