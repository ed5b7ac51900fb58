"""A project on Google Cloud that can be filled and emptied: `standin_google`, with all that changes something.

It refuses what Google refuses: calls of an API that is off, roles for accounts that it does not know yet, a policy that
somebody else changed meanwhile, names that are taken, and deletions of what is still used. REFUSALS in
tests/cloud/test_setup.py has the sentences.
"""

import json
import re
from typing import Any

from standin_google import METHODS, YOU, Answer, Google, Object, Refused, State

OWNER = "user:ann@example.org"
NUMBER = "42"
PAYER = "0A0A0A-0B0B0B-0C0C0C"
FREE = {"cloudbilling", "cloudresourcemanager", "iam", "serviceusage"}
_OBJECTS = {f"storage.objects.{verb}" for verb in ("create", "delete", "get", "list", "update")}
# what Google's roles allow, as far as somebody asks
ROLES = {
    "roles/aiplatform.user": {"aiplatform.customJobs.create", "aiplatform.customJobs.get"},
    "roles/artifactregistry.reader": {
        "artifactregistry.tags.get",
        "artifactregistry.repositories.downloadArtifacts",
    },
    "roles/artifactregistry.writer": {
        "artifactregistry.repositories.downloadArtifacts",
        "artifactregistry.repositories.uploadArtifacts",
    },
    "roles/cloudbuild.builds.editor": {"cloudbuild.builds.create"},
    "roles/iam.serviceAccountOpenIdTokenCreator": {"iam.serviceAccounts.getOpenIdToken"},
    "roles/iam.serviceAccountTokenCreator": {
        "iam.serviceAccounts.getAccessToken",
        "iam.serviceAccounts.getOpenIdToken",
    },
    "roles/iam.serviceAccountUser": {"iam.serviceAccounts.actAs"},
    "roles/iam.workloadIdentityUser": {"iam.serviceAccounts.getAccessToken", "iam.serviceAccounts.getOpenIdToken"},
    "roles/logging.logWriter": {"logging.logEntries.create"},
    "roles/logging.viewer": {"logging.logEntries.list"},
    "roles/monitoring.metricWriter": {"monitoring.timeSeries.create"},
    "roles/owner": set(),
    "roles/run.developer": {f"run.services.{verb}" for verb in ("create", "get", "update")},
    "roles/run.invoker": {"run.routes.invoke"},
    "roles/secretmanager.secretAccessor": {"secretmanager.versions.access"},
    "roles/serviceusage.serviceUsageConsumer": {"serviceusage.services.use"},
    "roles/storage.objectUser": _OBJECTS,
    "roles/storage.objectViewer": {"storage.objects.get", "storage.objects.list"},
}
_GRANTABLE = {
    "b": "storage.",
    "repositories": "artifactregistry.",
    "serviceAccounts": "iam.",
    "secrets": "secretmanager.",
}


def fresh(project: str) -> State:
    """Somebody has just created it; nothing is in it, and nobody pays for it."""
    apis = {"serviceusage", "storage", "logging", "monitoring"}
    return State(project=project, billing=False, apis=apis, payers={PAYER: True, "0D0D0D-0E0E0E-0F0F0F": False})


