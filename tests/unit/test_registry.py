import json
from pathlib import Path

import pytest
from bundles import Publish, write_bundle

from boatyard import registry
from boatyard.bundle.manifest import Bundle, BundleError, Manifest
from boatyard.bundle.predict import Predictor, served_files
from boatyard.config.errors import UserError
from boatyard.registry import AliasMoved, Reference, UnknownModel, parse_reference
from boatyard.storage import LocalStorage, Storage

pytestmark = pytest.mark.unit


@pytest.fixture
def three(publish: Publish) -> list[str]:
    """Three published versions."""
    return [publish(bias=(bias, 0, 0)).version for bias in range(3)]


def test_a_reference_reads_a_name_and_an_alias_or_a_version() -> None:
    assert parse_reference("ferry") == Reference("ferry", "production")
    assert parse_reference("ferry@staging") == Reference("ferry", "staging")
    exact = parse_reference("ferry@20260102T030405Z-0a1b2c3d")
    assert exact.selector == "20260102T030405Z-0a1b2c3d"
    assert parse_reference(str(exact)) == exact


@pytest.mark.parametrize(
    "text",
    [
        "",
        "@",
        "ferry@",
        "@production",
        "In",
        "a/b",
        "..",
        "a b",
        "ferry@..",
        "ferry@a/b",
        "-a",
        "a" * 65,
        "a@b@c",
        "a\n",
    ],
)
def test_references_that_are_none_are_refused(text: str) -> None:
    with pytest.raises(UserError, match=r"is not an? "):
        parse_reference(text)


def test_a_published_bundle_comes_back_verified(storage: Storage, publish: Publish, tmp_path: Path) -> None:
    manifest = publish()
    bundle = registry.fetch(storage, Reference("ferry", manifest.version), tmp_path / "cache")
    assert bundle.manifest == manifest
    assert registry.names(storage) == ["ferry"]
    assert registry.versions(storage, "ferry") == [manifest.version]


def test_publishing_again_changes_nothing(storage: Storage, tmp_path: Path) -> None:
    write_bundle(tmp_path / "bundle")
    first = registry.publish(storage, tmp_path / "bundle")
    before = {key: storage.read(key) for key in storage.list()}
    assert registry.publish(storage, tmp_path / "bundle") == first
    assert {key: storage.read(key) for key in storage.list()} == before


def test_a_published_version_is_never_overwritten(storage: Storage, tmp_path: Path) -> None:
    write_bundle(tmp_path / "bundle")
    registry.publish(storage, tmp_path / "bundle")
    described = tmp_path / "bundle/bundle.json"
    described.write_text(json.dumps(json.loads(described.read_text()) | {"metrics": {"accuracy": 0.1}}))
    with pytest.raises(UserError, match="already published"):
        registry.publish(storage, tmp_path / "bundle")


def test_a_torn_bundle_is_not_published(storage: Storage, tmp_path: Path) -> None:
    write_bundle(tmp_path / "bundle")
    (tmp_path / "bundle/model.onnx").write_bytes(b"")
    with pytest.raises(BundleError, match="torn"):
        registry.publish(storage, tmp_path / "bundle")
    assert storage.list() == []


def test_a_version_does_not_exist_until_its_manifest_does(storage: Storage, publish: Publish, tmp_path: Path) -> None:
    version = publish().version
    (tmp_path / "storage/models/ferry" / version / "bundle.json").unlink()
    assert registry.versions(storage, "ferry") == []
    assert registry.names(storage) == []
    with pytest.raises(UnknownModel):
        registry.resolve(storage, Reference("ferry", version))


