"""Leases: one server at a time works on a job, and another takes over once the lease has expired."""

import json
from dataclasses import asdict, dataclass, replace
from time import time

from pydantic_core import to_json

from boatyard.api.jobs.store import Job, progress
from boatyard.storage import Conflict, Storage

LEASE_SECONDS = 15.0
MOST_ATTEMPTS = 5  # to answer one chunk
FIRST_BACKOFF, BACKOFF_FACTOR = 5.0, 4  # 5 s after the first failed attempt, 320 s after the fourth


@dataclass(frozen=True)
class Lease:
    """The server that works on a job, until when (seconds since 1970), and how many attempts at the next chunk failed.

    An attempt counts as failed, also if it crashed the server, unless it made progress or the lease was released in
    an orderly way. `why`: the last failure.
    """

    holder: str = ""
    until: float = 0.0
    chunks: int = 0
    attempts: int = 0
    why: str | None = None


def take(storage: Storage, job: Job, holder: str) -> Lease | None:
    """The lease, if `holder` may work on the job until it expires; None if another server holds it."""
    held = storage.read_versioned(_lease_key(job))
    before = Lease(**json.loads(held[0])) if held else Lease()
    if before.until > time():
        return None
    at = progress(storage, job).chunks
    attempts, why = (before.attempts, before.why) if before.chunks == at else (0, None)
    return _swap(storage, job, Lease(holder, time() + LEASE_SECONDS, at, attempts + 1, why), held and held[1])


def renew(storage: Storage, job: Job, holder: str) -> bool:
    """Whether `holder` still has the lease, which is extended if it expires soon."""
    held = storage.read_versioned(_lease_key(job))
    if held is None or (now := Lease(**json.loads(held[0]))).holder != holder:
        return False
    if now.until - time() > LEASE_SECONDS / 2:  # an object takes about one change a second
        return True
    return _swap(storage, job, replace(now, until=time() + LEASE_SECONDS), held[1]) is not None


def release(storage: Storage, job: Job, holder: str, why: str | None = None) -> None:
    """Lets any server take the job: at once or, after a failure (`why`), with exponential backoff."""
    held = storage.read_versioned(_lease_key(job))
    if held is None or (now := Lease(**json.loads(held[0]))).holder != holder:
        return
    if why is None:
        released = replace(now, holder="", until=time(), attempts=now.attempts - 1)
    else:
        released = replace(now, holder="", until=time() + FIRST_BACKOFF * BACKOFF_FACTOR ** (now.attempts - 1), why=why)
    _swap(storage, job, released, held[1])


def _swap(storage: Storage, job: Job, lease: Lease, expected: str | None) -> Lease | None:
    try:
        storage.swap(_lease_key(job), to_json(asdict(lease)), expected)
    except Conflict:
        return None
    return lease


def _lease_key(job: Job) -> str:
    return f"jobs/{job.id}/lease.json"
