"""What drift is looked for in, besides lengths and answers: what sequences are made of."""

from collections.abc import Sequence
from typing import Any

import numpy as np

from boatyard.inputs.protein.sequences import OTHER, RESIDUES, numbers
from boatyard.inputs.protein.words import Known, known_shares
from boatyard.journal.columns import Column

DESCRIBED = (
    Column("unknown_share", "the share of residues that are none of the twenty"),
    Column("entropy", "the entropy of the composition, in bits, which is low where few residues repeat"),
    Column("hydrophobicity", "the mean hydropathy of the residues"),
    Column("charged_share", "the share of residues with a charge (D, E, K, R)"),
    Column("aromatic_share", "the share of aromatic residues (F, W, Y)"),
    Column("glycine_proline_share", "the share of residues that bend or loosen a chain (G, P)"),
    Column("known_share", "the share of words of five residues that some training sequence has"),
)

# Kyte and Doolittle 1982, in the order of RESIDUES
_HYDROPATHY = np.array(
    [1.8, 2.5, -3.5, -3.5, 2.8, -0.4, -3.2, 4.5, -3.9, 3.8, 1.9, -3.5, -1.6, -3.5, -4.5, -0.8, -0.7, 4.2, -0.9, -1.3]
)


def describe(sequences: Sequence[str], known_words: Known) -> dict[str, list[Any]]:
    """A number for each sequence, by the names of DESCRIBED; of one without any of the twenty, 0."""
    counts = np.array([np.bincount(numbers(one), minlength=OTHER + 1) for one in sequences]).reshape(-1, OTHER + 1)
    known, total = counts[:, 1:OTHER], np.maximum(counts.sum(axis=1), 1)
    shares = known / np.maximum(known.sum(axis=1, keepdims=True), 1)
    logarithms = np.log2(shares, out=np.zeros_like(shares), where=shares > 0)
    columns = {
        "unknown_share": counts[:, OTHER] / total,
        "entropy": -(shares * logarithms).sum(axis=1),
        "hydrophobicity": shares @ _HYDROPATHY,
        "charged_share": shares[:, _places("DEKR")].sum(axis=1),
        "aromatic_share": shares[:, _places("FWY")].sum(axis=1),
        "glycine_proline_share": shares[:, _places("GP")].sum(axis=1),
        "known_share": known_shares(sequences, known_words),
    }
    return {name: values.tolist() for name, values in columns.items()}


def _places(residues: str) -> list[int]:
    return [RESIDUES.index(residue) for residue in residues]
