"""Who works on a job: one server at a time, and another once that one is gone."""

import json
from dataclasses import asdict, dataclass, replace
from time import time

from pydantic_core import to_json

from boatyard.api.jobs.store import Job, progress
from boatyard.storage import Conflict, Storage

LEASE_SECONDS = 15.0
MOST_ATTEMPTS = 5  # at one chunk
FIRST_PAUSE, PAUSE_GROWS = 5.0, 4  # 5 s after the first attempt that failed, 320 s after the fourth


@dataclass(frozen=True)
class Lease:
    """Who works on a job, until when (seconds since 1970), and how many attempts at its next chunk have failed.

    Every attempt counts, one that took the process down too, unless it made progress or was given back unharmed.
    """

    holder: str = ""
    until: float = 0.0
    chunks: int = 0
    attempts: int = 0
    why: str | None = None


def take(storage: Storage, job: Job, holder: str) -> Lease | None:
    """The lease, if `holder` may work on the job for the time being."""
    held = storage.read_versioned(_lease_key(job))
    before = Lease(**json.loads(held[0])) if held else Lease()
    if before.until > time():
        return None
    at = progress(storage, job).chunks
    attempts, why = (before.attempts, before.why) if before.chunks == at else (0, None)
    return _swap(storage, job, Lease(holder, time() + LEASE_SECONDS, at, attempts + 1, why), held and held[1])


def renew(storage: Storage, job: Job, holder: str) -> bool:
    """Whether `holder` may go on."""
    held = storage.read_versioned(_lease_key(job))
    if held is None or (now := Lease(**json.loads(held[0]))).holder != holder:
        return False
    if now.until - time() > LEASE_SECONDS / 2:  # an object takes about one change a second
        return True
    return _swap(storage, job, replace(now, until=time() + LEASE_SECONDS), held[1]) is not None


def give_back(storage: Storage, job: Job, holder: str, why: str | None = None) -> None:
    """Lets others take the job: at once or, with `why` it failed, after a pause that grows with each failure."""
    held = storage.read_versioned(_lease_key(job))
    if held is None or (now := Lease(**json.loads(held[0]))).holder != holder:
        return
    if why is None:
        released = replace(now, holder="", until=time(), attempts=now.attempts - 1)
    else:
        released = replace(now, holder="", until=time() + FIRST_PAUSE * PAUSE_GROWS ** (now.attempts - 1), why=why)
    _swap(storage, job, released, held[1])


def _swap(storage: Storage, job: Job, lease: Lease, expected: str | None) -> Lease | None:
    try:
        storage.swap(_lease_key(job), to_json(asdict(lease)), expected)
    except Conflict:
        return None
    return lease


def _lease_key(job: Job) -> str:
    return f"jobs/{job.id}/lease.json"
