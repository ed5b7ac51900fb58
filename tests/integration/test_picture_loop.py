"""Pictures to a detector in production that is asked, told where things are, and better for it."""

import csv
import json
import shutil
from base64 import b64decode
from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass
from io import BytesIO
from pathlib import Path
from typing import Any

import pytest
from PIL import Image
from stages import small_config
from starlette.testclient import TestClient

from boatyard.api import Application
from boatyard.api.settings import Settings
from boatyard.config.schema import Config
from boatyard.inputs.training_protocol import TARGET
from boatyard.pipeline.publish import Published
from boatyard.pipeline.run import run_pipeline
from boatyard.registry import aliases, parse_reference
from boatyard.retrain.run import Round, retrain
from boatyard.storage import Storage, open_storage

pytestmark = [pytest.mark.integration, pytest.mark.slow]

HARBOUR = Path(__file__).parents[2] / "data" / "raw" / "harbour"
SMALL = (
    "data=harbour",
    "model.image.side=96",
    "model.image.width=8",
    "train.max_steps=80",
    "train.eval_strategy=no",
    "train.save_strategy=no",
    "tracking=none",
    "retrain.min_rows=40",
    "retrain.holdout=0.4",
)
Scene = tuple[str, list[dict[str, Any]]]


@dataclass(frozen=True)
class World:
    """What was published first, and the round after people had told what its answers lacked."""

    config: Config
    first: Published
    outcome: Round

    @property
    def storage(self) -> Storage:
        return open_storage(self.config.paths.storage)

    def rows(self, name: str) -> list[dict[str, Any]]:
        return [json.loads(line) for line in self.storage.read(f"{self.outcome.data}/{name}.jsonl").splitlines()]


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> World:
    root = tmp_path_factory.mktemp("harbour")
    scenes = read_scenes()
    write_scenes(root / "scenes.csv", scenes[:100])
    config = small_config(root, f"data.path={root / 'scenes.csv'}", small=SMALL)
    first = run_pipeline(config)
    ask(config, scenes[100:200])
    longer = config.train.model_copy(update={"max_steps": 240})  # what is new does not take from what is known
    return World(config, first, retrain(config.model_copy(update={"train": longer})))


def read_scenes() -> list[Scene]:
    boxes = defaultdict[str, list[dict[str, Any]]](list)
    with (HARBOUR / "boxes.csv").open(newline="") as file:
        for row in csv.DictReader(file):
            of_scene = boxes[row["file"]]
            if row["label"]:
                box = [float(row[edge]) for edge in ("x0", "y0", "x1", "y1")]
                of_scene.append({"label": row["label"], "box": box})
    return list(boxes.items())


def write_scenes(file: Path, scenes: Iterable[Scene]) -> None:
    with file.open("w", newline="") as rows:
        writer = csv.writer(rows)
        writer.writerow(["file", "label", "x0", "y0", "x1", "y1"])
        for name, objects in scenes:
            (file.parent / name).parent.mkdir(exist_ok=True)
            shutil.copy(HARBOUR / name, file.parent / name)
            writer.writerows([name, each["label"], *each["box"]] for each in objects)
            if not objects:
                writer.writerow([name, *[""] * 5])


def at_dusk(name: str) -> bytes:
    """The scene in another light, as a photo that is larger than what lies in the lines of a journal."""
    with Image.open(HARBOUR / name) as scene:
        red, green, blue = scene.convert("RGB").split()
        content = BytesIO()
        Image.merge("RGB", (blue, red, green)).save(content, "PNG")
    return content.getvalue()


def ask(config: Config, scenes: list[Scene]) -> None:
    """A server answers; most are told right, one that something is wrong, and one what lies beside the picture."""
    storage = config.paths.storage
    settings = Settings(storage=storage, model=parse_reference("harbour"), spool=f"{storage}-spool")
    with TestClient(Application(settings)) as client:

        def judge(picture: bytes, truth: dict[str, Any]) -> None:
            answer = client.post("/predict", content=picture, headers={"content-type": "image/png"}).json()
            assert client.post("/feedback", json={"id": answer["id"], **truth}).is_success

        wrong, beside, *others = scenes
        judge(at_dusk(wrong[0]), {"wrong": True})
        judge(at_dusk(beside[0]), {"objects": [{"label": "boat", "box": [500, 10, 520, 30]}]})
        for name, objects in others:
            judge(at_dusk(name), {"objects": objects})


def test_pictures_that_people_marked_are_learned_from_and_a_better_detector_serves(world: World) -> None:
    outcome = world.outcome
    traffic, test = outcome.comparisons
    assert traffic.better
    assert traffic.after.value > traffic.before.value
    assert not test.worse
    assert outcome.refusal is None
    assert aliases(world.storage, "harbour")["production"] == outcome.version != world.first.bundle.manifest.version


def test_the_version_has_the_pictures_as_they_were_sent_with_their_boxes(world: World) -> None:
    rows = {name: world.rows(name) for name in ("train", "held-out")}
    asked = {at_dusk(name): objects for name, objects in read_scenes()[100:200]}
    learned = [row for row in rows["train"] if b64decode(row["image"]) in asked]
    assert len(learned) + len(rows["held-out"]) == 98
    assert len(world.storage.list("requests/")) > 50, "a picture lies beside the lines of the journal"
    for row in learned + rows["held-out"]:
        assert row.keys() == {"image", TARGET}
        assert row[TARGET] == asked[b64decode(row["image"])]


def test_what_does_not_say_where_things_are_is_no_row_to_learn_from(world: World) -> None:
    facts = json.loads(world.storage.read(f"{world.outcome.data}/version.json"))
    assert facts["set_aside"] == {
        "with feedback that does not say what would be right": 1,
        "with a truth that cannot be one of its input": 1,
    }