class Project(Google):
    """As Google, and what was created is there until it is deleted."""

    def __init__(self, state: State) -> None:
        super().__init__(state)
        self.contents: dict[str, Object] = {}
        """What was created, by its name."""
        self.policies: dict[str, Object] = {}
        self.deployed: dict[str, Object] = {}
        """Services on Cloud Run, for a test that puts them in."""
        self.races: list[Object] = []
        """Bindings that somebody else adds between a reading of the next policy and its writing."""
        self._unknown: dict[str, int] = {}

    @property
    def methods(self) -> dict[tuple[str, str], Answer]:
        return METHODS | _METHODS

    def admit(self, api: str) -> None:
        if api not in self.state.apis or self.unknown(api):
            service = f"{api}.googleapis.com"
            message = f"{service} has not been used in project {NUMBER} before or it is disabled."
            raise Refused(403, message, "SERVICE_DISABLED", service=service, consumer=f"projects/{self.state.project}")

    def born(self, name: str) -> None:
        """It is unknown in some places for a while."""
        self._unknown[name] = self.state.late

    def unknown(self, name: str) -> bool:
        self._unknown[name] = self._unknown.get(name, 0) - 1
        return self._unknown[name] >= 0

    def settle(self) -> None:
        """A few minutes later."""
        self._unknown.clear()

    def require(self, permission: str) -> None:
        if permission in self.state.denied:
            facts = {"permission": permission, "resource": self.path}
            raise Refused(403, f"Permission '{permission}' denied.", "IAM_PERMISSION_DENIED", **facts)

    def create(self, name: str, content: Object) -> Object:
        if name in self.contents:
            raise Refused(409, f"Resource '{name}' already exists.", "ALREADY_EXISTS")
        self.contents[name] = content
        return content

    def remove(self, name: str) -> None:
        self.contents.pop(name, None)
        for path in [path for path in self.policies if f"{path}/".startswith(f"{name}/")]:
            del self.policies[path]

    def allowed(self, name: str, who: str) -> set[str]:
        """The permissions that somebody has on a resource, by its own policy and the project's."""
        member = OWNER if who == YOU else f"serviceAccount:{who}"
        policies = [self.policies.get(each, {}) for each in (name, f"projects/{self.state.project}")]
        bindings = [each for policy in policies for each in policy.get("bindings", []) if member in each["members"]]
        return {permission for each in bindings for permission in ROLES[each["role"]]}


def _operation(parent: str = "") -> Object:
    """What takes a while, and is done when somebody asks for it."""
    return {"name": f"{parent}/operations/1".lstrip("/")}


def _ended(project: Project, path: list[str], _: Object, __: str) -> Object:  # noqa: ARG001
    return {"name": project.path.partition("/")[2], "done": True}


def _enable(project: Project, _: list[str], content: Object, __: str) -> Object:
    apis = [service.partition(".")[0] for service in content["serviceIds"]]
    if not project.state.billing and (paid := [api for api in apis if api not in FREE]):
        raise Refused(400, f"Billing must be enabled for activation of service(s) '{','.join(paid)}' to proceed.")
    assert len(apis) <= 20, "Google turns on twenty at once"
    for api in apis:
        if api not in project.state.apis:
            project.born(api)
        project.state.apis.add(api)
    return _operation()


def _link(project: Project, path: list[str], content: Object, who: str) -> Object:
    account = content["billingAccountName"].removeprefix("billingAccounts/")
    if not project.state.payers.get(account):
        raise Refused(
            403,
            "The caller does not have permission",
            "IAM_PERMISSION_DENIED",
            permission="billing.resourceAssociations.create",
            resource=content["billingAccountName"],
        )
    project.state.billing, project.state.payer = True, account
    return METHODS["cloudbilling", "cloudbilling.projects.getBillingInfo"](project, path, content, who)


def _payers(project: Project, _: list[str], __: Object, ___: str) -> Object:
    accounts = project.state.payers
    return {
        "billingAccounts": [
            {"name": f"billingAccounts/{name}", "displayName": "Ann's", "open": is_open}
            for name, is_open in accounts.items()
        ]
    }


def _project(_: Project, path: list[str], __: Object, ___: str) -> Object:
    return {"name": f"projects/{NUMBER}", "projectId": path[0], "state": "ACTIVE"}


def _new_bucket(project: Project, _: list[str], content: Object, __: str) -> Object:
    name = content["name"]
    if name in project.state.buckets or name in project.state.taken:
        raise Refused(409, "The requested bucket name is not available. Please select a different name and try again.")
    project.state.buckets[name] = (content["location"].upper(), "region")
    return project.create(f"b/{name}", content | {"location": content["location"].upper(), "locationType": "region"})


