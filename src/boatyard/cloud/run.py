"""Cloud Run serves: a new revision answers before it has traffic, and what served before is one step away.

By the Admin API in its first version, whose messages are the YAML in deploy/run/.
"""

import json
import logging
import os
import time
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path
from string import Template
from typing import Any

import yaml
from requests import RequestException, Session
from rich.table import Table

from boatyard.cloud.checkout import require_checkout
from boatyard.cloud.place import SERVICES, Place, place
from boatyard.cloud.rest import Api, ApiError, open_session
from boatyard.config.console import say, terminal
from boatyard.config.errors import Failed, UserError
from boatyard.config.schema import Config
from boatyard.doctor.cloud import check_before_deploying
from boatyard.evaluate.markdown import one_line
from boatyard.registry import DEFAULT_ALIAS, Reference

Object = dict[str, Any]

_TEMPLATES = Path("deploy", "run")
_TAG = "candidate"
_PROBE = "boatyard/probe"  # an annotation: the path that a new revision is asked for
_SERVED = "boatyard/served"  # an annotation: the revisions that had the traffic, the one that has it last
_MOST_SERVED = 10
_START_SECONDS = 600.0  # to pull the image, and the four minutes that Cloud Run gives a start
_PROBE_SECONDS = 30.0  # for a new address to be known everywhere, and for one answer
_NOT_YET = {404, 502, 503, 504}

logger = logging.getLogger(__name__)


def deploy(config: Config, service: str, dry_run: bool) -> None:
    """Traffic moves once the new revision has answered; else it stays where it is.

    Raises:
        UserError: the template, the repository or the request is wrong; nothing was changed.
        Failed: the new revision did not start or answer; what served before serves.
    """
    where = place(config)
    checkout = require_checkout()
    wanted = _render(config, where, service, checkout.commit)
    run = _CloudRun(where)
    if dry_run:
        method, path, body = run.request(wanted, None)
        say(json.dumps({"method": method, "url": f"{run.address}/{path}", "body": body}, indent=2))
        logger.info("(a first deployment; to a service that is there already this is a PUT, and its traffic stays)")
        return
    checkout.refuse_changes()
    name, revision = wanted["metadata"]["name"], wanted["spec"]["template"]["metadata"]["name"]
    run.connect()
    check_before_deploying(config, service)
    before = run.look(name)
    run.send(wanted, before)
    logger.info("%s: waiting for %s to start", name, revision)
    try:
        _probe(where, run, wanted, run.settled(name))
        served = _served(before)
        if (main := _most(_traffic(before))) and main not in served[-1:]:  # something else moved the traffic
            served.append(main)
        after = run.move(name, [{"revisionName": revision, "percent": 100}], [*served, revision])
    except (_Refused, ApiError) as why:
        kept = _restore(run, name, before)
        raise Failed(f"{revision} gets no traffic: {str(why).rstrip('.')}; {kept}") from None
    logger.info("%s: %s has all the traffic: %s", name, revision, after["status"]["url"])


def status(config: Config) -> None:
    """A table for each service, the newest revision first."""
    run = _CloudRun(place(config)).connect()
    console = terminal()
    for service in SERVICES:
        found = run.find(_name(service))
        if found is None:
            console.print(f"{_name(service)}: not deployed")
            continue
        table = Table(title=f"{_name(service)}  {found['status'].get('url', '')}", title_justify="left")
        for column in ("revision", "traffic", "ready", "commit"):
            table.add_column(column, overflow="fold")
        traffic = _traffic(found)
        for revision in run.revisions(_name(service)):
            name = revision["metadata"]["name"]
            share = sum(target.get("percent", 0) for target in traffic if target["revisionName"] == name)
            ready = _condition(revision, "Ready")
            told = "yes" if ready.get("status") == "True" else one_line(ready.get("message") or "not yet")
            image = revision["spec"]["containers"][0]["image"]
            table.add_row(name, f"{share} %" if share else "", told, image.rpartition(":")[2][:12])
        console.print(table)


