"""Sequences that share words are of one family, exactly or by a sample of the words."""

import random

import numpy as np
import pytest

from boatyard.inputs.protein.families import families, words_of
from boatyard.inputs.protein.sequences import RESIDUES

pytestmark = pytest.mark.unit


def sequence(chance: random.Random, length: int = 200) -> str:
    return "".join(chance.choices(RESIDUES, k=length))


def mutated(chance: random.Random, parent: str, share: float) -> str:
    return "".join(chance.choice(RESIDUES) if chance.random() < share else residue for residue in parent)


@pytest.mark.parametrize("exact", [True, False])
def test_descendants_of_one_sequence_are_a_family(exact: bool) -> None:
    chance = random.Random(0)
    parents = [sequence(chance) for _ in range(40)]
    rows = [(parent, mutated(chance, parents[parent], 0.15)) for parent in range(40) for _ in range(8)]
    chance.shuffle(rows)
    found = families(words_of([row for _, row in rows]), exact=exact)
    assert len(set(zip(found.tolist(), (parent for parent, _ in rows), strict=True))) == 40


def test_a_family_of_many_is_one_and_joins_another_by_a_single_pair() -> None:
    chance = random.Random(0)
    one, other = sequence(chance), sequence(chance)
    many = [mutated(chance, one, 0.1) for _ in range(600)]
    assert len(set(families(words_of([*many, other]), exact=True))) == 2
    assert len(set(families(words_of([*many, other, one[:100] + other[:100]]), exact=True))) == 1


def test_two_are_linked_from_a_tenth_of_the_words_of_the_one_that_has_fewer() -> None:
    chance = random.Random(0)
    shorter, longer = sequence(chance, 104), sequence(chance, 500)  # 100 words
    for shared, linked in ((14, True), (13, False)):  # residues that have 10 and 9 words
        pair = families(words_of([shorter, longer + shorter[:shared]]), exact=True)
        assert (pair[0] == pair[1]) == linked


def test_what_has_no_word_is_alone() -> None:
    assert len(set(families(words_of(["MKV", "MKV", "X" * 50, "X" * 50]), exact=True))) == 4
    assert families(words_of([]), exact=True).tolist() == []


def test_words_are_counted_once_and_none_spans_two_sequences() -> None:
    words = words_of(["AAAAAAAA", "ACDEF", "GHIKLX"])
    assert np.diff(words.indptr).tolist() == [1, 1, 1]
