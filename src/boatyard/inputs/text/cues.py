"""Single cues that give a label away: a word, a mark, a number, what a text begins or ends with, capitals, its length.

A data set that was put together from several sources is full of them: an agency's name in every true article, texts of
one kind that are all short. A model that learns them is right in the test split and wrong in the world.
"""

import unicodedata
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import csr_array

from boatyard.inputs import texts

MOST_ROWS = 5_000
"""Are looked at."""
MOST_CUES, _MOST_OF_CASE = 20, 5
_FEWEST_ROWS = 100  # below them chance tells as much
_LEAST_SHARE, _LEAST_ODDS = 0.05, 10  # a cue of that many rows, whose label's odds are that many times the others'
_NEARLY = 0.9  # of what all words together reach
_BY_CHANCE = 4  # standard errors above the most frequent label, which the luckiest of thousands of cues may be
_BINS = 8  # of lengths, of as many rows each
_MOST_COUNTED = 30_000  # cues

_Named = tuple[str, str, str]
"""Of a cue: field, what it has to do with the word, and the word as it is shown."""
_WRITES = "writes"  # what a text has to do with capitals


@dataclass(frozen=True)
class Cue:
    """`what` reads on from a field's name. `rows` have it, `of_label` of them this `label`.

    `odds`: how many times those of the label elsewhere; `accuracy`: of who knows nothing but this cue. `odds` and
    `label` are None of a length, which is no cue for one label. `of_case`: only who tells capitals from small letters
    sees it.
    """

    field: str
    what: str
    rows: int
    label: str | None
    of_label: int
    odds: float | None
    accuracy: float
    of_case: bool = False


@dataclass(frozen=True)
class Found:
    """`cues`: the strongest first. `accuracy`: of all words together, without case, by naive Bayes on unseen rows."""

    cues: Sequence[Cue]
    accuracy: float
    rows: int


def find_cues(fields: Mapping[str, Sequence[str]], targets: NDArray[Any], labels: Sequence[str]) -> Found | None:
    """None where there are too few rows to tell. `targets`: the places of the rows' labels."""
    if len(targets) < _FEWEST_ROWS or len(labels) < 2:
        return None
    words = {field: [texts.words(text) for text in column] for field, column in fields.items()}
    rows = [
        set().union(*(_cues(field, fields[field][row], words[field][row]) for field in fields))
        for row in range(len(targets))
    ]
    counts = Counter(cue for row in rows for cue in row)
    named = [cue for cue, count in counts.most_common(_MOST_COUNTED) if count > 1]
    caseless = [place for place, (_, how, _) in enumerate(named) if how != _WRITES]
    if not caseless:
        return None
    having = _having(rows, named)
    of_label = np.zeros((len(labels), len(targets)))
    of_label[targets, np.arange(len(targets))] = 1
    together = _held_out_accuracy(having[:, caseless], of_label)
    most_frequent = float(of_label.sum(1).max() / len(targets))
    error = np.sqrt(most_frequent * (1 - most_frequent) / len(targets))
    bar = max(_NEARLY * together, (most_frequent + together) / 2, most_frequent + _BY_CHANCE * error)
    cues = [*_of_words(having, named, of_label, labels, bar), *_of_lengths(words, of_label, bar)]
    cues.sort(key=lambda cue: (not cue.of_case, cue.what), reverse=True)  # what is there, before where it is
    strongest = _without_repeats(sorted(cues, key=lambda cue: -cue.accuracy))
    of_case = [cue for cue in strongest if cue.of_case][_MOST_OF_CASE:]
    return Found([cue for cue in strongest if cue not in of_case][:MOST_CUES], together, len(targets))


def _cues(field: str, text: str, words: Sequence[str]) -> set[_Named]:
    """Of a text and its words. Any number is one cue, or no date line would be one."""
    found = {(field, "has", repr(mark)) for mark in set(text) if unicodedata.category(mark)[0] in "PS"}
    places = [("has", word) for word in set(words)]
    if words:
        places += [("begins with", words[0]), ("ends with", words[-1])]
    for how, word in places:
        found.add((field, how, repr(word)))
        if word.isdecimal():
            found.add((field, how, "a number"))
    return found | {(field, _WRITES, what) for what in _of_case(text)}