def _bucket(project: Project, path: list[str], content: Object, who: str) -> Object | None:
    if path[0] in project.state.taken:
        raise PermissionError(f"{who} does not have storage.buckets.get access to the Google Cloud Storage bucket.")
    return project.contents.get(f"b/{path[0]}") or METHODS["storage", "storage.buckets.get"](
        project, path, content, who
    )


def _patch_bucket(project: Project, path: list[str], content: Object, who: str) -> Object:
    before = _bucket(project, path, {}, who)
    assert before is not None
    project.contents[f"b/{path[0]}"] = before | content
    return before | content


def _drop_bucket(project: Project, path: list[str], _: Object, __: str) -> Object | None:
    if project.state.buckets.get(path[0]) is None:
        return None
    if project.state.objects.get(path[0]):
        raise Refused(409, "The bucket you tried to delete is not empty.")
    del project.state.buckets[path[0]]
    project.remove(f"b/{path[0]}")
    return {}


def _objects(project: Project, path: list[str], _: Object, __: str) -> Object:
    names = sorted(project.state.objects.get(path[0], []))
    size = min(5, int(project.query["maxResults"][0]))  # fewer than were asked for, as Google may
    start = int(project.query.get("pageToken", ["0"])[0])
    page: Object = {"items": [{"name": name, "generation": "7"} for name in names[start : start + size]]}
    return page | ({"nextPageToken": str(start + size)} if start + size < len(names) else {})


def _drop_object(project: Project, path: list[str], _: Object, __: str) -> Object | None:
    if path[1] not in project.state.objects[path[0]]:
        return None
    project.state.objects[path[0]].remove(path[1])
    return {}


def _new_folder(project: Project, path: list[str], content: Object, __: str) -> Object:
    assert content["name"].endswith("/"), "a folder's name ends in a slash"
    return project.create(f"b/{path[0]}/managedFolders/{content['name']}", content)


def _new_account(project: Project, path: list[str], content: Object, __: str) -> Object:
    email = f"{content['accountId']}@{path[0]}.iam.gserviceaccount.com"
    project.require("iam.serviceAccounts.create")
    if email in project.state.accounts:
        raise Refused(409, f"Service account {content['accountId']} already exists within project {path[0]}.")
    project.state.accounts[email] = {}
    project.born(f"serviceAccount:{email}")
    return {"email": email}


def _drop_account(project: Project, path: list[str], _: Object, __: str) -> Object | None:
    if project.state.accounts.pop(path[1], None) is None:
        return None
    project.remove("/".join(("projects", path[0], "serviceAccounts", path[1])))
    held = [each for policy in project.policies.values() for each in policy["bindings"]]
    for each in held:  # Google keeps them, for nobody
        member = f"serviceAccount:{path[1]}"
        each["members"] = [f"deleted:{m}?uid=1" if m == member else m for m in each["members"]]
    return {}


def _new_repository(project: Project, path: list[str], content: Object, __: str) -> Object:
    [name] = project.query["repositoryId"]
    project.state.repositories[f"{path[1]}/{name}"] = content["format"]
    project.create(f"projects/{path[0]}/locations/{path[1]}/repositories/{name}", content)
    return {"name": f"projects/{path[0]}/locations/{path[1]}/operations/1"}


def _drop_repository(project: Project, path: list[str], _: Object, __: str) -> Object | None:
    if project.state.repositories.pop(f"{path[1]}/{path[2]}", None) is None:
        return None
    project.remove("/".join(("projects", path[0], "locations", path[1], "repositories", path[2])))
    return {"name": f"projects/{path[0]}/locations/{path[1]}/operations/2"}


def _patch_repository(project: Project, path: list[str], content: Object, __: str) -> Object:
    assert project.query["updateMask"] == [",".join(content)]
    project.state.kept_for_good = False
    return content | {"name": "/".join(path)}


def _new_secret(project: Project, path: list[str], content: Object, __: str) -> Object:
    assert "automatic" in content["replication"]
    [name] = project.query["secretId"]
    project.state.secrets[name] = []
    return {"name": f"projects/{path[0]}/secrets/{name}"}


