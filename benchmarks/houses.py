"""python benchmarks/houses.py [KEY=VALUE ...]: how well anyone could value the bundled houses, and how well models do.

All on the test rows of the pipeline's split: the price without noise; boosting and ridge, fitted on its training rows.
"""

import csv
import sys
from pathlib import Path
from typing import Any

import numpy as np
from sklearn.ensemble import HistGradientBoostingRegressor
from sklearn.linear_model import RidgeCV

from boatyard.config.cli import run
from boatyard.config.schema import Config
from boatyard.data.prepare import Prepared, prepare
from boatyard.inputs.table.columns import CATEGORIES, NUMBERS
from boatyard.inputs.table.facts import learn_columns
from boatyard.inputs.table.features import simple_features
from boatyard.inputs.table.rows import kinds_of


def main(config: Config) -> None:
    """Print a line for each."""
    prepared = prepare(config)
    truths = prepared.targets("test")
    guesses = {
        "price without noise": without_noise(prepared),
        "boosting": boosting(prepared),
        "ridge": ridge(prepared),
        "median": np.median(prepared.targets("train")),
    }
    for name, prices in guesses.items():
        print(f"{name:20} MAPE {np.mean(np.abs(prices - truths) / truths):.4f}")  # noqa: T201


def without_noise(prepared: Prepared) -> Any:
    """The file has a header and then the houses in order, as houses.csv has."""
    with Path("data/raw/houses_without_noise.csv").open(encoding="utf-8", newline="") as file:
        prices = [float(row["price"]) for row in csv.DictReader(file)]
    return np.array([prices[row - 2] for row in prepared.splits["test"]["row"]])


def boosting(prepared: Prepared) -> Any:
    """On logarithms, with small trees, which did better than large ones."""
    columns = learn_columns(kinds_of(prepared.data), (), prepared.rows("train"))
    numbers, categories = len(columns.number_names), len(columns.cardinalities)

    def matrix(split: str) -> Any:
        arrays = [columns.arrays(row) for row in prepared.rows(split)]
        return np.array([np.concatenate([each[NUMBERS], each[CATEGORIES]]) for each in arrays])

    model = HistGradientBoostingRegressor(
        learning_rate=0.06,
        max_iter=400,
        max_leaf_nodes=8,
        min_samples_leaf=10,
        categorical_features=list(range(numbers, numbers + categories)),
        random_state=0,
    )
    return np.exp(model.fit(matrix("train"), np.log(prepared.targets("train"))).predict(matrix("test")))


def ridge(prepared: Prepared) -> Any:
    """On logarithms."""
    features, _ = simple_features(prepared.data).features(rich=True)
    model = RidgeCV(np.logspace(-3, 3, 13))
    model.fit(features.fit_transform(prepared.rows("train")), np.log(prepared.targets("train")))
    return np.exp(model.predict(features.transform(prepared.rows("test"))))


if __name__ == "__main__":
    sys.exit(run("benchmark", "", main, ["data=houses", *sys.argv[1:]]))
