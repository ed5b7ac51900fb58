"""The doctor of this machine, where the storage is a bucket."""

from pathlib import Path

import pytest

from boatyard.config.compose import load_config
from boatyard.doctor import machine

pytestmark = pytest.mark.cloud


@pytest.mark.slow
def test_it_reaches_buckets_too(bucket_root: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / ".dvc").mkdir()
    for root, state in ((bucket_root, "ok"), ("gs://no-such-bucket/prefix", "wrong")):
        (tmp_path / ".dvc" / "config").write_text(f"[core]\n    remote = kept\n['remote \"kept\"']\n    url = {root}\n")
        local = load_config([f"paths.storage={root}"])
        assert [machine.dvc_remote(local).state, machine.storage(local).state] == [state, state]
    assert "there is no bucket 'no-such-bucket'" in machine.dvc_remote(local).sentence
