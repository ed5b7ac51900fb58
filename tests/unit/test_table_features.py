"""What a baseline sees of a table."""

import numpy as np
import pytest

from boatyard.inputs.table.features import TableFeatures

pytestmark = pytest.mark.unit

NUMBERS = [float(place) for place in range(10)]
WORDS = ["a", "b"] * 5


def test_a_table_may_have_numbers_alone_or_categories_alone() -> None:
    numbers, _ = TableFeatures({"size": "number"}).features(rich=False)
    fitted = numbers.fit_transform([(number,) for number in NUMBERS])
    assert fitted[:, 0] == pytest.approx((np.array(NUMBERS) - 4.5) / np.std(NUMBERS))
    words, _ = TableFeatures({"kind": "category"}).features(rich=False)
    assert words.fit_transform([(word,) for word in WORDS]).shape == (10, 3)
    assert words.transform([("b",), ("c",), (None,)]).tolist() == [[0, 0, 1], [1, 0, 0], [1, 0, 0]]
