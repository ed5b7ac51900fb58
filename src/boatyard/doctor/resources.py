"""The checks of what the commands use on Google Cloud: storage, images, quota and secrets; nothing is changed.

Each fix is a complete command that corrects what its check reports; `invoke cloud.setup` does most of them at once.
"""

import re
from functools import partial
from typing import Any
from urllib.parse import quote

from boatyard.cloud import access
from boatyard.cloud.access import Cloud
from boatyard.cloud.checkout import read_checkout
from boatyard.cloud.place import Place
from boatyard.doctor.checks import Check, Undecided, Verdict, check, ok, warning, wrong

LIFECYCLE = "deploy/storage/lifecycle.json"
_WRITTEN_PREFIX = "boatyard/"  # in that file
CLEANUP = "deploy/cloudbuild/cleanup.json"
_REGION_PREFIXES = {"as": "asia-", "eu": "europe-", "na": "us-", "us": "us-"}  # by the start of a multi-region's name


@check("bucket")
def bucket(cloud: Cloud) -> Verdict:
    """It is in the region where training and serving run: traffic between regions is slow and costs money."""
    where, name = cloud.where, cloud.where.bucket
    content = cloud.get("storage", access.bucket(where).path)
    if content is None:
        return wrong(f"there is no gs://{name}", create_bucket(where, name))
    location = content.get("location", "").lower()
    if location == where.region:
        return _judge_what_is_kept(where, content)
    sentence = f"gs://{name} is in {location}, not in {where.region}"
    if content.get("locationType") != "region" and where.region.startswith(_REGION_PREFIXES.get(location[:2], " ")):
        return warning(sentence, f"gcloud storage buckets relocate gs://{name} --location={where.region}")
    new = f"{name}-{where.region}"
    export = f"export BOATYARD_STORAGE={where.storage.replace(name, new, 1)}"
    return wrong(sentence, f"{create_bucket(where, new)} && {export}")


def _judge_what_is_kept(where: Place, content: dict[str, Any]) -> Verdict:
    """Checkpoints and build sources are deleted after a while, and what is deleted or overwritten is not charged on."""
    name, checkpoints = where.bucket, f"{where.prefix}checkpoints/"
    rules = content.get("lifecycle", {}).get("rule", [])
    deleted = [prefix for rule in rules for prefix in rule.get("condition", {}).get("matchesPrefix", [])]
    fix = configure_bucket(where)
    if checkpoints not in deleted:
        return warning(f"gs://{name} keeps {checkpoints} for good, since no lifecycle rule names it", fix)
    if seconds := int(content.get("softDeletePolicy", {}).get("retentionDurationSeconds", 0)):
        return warning(f"gs://{name} is charged for what was deleted or overwritten in {seconds // 86400} days", fix)
    return ok(f"gs://{name} in {where.region}")


@check("repository")
def repository(cloud: Cloud) -> Verdict:
    """The repository of images, in the region where they run."""
    where, name = cloud.where, cloud.where.repository
    content = cloud.get("artifactregistry", access.repository(where).path)
    if content is None:
        return wrong(f"there is no {name} in {where.region}", create_repository(where, name))
    if content.get("format") != "DOCKER":
        sentence = f"{name} holds no images: create another, and set cloud.repository={name}-images"
        return wrong(sentence, create_repository(where, f"{name}-images"))
    if not content.get("cleanupPolicies"):
        return warning(f"{name} keeps every image of every commit", configure_repository(where))
    return ok(f"{name} in {where.region}")


def image(name: str) -> Check[Cloud]:
    """The image of the commit that is checked out was built."""
    return Check(f"image {name}", partial(_judge_image, name))


def _judge_image(name: str, cloud: Cloud) -> Verdict:
    where = cloud.where
    if (checkout := read_checkout()) is None:
        return warning(
            "no commit here, but images are tagged by commit",
            'git init && git add --all && git commit --message "Start"',
        )
    commit = checkout.commit
    content = cloud.get("artifactregistry", f"{access.repository(where).path}/packages/{name}/tags/{commit}")
    if content is None:
        return wrong(f"there is none of commit {commit[:12]}", _build(where, commit))
    if checkout.changed:
        again = f"git add --all && git commit && {_build(where, '$(git rev-parse HEAD)')}"
        return warning(f"that of commit {commit[:12]} exists, but files were changed since", again)
    return ok(f"that of commit {commit[:12]} exists")


@check("GPU quota")
def gpu_quota(cloud: Cloud) -> Verdict:
    """How many GPUs may train at once in the region; Google does not report how many are in use."""
    job = cloud.config.cloud.train
    if job.gpu is None:
        return ok("no GPU is requested")
    kind = "preemptible_nvidia" if job.spot else "nvidia"
    name = f"{job.gpu}{' (spot)' if job.spot else ''}"
    return _judge_quota(cloud, f"{kind}_{job.gpu.replace('-', '_')}_gpus", job.gpus * job.workers, name)


