"""PASCAL VOC: `Annotations/NAME.xml` for `JPEGImages/NAME.jpg`, and the names of each split in `ImageSets/Main`.

Or `NAME.xml` beside `NAME.jpg`, perhaps in a folder for each split.

Corners are taken as labelling tools write them: the edges of the box, counted from 0.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from functools import partial
from pathlib import Path, PureWindowsPath
from typing import Any
from xml.etree import ElementTree

from boatyard.config.errors import UserError
from boatyard.inputs.image.layout import Annotated, Layout, annotated_source, pictures_in, split_named, surplus
from boatyard.inputs.image.pictures import SUFFIXES
from boatyard.inputs.texts import normal_form
from boatyard.inputs.training_protocol import Source

_SETS = {"train": "train", "val": "validation", "test": "test"}
_CORNERS = ("xmin", "ymin", "xmax", "ymax")


def layout(path: Path, data: Any, columns: Sequence[str]) -> Layout | None:  # noqa: ARG001 - every layout's signature
    """None where there are no annotations."""
    column, annotations = normal_form(data.target), path / "Annotations"
    if not annotations.is_dir():
        return _beside_pictures(path, column) if path.is_dir() else None
    folders = annotations, path / "JPEGImages"
    there = {file.stem: file for file in pictures_in(folders[1])}
    sets = {split: path / "ImageSets" / "Main" / f"{name}.txt" for name, split in _SETS.items()}
    sets = {split: file for split, file in sets.items() if file.is_file()}
    if "train" not in sets:
        if (trained := path / "ImageSets" / "Main" / "trainval.txt").is_file():
            sets["train"] = trained
        else:
            names = sorted(file.stem for file in annotations.glob("*.xml"))
            source, files = _source(path, "Annotations", None, names, there, column, folders)
            return Layout([source], surplus(path, list(there.values()), files))
    sources, said_of = list[Source](), list[Path]()
    for split, file in sets.items():
        source, files = _source(path, file.name, split, _names(file), there, column, folders)
        sources.append(source)
        said_of += files
    return Layout(sources, surplus(path, list(there.values()), said_of))


def _beside_pictures(path: Path, column: str) -> Layout | None:
    sources, said_of = list[Source](), list[Path]()
    for folder in (path, *sorted(each for each in path.iterdir() if each.is_dir() and split_named(each.name))):
        there = {file.stem: file for file in sorted(folder.iterdir()) if file.suffix.lower() in SUFFIXES}
        names = sorted(file.stem for file in folder.glob("*.xml"))
        if there.keys() & names:
            split = None if folder == path else split_named(folder.name)
            source, files = _source(path, folder.name, split, names, there, column, (folder, folder))
            sources.append(source)
            said_of += files
    return Layout(sources, surplus(path, pictures_in(path), said_of)) if sources else None


def _names(file: Path) -> list[str]:
    """The first word of each line; some sets say in a second one whether the class is there."""
    try:
        lines = file.read_text(encoding="utf-8").splitlines()
    except UnicodeDecodeError:
        raise UserError(f"{file}: is no text in UTF-8") from None
    return [line.split()[0] for line in lines if line.strip()]


def _source(
    root: Path,
    name: str,
    split: str | None,
    names: Sequence[str],
    there: dict[str, Path],
    column: str,
    folders: tuple[Path, Path],
) -> tuple[Source, list[Path]]:
    """And the pictures that it names. `folders`: of annotations and of pictures."""
    of_annotations, of_pictures = folders
    pictures = [there.get(each, of_pictures / f"{each}.jpg") for each in names]
    annotations = [of_annotations / f"{each}.xml" for each in names]

    def read() -> Iterator[Annotated]:
        for annotation, picture in zip(annotations, pictures, strict=True):
            yield _annotated(annotation, picture, annotation.relative_to(root).as_posix())

    return annotated_source(name, split, [*annotations, *pictures], read, root, column), pictures


def _annotated(annotation: Path, picture: Path, place: str) -> Annotated:
    wrong = partial(Annotated, picture, place=place)
    try:
        whole = ElementTree.fromstring(annotation.read_bytes())  # noqa: S314 - expat 2.4.1 refuses what swells
    except FileNotFoundError:
        return wrong(wrong=f"is missing: {picture.name} has no annotation")
    except (ElementTree.ParseError, OSError, LookupError, ValueError) as error:
        return wrong(wrong=f"is no XML that can be read ({error})")
    named = PureWindowsPath((whole.findtext("filename") or "").strip())  # some tools write a whole path
    if named.name and annotation.stem not in (named.stem, named.name):
        return wrong(wrong=f"says that it is of {named.name}, but is called {annotation.name}")
    objects = []
    for number, each in enumerate(whole.findall("object"), 1):
        corners = [_number(each.findtext(f"bndbox/{name}")) for name in _CORNERS]
        if None in corners:
            return wrong(wrong=f"has no number for each of {', '.join(_CORNERS)} in object {number}")
        objects.append({"label": (each.findtext("name") or "").strip(), "box": corners})
    width, height = (_number(whole.findtext(f"size/{name}")) for name in ("width", "height"))
    size = (int(width), int(height)) if width and height else None  # some tools write 0
    return Annotated(picture, objects, size, place=place)


def _number(text: str | None) -> float | None:
    try:
        return float(text or "")
    except ValueError:
        return None
