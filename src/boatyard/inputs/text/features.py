"""The bar that a network has to clear: counted words and letters under a linear classifier.

That classifier learns a weight for each feature of each label. Where there are so many labels that this would take
minutes and gigabytes, the nearest centroid of counted words, which sees each row once, takes its place.
"""

import logging
from collections.abc import Sequence
from dataclasses import dataclass
from time import perf_counter
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import csr_array
from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.pipeline import make_union
from sklearn.preprocessing import normalize
from sklearn.svm import LinearSVC

Rows = Sequence[tuple[str, ...]]

log = logging.getLogger(__name__)

# what keeps the fit within seconds on two cores
MOST_ROWS = 50_000
MOST_CHARACTERS = 8_000_000
CHARACTERS_OF_A_ROW = 4_000
MOST_FEATURES = 100_000
# of the linear classifier: its memory is that of labels times features, its time that of labels times characters
MOST_LABELS = 500
MOST_LABEL_CHARACTERS = 200_000_000

_ROWS_AT_ONCE = 1_000  # answered: scores are as many again as there are labels


@dataclass(frozen=True)
class Baseline:
    """A fitted baseline; `rows_used` of the rows given were fitted, in `seconds`."""

    name: str
    description: str
    rows_used: int
    seconds: float
    features: Any
    classifier: Any

    def predict(self, rows: Rows) -> NDArray[np.int64]:
        """The class index of each row."""
        texts = _joined(rows)
        parts = (texts[start : start + _ROWS_AT_ONCE] for start in range(0, len(texts), _ROWS_AT_ONCE))
        predicted = [self.classifier.predict(self.features.transform(part)) for part in parts]
        return np.concatenate(predicted).astype(np.int64)


def fit_baseline(rows: Rows, targets: NDArray[np.integer[Any]], seed: int) -> Baseline:
    """Fit on rows and their class indices; beyond the limits above, on a sample that `seed` decides.

    Raises ValueError when the targets hold fewer than two classes.
    """
    started = perf_counter()
    texts = _joined(rows)
    sample = _sample(texts, targets, np.random.default_rng(seed))
    sampled, classes = [texts[row] for row in sample], targets[sample]
    labels = len(np.unique(classes))
    # a mark counts as a word, so that no text is left without one
    features: Any = _tf_idf(analyzer="word", token_pattern=r"\w+|[^\w\s]", ngram_range=(1, 2))  # noqa: S106 - no secret
    classifier: Any
    if labels <= MOST_LABELS and labels * sum(map(len, sampled)) <= MOST_LABEL_CHARACTERS:
        name, what = "TF-IDF, linear", "words (1 to 2) and characters (2 to 5) with a linear support vector classifier"
        features = make_union(features, _tf_idf(analyzer="char_wb", ngram_range=(2, 5)))
        classifier = LinearSVC(random_state=seed)
    else:
        name = "TF-IDF, nearest centroid"
        what = f"words (1 to 2) with the nearest centroid, as a linear classifier of {labels:,} labels takes too long"
        classifier = NearestCentroid()
        log.info("evaluate: the baseline is the nearest centroid: a linear one of %d labels takes too long", labels)
    classifier.fit(features.fit_transform(sampled), classes)
    used = "all" if len(sample) == len(rows) else f"a sample of {len(sample):,} of"
    return Baseline(
        name=name,
        description=f"TF-IDF of {what}, fitted on {used} {len(rows):,} training rows",
        rows_used=len(sample),
        seconds=perf_counter() - started,
        features=features,
        classifier=classifier,
    )


class NearestCentroid:
    """The class whose mean row has the smallest angle to a row; sparse throughout, which scikit-learn's own is not."""

    def fit(self, rows: csr_array, targets: NDArray[np.integer[Any]]) -> Self:
        """`rows`: [rows, features], of length 1 each."""
        self.classes_, classes = np.unique(targets, return_inverse=True)
        shape = (len(self.classes_), len(targets))
        members = csr_array((np.ones(len(targets)), (classes, np.arange(len(targets)))), shape=shape)
        self._centroids = normalize(members @ rows).T.tocsr()
        return self

    def predict(self, rows: csr_array) -> NDArray[np.integer[Any]]:
        """The first of them where several are as near."""
        nearest: NDArray[np.integer[Any]] = self.classes_[(rows @ self._centroids).toarray().argmax(axis=1)]
        return nearest


def _joined(rows: Rows) -> list[str]:
    # one text a row: on title-and-text news this scores higher than features for each column apart
    return [" ".join(row)[:CHARACTERS_OF_A_ROW] for row in rows]


def _sample(texts: Sequence[str], targets: NDArray[np.integer[Any]], random: np.random.Generator) -> NDArray[np.int64]:
    """Row numbers in ascending order: every row if the limits allow, and each class at least once."""
    characters = sum(map(len, texts))
    size = min(len(texts), MOST_ROWS, MOST_CHARACTERS * len(texts) // max(characters, 1))
    shuffled = random.permutation(len(texts))
    _, first_of_class = np.unique(targets[shuffled], return_index=True)
    return np.sort(shuffled[np.union1d(first_of_class, np.arange(size))])


def _tf_idf(**settings: Any) -> TfidfVectorizer:
    return TfidfVectorizer(sublinear_tf=True, max_features=MOST_FEATURES, **settings)
