"""What a monitor compares with, for the bundle of bundles.py."""

from collections.abc import Sequence
from pathlib import Path

import pyarrow.parquet as pq
from bundles import write_bundle

from boatyard import registry
from boatyard.bundle import open_bundle
from boatyard.export.reference import reference
from boatyard.predict import Predictor
from boatyard.storage import Storage


def publish_watchable(storage: Storage, folder: Path, texts: Sequence[str]) -> str:
    """inbox@production, whose reference is how it answers `texts`; its version. `folder` is new."""
    draft, sealed = folder / "draft", folder / "sealed"
    write_bundle(draft)
    sealed.mkdir()
    rows = [(text,) for text in texts]
    pq.write_table(reference(rows, Predictor(open_bundle(draft))), sealed / "reference.parquet")
    write_bundle(sealed, metrics={"served": {"accuracy": 0.95, "accuracy_low": 0.93, "accuracy_high": 0.97}})
    version = registry.publish(storage, sealed).version
    registry.promote(storage, "inbox", version)
    return version