def _of_case(text: str) -> set[str]:
    """What capitals say of a text: which words have them, and how the whole looks."""
    written = [word for word in texts.written_words(text) if word != word.lower()]
    letters = [letter for letter in text if letter.lower() != letter.upper()]
    if not letters:
        return set()
    looks = {
        "all in capitals": text.isupper(),
        "no capital": not written,
        "a word in capitals": any(len(word) > 1 and word.isupper() for word in written),
        "its first letter small": letters[0].islower(),
    }
    return {*map(repr, written), *(look for look, so in looks.items() if so)}


def _having(rows: Sequence[set[_Named]], named: Sequence[_Named]) -> csr_array:
    """[rows, cues]: 1 where a row has one."""
    places = {cue: place for place, cue in enumerate(named)}
    columns = [[places[cue] for cue in row if cue in places] for row in rows]
    starts = np.cumsum([0, *map(len, columns)], dtype=np.int32)
    flat = np.concatenate([np.array(each, np.int32) for each in columns])
    return csr_array((np.ones(len(flat)), flat, starts), (len(rows), len(named)))


def _held_out_accuracy(having: csr_array, of_label: NDArray[np.float64]) -> float:
    """Of multinomial naive Bayes on either half of the rows, learnt from the other."""
    right = 0
    halves = np.array_split(np.random.default_rng(0).permutation(having.shape[0]), 2)
    for learnt, asked in (halves, reversed(halves)):
        counts = (having[learnt].T @ of_label[:, learnt].T) + 1
        logs = np.log(counts / counts.sum(0)), np.log(of_label[:, learnt].sum(1) + 1)
        guessed = (having[asked] @ logs[0] + logs[1]).argmax(1)
        right += int(of_label[guessed, asked].sum())
    return float(right / of_label.shape[1])


def _of_words(
    having: csr_array, named: Sequence[_Named], of_label: NDArray[np.float64], labels: Sequence[str], bar: float
) -> list[Cue]:
    rows = of_label.shape[1]
    many = np.flatnonzero(having.sum(0) > _LEAST_SHARE * rows)
    there = (having[:, many].T @ of_label.T).T
    elsewhere = of_label.sum(1, keepdims=True) - there
    accuracies = (there.max(0) + elsewhere.max(0)) / rows
    best = there.argmax(0)
    place = np.arange(len(many))
    hits, others = there[best, place], elsewhere[best, place]
    counts, rest = there.sum(0), elsewhere.sum(0)
    cells = np.stack([hits, rest - others, counts - hits, others]) + 0.5
    odds = cells[0] * cells[1] / cells[2] / cells[3]
    surely = odds / np.exp(np.sqrt((1 / cells).sum(0)))  # less a standard error of the logarithm (Woolf 1955)
    telling = (surely > _LEAST_ODDS) & (2 * hits > counts) | (accuracies > bar)
    return [
        Cue(
            named[many[cue]][0],
            f"{named[many[cue]][1]} {named[many[cue]][2]}",
            int(counts[cue]),
            labels[best[cue]],
            int(hits[cue]),
            float(odds[cue]),
            float(accuracies[cue]),
            named[many[cue]][1] == _WRITES,
        )
        for cue in np.flatnonzero(telling).tolist()
    ]


def _of_lengths(words: Mapping[str, Sequence[Sequence[str]]], of_label: NDArray[np.float64], bar: float) -> list[Cue]:
    found = []
    for field, column in words.items():
        lengths = np.array(list(map(len, column)))
        bins = np.searchsorted(np.quantile(lengths, np.arange(1, _BINS) / _BINS), lengths)
        accuracy = sum(of_label[:, bins == each].sum(1).max() for each in range(_BINS)) / len(lengths)
        if accuracy > bar:
            found.append(Cue(field, "has a length", len(lengths), None, 0, None, float(accuracy)))
    return found


def _without_repeats(cues: Sequence[Cue]) -> list[Cue]:
    """Of the same rows, and so the same counts and word, one; no capitals of a word that is a cue however written."""
    kept: dict[Any, Cue] = {}
    words = {(cue.field, cue.label, _word(cue)) for cue in cues if not cue.of_case}
    for cue in cues:
        if not cue.of_case or (cue.field, cue.label, _word(cue)) not in words:
            kept.setdefault((cue.field, _word(cue), cue.rows, cue.label, cue.of_label), cue)
    return list(kept.values())


def _word(cue: Cue) -> str:
    return cue.what.rpartition(" ")[2].casefold()