def _drop_secret(project: Project, path: list[str], _: Object, __: str) -> Object | None:
    return None if project.state.secrets.pop(path[1], None) is None else {}


def _named(parameter: str) -> Answer:
    """Creates what has its name from the query, by an operation."""

    def create(project: Google, _: list[str], content: Object, __: str) -> Object:
        assert isinstance(project, Project)
        name = f"{project.path.removeprefix('v1/')}/{project.query[parameter][0]}"
        project.create(name, content | {"name": name, "state": "ACTIVE"})
        return _operation(name)

    return create


def _read(project: Project, _: list[str], __: Object, ___: str) -> Object | None:
    return project.contents.get(_name(project))


def _drop(project: Project, _: list[str], __: Object, ___: str) -> Object | None:
    if (name := _name(project)) not in project.contents:
        return None
    used = [each for each in project.contents.values() if name in each.get("notificationChannels", [])]
    if used:
        raise Refused(400, f"Cannot delete notification channel {name}: it is used by an alerting policy.")
    project.remove(name)
    return {}


def _soft_drop(project: Project, _: list[str], __: Object, ___: str) -> Object | None:
    if (found := project.contents.get(_name(project))) is None or found["state"] == "DELETED":
        return None
    found["state"] = "DELETED"
    return _operation(_name(project))


def _undelete(project: Project, _: list[str], __: Object, ___: str) -> Object | None:
    found = project.contents.get(_name(project).removesuffix(":undelete"))
    if found is None or found["state"] != "DELETED":
        return None
    found["state"] = "ACTIVE"
    return _operation(_name(project).removesuffix(":undelete"))


def _patch(project: Project, _: list[str], content: Object, __: str) -> Object | None:
    assert set(project.query["updateMask"][0].split(",")) == set(content), "all that is sent, and nothing else"
    if (found := project.contents.get(_name(project))) is None:
        return None
    found.update(content)
    return _operation(_name(project)) if "state" in found else found


def _numbered(listed: str) -> Answer:
    """Creates what Google names."""

    def create(project: Google, _: list[str], content: Object, __: str) -> Object:
        assert isinstance(project, Project)
        project.require(f"{listed}.create")
        for channel in content.get("notificationChannels", []):
            if channel not in project.contents:
                raise Refused(400, f"{channel} does not exist.")
        collection = project.path.partition("/")[2]
        return project.create(
            f"{collection}/{len(project.contents)}", content | {"name": f"{collection}/{len(project.contents)}"}
        )

    return create


def _list(listed: str) -> Answer:
    def answer(project: Google, _: list[str], __: Object, ___: str) -> Object:
        assert isinstance(project, Project)
        project.require(f"{listed}.list")
        collection = project.path.partition("/")[2]
        return {listed: [each for name, each in project.contents.items() if name.rpartition("/")[0] == collection]}

    return answer


def _new_job(project: Project, _: list[str], content: Object, __: str) -> Object:
    account = content["httpTarget"]["oidcToken"]["serviceAccountEmail"]
    if account not in project.state.accounts:
        raise Refused(400, f"Service account {account} does not exist.")
    return project.create(content["name"], content)


def _name(project: Project) -> str:
    """Of the resource that a request is about."""
    path = project.path
    path = path.removeprefix("storage/v1/") if path.startswith("storage/") else path.partition("/")[2]
    return re.sub(r":(get|set|test)Iam\w+$|/iam(/testPermissions)?$", "", path)


def _exists(project: Project, name: str) -> bool:
    state, last = project.state, name.rpartition("/")[2]
    kind = name.split("/")[-2]
    known: dict[str, Any] = {
        "b": state.buckets,
        "projects": {state.project},
        "repositories": [each.partition("/")[2] for each in state.repositories],
        "secrets": state.secrets,
        "serviceAccounts": state.accounts,
    }
    return last in known[kind] if kind in known else name in project.contents


