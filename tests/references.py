"""What a monitor compares with, for the bundle of bundles.py."""

import random
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
from bundles import write_bundle

from boatyard import registry
from boatyard.bundle.manifest import Manifest, open_bundle
from boatyard.bundle.predict import Predictor
from boatyard.export.reference import reference
from boatyard.storage import Storage
from boatyard.tasks.score import Score

ACCURACY = Score("accuracy", 0.95, 0.93, 0.97)
BEGINNINGS = ("please help", "hello", "today", "good morning", "i ask you", "sorry")
MIDDLES = ("my card was lost", "my card was stolen", "send the transfer", "the fee", "what does it cost", "iban")
ENDINGS = ("now", "in the shop", "since monday", "on the train", "for my son", "again")


def messages(count: int, seed: int) -> list[str]:
    """Such as the bundle knows, drawn by chance."""
    draw = random.Random(seed)
    return [" ".join(map(draw.choice, (BEGINNINGS, MIDDLES, ENDINGS))) for _ in range(count)]


def publish_watchable(
    storage: Storage,
    folder: Path,
    texts: Sequence[str],
    write: Callable[..., Manifest] = write_bundle,
    accepted: Score = ACCURACY,
    **bundle: Any,
) -> str:
    """A bundle in production, ferry by default, whose reference is how it answers `texts`; its version.

    `folder` is new. `write` seals the bundle.
    """
    write_reference(folder / "sealed", texts, write, **bundle)
    write(folder / "sealed", metrics={"served": [accepted]}, **bundle)
    published = registry.publish(storage, folder / "sealed")
    registry.promote(storage, published.name, published.version)
    return published.version


def write_reference(
    folder: Path, texts: Sequence[str], write: Callable[..., Manifest] = write_bundle, **bundle: Any
) -> None:
    """reference.parquet in `folder`: how that bundle answers `texts`."""
    folder.mkdir(parents=True, exist_ok=True)
    draft = folder.with_name(f"{folder.name}-draft")
    write(draft, **bundle)
    pq.write_table(reference([(text,) for text in texts], Predictor(open_bundle(draft))), folder / "reference.parquet")
