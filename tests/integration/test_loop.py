"""The loop closed: other people come, the alarm rings, feedback teaches, a better model serves, the alarm clears."""

import csv
from itertools import product
from pathlib import Path

import pytest
from plants import PLANTS, QUESTIONS
from stages import plants_config
from starlette.testclient import TestClient

from boatyard.api import Application
from boatyard.api.settings import Settings
from boatyard.config.schema import Config
from boatyard.monitor.results import Findings
from boatyard.monitor.run import Monitor
from boatyard.monitor.settings import Settings as MonitorSettings
from boatyard.pipeline.run import run_pipeline
from boatyard.registry import aliases, parse_reference
from boatyard.retrain.run import retrain
from boatyard.storage import open_storage

pytestmark = [pytest.mark.integration, pytest.mark.slow]

BEFORE = ("please, {}", "hello, {}", "{}, thanks", "a question: {}", "{} and regards", "quick one: {}")
# what people say later, and how
NOW = {
    "watering": ("{} LOOKS THIRSTY", "DROOPING LEAVES ON {}", "GIVE {} A DRINK OR NOT"),
    "light": ("{} BY THE NORTH WINDOW", "LAMP FOR {} IN WINTER", "CURTAINS AND {}"),
    "pests": ("STICKY WEBS AROUND {}", "CRAWLING THINGS IN {} POT", "APHIDS ON EVERY {}"),
    "delivery": ("COURIER NEVER BROUGHT {}", "TRACKING NUMBER OF {}", "WHERE DID THE VAN LEAVE {}"),
}
HOW = ("{}!", "NOW {}")
Said = list[tuple[str, str]]


def said_then() -> Said:
    phrases = [(text, topic) for topic, texts in QUESTIONS.items() for text in texts]
    return [(how.format(text.format(plant)), topic) for (text, topic), plant, how in product(phrases, PLANTS, BEFORE)]


def said_now() -> Said:
    phrases = [(text, topic) for topic, texts in NOW.items() for text in texts]
    return [(how.format(text.format(plant)), topic) for (text, topic), plant, how in product(phrases, PLANTS, HOW)]


@pytest.fixture
def config(tmp_path: Path) -> Config:
    rows = tmp_path / "plants.csv"
    with rows.open("w", newline="", encoding="utf-8") as file:
        csv.writer(file).writerows([("question", "topic"), *said_then()])
    return plants_config(tmp_path, rows, "train.num_train_epochs=3", "retrain.min_rows=100", "retrain.holdout=0.4")


def ask(config: Config, said: Said, *, judged: bool = False) -> None:
    """A server answers, is told what was right where `judged`, and ends: its journal is in the storage."""
    storage = config.paths.storage
    settings = Settings(storage=storage, model=parse_reference("plants"), spool=f"{storage}-spool")
    with TestClient(Application(settings)) as client:
        for text, topic in said:
            answer = client.post("/predict", json={"text": text}).json()
            if judged:
                assert client.post("/feedback", json={"id": answer["id"], "label": topic}).is_success


def look(config: Config) -> Findings:
    return Monitor(MonitorSettings(storage=config.paths.storage, model=parse_reference("plants")), days=1).run()[0]


def test_the_alarm_rings_for_what_is_new_and_clears_once_it_is_learned(config: Config) -> None:
    run_pipeline(config)
    storage = open_storage(config.paths.storage)
    first = aliases(storage, "plants")["production"]

    ask(config, said_then()[::5])
    quiet = look(config)
    assert not quiet.alarm, quiet.verdicts

    ask(config, said_now(), judged=True)
    ringing = look(config)
    assert ringing.alarm
    assert "quality" in {verdict.name for verdict in ringing.verdicts if verdict.drifted}
    assert "embedding" in {verdict.name for verdict in ringing.verdicts if verdict.suspicious}

    outcome = retrain(config)
    assert outcome.refusal is None
    second = aliases(storage, "plants")["production"]
    assert second == outcome.version != first

    ask(config, said_now(), judged=True)
    clear = look(config)
    assert clear.version == second
    assert not clear.alarm, clear.verdicts
    assert clear.quality.score is not None
    assert ringing.quality.score is not None
    assert clear.quality.score.is_better_than(ringing.quality.score)