def _policy(project: Project, _: list[str], content: Object, __: str) -> Object | None:
    name = _name(project)
    if not _exists(project, name):
        return None
    asked = {**project.query, **content.get("options", {})}
    version = next((value for key, value in asked.items() if "equestedPolicyVersion" in key), 1)
    assert str(version).strip("[]'") == "3", "or else conditions are hidden"
    policy = project.policies.setdefault(name, {"bindings": [], "etag": "1", "version": 1})
    shown: Object = json.loads(json.dumps(policy))
    for binding in project.races and [project.races.pop()]:
        policy["bindings"].append(binding)
        policy["etag"] += "1"
    return shown


def _set_policy(project: Project, _: list[str], content: Object, __: str) -> Object | None:
    name, policy = _name(project), content.get("policy", content)
    if not _exists(project, name):
        return None
    project.require(f"setIamPolicy on {name.split('/')[-2]}")
    before = project.policies[name]
    if policy.get("etag") != before["etag"]:
        status = 412 if name.startswith("b/") else 409
        raise Refused(status, "There were concurrent policy changes. Please retry the whole read-modify-write.")
    kind = "b" if name.startswith("b/") else name.split("/")[-2]
    for each in policy["bindings"]:
        if each["role"] not in ROLES or not each["role"].removeprefix("roles/").startswith(_GRANTABLE.get(kind, "")):
            raise Refused(400, f"Role {each['role']} is not supported for this resource.")
        for member in each["members"]:
            _check_member(project, member)
    project.policies[name] = policy | {"etag": before["etag"] + "1"}
    return project.policies[name]


def _check_member(project: Project, member: str) -> None:
    kind, _, name = member.partition(":")
    if kind == "serviceAccount" and (name not in project.state.accounts or project.unknown(member)):
        raise Refused(400, f"Service account {name} does not exist.")
    if kind == "principalSet" and not re.fullmatch(
        rf"//iam.googleapis.com/projects/{NUMBER}/locations/global/workloadIdentityPools/\w+/attribute\.\w+/.+", name
    ):
        raise Refused(400, f"Invalid principalSet member ({member}).")
    if kind == "user" and name.endswith("@nowhere"):
        raise Refused(400, f"User {name} does not exist.")


def _permissions(project: Project, _: list[str], content: Object, who: str) -> Object | None:
    name = _name(project)
    if not _exists(project, name):
        return None
    has = project.allowed(name, who) | project.state.granted.get(who, set())
    allowed = [permission for permission in content["permissions"] if permission in has]
    return {"permissions": allowed} if allowed else {}


def _token(project: Project, path: list[str], _: Object, who: str) -> Object:
    account = f"projects/{project.state.project}/serviceAccounts/{path[1]}"
    has = project.allowed(account, who) | project.state.granted.get(who, set())
    if "iam.serviceAccounts.getAccessToken" not in has:
        raise PermissionError("Permission 'iam.serviceAccounts.getAccessToken' denied (or it may not exist).")
    return {"accessToken": f"token-of-{path[1]}", "expireTime": "2030-01-01T00:00:00Z"}


