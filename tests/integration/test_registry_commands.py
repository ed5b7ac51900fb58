"""`python -m boatyard.registry`, which `invoke models`, `promote` and `rollback` call."""

from pathlib import Path

import pytest
from bundles import Publish

from boatyard import registry
from boatyard.registry.__main__ import main
from boatyard.storage import Storage

pytestmark = pytest.mark.integration


@pytest.fixture(autouse=True)
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("BOATYARD_STORAGE", str(tmp_path / "storage"))


def test_models_lists_versions_with_what_points_at_them(
    storage: Storage, publish: Publish, capsys: pytest.CaptureFixture[str]
) -> None:
    first = publish(metrics={"served": [{"name": "accuracy", "value": 0.91}]}).version
    registry.promote(storage, "ferry", first)
    assert main(["models"]) == 0
    name, line = capsys.readouterr().out.splitlines()
    assert name == "ferry"
    assert line.split() == [first, "accuracy", "0.9100", "@production"]


def test_an_empty_registry_says_what_fills_it(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["models"]) == 0
    assert "invoke pipeline" in capsys.readouterr().out


def test_promote_and_roll_back_move_the_alias(
    storage: Storage, publish: Publish, capsys: pytest.CaptureFixture[str]
) -> None:
    first, second = publish().version, publish(bias=(1, 0, 0)).version
    for version in (first, second):
        assert main(["promote", "ferry", version]) == 0
    assert main(["rollback", "ferry"]) == 0
    assert registry.aliases(storage, "ferry") == {"production": first}
    assert capsys.readouterr().out.splitlines()[-1] == f"ferry@production is {first}"


def test_what_cannot_be_moved_is_one_sentence_and_status_2(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["promote", "ferry", "newest"]) == 2
    shown = capsys.readouterr()
    assert shown.out == ""
    assert shown.err.startswith("promote: 'newest' is not a version")
    assert len(shown.err.splitlines()) == 1


def test_an_alias_moves_only_from_the_version_that_is_expected(
    storage: Storage, publish: Publish, capsys: pytest.CaptureFixture[str]
) -> None:
    first, second = publish().version, publish(bias=(1, 0, 0)).version
    assert main(["promote", "ferry", first, "--expected=none"]) == 0
    for words in (["promote", "ferry", second], ["rollback", "ferry"]):
        assert main([*words, f"--expected={second}"]) == 2
        assert main([*words, "--expected=none"]) == 2
    assert f"points at {first}, not at {second}" in capsys.readouterr().err
    assert registry.aliases(storage, "ferry") == {"production": first}
    assert main(["promote", "ferry", second, f"--expected={first}"]) == 0
    assert registry.aliases(storage, "ferry") == {"production": second}


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"examples": [{"text": "x" * 201}]}, "has 201 characters"),
        ({"examples": [{"body": "card"}]}, "unknown field"),
        ({"bias": (float("nan"), 0, 0)}, "no number"),
        ({"input": "sound"}, "unknown input 'sound'"),
    ],
)
def test_what_no_server_could_answer_with_is_not_promoted(
    storage: Storage, publish: Publish, capsys: pytest.CaptureFixture[str], changes: dict[str, object], said: str
) -> None:
    good = publish(bias=(1, 0, 0)).version
    assert main(["promote", "ferry", good]) == 0
    assert main(["promote", "ferry", publish(**changes).version]) == 2
    assert said in capsys.readouterr().err
    assert registry.aliases(storage, "ferry") == {"production": good}