def logs(config: Config, service: str) -> None:
    """The newest hundred entries, the oldest of them first."""
    where = place(config)
    asked = {
        "resource.type": "cloud_run_revision",
        "resource.labels.service_name": _name(service),
        "resource.labels.location": where.region,
    }
    body = {
        "resourceNames": [f"projects/{where.project}"],
        "filter": " AND ".join(f'{key}="{value}"' for key, value in asked.items()),
        "orderBy": "timestamp desc",
        "pageSize": 100,
    }
    entries = Api(open_session(), "logging").post("v2/entries:list", body).get("entries", [])
    for entry in reversed(entries):
        say(f"{entry.get('timestamp', '')} {entry.get('severity', 'DEFAULT'):8} {_told(entry)}")
    if not entries:
        logger.info("%s has logged nothing", _name(service))


def rollback(config: Config, service: str) -> None:
    """To the revision that had the traffic before, as `deploy` noted it on the service.

    Raises:
        UserError: there is none, or the traffic was moved by other means since.
        Failed: it does not start any more.
    """
    run = _CloudRun(place(config)).connect()
    name = _name(service)
    found = run.look(name)
    if found is None:
        raise UserError(f"{name} is not deployed")
    serving = _most(_traffic(found))
    served = _served(found)
    if not served or served[-1] != serving:
        known = "it was never noted" if not served else f"the last that was noted is {served[-1]}"
        raise UserError(
            f"what served before {serving} is not known, because something else moved the traffic ({known}): choose "
            f"with `gcloud run services update-traffic {name} --to-revisions=REVISION=100`"
        )
    if len(served) == 1:
        raise UserError(f"there is nothing to go back to: only {serving} has served as {name}")
    try:
        run.move(name, [{"revisionName": served[-2], "percent": 100}], served[:-1])
    except _Refused as why:
        raise Failed(f"{served[-2]} does not take the traffic back: {why}") from None
    logger.info("%s: %s has all the traffic again, instead of %s", name, served[-2], serving)


def destroy(config: Config, yes: bool) -> None:
    """Deletes the services with their revisions; what is stored stays."""
    where = place(config)
    run = _CloudRun(where).connect()
    there = [_name(service) for service in SERVICES if run.find(_name(service))]
    if not there:
        logger.info("nothing is deployed")
        return
    if not yes:
        raise UserError(
            f"this would delete {', '.join(there)} in {where.project}; --yes does it ({where.storage} stays)"
        )
    for name in there:
        run.delete(name)
        logger.info("%s is deleted; %s stays", name, where.storage)


class _Refused(Exception):  # noqa: N818 - says what happened
    """Cloud Run, or the new revision, did not do what was asked."""


