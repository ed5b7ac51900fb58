"""Make in a project all that the commands need: what is missing is shown first, and a second run makes nothing."""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property, partial

from boatyard.cloud import access, inventory, item, policy
from boatyard.cloud import billing as payment
from boatyard.cloud.access import Cloud, Resource
from boatyard.cloud.item import Item
from boatyard.cloud.place import ACCOUNTS, ENVIRONMENTS, ROLES, place
from boatyard.cloud.plan import Plan, agree
from boatyard.cloud.rest import ApiError, open_session
from boatyard.cloud.run_api import RunApi
from boatyard.cloud.script import script as gcloud_script
from boatyard.cloud.table import WORKFLOWS, YOU, Binding, bindings
from boatyard.config.console import say
from boatyard.config.errors import UserError
from boatyard.config.schema import Config
from boatyard.doctor.checks import Undecided
from boatyard.doctor.google import APIS, enabled_apis, gcloud_account

_BUDGET = 50
_FIRST = ("cloudbilling", "cloudresourcemanager")  # free of charge: without billing the others cannot be turned on


@dataclass(frozen=True)
class Wish:
    """What somebody may want beside what every command needs; empty or 0: nothing of it."""

    billing: str
    """The number of the account that pays."""
    budget: int | None
    """A month, in that account's currency; None: as it is, or else 50."""
    github: str
    """The number of the repository whose workflows get in."""
    email: str
    """Of who gets the alerts."""


def setup(
    config: Config, script: bool, yes: bool, user: str, billing: str, budget: int | None, github: str, email: str
) -> None:
    """Show what exists and what is missing, and make it once that is agreed to; or print a script for gcloud.

    Raises:
        UserError: something must be decided first, or nobody agreed; nothing was changed.
        ApiError: Google refused something; what was made before stays, and the same command goes on from there.
    """
    wish = Wish(billing.removeprefix("billingAccounts/"), budget, github, email)
    named = _named(user)
    _refuse_nonsense(wish)
    if script:
        if wish != Wish("", None, "", ""):
            raise UserError("--print takes --user alone: the script makes no budget, no alerts, no access for GitHub")
        say(gcloud_script(config, named))
        return
    where = place(config)
    cloud = Cloud(config, where, open_session())
    plan = _Setup(cloud, wish, named or _caller(cloud)).plan()
    plan.show()
    if plan.steps:
        agree(f"Do this in {where.project}?", "yes", yes)
        plan.carry_out()
    say("all of it is there; `invoke cloud.doctor` says what else is missing, such as images and the values of secrets")


def _refuse_nonsense(wish: Wish) -> None:
    """Raises UserError: Google would refuse it in the middle of the work, or accept it and let nobody in."""
    if wish.github and not re.fullmatch("[1-9][0-9]*", wish.github):
        number = "the repository's number, which `gh api repos/OWNER/REPOSITORY --jq .id` prints"
        raise UserError(f"--github={wish.github}: must be {number}")
    if wish.email and not re.fullmatch(r"[^@\s]+@[^@\s]+", wish.email):
        raise UserError(f"--email={wish.email}: must be an address, such as ann@example.org")
    if wish.budget is not None and wish.budget < 0:
        raise UserError(f"--budget={wish.budget}: must be 0, for none, or more")


def _named(user: str) -> str:
    """The option's value as IAM's member. Raises UserError: it is none."""
    if user and not re.fullmatch(r"(\w+:)?[^@:\s]+@[^@:\s]+|(domain:|principal://|principalSet://)\S+", user):
        raise UserError(f"--user={user}: must be an address, such as ann@example.org or group:team@example.org")
    return user if not user or ":" in user else f"user:{user}"


def _caller(cloud: Cloud) -> str:
    """Who types the commands, as IAM's member. Raises UserError: nobody knows."""
    if cloud.caller.startswith("serviceAccount:"):
        return cloud.caller
    if known := gcloud_account():
        return f"user:{known}"
    raise UserError("whose roles are these? name who types the commands with --user=ADDRESS")


