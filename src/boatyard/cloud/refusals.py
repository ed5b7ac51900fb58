"""What Google says when it refuses a request, as a sentence of ours with the command that mends it.

Google answers 403 to four different mistakes. `error.details[].reason` tells them apart (google.rpc.ErrorInfo).
"""

import os
from dataclasses import dataclass
from typing import Any

_GCLOUDS_OWN = "projects/764086051850"  # what user credentials without a quota project are charged to


@dataclass(frozen=True)
class Refusal:
    """Why, and the command that mends it, where there is one."""

    sentence: str
    fix: str | None = None
    reason: str | None = None
    """Google's word for it."""


def refusal(error: dict[str, Any], otherwise: str) -> Refusal:
    """`error`: of a response's body; `otherwise`: what is said where it holds no message."""
    message = str(error.get("message") or otherwise).strip().rstrip(".")
    infos = [info for info in error.get("details", []) if "reason" in info]
    info = infos[0] if infos else {}
    facts: dict[str, str] = info.get("metadata", {})
    service, consumer = facts.get("service", "SERVICE"), facts.get("consumer", "projects/PROJECT")
    project = os.environ.get("GOOGLE_CLOUD_PROJECT", "PROJECT")
    if "quota project" in message or consumer == _GCLOUDS_OWN:
        fix = f"gcloud auth application-default set-quota-project {project}"
        return Refusal("your credentials name no project to count requests against", fix)
    match reason := info.get("reason"):
        case "SERVICE_DISABLED":
            fix = f"gcloud services enable {service} --project={consumer.removeprefix('projects/')}"
            return Refusal(f"{service} is off in this project", fix, reason)
        case "USER_PROJECT_DENIED":
            return Refusal("you may not count requests against this project: roles/serviceusage.serviceUsageConsumer")
        case "IAM_PERMISSION_DENIED":
            return Refusal(f"you lack the permission {facts.get('permission', '')} on {facts.get('resource', 'it')}")
    return Refusal(message, reason=reason)