class _CloudRun:
    """The Admin API, as far as a service needs it."""

    def __init__(self, where: Place) -> None:
        self.generation: int | None = None  # of the service, as this process last saw or left it
        self._host = f"{where.region}-run.googleapis.com"
        self._parent = f"apis/serving.knative.dev/v1/namespaces/{where.project}"
        self._api = Api(Session(), "run", self._host)

    def connect(self) -> "_CloudRun":
        """With credentials, which a dry run goes without."""
        self.session = open_session()
        self._api = Api(self.session, "run", self._host)
        return self

    @property
    def address(self) -> str:
        return self._api.address

    def look(self, name: str) -> Object | None:
        """The service, before a decision about it: a change that others make after this look is not overwritten."""
        found = self.find(name)
        self.generation = None if found is None else found["metadata"]["generation"]
        return found

    def find(self, name: str) -> Object | None:
        try:
            return self._api.get(self._path(name))
        except ApiError as error:
            if error.status == 404:
                return None
            raise

    def revisions(self, name: str) -> list[Object]:
        """The newest first."""
        selector = f"serving.knative.dev/service={name}"
        found = self._api.get(f"{self._parent}/revisions", labelSelector=selector).get("items", [])
        return sorted(found, key=lambda revision: str(revision["metadata"]["creationTimestamp"]), reverse=True)

    def request(self, wanted: Object, before: Object | None) -> tuple[str, str, Object]:
        """Method, path and body that make the new revision: without traffic, where another has it."""
        new = {"revisionName": wanted["spec"]["template"]["metadata"]["name"], "tag": _TAG}
        serving = _traffic(before)
        traffic = [*serving, {**new, "percent": 0}] if serving else [{**new, "percent": 100}]
        metadata, spec = wanted["metadata"], wanted["spec"] | {"traffic": traffic}
        if before is None:
            return "POST", f"{self._parent}/services", wanted | {"spec": spec}
        noted = {key: value for key, value in _annotations(before).items() if key not in _annotations(wanted)}
        metadata = metadata | {
            "annotations": {key: value for key, value in noted.items() if _is_kept(key)} | _annotations(wanted),
            "resourceVersion": before["metadata"]["resourceVersion"],  # of two deployments at once one is refused
        }
        return "PUT", self._path(metadata["name"]), wanted | {"metadata": metadata, "spec": spec}

    def send(self, wanted: Object, before: Object | None) -> None:
        method, path, body = self.request(wanted, before)
        sent = self._api.post(path, body) if method == "POST" else self._api.put(path, body)
        self.generation = sent["metadata"]["generation"]

    def settled(self, name: str, condition: str = "Ready") -> Object:
        """The service once it is as it was asked to be. Raises _Refused."""
        limit, pause = time.monotonic() + _START_SECONDS, 0.2
        while time.monotonic() < limit:
            found = self._api.get(self._path(name))
            told = _condition(found, condition)
            if found["status"].get("observedGeneration") == found["metadata"]["generation"]:
                if told.get("status") == "True":
                    return found
                if told.get("status") == "False":
                    raise _Refused(one_line(told.get("message") or "Cloud Run gives no reason"))
            time.sleep(pause)
            pause = min(pause * 1.5, 5.0)
        raise _Refused(f"{name} is not ready after {_START_SECONDS / 60:.0f} minutes")

    def move(self, name: str, traffic: list[Object], served: list[str]) -> Object:
        """Only the traffic: the template is left as it is, even where its revision does not start.

        Raises _Refused, where something else has changed the service since it was looked at, too.
        """
        found = self._api.get(self._path(name))
        if found["metadata"]["generation"] != self.generation:
            raise _Refused(f"{name} was changed meanwhile, and is left as it is now: look at `invoke cloud.status`")
        annotations = _annotations(found) | {_SERVED: " ".join(served[-_MOST_SERVED:])}
        body = {
            **{key: found[key] for key in ("apiVersion", "kind")},
            "metadata": {
                **{key: found["metadata"][key] for key in ("name", "namespace", "resourceVersion")},
                "labels": found["metadata"].get("labels", {}),
                "annotations": annotations,
            },
            "spec": found["spec"] | {"traffic": traffic},
        }
        self.generation = self._api.put(self._path(name), body)["metadata"]["generation"]
        return self.settled(name, "RoutesReady")

    def delete(self, name: str) -> None:
        self._api.delete(self._path(name))
        limit = time.monotonic() + _START_SECONDS
        while self.find(name) and time.monotonic() < limit:
            time.sleep(1)

    def _path(self, name: str) -> str:
        return f"{self._parent}/services/{name}"


def _name(service: str) -> str:
    return f"boatyard-{service}"


def _render(config: Config, where: Place, service: str, commit: str) -> Object:
    file = _TEMPLATES / f"{service}.yaml"
    now = datetime.now(UTC)
    try:
        template = Template(file.read_text(encoding="utf-8"))
        text = template.substitute(
            _addresses(where, [other for other in SERVICES if other in template.get_identifiers()]),
            name=_name(service),
            project=where.project,
            revision=f"{_name(service)}-{commit[:7]}-{now:%Y%m%d-%H%M%S}",
            commit=commit,
            account=where.account("run"),
            image=where.image(service, commit),
            storage=where.storage,
            model=Reference(config.data.name, config.publish.alias or DEFAULT_ALIAS),
        )
        rendered: Object = yaml.safe_load(text)
    except OSError:
        raise UserError(f"there is no {file} here: run this in the repository's root") from None
    except KeyError as name:
        raise UserError(f"{file}: nothing is known by the name of ${name.args[0]}") from None
    except (ValueError, yaml.YAMLError) as wrong:
        raise UserError(f"{file} is no YAML with placeholders: {one_line(str(wrong))}") from None
    return rendered


def _addresses(where: Place, services: Sequence[str]) -> dict[str, str]:
    """Where each of them answers. Raises UserError: one is not deployed yet."""
    if not services:  # which asks for no credentials
        return {}
    run = _CloudRun(where).connect()
    addresses = {}
    for service in services:
        if not (url := (run.find(_name(service)) or {}).get("status", {}).get("url")):
            raise UserError(f"{_name(service)} has no address yet: run `invoke cloud.deploy --service={service}` first")
        addresses[service] = str(url)
    return addresses


