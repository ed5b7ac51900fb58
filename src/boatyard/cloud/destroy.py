"""Delete what set-up and deployments made in a project: it is shown first, and data only goes if that is said."""

from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from functools import partial
from urllib.parse import quote

from boatyard.cloud import access, inventory, item, policy
from boatyard.cloud.access import HUB_SECRET, WANDB_SECRET, Cloud, Resource
from boatyard.cloud.billing import payer
from boatyard.cloud.item import Item, Object
from boatyard.cloud.place import ACCOUNTS, ENVIRONMENTS, SERVICES, Place, place
from boatyard.cloud.plan import Plan, agree
from boatyard.cloud.rest import ApiError, open_session
from boatyard.cloud.run_api import RunApi
from boatyard.cloud.table import bindings
from boatyard.config.console import say
from boatyard.config.schema import Config
from boatyard.doctor.google import enabled_apis

_THREADS = 8  # that delete objects


def destroy(config: Config, yes: bool, data: bool) -> None:
    """Show all of it, and delete it once the project's name is typed; `data`: what the bucket holds too.

    Raises:
        UserError: nobody agreed; nothing was deleted.
        ApiError: Google refused something; what was deleted before is gone, and the same command goes on from there.
    """
    where = place(config)
    plan = _Destruction(Cloud(config, where, open_session()), data).plan()
    plan.show()
    if not plan.steps:
        say("there is nothing to delete")
        return
    agree(f"Delete this in {where.project}, for good?", where.project, yes)
    plan.carry_out()


class _Destruction:
    """The plan for one project."""

    def __init__(self, cloud: Cloud, data: bool) -> None:
        self._cloud = cloud
        self._where = cloud.where
        self._data = data
        self._plan = Plan()
        self._on = enabled_apis(cloud)
        self._environments = [replace(cloud.where, environment=each) for each in ENVIRONMENTS]

    def plan(self) -> Plan:
        """In the opposite order of making: what runs, what watches, roles, accounts, images, and the bucket at last."""
        where = self._where
        if "run" in self._on:
            run = RunApi(where).connect()
            names = (each.service(name) for each in self._environments for name in reversed(SERVICES))
            for name in filter(run.find, names):
                self._plan.add(f"delete the service {name}", partial(run.delete, name))
        # part: monitor
        for there in self._environments:
            self._remove(inventory.drift_job(there, ""))
        # part end
        for each in reversed(list(inventory.alerts(where, ""))):
            self._remove(each)
        self._remove_budget()
        for each in reversed(list(inventory.federation(where, ""))):
            self._remove(each)
        secrets = [WANDB_SECRET, HUB_SECRET, *(each.keys_secret for each in self._environments)]
        bucket, *others = inventory.foundations(where, ACCOUNTS, secrets)
        keeps_bucket = self._keeps_bucket(bucket)
        self._withdraw([access.project(where), *([access.bucket(where)] if keeps_bucket else [])])
        for each in reversed(others):
            self._remove(each)
        if not keeps_bucket:
            self._remove(bucket)
        self._plan.stays.append("stays: the project, who pays for it, its APIs, and your own roles")
        self._plan.stays.append("stays: training jobs that run, which `invoke cloud.jobs` lists")
        return self._plan

    def _remove(self, one: Item) -> None:
        if (found := self._find(one)) is not None:
            self._plan.add(f"delete {one.name}", partial(item.delete, self._cloud, one, found[0]))

    def _find(self, one: Item) -> tuple[str, Object] | None:
        found = item.find(self._cloud, one) if one.api in self._on else None
        return None if found is None or item.is_deleted(found[1]) else found

    def _remove_budget(self) -> None:
        if "cloudbilling" not in self._on:
            return
        if not (paying := payer(self._cloud)):
            return
        try:
            self._remove(inventory.budget(self._where, f"billingAccounts/{paying}", 0))
        except ApiError as error:  # who pays may be another department
            if error.status != 403:
                raise
            self._plan.stays.append(f"stays: the budget, if there is one ({error})")

    def _withdraw(self, resources: Sequence[Resource]) -> None:
        """Roles of accounts that are about to be deleted: Google would keep them, for nobody."""
        emails: dict[str, str] = {holder: f"serviceAccount:{self._where.account(holder)}" for holder in ACCOUNTS}
        for on in resources:
            if on.api not in self._on:
                continue
            held = policy.held(self._cloud, on)
            rows = {
                (each.grant.role, emails[each.holder])
                for each in bindings(self._cloud.config, self._where)
                if each.grant.on == on and each.holder in emails
            }
            if gone := sorted(rows & held):
                lines = (f"withdraw {role} on {on.name} from {member.partition(':')[2]}" for role, member in gone)
                self._plan.add_all(lines, partial(policy.change, self._cloud, on, remove=gone))

    def _keeps_bucket(self, bucket: Item) -> bool:
        """Whether it exists and stays; with `data`, what Boatyard put in is planned to go."""
        if self._find(bucket) is None:
            return False
        ours, others = _objects(self._cloud, self._where, everything=self._data)
        if ours and not self._data:
            self._plan.stays.append(f"stays: {bucket.name} with its data, models, rows and journal; --data deletes it")
            return True
        if ours:
            line = f"delete {len(ours)} objects below {self._where.storage}: models, rows, the journal"
            self._plan.add(line, partial(_delete_objects, self._cloud, self._where, ours))
        if others:
            self._plan.stays.append(f"stays: {bucket.name}, since it holds what is not below {self._where.storage}")
        return bool(others)


def _objects(cloud: Cloud, where: Place, everything: bool) -> tuple[list[Object], list[Object]]:
    """Those below the storage's prefix, in all their versions, and others; if not `everything`, one is enough."""
    ours: list[Object] = []
    others: list[Object] = []
    for each in _listed(cloud, where):
        (ours if each["name"].startswith(where.prefix) else others).append(each)
        if ours and not everything:
            break
    return ours, others


def _listed(cloud: Cloud, where: Place) -> Iterator[Object]:
    return cloud.api("storage").pages(f"b/{where.bucket}/o", "items", versions="true", maxResults=1000)


def _delete_objects(cloud: Cloud, where: Place, objects: Sequence[Object]) -> None:
    def delete(each: Object) -> None:
        path = f"b/{where.bucket}/o/{quote(each['name'], safe='')}"
        try:
            cloud.api("storage").delete(path, generation=each["generation"])
        except ApiError as error:
            if error.status != 404:
                raise

    with ThreadPoolExecutor(_THREADS) as pool:
        list(pool.map(delete, objects))
