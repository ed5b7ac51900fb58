"""Deploy to Cloud Run: a new revision must answer before it gets traffic, and a rollback is one command."""

import json
import logging
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from itertools import islice

from rich.table import Table

from boatyard.cloud.checkout import require_checkout
from boatyard.cloud.entries import read_entries
from boatyard.cloud.manifest import render, served_model, variables
from boatyard.cloud.place import SERVICES, Place, place
from boatyard.cloud.probe import probe
from boatyard.cloud.rest import ApiError, open_session
from boatyard.cloud.run_api import Refused, RunApi
from boatyard.cloud.service import Object, condition, main_revision, served, traffic
from boatyard.config.console import say, terminal
from boatyard.config.errors import Failed, UserError
from boatyard.config.schema import Config
from boatyard.doctor.cloud import await_build, check_before_deploying
from boatyard.evaluate.markdown import one_line
from boatyard.registry import resolve
from boatyard.storage import open_storage

ALL = "all"
_MOST_ENTRIES = 100
_LOG_DAYS = 7  # without a bound Google searches all that it keeps, and answers with empty pages meanwhile

logger = logging.getLogger(__name__)


def deploy(config: Config, service: str, dry_run: bool, wait: float) -> None:
    """Create a revision, and move the traffic to it once it has answered; or one of each service, in their order.

    `wait`: minutes for the image of this commit to be built.

    Raises:
        UserError: the template, the repository or the request is wrong, or no model is published; nothing was changed.
        Failed: the new revision did not start or answer; the traffic stayed where it was.
    """
    where = place(config)
    services = list(SERVICES) if service == ALL else [service]
    for number, each in enumerate(services):
        try:
            _deploy(config, where, each, dry_run, wait)
        except Exception:
            if left := services[number + 1 :]:
                logger.warning("left as they were: %s", ", ".join(map(where.service, left)))
            raise


def _deploy(config: Config, where: Place, service: str, dry_run: bool, wait: float) -> None:
    checkout = require_checkout()
    manifest = render(config, where, service, checkout.commit)
    run = RunApi(where)
    if dry_run:
        method, path, body = run.request(manifest, None)
        say(json.dumps({"method": method, "url": f"{run.address}/{path}", "body": body}, indent=2))
        logger.info("(a first deployment; for an existing service this is a PUT that leaves its traffic alone)")
        return
    checkout.refuse_changes()
    name, revision = manifest["metadata"]["name"], manifest["spec"]["template"]["metadata"]["name"]
    run.connect()
    await_build(config, service, wait)
    check_before_deploying(config, service)
    if "BOATYARD_MODEL" in variables(manifest):
        resolve(open_storage(where.storage), served_model(config))
    before = run.begin_change(name)
    run.send(manifest, before)
    logger.info("%s: waiting for %s to start", name, revision)
    try:
        probe(where, run.session, manifest, run.wait(name))
        history = served(before)
        main = main_revision(traffic(before))
        if main and main not in history[-1:]:  # something else moved the traffic
            history.append(main)
        after = run.move(name, [{"revisionName": revision, "percent": 100}], [*history, revision])
    except (Refused, ApiError) as error:
        outcome = _restore(run, name, before)
        raise Failed(f"{revision} gets no traffic: {str(error).rstrip('.')}; {outcome}") from None
    logger.info("%s: %s has all the traffic: %s", name, revision, after["status"]["url"])


def status(config: Config) -> None:
    """Print a table for each service, newest revision first."""
    where = place(config)
    run = RunApi(where).connect()
    console = terminal()
    for name in map(where.service, SERVICES):
        service = run.find(name)
        if service is None:
            console.print(f"{name}: not deployed")
            continue
        table = Table(title=f"{name}  {service['status'].get('url', '')}", title_justify="left")
        for column in ("revision", "traffic", "ready", "commit"):
            table.add_column(column, overflow="fold")
        targets = traffic(service)
        for revision in run.revisions(name):
            table.add_row(*_cells(revision, targets))
        console.print(table)


