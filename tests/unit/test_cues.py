"""Single cues of texts that give a label away, as the data report names them."""

import random
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest
from numpy.typing import NDArray

from boatyard.config.compose import load_config
from boatyard.evaluate.markdown import escape
from boatyard.inputs.text.cues import Found, find_cues
from boatyard.inputs.text.report import report_rows
from boatyard.inputs.training_protocol import TARGET

pytestmark = pytest.mark.unit

LABELS = ["real", "fake"]
WORDS = ["marina", "ship", "crane", "berth", "pilot", "tide", "quay", "rope", "anchor", "mast", "sail", "deck"]


def articles(rows: int = 400) -> tuple[list[str], NDArray[np.int64]]:
    """Each label has words that it prefers, of which no single one says much."""
    chance = random.Random(0)
    targets = np.array([chance.random() < 0.45 for _ in range(rows)], int)
    weights = [[3] * 6 + [1] * 6, [1] * 6 + [3] * 6]
    return [" ".join(chance.choices(WORDS, weights[target], k=12)) for target in targets], targets


def marked(texts: list[str], targets: NDArray[np.int64], real: str, fake: str) -> list[str]:
    return [(fake if target else real).format(text) for text, target in zip(texts, targets, strict=True)]


def found(texts: list[str], targets: NDArray[np.int64]) -> Found:
    told = find_cues({"text": texts}, targets, LABELS)
    assert told is not None
    return told


def test_texts_that_only_all_words_together_tell_apart_have_no_single_cue() -> None:
    told = found(*articles())
    assert not told.cues
    assert told.accuracy > 0.85


def test_an_agencys_name_in_every_article_of_a_label_is_a_cue() -> None:
    texts, targets = articles()
    texts = [
        f"WASHINGTON (Reuters) - {text}" if not target else text for text, target in zip(texts, targets, strict=True)
    ]
    names = {cue.what: cue for cue in found(texts, targets).cues}
    assert names["has 'reuters'"].label == "real"
    assert names["has 'reuters'"].rows == names["has 'reuters'"].of_label == int((targets == 0).sum())
    assert names["has 'reuters'"].accuracy == 1


def test_a_rare_cue_counts_by_its_odds() -> None:
    texts, targets = articles()
    for row in np.flatnonzero(targets == 1)[:30]:  # of 400: no accuracy to speak of
        texts[row] += " Señor Núñez"
    (cue,) = (each for each in found(texts, targets).cues if each.what == "has 'núñez'")
    assert (cue.rows, cue.label) == (30, "fake")
    assert cue.odds is not None
    assert cue.odds > 10


def test_a_word_in_all_rows_is_a_cue_where_it_begins_those_of_one_label() -> None:
    texts, targets = articles()
    texts = [
        f"breaking {text} x" if target else f"x {text} breaking" for text, target in zip(texts, targets, strict=True)
    ]
    whats = {cue.what for cue in found(texts, targets).cues}
    assert {"begins with 'breaking'", "ends with 'breaking'"} & whats
    assert "has 'breaking'" not in whats


def test_a_length_alone_may_tell() -> None:
    texts, targets = articles()
    texts = marked(texts, targets, "{0}", "{0} {0}")
    assert [cue.what for cue in found(texts, targets).cues if cue.label is None] == ["has a length"]


def test_marks_are_cues() -> None:
    texts, targets = articles()
    whats = {cue.what for cue in found(marked(texts, targets, "{0}", "“{0}” 🎉"), targets).cues}
    assert {"has '“'", "has '”'", "has '🎉'"} <= whats


def test_a_date_line_is_a_cue_though_no_date_is_there_often() -> None:
    texts, targets = articles()
    texts = [
        f"{1 + row % 28:02}.{1 + row % 12:02}.{1900 + row % 100} {text}" if target else text
        for row, (text, target) in enumerate(zip(texts, targets, strict=True))
    ]
    (cue,) = (each for each in found(texts, targets).cues if each.what in ("has a number", "begins with a number"))
    assert (cue.label, cue.rows, cue.accuracy) == ("fake", int(targets.sum()), 1)


@pytest.mark.parametrize(
    ("real", "fake", "what"),
    [
        (str, str.upper, "writes all in capitals"),
        (str.capitalize, str, "writes no capital"),
        (str, lambda text: text.replace("now", "NOW"), "writes a word in capitals"),
        (str, lambda text: text.replace("tide", "Tide"), "writes 'Tide'"),
    ],
)
def test_capitals_are_cues_of_their_own(real: Callable[[str], str], fake: Callable[[str], str], what: str) -> None:
    texts, targets = articles()
    texts = [(fake if target else real)(f"{text} now") for text, target in zip(texts, targets, strict=True)]
    told = found(texts, targets)
    (cue,) = (each for each in told.cues if each.what == what)
    assert cue.of_case
    assert not [each for each in told.cues if not each.of_case]
    assert told.accuracy == found([text.lower() for text in texts], targets).accuracy


def test_capitals_of_a_word_that_is_a_cue_are_not_named_again() -> None:
    texts, targets = articles()
    texts = marked(texts, targets, "{0} (Reuters)", "{0}")
    texts[int((targets == 0).argmax())] += " reuters"
    assert not any("Reuters" in cue.what for cue in found(texts, targets).cues)


def test_where_words_say_nothing_no_word_is_a_cue_by_chance() -> None:
    texts, _ = articles()
    assert not found(texts, np.random.default_rng(0).integers(0, 2, len(texts))).cues


def test_too_few_rows_say_nothing() -> None:
    texts, targets = articles(50)
    assert find_cues({"text": texts}, targets, LABELS) is None
    assert find_cues({"text": [f"berth{row}" for row in range(200)]}, np.arange(200) % 2, LABELS) is None


def test_a_field_is_written_once_as_it_is(tmp_path: Path) -> None:
    texts, targets = articles()
    rows = pa.table({"title*|x": marked(texts, targets, "Agency {}", "{}"), "body": texts, TARGET: targets})
    data = load_config(["data=csv", "data.path=x.csv", "data.name=x", 'data.text_columns=["title*|x",body]']).data
    (section,) = report_rows(data, {}, rows, {"labels": LABELS}, tmp_path).sections
    assert any(f"| {escape('title*|x')} |" in part for part in section.parts)
