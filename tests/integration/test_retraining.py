"""From feedback to a better model in production, or to the reason why not."""

import random
import shutil
from pathlib import Path

import pytest
from plants import PLANTS, write_plants
from stages import plants_config
from starlette.testclient import TestClient

from boatyard.api import Application
from boatyard.api.settings import Settings
from boatyard.config.errors import UserError
from boatyard.config.schema import Config
from boatyard.registry import aliases, parse_reference
from boatyard.retrain.run import retrain
from boatyard.storage import open_storage

pytestmark = pytest.mark.integration

# what people say now, which the first model has never seen
NOW = {
    "watering": ("{} looks thirsty today", "drooping leaves on our {} again", "give the {} a drink or not"),
    "light": ("{} by the north window", "lamp for the {} in winter", "curtains and the {}"),
    "pests": ("sticky webs around the {}", "crawling things in the {} pot", "aphids on every {}"),
    "delivery": ("courier never brought the {}", "tracking number of the {}", "where did the van leave my {}"),
}


@pytest.fixture
def config(plants_in_production: Path, tmp_path: Path) -> Config:
    shutil.copytree(plants_in_production, tmp_path, dirs_exist_ok=True)
    return plants_config(tmp_path, tmp_path / "plants.csv", "retrain.min_rows=40")


def give_feedback(config: Config, topics: list[str] | None = None) -> None:
    """Asks all of it and says what was right: the truth, or `topics` in turn. A server that ends ships its journal."""
    said = [(text.format(plant), topic) for topic, texts in NOW.items() for text in texts for plant in PLANTS]
    said += [(f"shelf {number}, pot 3\nshelf {number}, pot 4\nshelf 7", "light") for number in range(10, 30)]
    storage = config.paths.storage
    settings = Settings(storage=storage, model=parse_reference("plants"), spool=f"{storage}-spool")
    with TestClient(Application(settings)) as client:
        for number, (text, topic) in enumerate(said):
            answer = client.post("/predict", json={"text": text}).json()
            label = topics[number % len(topics)] if topics else topic
            assert client.post("/feedback", json={"id": answer["id"], "label": label}).is_success


def test_what_people_say_is_learned_and_promoted_once(config: Config) -> None:
    give_feedback(config)
    storage = open_storage(config.paths.storage)
    before = aliases(storage, "plants")["production"]
    first = retrain(config)
    traffic, test = first.comparisons
    assert first.refusal is None
    assert aliases(storage, "plants")["production"] == first.version != before
    assert traffic.better
    assert not test.worse
    assert {key.rpartition("/")[2] for key in storage.list(first.data)} == {
        "train.jsonl",
        "validation.jsonl",
        "test.jsonl",
        "held-out.jsonl",
        "version.json",
    }
    held_out = storage.read(f"{first.data}/held-out.jsonl").decode().splitlines()
    learned = storage.read(f"{first.data}/train.jsonl").decode().splitlines()
    assert len(held_out) == traffic.rows > 20
    assert not set(held_out) & set(learned)
    again = retrain(config)
    assert (again.version, again.data) == (first.version, first.data)
    assert again.refusal == "it is the version that serves already"


@pytest.mark.slow
def test_labels_that_make_no_sense_are_not_promoted(config: Config) -> None:
    topics = random.Random(0).choices(list(NOW), k=120)
    give_feedback(config, topics)
    storage = open_storage(config.paths.storage)
    before = aliases(storage, "plants")
    outcome = retrain(config)
    assert outcome.refusal is not None
    assert aliases(storage, "plants") == before
    assert storage.list(f"models/plants/{outcome.version}/"), "it may still be promoted by hand"


def test_too_little_feedback_is_one_sentence(config: Config) -> None:
    with pytest.raises(UserError, match=r"0 rows have feedback, and retrain\.min_rows=40 are needed"):
        retrain(config)


def test_nothing_in_production_is_one_sentence(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="there is no model 'plants'"):
        retrain(plants_config(tmp_path, write_plants(tmp_path / "plants.csv")))
