"""Who works on a job, and how often its next chunk is tried."""

import pytest

from boatyard.api.jobs import leases, store
from boatyard.api.jobs.store import Job, Progress, Submission
from boatyard.storage import Storage

pytestmark = pytest.mark.unit


@pytest.fixture
def job(storage: Storage) -> Job:
    submission = Submission(storage, "ferry", "20260102T030405Z-0a1b2c3d", "csv")
    submission.add(b"text\ncard\n")
    return submission.finish()


def attempts(storage: Storage, job: Job, holder: str = "a") -> int | None:
    lease = leases.take(storage, job, holder)
    return lease and lease.attempts


def test_one_at_a_time_holds_a_job(storage: Storage, job: Job) -> None:
    assert attempts(storage, job, "a") == 1
    assert attempts(storage, job, "b") is None
    assert leases.renew(storage, job, "a")
    assert not leases.renew(storage, job, "b")
    leases.release(storage, job, "b")
    assert leases.renew(storage, job, "a"), "who has no lease gives none back"
    leases.release(storage, job, "a")
    assert not leases.renew(storage, job, "a")
    assert attempts(storage, job, "b") == 1


def test_attempts_count_that_ended_without_a_word_or_with_a_failure(
    storage: Storage, job: Job, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(leases, "FIRST_BACKOFF", 0)
    monkeypatch.setattr(leases, "LEASE_SECONDS", 0)  # as if it were over
    assert [attempts(storage, job) for _ in range(3)] == [1, 2, 3], "killed each time"
    leases.release(storage, job, "a", "the storage is away")
    lease = leases.take(storage, job, "b")
    assert lease is not None
    assert (lease.attempts, lease.why) == (4, "the storage is away")
    leases.release(storage, job, "b")
    assert attempts(storage, job) == 4, "a server that was stopped is no failure"
    store.write_chunk(storage, job, Progress(1, 1, 0, 10), [{"row": 1}])
    assert attempts(storage, job) == 1, "it got on"


def test_after_each_failure_a_job_waits_longer(storage: Storage, job: Job, monkeypatch: pytest.MonkeyPatch) -> None:
    now = 1_000_000.0
    monkeypatch.setattr(leases, "time", lambda: now)
    for pause in (5, 20, 80, 320):
        assert attempts(storage, job) is not None
        leases.release(storage, job, "a", "it failed")
        now += pause - 1
        assert attempts(storage, job) is None
        now += 1
    assert attempts(storage, job) == leases.MOST_ATTEMPTS


def test_a_lease_from_before_attempts_were_counted_is_read(storage: Storage, job: Job) -> None:
    storage.write(f"jobs/{job.id}/lease.json", b'{"holder": "dead", "until": 5.5}')
    assert attempts(storage, job) == 1
