"""What a test run makes once for all of its processes."""

from pathlib import Path

import pytest
from sharing import group, made_once

pytestmark = pytest.mark.unit


def test_it_is_made_once_and_again_where_making_failed(request: pytest.FixtureRequest) -> None:
    made: list[list[Path]] = []

    def make(folder: Path) -> None:
        made.append(list(folder.iterdir()))
        (folder / "half").touch()
        assert len(made) > 1, "the first time it fails"

    with pytest.raises(AssertionError, match="the first time"):
        made_once(request, "of-test-sharing", make)
    folders = {made_once(request, "of-test-sharing", make) for _ in range(3)}
    assert made == [[], []], "each begins with nothing"
    assert len(folders) == 1


def test_tests_that_share_a_fixture_stay_together() -> None:
    assert group("tests/unit/test_a.py::test_x[1::2]") == group("tests/unit/test_a.py::test_y")
    assert group("tests/unit/test_a.py::test_x") != group("tests/unit/test_b.py::test_x")
    assert group("tests/browser/test_a.py::test_x") == group("tests/browser/test_b.py::test_x")
