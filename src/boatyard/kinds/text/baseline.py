"""The bar that a network has to clear: counted words and letters under a linear classifier."""

from collections.abc import Sequence
from dataclasses import dataclass
from time import perf_counter
from typing import Any

import numpy as np
from numpy.typing import NDArray
from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.pipeline import Pipeline, make_pipeline, make_union
from sklearn.svm import LinearSVC

Rows = Sequence[tuple[str, ...]]

# what keeps the fit within seconds on two cores
MOST_ROWS = 50_000
MOST_CHARACTERS = 8_000_000
CHARACTERS_OF_A_ROW = 4_000
MOST_FEATURES = 100_000


@dataclass(frozen=True)
class Baseline:
    """A fitted baseline; `rows_used` of the rows given were fitted, in `seconds`."""

    description: str
    rows_used: int
    seconds: float
    model: Pipeline

    def predict(self, rows: Rows) -> NDArray[np.int64]:
        """The class index of each row."""
        return np.asarray(self.model.predict(_joined(rows)), dtype=np.int64)


def fit_baseline(rows: Rows, targets: NDArray[np.integer[Any]], seed: int) -> Baseline:
    """Fit on rows and their class indices; beyond the limits above, on a sample that `seed` decides.

    Raises ValueError when the targets hold fewer than two classes.
    """
    started = perf_counter()
    texts = _joined(rows)
    sample = _sample(texts, targets, np.random.default_rng(seed))
    model = make_pipeline(
        make_union(
            # a mark counts as a word, so that no text is left without one
            _tf_idf(analyzer="word", token_pattern=r"\w+|[^\w\s]", ngram_range=(1, 2)),  # noqa: S106 - no secret
            _tf_idf(analyzer="char_wb", ngram_range=(2, 5)),
        ),
        LinearSVC(random_state=seed),
    )
    model.fit([texts[row] for row in sample], targets[sample])
    used = "all" if len(sample) == len(rows) else f"a sample of {len(sample):,} of"
    return Baseline(
        description=(
            "TF-IDF of words (1 to 2) and characters (2 to 5) with a linear support vector classifier,"
            f" fitted on {used} {len(rows):,} training rows"
        ),
        rows_used=len(sample),
        seconds=perf_counter() - started,
        model=model,
    )


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