_IMAGES = "artifactregistry.projects.locations.repositories"
_BUDGETS = "billingbudgets.billingAccounts.budgets"
_POOLS = "iam.projects.locations.workloadIdentityPools"
_PROVIDERS = f"{_POOLS}.providers"
_METHODS: dict[tuple[str, str], Any] = {
    ("artifactregistry", "artifactregistry.projects.locations.operations.get"): _ended,
    ("artifactregistry", f"{_IMAGES}.create"): _new_repository,
    ("artifactregistry", f"{_IMAGES}.delete"): _drop_repository,
    ("artifactregistry", f"{_IMAGES}.patch"): _patch_repository,
    ("billingbudgets", f"{_BUDGETS}.create"): _numbered("budgets"),
    ("billingbudgets", f"{_BUDGETS}.delete"): _drop,
    ("billingbudgets", f"{_BUDGETS}.list"): _list("budgets"),
    ("billingbudgets", f"{_BUDGETS}.patch"): _patch,
    ("cloudbilling", "cloudbilling.billingAccounts.list"): _payers,
    ("cloudbilling", "cloudbilling.projects.updateBillingInfo"): _link,
    ("cloudresourcemanager", "cloudresourcemanager.projects.get"): _project,
    # part: monitor
    ("cloudscheduler", "cloudscheduler.projects.locations.jobs.create"): _new_job,
    ("cloudscheduler", "cloudscheduler.projects.locations.jobs.delete"): _drop,
    ("cloudscheduler", "cloudscheduler.projects.locations.jobs.get"): _read,
    ("cloudscheduler", "cloudscheduler.projects.locations.jobs.patch"): _patch,
    # part end
    ("iam", "iam.projects.serviceAccounts.create"): _new_account,
    ("iam", "iam.projects.serviceAccounts.delete"): _drop_account,
    ("iam", f"{_POOLS}.create"): _named("workloadIdentityPoolId"),
    ("iam", f"{_POOLS}.delete"): _soft_drop,
    ("iam", f"{_POOLS}.get"): _read,
    ("iam", f"{_POOLS}.operations.get"): _ended,
    ("iam", f"{_POOLS}.undelete"): _undelete,
    ("iam", f"{_PROVIDERS}.operations.get"): _ended,
    ("iam", f"{_PROVIDERS}.create"): _named("workloadIdentityPoolProviderId"),
    ("iam", f"{_PROVIDERS}.delete"): _soft_drop,
    ("iam", f"{_PROVIDERS}.get"): _read,
    ("iam", f"{_PROVIDERS}.patch"): _patch,
    ("iam", f"{_PROVIDERS}.undelete"): _undelete,
    ("iamcredentials", "iamcredentials.projects.serviceAccounts.generateAccessToken"): _token,
    ("monitoring", "monitoring.projects.alertPolicies.create"): _numbered("alertPolicies"),
    ("monitoring", "monitoring.projects.alertPolicies.delete"): _drop,
    ("monitoring", "monitoring.projects.alertPolicies.list"): _list("alertPolicies"),
    ("monitoring", "monitoring.projects.notificationChannels.create"): _numbered("notificationChannels"),
    ("monitoring", "monitoring.projects.notificationChannels.delete"): _drop,
    ("monitoring", "monitoring.projects.notificationChannels.list"): _list("notificationChannels"),
    ("monitoring", "monitoring.projects.notificationChannels.patch"): _patch,
    ("secretmanager", "secretmanager.projects.secrets.create"): _new_secret,
    ("secretmanager", "secretmanager.projects.secrets.delete"): _drop_secret,
    ("serviceusage", "serviceusage.operations.get"): _ended,
    ("serviceusage", "serviceusage.services.batchEnable"): _enable,
    ("storage", "storage.buckets.delete"): _drop_bucket,
    ("storage", "storage.buckets.get"): _bucket,
    ("storage", "storage.buckets.insert"): _new_bucket,
    ("storage", "storage.buckets.patch"): _patch_bucket,
    ("storage", "storage.managedFolders.delete"): _drop,
    ("storage", "storage.managedFolders.get"): _read,
    ("storage", "storage.managedFolders.insert"): _new_folder,
    ("storage", "storage.objects.delete"): _drop_object,
    ("storage", "storage.objects.list"): _objects,
    **{
        ("storage", f"storage.{kind}.{verb}"): answer
        for kind in ("buckets", "managedFolders")
        for verb, answer in (
            ("getIamPolicy", _policy),
            ("setIamPolicy", _set_policy),
            ("testIamPermissions", _permissions),
        )
    },
    **{
        (identity.partition(".")[0], f"{identity}.{verb}"): answer
        for identity in (
            "cloudresourcemanager.projects",
            "iam.projects.serviceAccounts",
            _IMAGES,
            "secretmanager.projects.secrets",
        )
        for verb, answer in (
            ("getIamPolicy", _policy),
            ("setIamPolicy", _set_policy),
            ("testIamPermissions", _permissions),
        )
    },
}
