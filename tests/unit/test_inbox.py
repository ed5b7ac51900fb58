"""The bundled rows keep what their README promises."""

import csv
from collections import Counter, defaultdict
from itertools import chain
from math import ceil
from pathlib import Path

import pytest

pytestmark = pytest.mark.unit

RAW = Path(__file__).parents[2] / "data" / "raw"
INBOX = RAW / "inbox.csv"


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


def test_no_message_is_there_twice(rows: list[tuple[str, str]]) -> None:
    assert len({text for text, _ in rows}) == len(rows)


def test_at_most_one_message_in_a_hundred_resembles_another(rows: list[tuple[str, str]]) -> None:
    assert len(alike([text for text, _ in rows])) <= len(rows) / 100


def test_what_resembles_another_is_found() -> None:
    said = "i would like to know when my new card will arrive"
    assert alike([said, f"{said}?", "where is the nearest cash machine", said.replace("new", "old and bent")]) == {0, 1}


def alike(texts: list[str], least: float = 0.8) -> set[int]:
    """Texts that share more than 80% of their character 5-grams with another, by Jaccard's measure.

    Two such texts share one of each other's rarest fifth of grams, so only those are looked up.
    """
    grams = [{text.casefold()[i : i + 5] for i in range(max(1, len(text) - 4))} for text in texts]
    frequency = Counter(chain.from_iterable(grams))
    holders: dict[str, list[int]] = defaultdict(list)
    found: set[int] = set()
    for index, mine in enumerate(grams):
        rarest = sorted(mine, key=lambda gram: (frequency[gram], gram))[: len(mine) - ceil(least * len(mine)) + 1]
        for other in set(chain.from_iterable(holders[gram] for gram in rarest)):
            if len(mine & grams[other]) > least * len(mine | grams[other]):
                found |= {index, other}
        for gram in rarest:
            holders[gram].append(index)
    return found


def test_there_are_ten_articles_of_two_kinds() -> None:
    with (RAW / "articles.csv").open(encoding="utf-8", newline="") as file:
        articles = list(csv.DictReader(file))
    assert [article["label"] for article in articles] == ["real", "fake"] * 5
    assert len({article["title"] for article in articles}) == 10
    assert all(100 <= len(article["text"].split()) <= 200 for article in articles)
