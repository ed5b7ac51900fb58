"""What a baseline sees of proteins: counted words of three residues."""

from collections.abc import Sequence
from typing import Any

from sklearn.feature_extraction.text import TfidfVectorizer

from boatyard.config.schema import Data
from boatyard.inputs.protein.serving import Row
from boatyard.inputs.training_protocol import Features

_WORD = 3


class ProteinFeatures:
    """Counts of each word, in rows of length 1."""

    name = f"{_WORD}-mers"

    def __init__(self) -> None:
        self.most_rows = 50_000
        self.most_cost = 20_000_000  # what keeps a fit within seconds

    def cost(self, rows: Sequence[Row]) -> int:
        """In residues."""
        return sum(len(sequence) for sequence, _ in rows)

    def features(self, *, rich: bool) -> tuple[Features, str]:  # noqa: ARG002 - every input's signature
        """The same, rich or not."""
        return _Counts(), f"counts of {_WORD}-mers"


class _Counts:
    def __init__(self) -> None:
        self._vectorizer = TfidfVectorizer(
            analyzer="char", lowercase=False, ngram_range=(_WORD, _WORD), use_idf=False, sublinear_tf=True
        )

    def fit_transform(self, rows: Sequence[Row]) -> Any:
        return self._vectorizer.fit_transform([sequence for sequence, _ in rows])

    def transform(self, rows: Sequence[Row]) -> Any:
        return self._vectorizer.transform([sequence for sequence, _ in rows])


def simple_features(data: Data) -> ProteinFeatures:  # noqa: ARG001 - every input's signature
    """Those of all proteins."""
    return ProteinFeatures()