def test_a_publisher_that_dies_midway_leaves_no_version(
    storage: Storage, publish: Publish, monkeypatch: pytest.MonkeyPatch
) -> None:
    def die(*_: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(LocalStorage, "write_once", die)
    with pytest.raises(KeyboardInterrupt):
        publish()
    assert [key.rpartition("/")[2] for key in storage.list()] == ["model.onnx", "tokenizer.json"]
    assert registry.versions(storage, "ferry") == []


def test_versions_are_newest_first(storage: Storage) -> None:
    for version in ("20250101T000000Z-aaaaaaaa", "20260101T000000Z-00000000", "20240101T000000Z-ffffffff"):
        storage.write(f"models/ferry/{version}/bundle.json", b"{}")
    assert [version[:4] for version in registry.versions(storage, "ferry")] == ["2026", "2025", "2024"]


def test_what_else_lies_under_models_is_no_model(storage: Storage) -> None:
    for key in ("models/README.md", "models/Not A Name/x/bundle.json", "models/ferry/draft/bundle.json"):
        storage.write(key, b"")
    assert registry.names(storage) == []


def test_an_alias_follows_promotions(storage: Storage, three: list[str]) -> None:
    for version in three:
        registry.promote(storage, "ferry", version)
        assert registry.resolve(storage, parse_reference("ferry")) == version
    registry.promote(storage, "ferry", three[0], "staging")
    assert registry.aliases(storage, "ferry") == {"production": three[2], "staging": three[0]}


def test_two_rollbacks_go_back_two_promotions(storage: Storage, three: list[str]) -> None:
    for version in three:
        registry.promote(storage, "ferry", version)
    assert registry.rollback(storage, "ferry").version == three[1]
    assert registry.rollback(storage, "ferry").version == three[0]
    with pytest.raises(UserError, match="nothing to go back to"):
        registry.rollback(storage, "ferry")


def test_a_rollback_after_a_promotion_after_a_rollback_skips_what_was_rolled_back(
    storage: Storage, three: list[str]
) -> None:
    first, bad, good = three
    registry.promote(storage, "ferry", first)
    registry.promote(storage, "ferry", bad)
    registry.rollback(storage, "ferry")
    registry.promote(storage, "ferry", good)
    assert registry.rollback(storage, "ferry").version == first


def test_the_history_keeps_every_move(storage: Storage, three: list[str]) -> None:
    registry.promote(storage, "ferry", three[0])
    registry.promote(storage, "ferry", three[1])
    alias = registry.rollback(storage, "ferry")
    assert [(move.version, move.action) for move in alias.history] == [
        (three[0], "promote"),
        (three[1], "promote"),
        (three[0], "rollback"),
    ]


def test_promoting_what_is_there_already_is_no_step_to_roll_back(storage: Storage, three: list[str]) -> None:
    registry.promote(storage, "ferry", three[0])
    registry.promote(storage, "ferry", three[1])
    registry.promote(storage, "ferry", three[1])
    assert registry.rollback(storage, "ferry").version == three[0]


def test_a_lost_race_says_who_won_and_moves_nothing(
    three: list[str], storage: Storage, monkeypatch: pytest.MonkeyPatch
) -> None:
    registry.promote(storage, "ferry", three[0])
    swap = LocalStorage.swap

    def overtaken(self: LocalStorage, key: str, data: bytes, expected: str | None) -> str:
        monkeypatch.setattr(LocalStorage, "swap", swap)
        registry.promote(storage, "ferry", three[2])
        return swap(self, key, data, expected)

    monkeypatch.setattr(LocalStorage, "swap", overtaken)
    with pytest.raises(UserError, match=rf"moved meanwhile to {three[2]}; look again"):
        registry.promote(storage, "ferry", three[1])
    assert registry.resolve(storage, parse_reference("ferry")) == three[2]


def test_a_move_that_was_decided_on_another_version_moves_nothing(storage: Storage, three: list[str]) -> None:
    first, second, third = three
    production = parse_reference("ferry")
    with pytest.raises(AliasMoved, match=f"points at nothing, not at {first}"):
        registry.promote(storage, "ferry", second, expected=first)
    registry.promote(storage, "ferry", first, expected=None)
    with pytest.raises(AliasMoved, match=f"at {first}, not at nothing"):
        registry.promote(storage, "ferry", second, expected=None)
    registry.promote(storage, "ferry", second)  # an operator, who expects nothing
    with pytest.raises(AliasMoved, match=f"at {second}, not at {first}"):
        registry.promote(storage, "ferry", third, expected=first)
    with pytest.raises(AliasMoved, match=f"at {second}, not at {first}"):
        registry.rollback(storage, "ferry", expected=first)
    assert registry.resolve(storage, production) == second
    registry.promote(storage, "ferry", second, expected=first)  # which is where it is to be
    registry.promote(storage, "ferry", third, expected=second)
    assert registry.rollback(storage, "ferry", expected=third).version == second
    with pytest.raises(AliasMoved):  # the same again, since its answer was lost
        registry.rollback(storage, "ferry", expected=third)


def test_only_what_is_published_can_be_promoted(storage: Storage, publish: Publish) -> None:
    publish()
    with pytest.raises(UnknownModel, match="no version"):
        registry.promote(storage, "ferry", "20260101T000000Z-00000000")
    with pytest.raises(UserError, match="is not a version"):
        registry.promote(storage, "ferry", "production")


def test_an_alias_cannot_look_like_a_version(storage: Storage, three: list[str]) -> None:
    with pytest.raises(UserError, match="is not an alias"):
        registry.promote(storage, "ferry", three[0], three[1])


@pytest.mark.parametrize(
    ("reference", "said"),
    [
        ("fery", "no model 'fery'.* ferry"),
        ("ferry@prodction", "no alias 'prodction'.* production"),
        ("ferry@20260101T000000Z-00000000", "no version '20260101T000000Z-00000000'"),
    ],
)
def test_an_unknown_reference_names_what_there_is(
    storage: Storage, three: list[str], reference: str, said: str
) -> None:
    registry.promote(storage, "ferry", three[0])
    with pytest.raises(UnknownModel, match=said):
        registry.resolve(storage, parse_reference(reference))


@pytest.mark.parametrize("reference", ["fery", "ferry@prodction", "ferry@20260101T000000Z-00000000"])
def test_what_is_not_there_is_told_without_going_through_all_that_is(
    storage: Storage, three: list[str], reference: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    registry.promote(storage, "ferry", three[0])
    listed: list[str] = []
    original = type(storage).list
    monkeypatch.setattr(type(storage), "list", lambda self, prefix="": listed.append(prefix) or original(self, prefix))
    with pytest.raises(UnknownModel):
        registry.resolve(storage, parse_reference(reference))
    assert set(listed) <= {"models/ferry/aliases/"}


def test_what_is_not_needed_is_neither_fetched_nor_verified_and_the_rest_is(storage: Storage, tmp_path: Path) -> None:
    sealed = tmp_path / "sealed"
    sealed.mkdir()
    (sealed / "model.safetensors").write_bytes(b"weights")
    write_bundle(sealed)
    version = registry.publish(storage, sealed).version
    home = f"models/ferry/{version}"

    def fetch() -> Bundle:
        return registry.fetch(storage, Reference("ferry", version), tmp_path / "cache", served_files)

    storage.write(f"{home}/model.safetensors", b"changed")
    assert fetch().manifest.version == version
    storage.remove([f"{home}/model.safetensors"])
    assert Predictor(fetch()).works()
    storage.write(f"{home}/tokenizer.json", b"changed")
    with pytest.raises(BundleError, match=r"tokenizer\.json has 7 bytes"):
        fetch()
    storage.remove([f"{home}/tokenizer.json"])
    with pytest.raises(BundleError, match=r"tokenizer\.json is missing"):
        fetch()
    with pytest.raises(BundleError, match=r"sealed without plots\.png"):
        registry.fetch(storage, Reference("ferry", version), tmp_path / "cache", lambda _: ["plots.png"])


def test_an_empty_registry_says_that_nothing_is_published(storage: Storage) -> None:
    with pytest.raises(UnknownModel, match="there are none yet"):
        registry.resolve(storage, parse_reference("ferry"))


def test_a_bundle_in_anothers_place_is_refused(storage: Storage, publish: Publish, tmp_path: Path) -> None:
    manifest: Manifest = publish()
    storage.upload(tmp_path / "storage/models/ferry" / manifest.version, f"models/other/{manifest.version}")
    with pytest.raises(BundleError, match="not other@"):
        registry.fetch(storage, Reference("other", manifest.version), tmp_path)


def test_a_broken_alias_is_named(storage: Storage, publish: Publish) -> None:
    publish()
    storage.write("models/ferry/aliases/production.json", b"{}")
    with pytest.raises(UserError, match=r"aliases/production\.json is not an alias"):
        registry.resolve(storage, parse_reference("ferry"))