def logs(config: Config, service: str) -> None:
    """Print the newest hundred log entries of the last days, oldest first."""
    where = place(config)
    name = where.service(service)
    terms = {
        "resource.type": "cloud_run_revision",
        "resource.labels.service_name": name,
        "resource.labels.location": where.region,
    }
    since = datetime.now(UTC) - timedelta(days=_LOG_DAYS)
    query = " AND ".join([*(f'{key}="{value}"' for key, value in terms.items()), f'timestamp>="{since.isoformat()}"'])
    entries = list(islice(read_entries(open_session(), where.project, query, "desc", _MOST_ENTRIES), _MOST_ENTRIES))
    for entry in reversed(entries):
        say(f"{entry.get('timestamp', '')} {entry.get('severity', 'DEFAULT'):8} {_message(entry)}")
    if not entries:
        logger.info("%s has logged nothing in %d days", name, _LOG_DAYS)


def rollback(config: Config, service: str) -> None:
    """Move the traffic to the revision that had it before, as `deploy` recorded it on the service.

    Raises:
        UserError: there is none, or something else moved the traffic since.
        Failed: it no longer starts.
    """
    where = place(config)
    run = RunApi(where).connect()
    name = where.service(service)
    deployed = run.begin_change(name)
    if deployed is None:
        raise UserError(f"{name} is not deployed")
    serving, history = main_revision(traffic(deployed)), served(deployed)
    if not history or history[-1] != serving:
        known = "no deployment was recorded" if not history else f"the last one recorded is {history[-1]}"
        raise UserError(
            f"what served before {serving} is not known, because something else moved the traffic ({known}): choose "
            f"with `gcloud run services update-traffic {name} --to-revisions=REVISION=100`"
        )
    if len(history) == 1:
        raise UserError(f"there is nothing to go back to: only {serving} has served as {name}")
    previous = history[-2]
    try:
        run.move(name, [{"revisionName": previous, "percent": 100}], history[:-1])
    except Refused as error:
        raise Failed(f"{previous} does not take the traffic back: {error}") from None
    logger.info("%s: %s has all the traffic again, instead of %s", name, previous, serving)


def _restore(run: RunApi, name: str, before: Object | None) -> str:
    """Undo a failed deployment; returns a sentence on the outcome."""
    try:
        now = run.find(name)
        if now is None or now["metadata"]["generation"] != run.generation:
            return f"{name} is left as it is: look at `invoke cloud.status`"
        if before is None:
            run.delete(name)
            return f"it was the first, and {name} is deleted again"
        if not (serving := traffic(before)):
            return "nothing served before either: `invoke cloud.logs` may say more"
        run.move(name, serving, served(before))
    except (Refused, ApiError) as error:
        return f"restoring it failed too ({error}): look at `invoke cloud.status`"
    return f"{main_revision(serving)} serves as before; `invoke cloud.logs` may say more"


def _cells(revision: Object, targets: Sequence[Object]) -> tuple[str, str, str, str]:
    name = revision["metadata"]["name"]
    share = sum(target.get("percent", 0) for target in targets if target["revisionName"] == name)
    ready = condition(revision, "Ready")
    state = "yes" if ready.get("status") == "True" else one_line(ready.get("message") or "not yet")
    image = next(each for each in revision["spec"]["containers"] if "ports" in each)["image"]
    return name, f"{share} %" if share else "", state, image.rpartition(":")[2][:12]


def _message(entry: Object) -> str:
    if "httpRequest" in entry:
        request = entry["httpRequest"]
        words = (request.get(key, "") for key in ("requestMethod", "requestUrl", "status", "latency"))
        return one_line(" ".join(str(word) for word in words))
    payload = entry.get("jsonPayload")
    if payload is None:
        return one_line(str(entry.get("textPayload", "")))
    fields = [f"{key}={value}" for key, value in payload.items() if key != "message"]
    return one_line(" ".join([str(payload.get("message", "")), *fields]))
