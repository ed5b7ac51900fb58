"""Makes houses.csv, and beside it what each house would have cost without chance:  python data/raw/houses.py [FOLDER]

The town is made up. Each effect below is one line, so that whoever wonders whether a model found it can look it up.
"""

import csv
import math
import sys
from collections.abc import Iterator
from datetime import date, timedelta
from pathlib import Path
from random import Random
from typing import Any

ROWS, SEED = 3_000, 20_240_229
FIRST_SALE, LAST_SALE = date(2019, 1, 1), date(2024, 12, 31)

DISTRICTS = {  # kilometres east and north of the town hall, how far it reaches, its weight, its school's score
    "Old Town": (0.2, 0.3, 0.5, 12, 6.0),
    "Harbour": (1.8, -0.6, 0.6, 9, 4.5),
    "Station": (-0.9, 0.1, 0.5, 10, 4.0),
    "Riverside": (0.9, 1.5, 0.6, 9, 6.5),
    "University": (-1.4, 1.7, 0.6, 9, 7.5),
    "Northgate": (0.3, 3.4, 0.8, 10, 5.0),
    "Millfield": (-3.1, 0.4, 0.8, 11, 5.5),
    "Westwood": (-4.3, 2.5, 0.9, 7, 7.0),
    "Southfields": (-0.6, -3.3, 0.9, 11, 3.5),
    "Hillcrest": (3.6, 2.8, 0.8, 6, 8.5),
    "Garden Village": (-3.5, -2.6, 0.9, 7, 6.0),
    "Airport Road": (4.6, -2.9, 0.8, 5, 4.0),
    "Lock Island": (1.2, 0.1, 0.1, 0.25, 6.0),  # the last two have few houses
    "Lighthouse Point": (3.1, -1.3, 0.1, 0.1, 5.0),
}
FLATS_AT_THE_CENTRE, FLATS_OUTSIDE = 0.85, 0.25
HOUSES = {"terraced": 0.45, "semi-detached": 0.33, "detached": 0.22}
HOUSEBOATS = {"Harbour": 0.02, "Lock Island": 0.4}
AREA = {"flat": 68, "terraced": 105, "semi-detached": 122, "detached": 155, "houseboat": 70}
LAND = {"terraced": 180, "semi-detached": 330, "detached": 680}
BUILT = ((1870, 1918, 0.20), (1919, 1949, 0.16), (1950, 1977, 0.26), (1978, 2001, 0.20), (2002, 2018, 0.18))
ENERGY = "ABCDEFG"

TYPE = {"flat": 0.0, "terraced": 0.02, "semi-detached": 0.07, "detached": 0.14, "houseboat": -0.30}
ENERGY_CLASS = {"A": 0.05, "B": 0.03, "C": 0.0, "D": 0.0, "E": 0.0, "F": -0.05, "G": -0.10}
BUMPS = (  # east, north, width, height
    (0.3, 0.4, 2.0, 0.22),  # the centre
    (1.9, -0.8, 1.2, 0.09),  # the quay
    (3.6, 2.9, 1.6, 0.12),  # the view from the hill
    (4.8, -3.1, 1.8, -0.12),  # under the flight path
)
NOISE = {"flat": 0.07, "terraced": 0.10, "semi-detached": 0.10, "detached": 0.10, "houseboat": 0.10}  # less alike


def without_noise(house: dict[str, Any]) -> float:
    """The logarithm of the price."""
    return (
        math.log(3_300)
        + 0.88 * math.log(house["area_m2"])
        + 0.38
        + (0.08 if house["area_m2"] < 45 else 0.0)  # a step: small ones are let to students
        + TYPE[house["type"]]
        + _of_place(house["km_east"], house["km_north"])
        + _of_floor(house)
        + _of_school(house["school"], house["rooms"])
        + _of_age(house["year_built"])
        + ENERGY_CLASS[house["energy"]]
        + _of_land(house["land_m2"])
        + _of_time(house["sold"])
    )


def _of_place(east: float, north: float) -> float:
    return sum(
        height * math.exp(-((east - at_east) ** 2 + (north - at_north) ** 2) / (2 * width**2))
        for at_east, at_north, width, height in BUMPS
    )


def _of_floor(house: dict[str, Any]) -> float:
    """Each floor up is worth something with a lift, and costs something without."""
    if house["type"] != "flat":
        return 0.0
    if house["floor"] == 0:
        return -0.05
    return 0.015 * house["floor"] if house["lift"] else -0.04 * (house["floor"] - 1)


def _of_school(score: float, rooms: int) -> float:
    """A good school is worth something to who has room for children."""
    return 0.03 * (score - 5.5) * (0.0 if rooms <= 2 else 0.5 if rooms == 3 else 1.0)


