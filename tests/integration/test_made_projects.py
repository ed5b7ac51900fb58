"""Projects that leave parts out, made of what is here, read as their first reader does."""

from pathlib import Path

import pytest
from checkout import copy_repository

from boatyard.template.answers import Answers
from boatyard.template.making import files, make_project, texts
from boatyard.template.parts import MANIFEST, read_manifest

pytestmark = [pytest.mark.integration, pytest.mark.slow]

ROOT = Path(__file__).parents[2]
TEMPLATE = read_manifest(ROOT / MANIFEST)
ANSWERS = Answers("fraud-watch", author="Ada", year=2026, python="3.13", without=("cloud", "monitor"))


def test_a_checkout_with_the_line_ends_of_windows_makes_the_same_project(tmp_path: Path) -> None:
    one, other = copy_repository(tmp_path / "one"), copy_repository(tmp_path / "other")
    for path, text in texts(other):
        (other / path).write_bytes(text.replace("\n", "\r\n").encode(errors="surrogateescape"))
    for copy in (one, other):
        make_project(copy, TEMPLATE, ANSWERS)
    assert files(one) == files(other)
    different = {path for path in files(one) if (one / path).read_bytes() != (other / path).read_bytes()}
    assert {path for path in different if not path.endswith(".csv")} == set()
    assert "python:3.13-" in (one / ".devcontainer" / "devcontainer.json").read_text(encoding="utf-8")
