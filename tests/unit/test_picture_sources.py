"""inputs/image: pictures and what is said of them, from each layout, and what is wrong with them, by file."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from boatyard import inputs, tasks
from boatyard.config.compose import load_config
from boatyard.config.errors import UserError
from boatyard.data.prepare import prepare
from boatyard.inputs.training_protocol import EXTENT, TARGET, Problem, Source

pytestmark = pytest.mark.unit

CAT, DOG = {"label": "cat", "box": [1, 2, 11, 12]}, {"label": "dog", "box": [5, 5, 30, 19]}
NAMES = {"a": [CAT, DOG], "b": [], "c": [DOG]}
SIZE = (32, 20)


def picture(file: Path, seed: int = 0) -> None:
    file.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(np.random.default_rng(seed).integers(0, 255, (SIZE[1], SIZE[0], 3), np.uint8)).save(file)


def voc(folder: Path, *, named: str | None = None, width: int = SIZE[0]) -> None:
    for seed, (name, objects) in enumerate(NAMES.items()):
        picture(folder / f"JPEGImages/{name}.jpg", seed)
        corners = [
            f"<object><name>{each['label']}</name><bndbox>"
            + "".join(f"<{k}>{v}</{k}>" for k, v in zip(("xmin", "ymin", "xmax", "ymax"), each["box"], strict=True))
            + "</bndbox></object>"
            for each in objects
        ]
        size = f"<size><width>{width}</width><height>{SIZE[1]}</height></size>"
        (folder / "Annotations").mkdir(exist_ok=True)
        content = f"<annotation><filename>{named or name}.jpg</filename>{size}{''.join(corners)}</annotation>"
        (folder / f"Annotations/{name}.xml").write_text(content)
    sets = folder / "ImageSets/Main"
    sets.mkdir(parents=True)
    (sets / "train.txt").write_text("a\nb\n")
    (sets / "test.txt").write_text("c  1\n")


def coco(folder: Path) -> None:
    for split, names in (("train", "ab"), ("test", "c")):
        annotations, images = [], []
        for number, name in enumerate(names):
            picture(folder / f"{split}/{name}.jpg", ord(name))
            images.append({"id": number, "file_name": f"{name}.jpg", "width": SIZE[0], "height": SIZE[1]})
            for each in NAMES[name]:
                left, top, right, bottom = each["box"]  # type: ignore[misc]
                box = {"bbox": [left, top, right - left, bottom - top], "category_id": 1 + (each is DOG)}
                annotations.append({"id": len(annotations), "image_id": number, **box})
        categories = [{"id": 1, "name": "cat"}, {"id": 2, "name": "dog"}]
        content = {"images": images, "annotations": annotations, "categories": categories}
        (folder / split / "_annotations.coco.json").write_text(json.dumps(content))


def csv_of_boxes(folder: Path) -> None:
    lines = ["file,label,x0,y0,x1,y1,split"]
    for name, objects in NAMES.items():
        picture(folder / f"{name}.jpg", ord(name))
        split = "test" if name == "c" else "train"
        lines += [f"{name}.jpg,{x['label']},{','.join(map(str, x['box']))},{split}" for x in objects]  # type: ignore[arg-type]
        lines += [] if objects else [f"{name}.jpg,,,,,,{split}"]
    (folder / "boxes.csv").write_text("\n".join(lines))


def data(folder: Path, *overrides: str) -> Any:
    return load_config(["data=detect", f"data.path={folder}", "data.name=x", *overrides]).data


def sources(of: Any, *others: str) -> list[Source]:
    return inputs.training("image").open_sources(of, ["file", of.target, *others], Path("cache"))


def targets_of(of: Any) -> dict[str, Any]:
    """By file; where the row or its target is wrong, the problem."""
    read, targets = inputs.training("image").row_format(of), tasks.training(of.task).open_targets(of)
    found: dict[str, Any] = {}
    for source in sources(of):
        for row in source.rows():
            assert row.wrong is None
            values = read.read(row.cells)
            if not isinstance(values, Problem):
                assert read.extent is not None
                values = targets.read({**row.cells, EXTENT: read.extent(values)})
            found[Path(row.cells["file"]).name] = values
    return found


@pytest.mark.parametrize("lay", [voc, coco, csv_of_boxes])
def test_each_layout_gives_the_same_boxes(lay: Callable[[Path], None], tmp_path: Path) -> None:
    lay(tmp_path)
    found = targets_of(data(tmp_path))
    assert sorted(found) == ["a.jpg", "b.jpg", "c.jpg"]
    for name, objects in NAMES.items():
        assert [*found[f"{name}.jpg"].labels] == [each["label"] for each in objects]
        assert found[f"{name}.jpg"].boxes.tolist() == [each["box"] for each in objects]


@pytest.mark.parametrize("lay", [voc, coco])
def test_splits_are_those_of_the_layout(lay: Callable[[Path], None], tmp_path: Path) -> None:
    lay(tmp_path)
    assert [(source.split, len([*source.rows()])) for source in sources(data(tmp_path))] in (
        [("train", 2), ("test", 1)],
        [("test", 1), ("train", 2)],
    )


def test_a_row_is_known_by_its_own_file(tmp_path: Path) -> None:
    voc(tmp_path)
    assert [row.file for source in sources(data(tmp_path)) for row in source.rows()] == [
        f"Annotations/{name}.xml" for name in "abc"
    ]


def test_pictures_of_which_nothing_is_said_are_surplus(tmp_path: Path) -> None:
    voc(tmp_path)
    picture(tmp_path / "JPEGImages/more.jpg", 9)
    of = data(tmp_path)
    assert inputs.training("image").settle(of, sources(of), [])[1] == {"surplus": ["JPEGImages/more.jpg"]}


def test_a_missing_picture_is_named(tmp_path: Path) -> None:
    voc(tmp_path)
    (tmp_path / "JPEGImages/a.jpg").unlink()
    assert targets_of(data(tmp_path))["a.jpg"].message == "names JPEGImages/a.jpg: there is no such file"


def test_a_picture_of_another_size_than_its_annotation_says_is_refused(tmp_path: Path) -> None:
    voc(tmp_path, width=64)
    assert targets_of(data(tmp_path))["a.jpg"].message == "is said to have 64 x 20 pixels, but has 32 x 20"


def test_an_annotation_of_another_picture_or_that_is_no_xml_is_wrong(tmp_path: Path) -> None:
    voc(tmp_path, named="other")
    (tmp_path / "Annotations/b.xml").write_text("<annotation>")
    (tmp_path / "Annotations/c.xml").unlink()
    wrong = [row.wrong or "" for source in sources(data(tmp_path)) for row in source.rows()]
    assert wrong[0] == "says that it is of other.jpg, but is called a.xml"
    assert wrong[1].startswith("is no XML that can be read")
    assert wrong[2] == "is missing: c.jpg has no annotation"


def test_an_annotation_may_name_its_picture_by_a_whole_path(tmp_path: Path) -> None:
    voc(tmp_path, named="C:\\photos\\a")
    first, other, _ = (row.wrong for source in sources(data(tmp_path)) for row in source.rows())
    assert (first, other) == (None, "says that it is of a.jpg, but is called b.xml")


def test_annotations_may_lie_beside_their_pictures(tmp_path: Path) -> None:
    voc(tmp_path / "voc")
    for split, names in (("train", "ab"), ("test", "c")):
        for name in names:
            for file in (f"Annotations/{name}.xml", f"JPEGImages/{name}.jpg"):
                (tmp_path / split).mkdir(exist_ok=True)
                (tmp_path / "voc" / file).rename(tmp_path / split / Path(file).name)
    found = {source.split: [row.file for row in source.rows()] for source in sources(data(tmp_path))}
    assert found == {"train": ["train/a.xml", "train/b.xml"], "test": ["test/c.xml"]}
    assert targets_of(data(tmp_path / "train"))["a.jpg"].labels == ["cat", "dog"]


@pytest.mark.parametrize(
    ("of", "change", "wrong"),
    [
        ("annotations", {"iscrowd": 1}, None),
        ("annotations", {"image_id": 9}, "annotation 0 is of image 9: there is none"),
        ("annotations", {"image_id": [0]}, "annotation 0 is of image [0]: there is none"),
        ("annotations", {"category_id": [1]}, "annotation 0 is of category [1]: there is none"),
    ],
)
def test_a_box_that_coco_says_of_nothing_is_not_learnt(
    of: str, change: dict[str, Any], wrong: str | None, tmp_path: Path
) -> None:
    coco(tmp_path)
    file = tmp_path / "train/_annotations.coco.json"
    content = json.loads(file.read_text())
    content[of][0] |= change
    file.write_text(json.dumps(content))
    rows = [row for source in sources(data(tmp_path)) for row in source.rows()]
    assert [row.wrong.rpartition("coco.json, ")[2] for row in rows if row.wrong] == ([wrong] if wrong else [])
    assert CAT not in [each for row in rows for each in row.cells.get("objects", ())]


@pytest.mark.parametrize("part", ["images", "categories"])
def test_what_annotations_name_has_an_id_of_its_own(part: str, tmp_path: Path) -> None:
    coco(tmp_path)
    file = tmp_path / "train/_annotations.coco.json"
    content = json.loads(file.read_text())
    content[part][1]["id"] = content[part][0]["id"]
    file.write_text(json.dumps(content))
    with pytest.raises(UserError, match=f"of its '{part}', several have the id"):
        sources(data(tmp_path))


def test_where_no_picture_is_there_the_first_is_named(tmp_path: Path) -> None:
    (tmp_path / "boxes.csv").write_text("file,label,x0,y0,x1,y1\na.jpg,cat,1,2,3,4\nb.jpg,cat,1,2,3,4\n")
    places = [f"paths.{each}={tmp_path / each}" for each in ("processed", "reports")]
    with pytest.raises(UserError, match=r"boxes.csv, row 2, column 'image': names a.jpg: there is no such file"):
        prepare(load_config(["data=detect", f"data.path={tmp_path}", "data.name=x", *places]))


def test_a_name_that_no_file_can_have_is_a_problem(tmp_path: Path) -> None:
    (tmp_path / "boxes.csv").write_text("file,label,x0,y0,x1,y1\na\0b.jpg,cat,1,2,3,4\n")
    assert targets_of(data(tmp_path))["a\0b.jpg"].message.endswith("it cannot be read (embedded null byte)")


def test_a_label_that_is_not_among_the_given_classes_is_a_problem(tmp_path: Path) -> None:
    voc(tmp_path)
    found = targets_of(data(tmp_path, "data.classes=[cat]"))
    assert found["c.jpg"] == Problem("unknown_class", "objects", "has a 'dog'; data.classes are cat")


def test_a_folder_for_each_label_with_and_without_splits(tmp_path: Path) -> None:
    for place in ("plain/cat/1.png", "plain/dog/deep/2.png", "split/train/cat/1.png", "split/test/dog/2.png"):
        picture(tmp_path / place)
    found = {}
    for layout in ("plain", "split"):
        of = load_config(["data=images", f"data.path={tmp_path / layout}", "data.name=x"]).data
        found[layout] = [(s.split, r.cells["file"], r.cells["label"]) for s in sources(of) for r in s.rows()]
    assert found["plain"] == [(None, "cat/1.png", "cat"), (None, "dog/deep/2.png", "dog")]
    assert found["split"] == [("test", "dog/2.png", "dog"), ("train", "cat/1.png", "cat")]


def test_a_table_names_the_file_and_the_label(tmp_path: Path) -> None:
    picture(tmp_path / "in/1.png")
    (tmp_path / "all.csv").write_text("file,label\nin/1.png,cat\n,dog\n")
    of = load_config(["data=images", f"data.path={tmp_path}", "data.name=x"]).data
    (source,) = sources(of)
    first, second = source.rows()
    read = inputs.training("image").row_format(of).read
    assert read(first.cells) == ((tmp_path / "in/1.png").read_bytes(),)
    assert first.cells["label"] == "cat"
    assert isinstance(read(second.cells), Problem)


def test_what_boatyard_wrote_itself_is_read_again(tmp_path: Path) -> None:
    picture(tmp_path / "1.png")
    content = (tmp_path / "1.png").read_bytes()
    request = inputs.training("image").request(["image"], (content,))
    for name in ("train", "test"):
        (tmp_path / f"{name}.jsonl").write_text(json.dumps({**request, TARGET: [CAT]}) + "\n")
    (tmp_path / "version.json").write_text("{}")
    of = data(tmp_path, f"data.target={TARGET}")
    read = inputs.training("image").row_format(of).read
    assert [read(row.cells) for source in sources(of) for row in source.rows()] == [(content,)] * 2


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("x.json", "{}", "is not COCO: it has no list of 'images'"),
        ("x.json", "{", "is not JSON"),
        ("x.csv", "file,what\na.jpg,b\n", "neither a column 'objects' nor the columns of a box"),
        ("notes.txt", "hello", "found no pictures there"),
    ],
)
def test_what_is_no_layout_is_refused_in_a_sentence(name: str, content: str, message: str, tmp_path: Path) -> None:
    (tmp_path / name).write_text(content)
    with pytest.raises(UserError, match=message):
        sources(data(tmp_path))


def test_of_several_tables_it_is_asked_which_names_the_pictures(tmp_path: Path) -> None:
    for name in ("boxes.csv", "cameras.csv"):
        (tmp_path / name).write_text("file,label\n")
    with pytest.raises(UserError, match=r"several tables, boxes.csv, cameras.csv; say which one names the pictures"):
        sources(data(tmp_path))