def _of_age(built: int) -> float:
    """Steps: stucco is loved and slabs are not; since 2002 new houses have to keep warm."""
    if built < 1919:
        return 0.06
    if built < 1950:
        return 0.0
    if built < 1978:
        return -0.06
    return 0.0 if built < 2002 else 0.09


def _of_land(land: float | None) -> float:
    """Beyond 600 square metres there is only more grass to mow."""
    return 0.0 if land is None else 0.0003 * min(land, 600) + 0.00005 * max(land - 600, 0)


def _of_time(sold: date) -> float:
    """Up until the interest rose in July 2022, down for a year, then slowly up again."""
    months = (sold.year - 2019) * 12 + sold.month - 1
    return 0.0045 * min(months, 42) - 0.008 * min(max(months - 42, 0), 12) + 0.002 * max(months - 54, 0)


def make_houses(chance: Random) -> Iterator[tuple[dict[str, Any], int]]:
    """Each as it was sold, nothing missing, and the price that chance has not touched."""
    for _ in range(ROWS):
        house = _house(chance)
        exact = without_noise(house)
        house["price"] = _rounded(math.exp(exact + chance.gauss(0, NOISE[house["type"]])))
        yield house, round(math.exp(exact))


def _house(chance: Random) -> dict[str, Any]:
    district = _drawn(chance, {name: weight for name, (*_, weight, _) in DISTRICTS.items()})
    east, north, width, _, school = DISTRICTS[district]
    east, north = chance.gauss(east, width), chance.gauss(north, width)
    near = math.exp(-math.hypot(east, north) / 2.5)
    is_flat = chance.random() < FLATS_OUTSIDE + (FLATS_AT_THE_CENTRE - FLATS_OUTSIDE) * near
    floats = chance.random() < HOUSEBOATS.get(district, 0)
    is_flat = is_flat and not floats
    type_ = "houseboat" if floats else "flat" if is_flat else _drawn(chance, HOUSES)
    area = round(min(max(AREA[type_] * math.exp(chance.gauss(0, 0.32)), 22), 420))
    first, last = _drawn(chance, {(first, last): weight for first, last, weight in BUILT})
    built = chance.randint(first, last)
    floor = min(int(chance.expovariate(0.4)), 14 if built >= 1950 else 5) if is_flat else None
    has_lift = is_flat and chance.random() < (0.75 if built >= 1978 else 0.4 if built >= 1950 else 0.2)
    return {
        "type": type_,
        "district": district,
        "km_east": round(east, 2),
        "km_north": round(north, 2),
        "area_m2": area,
        "rooms": min(max(round(area / chance.gauss(27, 4)), 1), 10),
        "floor": floor,
        "lift": (has_lift or (floor is not None and floor > 7)) if is_flat else None,
        "land_m2": round(LAND[type_] * math.exp(chance.gauss(0, 0.4))) if type_ in LAND else None,
        "year_built": built,
        "energy": ENERGY[min(max(round(chance.gauss((2025 - built) / 25 + 0.5, 1.0)), 0), 6)],
        "school": round(min(max(chance.gauss(school, 0.7), 1), 10), 1),
        "sold": FIRST_SALE + timedelta(chance.randint(0, (LAST_SALE - FIRST_SALE).days)),
    }


def _drawn(chance: Random, weights: dict[Any, float]) -> Any:
    return chance.choices(list(weights), list(weights.values()))[0]


def _rounded(price: float) -> int:
    """As people name prices."""
    return round(price / 500) * 500


def with_gaps(house: dict[str, Any], chance: Random) -> dict[str, Any]:
    """The house as an agent wrote it down: the older it is, the less is known."""
    share = {"year_built": 0.03, "school": 0.02, "energy": 0.08 if house["year_built"] < 1978 else 0.03}
    return house | {column: None for column, missing in share.items() if chance.random() < missing}


def write(folder: Path) -> None:
    """Both files. Chance that draws the gaps is another than that which draws the houses."""
    houses = list(make_houses(Random(SEED)))
    gaps = Random(SEED + 1)
    with (folder / "houses.csv").open("w", encoding="utf-8", newline="") as file:
        table = csv.DictWriter(file, list(houses[0][0]), lineterminator="\n")
        table.writeheader()
        for house, _ in houses:
            cells = with_gaps(house, gaps)
            lift = None if cells["lift"] is None else str(cells["lift"]).lower()
            table.writerow(cells | {"lift": lift})
    with (folder / "houses_without_noise.csv").open("w", encoding="utf-8", newline="") as file:
        table_of_prices = csv.writer(file, lineterminator="\n")
        table_of_prices.writerows([["price"], *([exact] for _, exact in houses)])


if __name__ == "__main__":
    write(Path(sys.argv[1]) if len(sys.argv) > 1 else Path(__file__).parent)