@check("CPU quota")
def cpu_quota(cloud: Cloud) -> Verdict:
    """As of the GPUs. Machines that come with GPUs do not name their CPUs, and are limited by the GPUs' quota."""
    job = cloud.config.cloud.train
    family, _, cpus = job.machine.partition("-")
    if not (count := re.search(r"-([0-9]+)$", cpus)):
        return ok(f"{job.machine} is counted by its GPUs")
    kind = "cpus" if family == "n1" else f"{family}_cpus"
    return _judge_quota(cloud, f"preemptible_{kind}" if job.spot else kind, int(count[1]) * job.workers, "CPUs")


def _judge_quota(cloud: Cloud, name: str, needed: int, of: str) -> Verdict:
    where, metric = cloud.where, f"aiplatform.googleapis.com/custom_model_training_{name}"
    services = f"v1beta1/projects/{where.project}/services/aiplatform.googleapis.com"
    path = f"{services}/consumerQuotaMetrics/{quote(metric, safe='')}"
    content = cloud.get("serviceusage", path, view="FULL")  # or else a region without a limit of its own is left out
    if content is None:
        raise Undecided(f"Google knows no quota {metric}")
    limit = _limit(content, where.region)
    if limit < 0 or limit >= needed:
        return ok(f"{needed} {of} of {'any number' if limit < 0 else limit} in {where.region}")
    vertex = f"--service=aiplatform.googleapis.com --project={where.project}"
    quota_id = f"gcloud beta quotas info list {vertex} --filter='metric={metric}' --format='value(quotaId)'"
    return wrong(
        f"{needed} {of} requested, but {limit} allowed in {where.region}",
        f'gcloud beta quotas preferences create {vertex} --quota-id="$({quota_id})" --dimensions=region={where.region} '
        f'--preferred-value={needed} --email="$(gcloud config get account)"',
    )


def secret(name: str, required: bool = True) -> Check[Cloud]:
    """The newest version of a secret is enabled; its value is not read."""
    return Check(name, partial(_judge_secret, name, required))


def _judge_secret(name: str, required: bool, cloud: Cloud) -> Verdict:
    path = access.secret(cloud.where, name).path
    words = f"{name} --project={cloud.where.project} --data-file=-"  # typed into the terminal: no history keeps it
    if cloud.get("secretmanager", path) is None:
        if required:
            return wrong("does not exist", f"gcloud secrets create {words}")
        return ok("none: callers need roles/run.invoker")
    newest = cloud.get("secretmanager", f"{path}/versions/latest")
    if newest is None:
        return wrong("it has no version", f"gcloud secrets versions add {words}")
    if newest.get("state") != "ENABLED":
        state = str(newest.get("state")).lower()
        return wrong(f"its newest version is {state}", f"gcloud secrets versions add {words}")
    return ok("enabled")


def create_bucket(where: Place, name: str) -> str:
    """The command."""
    return (
        f"gcloud storage buckets create gs://{name} --project={where.project} --location={where.region} "
        "--uniform-bucket-level-access --public-access-prevention"
    )


def configure_bucket(where: Place) -> str:
    """The command that has old checkpoints deleted, and charges nothing for them afterwards."""
    file, write = LIFECYCLE, ""
    if where.prefix != _WRITTEN_PREFIX:
        file = '"${TMPDIR:-/tmp}/lifecycle.json"'
        write = f"sed 's#\"{_WRITTEN_PREFIX}#\"{where.prefix}#g' {LIFECYCLE} > {file} && "
    return f"{write}gcloud storage buckets update gs://{where.bucket} --lifecycle-file={file} --clear-soft-delete"


def create_repository(where: Place, name: str) -> str:
    """The command."""
    place = f"--location={where.region} --project={where.project}"
    return f"gcloud artifacts repositories create {name} --repository-format=docker {place}"


def configure_repository(where: Place) -> str:
    """The command that has old images deleted."""
    place = f"--location={where.region} --project={where.project}"
    return f"gcloud artifacts repositories set-cleanup-policies {where.repository} --policy={CLEANUP} {place}"


def _build(where: Place, commit: str) -> str:
    return (
        f"gcloud beta builds submit --project={where.project} --region={where.region} "
        f"--gcs-source-staging-dir={where.storage}/build "
        f'--substitutions="COMMIT_SHA={commit},_REPOSITORY={where.repository}"'
    )


def _limit(metric: dict[str, Any], region: str) -> int:
    """The region's own limit, or else that of all regions; negative if it is unlimited. Raises Undecided."""
    buckets = [bucket for limit in metric.get("consumerQuotaLimits", []) for bucket in limit.get("quotaBuckets", [])]
    limits = {bucket.get("dimensions", {}).get("region"): int(bucket.get("effectiveLimit", 0)) for bucket in buckets}
    if (limit := limits.get(region, limits.get(None))) is None:
        raise Undecided(f"Google names no limit of {metric.get('metric')} in {region}")
    return limit
