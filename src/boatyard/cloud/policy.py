"""IAM policies: who holds which role on a resource, read and changed by REST.

A policy is changed by writing all of it back, with the etag of the version that was read: of two people who change it
at once, one is refused, and reads it again. Roles with a condition are kept, and count for nothing here.
"""

from collections.abc import Collection
from typing import Any

from boatyard.cloud.access import Cloud, Resource
from boatyard.cloud.rest import ApiError

Held = tuple[str, str]
"""A role and a member, such as serviceAccount:EMAIL."""

_TRIES = 5
_VERSION = 3  # asked for: with less, Google hides the conditions, and would drop them with the answer
_CHANGED_MEANWHILE = {409, 412}


def held(cloud: Cloud, on: Resource) -> set[Held]:
    """All that is held on it without a condition. Raises ApiError."""
    return {(each["role"], member) for each in _plain(_read(cloud, on)) for member in each.get("members", [])}


def change(cloud: Cloud, on: Resource, add: Collection[Held] = (), remove: Collection[Held] = ()) -> None:
    """Add and remove these, and leave all others. Raises ApiError."""
    for tries_left in reversed(range(_TRIES)):
        policy = _read(cloud, on)
        _edit(policy, add, remove)
        try:
            _write(cloud, on, policy)
        except ApiError as error:
            if error.status not in _CHANGED_MEANWHILE or not tries_left:
                raise
        else:
            return


def _edit(policy: dict[str, Any], add: Collection[Held], remove: Collection[Held]) -> None:
    bindings = policy.setdefault("bindings", [])
    for role, member in add:
        of_role = next((each for each in _plain(policy) if each["role"] == role), None)
        if of_role is None:
            bindings.append({"role": role, "members": [member]})
        elif member not in of_role["members"]:
            of_role["members"].append(member)
    for each in _plain(policy):
        each["members"] = [member for member in each["members"] if (each["role"], member) not in remove]
    policy["bindings"] = [each for each in bindings if each["members"]]


def _plain(policy: dict[str, Any]) -> list[dict[str, Any]]:
    return [each for each in policy.get("bindings", []) if "condition" not in each]


def _read(cloud: Cloud, on: Resource) -> dict[str, Any]:
    api = cloud.api(on.api)
    if on.api == "storage":
        return api.get(f"{on.path}/iam", optionsRequestedPolicyVersion=_VERSION)
    if on.kind == "project":
        return api.post(f"{on.path}:getIamPolicy", {"options": {"requestedPolicyVersion": _VERSION}})
    wanted = {"options.requestedPolicyVersion": _VERSION}
    read = api.post if on.kind == "account" else api.get
    return read(f"{on.path}:getIamPolicy", **wanted)


def _write(cloud: Cloud, on: Resource, policy: dict[str, Any]) -> None:
    if on.api == "storage":
        cloud.api(on.api).put(f"{on.path}/iam", policy)
    else:
        cloud.api(on.api).post(f"{on.path}:setIamPolicy", {"policy": policy})