class _Setup:
    """The plan for one project."""

    def __init__(self, cloud: Cloud, wish: Wish, you: str) -> None:
        self._cloud = cloud
        self._where = cloud.where
        self._wish = wish
        self._you = you
        self._plan = Plan()
        self._on = enabled_apis(cloud)
        self._made: dict[str, bool] = {}
        """By the path of what roles are granted on: whether it exists already."""

    def plan(self) -> Plan:
        """In the order of making: APIs, what roles are granted on, all accounts first; roles; what watches."""
        where, wish = self._where, self._wish
        self._turn_on(_FIRST)
        payer = self._pay()
        self._turn_on([api for api in APIS if api not in _FIRST])
        accounts = ACCOUNTS if wish.github else ROLES
        for each in inventory.foundations(where, accounts, access.training_secrets(self._cloud.config)):
            self._make(each)
        for each in inventory.federation(where, wish.github) if wish.github else ():
            self._make(each)
        self._grant()
        if wish.budget != 0:
            self._budget(inventory.budget(where, payer, wish.budget or _BUDGET))
        if wish.email:
            self._alert(list(inventory.alerts(where, wish.email)))
        self._ask_for_reports()  # part: monitor
        return self._plan

    def _turn_on(self, apis: Sequence[str]) -> None:
        if off := [f"{api}.googleapis.com" for api in apis if api not in self._on]:
            self._plan.add(f"turn on {', '.join(off)}", partial(self._enable, off))
        else:
            self._plan.stays.append(f"on: {', '.join(apis)}")

    def _enable(self, services: list[str]) -> None:
        path = f"v1/projects/{self._where.project}/services:batchEnable"
        answer = self._cloud.api("serviceusage").post(path, {"serviceIds": services})
        item.await_end(self._cloud, "serviceusage", "turning APIs on", answer)

    def _pay(self) -> str:
        """The billing account that pays or will. Raises UserError: nobody has chosen, or another one pays."""
        wanted, can_ask = self._wish.billing, "cloudbilling" in self._on
        if paying := payment.payer(self._cloud) if can_ask else "":
            payment.refuse_another(self._cloud, paying, wanted)
            self._plan.stays.append(f"there: billing account {paying} pays")
        elif wanted:
            self._plan.add(f"let billing account {wanted} pay", partial(payment.link, self._cloud, wanted))
        else:
            listed = "`gcloud billing accounts list --filter=open=true` lists yours"
            choice = payment.accounts_to_choose_from(self._cloud) if can_ask else listed
            name = self._where.project
            raise UserError(f"no billing account pays for {name}: choose one with --billing=NUMBER ({choice})")
        return f"billingAccounts/{paying or wanted}"

    def _make(self, one: Item) -> None:
        found = self._find(one)
        exists = found is not None and not item.is_deleted(found[1])
        if one.path:
            self._made[one.path] = exists
        if found is None:
            self._plan.add(f"make {one.name}", partial(item.create, self._cloud, one))
        elif not exists:
            self._plan.add(f"restore {one.name}", partial(item.restore, self._cloud, one))
        elif item.differs(one, found[1]):
            changed = f"change {one.name}: {', '.join(one.kept)}"
            self._plan.add(changed, partial(item.change, self._cloud, one, *found))
        else:
            self._plan.stays.append(f"there: {one.name}")

    def _find(self, one: Item) -> tuple[str, item.Object] | None:
        if one.api not in self._on:
            return None
        try:
            return item.find(self._cloud, one)
        except Undecided as error:
            if one.collection != "b":
                raise
            name = self._where.bucket
            raise UserError(
                f"gs://{name} is somebody else's, or you may not see it: choose another ({error})"
            ) from None

    def _grant(self) -> None:
        rows: dict[Resource, list[Binding]] = {}
        for each in bindings(self._cloud.config, self._where):
            if self._wish.github or each.holder in {*ROLES, YOU}:
                rows.setdefault(each.grant.on, []).append(each)
        for on, wanted in rows.items():
            exists = self._exists(on)
            if exists is None:
                continue
            held = policy.held(self._cloud, on) if exists else set()
            # where nothing is held yet, the members may not be known yet either
            missing = [each for each in wanted if not held or (each.grant.role, self._members[each.holder]) not in held]
            if len(missing) < len(wanted):
                self._plan.stays.append(f"there: {len(wanted) - len(missing)} roles on {on.name}")
            if missing:
                lines = (f"grant {each.grant.role} on {on.name} to {self._who(each.holder)}" for each in missing)
                self._plan.add_all(lines, partial(self._add, on, missing))

    def _exists(self, on: Resource) -> bool | None:
        """Whether it does already; None: it does not, and is not about to, as a secret that nobody asked for."""
        if on.kind == "project":
            return "cloudresourcemanager" in self._on
        if on.path in self._made:
            return self._made[on.path]
        return True if on.api in self._on and self._cloud.get(on.api, on.path) is not None else None

    def _add(self, on: Resource, missing: list[Binding]) -> None:
        policy.change(self._cloud, on, [(each.grant.role, self._members[each.holder]) for each in missing])

    @cached_property
    def _members(self) -> dict[str, str]:
        """IAM's members, by holder: asked for late, since the number of a new project takes an API."""
        where, repository = self._where, self._wish.github
        members: dict[str, str] = {role: f"serviceAccount:{where.account(role)}" for role in ACCOUNTS}
        content = self._cloud.get("cloudresourcemanager", f"v3/projects/{where.project}") or {}
        pool = f"{content.get('name')}/locations/global/workloadIdentityPools/github"
        members[WORKFLOWS] = f"principalSet://iam.googleapis.com/{pool}/attribute.repository/{repository}"
        for name in ENVIRONMENTS:
            members[name] = f"principalSet://iam.googleapis.com/{pool}/attribute.gate/{repository}:{name}"
        return members | {YOU: self._you}

    def _who(self, holder: str) -> str:
        github = f"the repository {self._wish.github} on GitHub"
        names: dict[str, str] = {
            YOU: self._you,
            WORKFLOWS: f"the workflows of {github}",
        }
        names |= {name: f"jobs in the environment {name} of {github}" for name in ENVIRONMENTS}
        return names.get(holder, f"boatyard-{holder}")

    def _budget(self, one: Item) -> None:
        try:
            if self._wish.budget is None and self._find(one) is not None:
                self._plan.stays.append("there: the budget, as it is")
            else:
                self._make(one)
        except ApiError as error:
            if error.status != 403:
                raise
            raise UserError(f"{error}; --budget=0 goes on without a budget") from None

    def _alert(self, items: list[Item]) -> None:
        channel, *policies = items
        self._make(channel)
        for each in policies:
            if self._find(each) is None:
                self._plan.add(f"make {each.name}", partial(self._create_alert, each, channel))
            else:
                self._plan.stays.append(f"there: {each.name}")

    def _create_alert(self, one: Item, channel: Item) -> None:
        found = item.find(self._cloud, channel)
        assert found is not None, "it was made before"
        item.create(self._cloud, inventory.with_channel(one, found[1]["name"]))

    # part: monitor
    def _ask_for_reports(self) -> None:
        monitor = RunApi(self._where).connect().find(self._where.service("monitor")) if "run" in self._on else None
        if url := (monitor or {}).get("status", {}).get("url"):
            self._make(inventory.drift_job(self._where, url))
        else:
            self._plan.stays.append("later: a daily drift report; deploy the monitor, and run this again")

    # part end
