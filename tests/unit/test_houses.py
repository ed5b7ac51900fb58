"""The bundled houses are what their generator makes, and keep what their README promises."""

import csv
import math
import subprocess
import sys
from collections import Counter
from pathlib import Path

import pytest

pytestmark = pytest.mark.unit

RAW = Path(__file__).parents[2] / "data" / "raw"
Houses = list[dict[str, str]]


@pytest.fixture(scope="module")
def houses() -> Houses:
    with (RAW / "houses.csv").open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


def test_the_generator_makes_the_bundled_files(tmp_path: Path) -> None:
    subprocess.run([sys.executable, RAW / "houses.py", tmp_path], check=True)
    for name in ("houses.csv", "houses_without_noise.csv"):
        assert (tmp_path / name).read_bytes() == (RAW / name).read_bytes()


def test_there_are_as_many_rows_and_columns_as_promised_in_a_small_file(houses: Houses) -> None:
    assert (len(houses), len(houses[0])) == (3000, 14)
    assert (RAW / "houses.csv").stat().st_size < 300_000


def test_values_are_missing_where_there_can_be_none_and_where_nobody_knows(houses: Houses) -> None:
    for house in houses:
        is_flat = house["type"] == "flat"
        assert (house["floor"] != "") == (house["lift"] != "") == is_flat
        assert (house["land_m2"] != "") == (house["type"] in {"terraced", "semi-detached", "detached"})
    for column, low, high in (("year_built", 0.02, 0.04), ("energy", 0.04, 0.08), ("school", 0.01, 0.03)):
        assert low < sum(house[column] == "" for house in houses) / len(houses) < high


def test_some_levels_are_rare(houses: Houses) -> None:
    counts = Counter(house["district"] for house in houses)
    assert len(counts) == 14
    assert 1 <= min(counts.values()) < 5, "no model has a code for so few"
    assert sum(house["type"] == "houseboat" for house in houses) < 15


def test_chance_moves_prices_by_a_tenth_and_those_of_flats_by_less(houses: Houses) -> None:
    with (RAW / "houses_without_noise.csv").open(encoding="utf-8", newline="") as file:
        exact = [float(row["price"]) for row in csv.DictReader(file)]
    moved: dict[bool, list[float]] = {True: [], False: []}
    for house, price in zip(houses, exact, strict=True):
        moved[house["type"] == "flat"].append(math.log(float(house["price"]) / price))
    for is_flat, expected in ((True, 0.07), (False, 0.10)):
        spread = math.sqrt(sum(each**2 for each in moved[is_flat]) / len(moved[is_flat]))
        assert spread == pytest.approx(expected, abs=0.005)