def _probe(where: Place, run: _CloudRun, wanted: Object, found: Object) -> None:
    """Asks the new revision at its own address. Raises _Refused, ApiError."""
    address = next(target["url"] for target in found["status"]["traffic"] if target.get("tag") == _TAG)
    account = f"v1/projects/-/serviceAccounts/{where.account('run')}:generateIdToken"
    body = {"audience": found["status"]["url"], "includeEmail": True}  # the service's, even for the address of a tag
    headers = {"Authorization": f"Bearer {Api(run.session, 'iamcredentials').post(account, body)['token']}"}
    if key := os.environ.get("BOATYARD_API_KEY"):
        headers["X-API-Key"] = key
    with Session() as session:
        session.headers.update(headers)
        answer = _ask(session, "GET", address + _annotations(wanted).get(_PROBE, "/"))
        if examples := answer.get("examples"):
            _ask(session, "POST", f"{address}/predict", examples[0])


def _ask(session: Session, method: str, url: str, body: Any = None) -> Object:
    limit = time.monotonic() + _PROBE_SECONDS
    while True:
        try:
            answer = session.request(method, url, json=body, timeout=_PROBE_SECONDS)
            status, told = (
                answer.status_code,
                one_line(f"{answer.status_code} {_object(answer.text).get('detail', '')}"),
            )
        except RequestException as error:
            status, told = 503, type(error).__name__
        if status < 400:
            return _object(answer.text)
        if status not in _NOT_YET or time.monotonic() > limit:
            path = url.partition("//")[2].partition("/")[2]
            raise _Refused(f"asked for {method} /{path} it answers {told}")
        time.sleep(1)


def _object(text: str) -> Object:
    try:
        content = json.loads(text)
    except ValueError:  # a page
        return {}
    return content if isinstance(content, dict) else {}


def _restore(run: _CloudRun, name: str, before: Object | None) -> str:
    """Takes away what the failed deployment left; tells how it is now."""
    try:
        now = run.find(name)
        if now is None or now["metadata"]["generation"] != run.generation:
            return f"{name} is left as it is: look at `invoke cloud.status`"
        if before is None:
            run.delete(name)
            return f"it was the first, and {name} is deleted again"
        if not (serving := _traffic(before)):
            return "nothing served before either: `invoke cloud.logs` may tell more"
        run.move(name, serving, _served(before))
    except (_Refused, ApiError) as why:
        return f"taking it back failed too ({why}): look at `invoke cloud.status`"
    return f"{_most(serving)} serves as before; `invoke cloud.logs` may tell more"


def _traffic(service: Object | None) -> list[Object]:
    """Which revision has which share and tag now, a candidate's tag left out; nothing where none has a share."""
    targets = []
    for told in (service or {}).get("status", {}).get("traffic", []):
        kept = ("revisionName", "percent") if told.get("tag") == _TAG else ("revisionName", "percent", "tag")
        target = {key: told[key] for key in kept if key in told}
        if target.get("percent") or "tag" in target:
            targets.append(target)
    return targets if _most(targets) else []


def _most(traffic: list[Object]) -> str | None:
    """Who has most of it."""
    shares = {target["revisionName"]: target["percent"] for target in traffic if target.get("percent")}
    return max(shares, key=lambda name: shares[name], default=None)


def _served(service: Object | None) -> list[str]:
    return _annotations(service).get(_SERVED, "").split()


def _annotations(service: Object | None) -> dict[str, str]:
    return dict((service or {}).get("metadata", {}).get("annotations", {}))


def _is_kept(annotation: str) -> bool:
    """What no template holds: who made the service, and what `deploy` noted."""
    return annotation == _SERVED or annotation.startswith("serving.knative.dev/")


def _condition(resource: Object, kind: str) -> Object:
    conditions: list[Object] = resource.get("status", {}).get("conditions", [])
    return next((condition for condition in conditions if condition.get("type") == kind), {})


def _told(entry: Object) -> str:
    if "httpRequest" in entry:
        request = entry["httpRequest"]
        words = (request.get(key, "") for key in ("requestMethod", "requestUrl", "status", "latency"))
        return one_line(" ".join(str(word) for word in words))
    payload = entry.get("jsonPayload")
    if payload is None:
        return one_line(str(entry.get("textPayload", "")))
    fields = [f"{key}={value}" for key, value in payload.items() if key != "message"]
    return one_line(" ".join([str(payload.get("message", "")), *fields]))
