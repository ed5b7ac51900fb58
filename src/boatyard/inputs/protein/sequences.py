"""What a protein sequence is, however it was written: one answer for training and serving."""

import re
from collections.abc import Sequence
from string import ascii_lowercase, ascii_uppercase

import numpy as np
from numpy.typing import NDArray

RESIDUES = "ACDEFGHIKLMNPQRSTVWY"
"""The twenty, in the order of their numbers, which start at 1; 0 fills up a batch."""
OTHER = len(RESIDUES) + 1
"""Stands for B, Z, J and X, which leave open what is there, and for the rare U and O."""
MOST_RESIDUES = 40_000
"""The longest protein known, titin, has some 36,000."""

# ASCII alone: `str.upper` would also make residues of a dotless i, a long s or a ligature
_CAPITALS = str.maketrans(ascii_lowercase, ascii_uppercase, " \t\r\n\f\v0123456789")
_NO_RESIDUE = re.compile("[^A-Z]")
_NUCLEOTIDES = re.compile("[ACGTUN]")
_FEWEST_NUCLEOTIDES, _NUCLEOTIDE_SHARE = 30, 0.9

_NUMBERS = np.zeros(128, np.uint8)
_NUMBERS[ord("A") : ord("Z") + 1] = OTHER
_NUMBERS[np.frombuffer(RESIDUES.encode(), np.uint8)] = np.arange(1, OTHER)


class WrongSequence(ValueError):  # noqa: N818 - says what happened
    """It is no protein; the message goes on from what is named, as in "record 'a' *is empty*"."""

    def __init__(self, kind: str, message: str) -> None:
        super().__init__(message)
        self.kind = kind


def read_sequence(written: str) -> str:
    """Capitals only: without spaces, numbers of positions and the stop at the end.

    Raises:
        WrongSequence: this is no protein, or too long to be read.
    """
    letters = written.translate(_CAPITALS).rstrip("*")
    if not letters:
        raise WrongSequence("empty", "is empty; every sequence needs a residue")
    if len(letters) > MOST_RESIDUES:
        raise WrongSequence("too_long", f"has {len(letters):,} residues, and at most {MOST_RESIDUES:,} can be read")
    if (stray := _NO_RESIDUE.search(letters)) is not None:
        place = stray.start() + 1
        if stray[0] == "*":
            raise WrongSequence("stop_inside", f"has a stop (*) inside, at position {place:,}")
        raise WrongSequence("no_residue", f"has {stray[0]!a} at position {place:,}, which is no residue")
    if len(letters) >= _FEWEST_NUCLEOTIDES and _nucleotides(letters) > _NUCLEOTIDE_SHARE * len(letters):
        raise WrongSequence("nucleotides", "looks like DNA or RNA: translate it first")
    return letters


def numbers(sequence: str) -> NDArray[np.uint8]:
    """Of each residue its number, [residues]."""
    return _NUMBERS[np.frombuffer(sequence.encode("ascii"), np.uint8)]


def unknown(sequences: Sequence[str]) -> dict[str, int]:
    """How often each letter occurs that is none of the twenty."""
    counts = np.zeros(128, np.int64)
    for sequence in sequences:
        counts += np.bincount(np.frombuffer(sequence.encode("ascii"), np.uint8), minlength=128)
    return {letter: int(counts[ord(letter)]) for letter in "BJOUXZ" if counts[ord(letter)]}


def _nucleotides(letters: str) -> int:
    return len(_NUCLEOTIDES.findall(letters))
