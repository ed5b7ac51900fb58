"""What is kept in a storage works alike in a folder and in a bucket."""

import shutil
from pathlib import Path

import pytest
from bundles import Publish

from boatyard import journal, registry
from boatyard.api.jobs import leases, store
from boatyard.api.jobs.store import End, Progress, Submission
from boatyard.bundle.manifest import open_bundle
from boatyard.bundle.rows import CHUNK
from boatyard.config.errors import UserError
from boatyard.journal import Journal
from boatyard.registry import Reference
from boatyard.storage import Storage, open_storage
from boatyard.train.checkpoints import Checkpoints, Mirror

pytestmark = pytest.mark.cloud


@pytest.fixture(params=["folder", "bucket"])
def root(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    return str(tmp_path / "storage") if request.param == "folder" else request.getfixturevalue("bucket_root")


@pytest.fixture
def storage(root: str) -> Storage:
    return open_storage(root)


def test_versions_are_published_promoted_fetched_and_rolled_back(
    storage: Storage, publish: Publish, tmp_path: Path
) -> None:
    first, second = (publish(bias=(bias, 0, 0)).version for bias in range(2))
    assert registry.names(storage) == ["ferry"]
    assert sorted(registry.versions(storage, "ferry")) == sorted([first, second])
    for version in (first, second):
        registry.promote(storage, "ferry", version)
    assert registry.fetch(storage, Reference("ferry"), tmp_path / "cache").manifest.version == second
    assert registry.rollback(storage, "ferry").version == first
    assert registry.aliases(storage, "ferry") == {"production": first}
    fetched = registry.fetch(storage, Reference("ferry"), tmp_path / "cache")
    assert open_bundle(fetched.folder).manifest.version == first
    with pytest.raises(UserError, match="nothing to go back to"):
        registry.rollback(storage, "ferry")


def test_of_two_promotions_at_once_one_is_refused(
    storage: Storage, publish: Publish, monkeypatch: pytest.MonkeyPatch
) -> None:
    first, second = (publish(bias=(bias, 0, 0)).version for bias in range(2))
    swap = type(storage).swap

    def overtaken(self: Storage, key: str, data: bytes, expected: str | None) -> str:
        monkeypatch.setattr(type(storage), "swap", swap)
        registry.promote(storage, "ferry", second)
        return swap(self, key, data, expected)

    monkeypatch.setattr(type(storage), "swap", overtaken)
    with pytest.raises(UserError, match=f"moved meanwhile to {second}"):
        registry.promote(storage, "ferry", first)


def test_the_journal_is_shipped_and_read(storage: Storage, tmp_path: Path) -> None:
    writing = Journal(storage, tmp_path / "spool", segment_bytes=200)
    for number in range(20):
        writing.append([{"n": number, "text": "card"}])
    assert writing.close(10)
    assert [line["n"] for line in journal.read(storage)] == list(range(20))
    assert not list((tmp_path / "spool").rglob("*.jsonl"))


def test_a_job_is_leased_answered_chunk_by_chunk_and_ended(storage: Storage) -> None:
    submission = Submission(storage, "ferry", "20260102T030405Z-0a1b2c3d", "csv")
    submission.add(b"text\n" + b"card\n" * (CHUNK + 1))
    job = submission.finish()
    assert store.open_ids(storage) == [job.id]
    assert store.find(storage, job.id) == job
    assert leases.take(storage, job, "a")
    assert not leases.take(storage, job, "b")
    for number, chunk in enumerate(store.chunks(storage, job), 1):
        at = Progress(number, chunk[-1].number, 0, chunk[-1].end)
        for _ in range(2):  # as two who work on it
            store.write_chunk(storage, job, at, [{"row": row.number} for row in chunk])
        assert store.progress(storage, job) == at
    held = storage.read(f"jobs/{job.id}/lease.json")
    assert leases.renew(storage, job, "a"), "it has most of its time still"
    assert storage.read(f"jobs/{job.id}/lease.json") == held
    assert not leases.renew(storage, job, "b")
    leases.release(storage, job, "a")
    assert leases.take(storage, job, "b")
    store.write_end(storage, job, End("finished"))
    store.write_end(storage, job, End("failed", "too late"))
    assert store.end(storage, job) == End("finished")
    assert store.open_ids(storage) == []
    answers = b"".join(storage.read(key) for key in store.result_keys(storage, job))
    assert answers.count(b"\n") == CHUNK + 1


def test_checkpoints_are_mirrored_pruned_and_found_again(storage: Storage, tmp_path: Path) -> None:
    def checkpoints() -> Checkpoints:
        return Checkpoints(tmp_path / "here", 2, Mirror(storage, "ferry/run", keep=2))

    writing = checkpoints()
    for step in (1, 2, 3):
        with writing.writing(step, best=None) as folder:
            (folder / "weights").write_bytes(bytes([step]) * 10_000_000)
        writing.finish()
    assert {key.split("/")[2] for key in storage.list("ferry/run/")} == {"checkpoint-2", "checkpoint-3"}
    shutil.rmtree(tmp_path / "here")
    newest = checkpoints().newest()
    assert newest is not None
    assert (newest / "weights").read_bytes() == bytes([3]) * 10_000_000
    checkpoints().discard()
    assert storage.list() == []
