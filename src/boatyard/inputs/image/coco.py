"""COCO: a JSON file with `images`, `annotations` and `categories`; of several, each is of the split in its name."""

from __future__ import annotations

import json
from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from boatyard.config.errors import UserError
from boatyard.inputs.image.layout import Annotated, Layout, annotated_source, pictures_in, split_named, surplus
from boatyard.inputs.texts import normal_form
from boatyard.inputs.training_protocol import Source

_PARTS = ("images", "annotations", "categories")


def layout(path: Path, data: Any, columns: Sequence[str]) -> Layout | None:  # noqa: ARG001 - every layout's signature
    """None where there is no JSON file in the folder, in its `annotations` or in a folder of a split."""
    if path.is_file():
        files, root = ([path] if path.suffix.lower() == ".json" else []), path.parent
    else:
        within = [
            path,
            path / "annotations",
            *(each for each in path.iterdir() if each.is_dir() and split_named(each.name)),
        ]
        files, root = sorted(file for folder in within for file in folder.glob("*.json")), path
    if not files:
        return None
    sources, said_of = list[Source](), list[Path]()
    for file in files:
        split = (split_named(file.stem) or split_named(file.parent.name)) if len(files) > 1 else None
        content = _read(file)
        folder = _folder_of_pictures(file, content["images"])
        pictures = [folder / str(each["file_name"]) for each in content["images"]]
        said_of += pictures
        read = _reader(file, content, pictures)
        sources.append(annotated_source(file.name, split, [file, *pictures], read, root, normal_form(data.target)))
    return Layout(sources, surplus(root, pictures_in(root), said_of))


def _read(file: Path) -> Mapping[str, Any]:
    """Raises UserError."""
    try:
        content: dict[str, Any] = json.loads(file.read_bytes())
    except (ValueError, RecursionError) as error:
        raise UserError(f"{file}: is not JSON ({error})") from None
    for part in _PARTS:
        if not (isinstance(content, dict) and isinstance(content.get(part), list)):
            raise UserError(f"{file}: is not COCO: it has no list of {part!r}")
        if not all(isinstance(each, dict) and isinstance(each.get("id"), int | str) for each in content[part]):
            raise UserError(f"{file}: is not COCO: not each of its {part!r} has an id, a number or a text")
    for part in ("images", "categories"):  # annotations name them
        twice = [given for given, count in Counter(each["id"] for each in content[part]).items() if count > 1]
        if twice:
            raise UserError(f"{file}: is not COCO: of its {part!r}, several have the id {twice[0]!r}")
    if not all(isinstance(each.get("file_name"), str) for each in content["images"]):
        raise UserError(f"{file}: is not COCO: not each of its images has a file_name")
    return content


def _folder_of_pictures(file: Path, images: Sequence[Mapping[str, Any]]) -> Path:
    """Where the first picture lies: beside the JSON, or in the folder that COCO itself would have."""
    beside, above = file.parent, file.parent.parent
    year = file.stem.rpartition("_")[2]
    places = (beside, beside / "images", beside / year, above / year, above / "images" / year, above / "images")
    first = images[0]["file_name"] if images else ""
    return next((folder for folder in places if (folder / first).is_file()), beside)


def _reader(file: Path, content: Mapping[str, Any], pictures: Sequence[Path]) -> Any:
    name, names = file.name, {each["id"]: str(each.get("name") or "") for each in content["categories"]}
    objects = defaultdict[Any, list[Mapping[str, Any]]](list)
    for each in content["annotations"]:
        if not each.get("iscrowd"):  # which frames a crowd of objects, and no single one
            objects[_id(each.get("image_id"))].append(each)

    def read() -> Iterator[Annotated]:
        for image, picture in zip(content["images"], pictures, strict=True):
            found, wrong = [], None
            for each in objects[image["id"]]:
                box = each.get("bbox")
                if not (isinstance(box, list) and len(box) == 4 and all(isinstance(x, int | float) for x in box)):
                    wrong = f"in {name}, annotation {each['id']} has no bbox of four numbers"
                    break
                if _id(each.get("category_id")) not in names:
                    wrong = (
                        f"in {name}, annotation {each['id']} is of category {each.get('category_id')!r}: there is none"
                    )
                    break
                x, y, width, height = box
                found.append({"label": names[each["category_id"]], "box": [x, y, x + width, y + height]})
            size = image.get("width"), image.get("height")
            stated = size if all(isinstance(side, int) and side > 0 for side in size) else None
            yield Annotated(picture, found, stated, wrong)
        known = {image["id"] for image in content["images"]}
        for first in (of_image[0] for given, of_image in objects.items() if given not in known):
            yield Annotated(
                file, wrong=f"annotation {first['id']} is of image {first.get('image_id')!r}: there is none"
            )

    return read


def _id(given: object) -> int | str | None:
    return given if isinstance(given, int | str) else None
