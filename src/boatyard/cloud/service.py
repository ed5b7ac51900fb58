"""A Cloud Run service as the API reports it: its traffic, revisions and annotations.

The Admin API is used in version 1, whose messages have the same form as the YAML in deploy/run/.
"""

from collections.abc import Sequence
from typing import Any

Object = dict[str, Any]

CANDIDATE = "candidate"
"""The traffic tag of a new revision, which gives it an address before it has traffic."""

_SERVED = "boatyard/served"  # annotation: the revisions that had the traffic, the newest last
_MOST_SERVED = 10


def traffic(service: Object | None) -> list[Object]:
    """The current traffic targets without the candidate's tag; empty if no revision has a share."""
    targets = []
    for target in (service or {}).get("status", {}).get("traffic", []):
        keys = ("revisionName", "percent") if target.get("tag") == CANDIDATE else ("revisionName", "percent", "tag")
        kept = {key: target[key] for key in keys if key in target}
        if kept.get("percent") or "tag" in kept:
            targets.append(kept)
    return targets if main_revision(targets) else []


def main_revision(targets: Sequence[Object]) -> str | None:
    """The revision with the largest share of the traffic."""
    shares = {target["revisionName"]: target["percent"] for target in targets if target.get("percent")}
    return max(shares, key=lambda name: shares[name], default=None)


def served(service: Object | None) -> list[str]:
    """The revisions that `deploy` recorded as having had the traffic, the newest last."""
    return annotations(service).get(_SERVED, "").split()


def with_served(service: Object, revisions: Sequence[str]) -> dict[str, str]:
    """The service's annotations, with these revisions recorded as `served`."""
    return annotations(service) | {_SERVED: " ".join(revisions[-_MOST_SERVED:])}


def annotations(resource: Object | None) -> dict[str, str]:
    """Of its metadata; empty if it has none."""
    return dict((resource or {}).get("metadata", {}).get("annotations", {}))


def preserved_annotations(service: Object) -> dict[str, str]:
    """Those that no template holds: the service's creator, and what `deploy` recorded."""
    return {
        key: value
        for key, value in annotations(service).items()
        if key == _SERVED or key.startswith("serving.knative.dev/")
    }


def condition(resource: Object, kind: str) -> Object:
    """The status condition of this type; empty if there is none."""
    conditions: list[Object] = resource.get("status", {}).get("conditions", [])
    return next((condition for condition in conditions if condition.get("type") == kind), {})
