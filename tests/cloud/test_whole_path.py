"""The whole cloud path, with processes for containers."""

from pathlib import Path

import pytest
from needs import needs
from whole_path import walk, world

pytestmark = [pytest.mark.cloud, pytest.mark.slow]


@needs("curl")
def test_rows_are_pushed_trained_on_published_served_promoted_and_rolled_back(
    tmp_path: Path, stand_in: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("STORAGE_EMULATOR_HOST", stand_in)
    with world(tmp_path, stand_in) as there:
        walk(there)
