"""A copy of the repository in which the documentation's commands run."""

import csv
import os
import re
import sys
from pathlib import Path

import pytest
from checkout import copy_repository

SMALLER = {
    "configs/config.yaml": {"max_train_rows: null": "max_train_rows: 64", "tracking: offline": "tracking: none"},
    "configs/experiment/overfit.yaml": {"max_steps: 100": "max_steps: 3"},
    "configs/model/tiny.yaml": {"num_train_epochs: 12": "num_train_epochs: 1"},
    "configs/model/scratch.yaml": {"num_train_epochs: 20": "num_train_epochs: 1"},
}


@pytest.fixture(scope="session")
def checkout(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What git would commit, with settings that train for seconds."""
    copy = copy_repository(tmp_path_factory.mktemp("checkout"))
    for name, changes in SMALLER.items():
        text = (copy / name).read_text()
        for before, after in changes.items():
            text, count = re.subn(rf"\b{before}\b", after, text)
            assert count == 1, (name, before)
        (copy / name).write_text(text)
    fewer_rows(copy / "data" / "raw" / "inbox.csv")  # part: text, classification
    return copy


def fewer_rows(path: Path) -> None:
    """Those of five labels: all of a label's rows, so that the pipeline still finds enough of each."""
    with path.open(newline="", encoding="utf-8") as file:
        header, *rows = csv.reader(file)
    labels = sorted({label for _, label in rows})[:5]
    with path.open("w", newline="", encoding="utf-8") as file:
        csv.writer(file).writerows([header, *(row for row in rows if row[1] in labels)])


@pytest.fixture(scope="session")
def environment(checkout: Path) -> dict[str, str]:
    """`uv run` takes the packages that the tests have, and the copy's own code; nothing is fetched."""
    return os.environ | {
        "UV_PROJECT_ENVIRONMENT": sys.prefix,
        "UV_NO_SYNC": "1",
        "UV_OFFLINE": "1",
        "PYTHONPATH": str(checkout / "src"),
        "HF_HUB_OFFLINE": "1",
        "NO_MKDOCS_2_WARNING": "1",
    }
