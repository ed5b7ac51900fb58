import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from bundles import fields, write_bundle

from boatyard.bundle.manifest import VERSION, BundleError, open_bundle, seal

pytestmark = pytest.mark.unit

FORMAT_1 = Path(__file__).parents[1] / "fixtures" / "format-1" / "storage"


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    write_bundle(tmp_path / "bundle")
    return tmp_path / "bundle"


def edit(folder: Path, change: Callable[[dict[str, Any]], None]) -> None:
    path = folder / "bundle.json"
    content = json.loads(path.read_text())
    change(content)
    path.write_text(json.dumps(content))


def test_a_sealed_folder_opens_as_what_it_was_sealed_as(tmp_path: Path) -> None:
    sealed = write_bundle(tmp_path / "bundle")
    bundle = open_bundle(tmp_path / "bundle")
    assert bundle.manifest == sealed
    assert set(sealed.files) == {"model.onnx", "tokenizer.json"}
    assert sealed.format == 2


def test_the_version_is_a_time_and_the_contents_hash(tmp_path: Path) -> None:
    first, same, other = (
        write_bundle(tmp_path / name, bias=bias)
        for name, bias in [("a", (0, 0, 0)), ("b", (0, 0, 0)), ("c", (1, 0, 0))]
    )
    assert VERSION.fullmatch(first.version)
    assert first.version[:15] == first.created.translate({ord(mark): None for mark in "-:Z"})
    assert first.version[-8:] == same.version[-8:] != other.version[-8:]


def test_a_hidden_file_is_no_part_of_a_bundle(folder: Path) -> None:
    (folder / ".DS_Store").touch()
    open_bundle(folder)


def test_files_in_subfolders_are_sealed_too(tmp_path: Path) -> None:
    (tmp_path / "bundle/plots").mkdir(parents=True)
    (tmp_path / "bundle/plots/confusion.png").write_bytes(b"png")
    assert "plots/confusion.png" in write_bundle(tmp_path / "bundle").files
    (tmp_path / "bundle/plots/confusion.png").write_bytes(b"PNG")
    with pytest.raises(BundleError, match=r"plots/confusion\.png differs"):
        open_bundle(tmp_path / "bundle")


def flip_a_byte(folder: Path) -> None:
    path = folder / "model.onnx"
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 1
    path.write_bytes(data)


def cut_short(folder: Path) -> None:
    path = folder / "model.onnx"
    path.write_bytes(path.read_bytes()[:-1])


def set_key(key: str, value: object) -> Callable[[Path], None]:
    return lambda folder: edit(folder, lambda manifest: manifest.update({key: value}))


@pytest.mark.parametrize(
    ("harm", "said"),
    [
        (lambda folder: (folder / "model.onnx").unlink(), "torn: model.onnx is missing"),
        (cut_short, "torn: model.onnx has"),
        (flip_a_byte, "model.onnx differs from its checksum"),
        (lambda folder: (folder / "extra.bin").touch(), "extra.bin does not belong"),
        (lambda folder: (folder / "bundle.json").unlink(), "never completed"),
        (lambda folder: (folder / "bundle.json").write_text('{"format": 1,'), "torn"),
        (lambda folder: (folder / "bundle.json").write_bytes(b"\xff\xfe"), "torn"),
        (lambda folder: (folder / "bundle.json").write_text("[" * 5000), "torn"),
        (lambda folder: (folder / "bundle.json").write_text("[]"), "not written by Boatyard"),
        (lambda folder: (folder / "bundle.json").write_text('{"name": "x"}'), "not written by Boatyard"),
        (set_key("format", "1"), "not written by Boatyard"),
        (set_key("format", True), "not written by Boatyard"),
        (set_key("format", 3), "format 3 .* reads 2"),
        (lambda folder: edit(folder, lambda manifest: manifest.pop("target")), "target"),
        (set_key("surprise", 1), "surprise"),
        (set_key("name", "../x"), "name"),
        (set_key("target", []), "target"),
        (set_key("metrics", {"served": [{"name": "accuracy"}]}), "value"),
        (set_key("version", "20260101T000000Z-00000000"), "its files are not those of"),
    ],
)
def test_a_harmed_bundle_is_refused_with_the_reason(folder: Path, harm: Callable[[Path], object], said: str) -> None:
    harm(folder)
    with pytest.raises(BundleError, match=said):
        open_bundle(folder)


def test_a_bundle_of_format_1_is_read_as_one_of_format_2() -> None:
    (folder,) = FORMAT_1.glob("models/moorings/2*")
    manifest = open_bundle(folder).manifest
    assert (manifest.format, manifest.input, manifest.task) == (2, "text", "classification")
    assert manifest.target == {"labels": ["berth", "fuel", "repair"]}
    assert manifest.request_schema["required"] == ["text"]
    assert manifest.accepted is not None
    assert (manifest.accepted.name, manifest.accepted.shown, manifest.metrics.rows) == ("accuracy", "0.9462", 130)
    assert manifest.accepted.low is not None
    assert manifest.accepted.low < manifest.accepted.value
    assert [score.name for score in manifest.metrics.trained][:2] == ["accuracy", "macro_f1"]
    assert manifest.metrics.baseline_name == "TF-IDF, linear"


@pytest.mark.parametrize("name", ["../outside", "/etc/passwd", "a/../../outside", ".hidden"])
def test_a_manifest_cannot_name_files_outside_its_folder(folder: Path, name: str) -> None:
    (folder.parent / "outside").touch()
    entry = {"sha256": "0" * 64, "size": 0}
    edit(folder, lambda manifest: manifest["files"].update({name: entry}))
    with pytest.raises(BundleError, match="not a Boatyard manifest"):
        open_bundle(folder)


def test_no_folder_is_no_bundle(tmp_path: Path) -> None:
    with pytest.raises(BundleError, match="there is no bundle"):
        open_bundle(tmp_path / "nowhere")


def test_a_newer_bundle_is_called_newer_even_if_nothing_else_is_understood(folder: Path) -> None:
    (folder / "bundle.json").write_text('{"format": 3, "layers": "unheard of"}')
    with pytest.raises(BundleError, match="update Boatyard"):
        open_bundle(folder)


@pytest.mark.parametrize(
    ("changes", "said"),
    [({"name": "In Box"}, "name"), ({"git_commit": 1}, "git_commit"), ({"limits": {"a": "x"}}, "a")],
)
def test_what_would_not_open_cannot_be_sealed(tmp_path: Path, changes: dict[str, Any], said: str) -> None:
    (tmp_path / "model.onnx").touch()
    with pytest.raises(BundleError, match=said):
        seal(tmp_path, **fields(**changes))
    assert not (tmp_path / "bundle.json").exists()
