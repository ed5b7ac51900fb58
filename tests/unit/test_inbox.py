"""The bundled rows keep what their README promises."""

import csv
from collections import Counter, defaultdict
from pathlib import Path

import pytest

pytestmark = pytest.mark.unit

INBOX = Path(__file__).parents[2] / "data" / "raw" / "inbox.csv"


@pytest.fixture(scope="module")
def rows() -> list[tuple[str, str]]:
    with INBOX.open(encoding="utf-8", newline="") as file:
        return [(row["text"], row["label"]) for row in csv.DictReader(file)]


def test_there_are_enough_intents_and_messages_of_each(rows: list[tuple[str, str]]) -> None:
    counts = Counter(label for _, label in rows)
    assert len(rows) >= 1500
    assert len(counts) >= 24
    assert min(counts.values()) >= 60


def test_messages_are_short_and_long(rows: list[tuple[str, str]]) -> None:
    lengths = sorted(len(text.split()) for text, _ in rows)
    assert lengths[len(lengths) // 10] <= 6
    assert lengths[-len(lengths) // 20] >= 40


def test_at_most_one_message_in_a_hundred_resembles_another(rows: list[tuple[str, str]]) -> None:
    """Character 5-grams, Jaccard above 0.8."""
    grams = [{text.casefold()[i : i + 5] for i in range(max(1, len(text) - 4))} for text, _ in rows]
    holders: dict[str, list[int]] = defaultdict(list)
    alike: set[int] = set()
    for row, mine in enumerate(grams):
        shared = Counter(other for gram in mine for other in holders[gram])
        for other, common in shared.items():
            if common / (len(mine) + len(grams[other]) - common) > 0.8:
                alike |= {row, other}
        for gram in mine:
            holders[gram].append(row)
    assert len(alike) <= len(rows) / 100
