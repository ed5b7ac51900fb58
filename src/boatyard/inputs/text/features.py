"""What a baseline sees of texts: counted words and characters."""

from collections.abc import Sequence
from typing import Any

from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.pipeline import FeatureUnion, make_union

from boatyard.config.schema import Data
from boatyard.inputs.text.mask import masked
from boatyard.inputs.text.settings import text_data
from boatyard.inputs.training_protocol import Features

Rows = Sequence[tuple[str, ...]]

# what keeps a fit within seconds on two cores
MOST_ROWS = 50_000
MOST_CHARACTERS = 8_000_000
CHARACTERS_OF_A_ROW = 4_000
MOST_FEATURES = 100_000


class TextFeatures:
    """TF-IDF of the beginnings of rows."""

    name = "TF-IDF"

    def __init__(self, mask: Sequence[str]) -> None:
        self._mask = mask
        self.most_rows = MOST_ROWS
        self.most_cost = MOST_CHARACTERS

    def cost(self, rows: Rows) -> int:
        """In characters."""
        return sum(map(len, _joined(rows)))

    def features(self, *, rich: bool) -> tuple[Features, str]:
        """Words and characters, or words alone."""
        # a mark counts as a word, so that no text is left without one
        words = _tf_idf(analyzer="word", token_pattern=r"\w+|[^\w\s]", ngram_range=(1, 2))  # noqa: S106 - no secret
        if not rich:
            return _Joined(words, self._mask), "TF-IDF of words (1 to 2)"
        both = make_union(words, _tf_idf(analyzer="char_wb", ngram_range=(2, 5)))
        return _Joined(both, self._mask), "TF-IDF of words (1 to 2) and characters (2 to 5)"


class _Joined:
    def __init__(self, vectorizer: TfidfVectorizer | FeatureUnion, mask: Sequence[str]) -> None:
        self._vectorizer = vectorizer
        self._mask = mask

    def fit_transform(self, rows: Rows) -> Any:
        return self._vectorizer.fit_transform(masked(_joined(rows), self._mask))

    def transform(self, rows: Rows) -> Any:
        return self._vectorizer.transform(masked(_joined(rows), self._mask))


def simple_features(data: Data) -> TextFeatures:
    """Those of all texts, without what `data.mask` names."""
    return TextFeatures(text_data(data).mask)


def _joined(rows: Rows) -> list[str]:
    # one text a row: on title-and-text news this scores higher than features for each column apart
    return [" ".join(row)[:CHARACTERS_OF_A_ROW] for row in rows]


def _tf_idf(**settings: Any) -> TfidfVectorizer:
    return TfidfVectorizer(sublinear_tf=True, max_features=MOST_FEATURES, **settings)
