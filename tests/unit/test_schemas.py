"""A bundle's schemas are held against its own examples and answers."""

import pytest

from boatyard.config.errors import UserError
from boatyard.export.schemas import require_fit
from boatyard.inputs.text.serving import request_schema
from boatyard.tasks.classification import serving as classification
from boatyard.tasks.regression import serving as regression

pytestmark = pytest.mark.unit


def test_what_fits_passes() -> None:
    require_fit(request_schema(["text"]), {"text": "where is my card"}, "an example")
    target = {"labels": ["card", "fees"]}
    answer = {"label": "card", "score": 0.9, "top": [{"label": "card", "score": 0.9}]}
    require_fit(classification.answer_schema(target), answer, "an answer")
    require_fit(classification.truth_schema(target), {"label": "fees"}, "a truth")
    require_fit(
        regression.answer_schema({}), {"value": 1.5, "low": 1.0, "high": 2.0, "level": 0.9, "unit": None}, "an answer"
    )
    require_fit(regression.truth_schema({}), {"value": 3}, "a truth")


@pytest.mark.parametrize(
    ("example", "where"),
    [({"text": ""}, r"\$\.text"), ({"text": "\u200b"}, r"\$\.text"), ({}, r"\$ "), ({"text": "a", "more": 1}, r"\$ ")],
)
def test_what_does_not_fit_is_one_sentence_that_says_where(example: dict[str, object], where: str) -> None:
    with pytest.raises(UserError, match=f"example 2 of ferry does not fit its own schema: {where}"):
        require_fit(request_schema(["text"]), example, "example 2 of ferry")
