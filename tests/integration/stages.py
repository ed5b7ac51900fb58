"""The training side on a small network: what a pipeline does, in seconds."""

from collections.abc import Sequence
from pathlib import Path

from boatyard.config.compose import load_config
from boatyard.config.schema import Config

SMALL = (
    "model=scratch",
    "model.text.scratch.hidden_size=32",
    "model.text.scratch.layers=1",
    "model.text.scratch.vocabulary=300",
    "model.text.word_dropout=0",
    "train.num_train_epochs=8",
    "train.per_device_train_batch_size=16",
    "train.learning_rate=0.005",
    "train.eval_strategy=no",
    "train.save_strategy=no",
    "tracking=none",
)


def small_config(root: Path, *overrides: str, small: Sequence[str] = SMALL) -> Config:
    """A configuration that keeps all it makes under `root`."""
    places = [f"paths.{place}={root / place}" for place in ("processed", "runs", "reports", "storage")]
    return load_config([*small, *places, *overrides])


def plants_config(root: Path, rows: Path, *overrides: str, small: Sequence[str] = SMALL) -> Config:
    """The same, for the plant nursery's questions."""
    return small_config(
        root,
        "data=csv",
        f"data.path={rows}",
        "data.name=plants",
        "data.text_columns=[question]",
        "data.target=topic",
        *overrides,
        small=small,
    )
