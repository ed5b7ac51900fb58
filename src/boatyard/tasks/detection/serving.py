"""Answers with the objects in a picture: a label, a score and a box each."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, Field

from boatyard.bundle.manifest import BundleError, Card
from boatyard.inputs.protocol import InvalidInput, Mark
from boatyard.inputs.texts import normal_form
from boatyard.journal.columns import Column
from boatyard.tasks.detection.boxes import BOX, LABEL, WrongBox, read_objects
from boatyard.tasks.detection.matching import f1
from boatyard.tasks.protocol import Answer, Outputs, Target, Truth
from boatyard.tasks.score import Losses, Score, mean_score

OUTPUTS = ("boxes", "scores", "size")
"""float[rows, found, 4] in pixels of the picture as it was sent, float[rows, found, classes]; its width and height."""
FILES = ()
OBJECTS = "objects"
WRONG = "wrong"
"""Of feedback that does not say what would be right."""
MOST_OBJECTS = 1000
"""In feedback on one picture."""
_TENTHS = [tenth / 10 for tenth in range(1, 11)]
_ANY_PICTURE = (1e6, 1e6)


class Options(BaseModel):
    """Which objects are answered."""

    threshold: float | None = Field(
        None, ge=0, le=1, description="the least score; by default what did best on validation"
    )
    most: int = Field(100, ge=1, le=100, description="the most certain so many")


def open_task(card: Card, folder: Path | None) -> "Detection":  # noqa: ARG001 - every task\'s signature
    """By the card's classes and threshold. Raises BundleError."""
    classes, threshold = card.target.get("classes"), card.target.get("threshold")
    if not isinstance(classes, list) or not classes or not all(isinstance(name, str) for name in classes):
        raise BundleError(f"the manifest of {card.name} names no target.classes")
    if not isinstance(threshold, int | float) or not 0 <= threshold <= 1:
        raise BundleError(f"the manifest of {card.name} names no target.threshold between 0 and 1")
    return Detection(classes, float(threshold))


def check_outputs(card: Card, shapes: Mapping[str, Sequence[Any]]) -> None:
    """Raises BundleError where the graph tells another number of classes apart."""
    known, named = shapes["scores"][-1], len(card.target["classes"])
    if isinstance(known, int) and known != named:
        raise BundleError(f"the graph of {card.name} tells {known} classes apart, but {named} are named")


def answer_schema(target: Target) -> dict[str, Any]:
    """`objects`, the most certain first, in pixels of the picture as a viewer shows it, which is `width` x `height`."""
    score = {"type": "number", "minimum": 0, "maximum": 1}
    each = _object_schema({"type": "string", "enum": target["classes"]})
    each = {**each, "properties": {**each["properties"], "score": score}, "required": [*each["required"], "score"]}
    side = {"type": "integer", "minimum": 1}
    properties = {
        OBJECTS: {"type": "array", "items": each},
        "width": side,
        "height": side,
        "found": {"type": "integer", "minimum": 0, "description": "how many objects there are"},
        "certainty": {**score, "description": "the mean of their scores"},
    }
    return {"type": "object", "properties": properties, "required": [*properties]}


def truth_schema(target: Target) -> dict[str, Any]:  # noqa: ARG001 - every task's signature
    """All `objects` that are there, with a label that the model has; or only that the answer is `wrong`."""
    each = _object_schema({"type": "string", "minLength": 1})
    objects = {"type": "array", "items": each, "maxItems": MOST_OBJECTS}
    return {
        "type": "object",
        "properties": {OBJECTS: objects, WRONG: {"const": True, "description": "it is not said what would be right"}},
        "oneOf": [{"required": [OBJECTS]}, {"required": [WRONG]}],
        "additionalProperties": False,
    }


def marks(answer: Mapping[str, Any]) -> list[Mark]:
    """Its objects."""
    return [Mark(each[LABEL], each["score"], *each[BOX]) for each in answer[OBJECTS]]


class Detection:
    """The classes of a bundle, and the score from which on an object is answered."""

    columns = (
        Column("found", "the number of objects", group="prediction", buckets=(0, 1, 2, 5, 10, 20, 50, 100)),
        Column("certainty", "the mean score of the objects", group="confidence", buckets=_TENTHS),
    )

    def __init__(self, classes: Sequence[str], threshold: float) -> None:
        self.classes = classes
        self.threshold = threshold
        self._by_normal_form = {normal_form(name): name for name in classes}

    def decode(self, outputs: Outputs, options: BaseModel) -> list[Answer]:
        """The objects whose score reaches the threshold."""
        assert isinstance(options, Options)
        least = self.threshold if options.threshold is None else options.threshold
        rows = zip(outputs["boxes"], outputs["scores"], outputs["size"].tolist(), strict=True)
        return [self._answer(boxes, scores, extent, least, options.most) for boxes, scores, extent in rows]

    def _answer(
        self, boxes: NDArray[Any], scores: NDArray[Any], extent: Sequence[float], least: float, most: int
    ) -> Answer:
        places, numbers = np.nonzero((scores >= least) & (scores > 0))
        certain = scores[places, numbers]
        order = np.argsort(-certain, kind="stable")[:most]
        objects = [
            {
                LABEL: self.classes[number],
                "score": score,
                BOX: [round(edge, 2) for edge in boxes[place].tolist()],
            }
            for place, number, score in zip(
                places[order].tolist(), numbers[order].tolist(), certain[order].tolist(), strict=True
            )
        ]
        mean = float(certain[order].mean()) if objects else 0.0
        width, height = map(int, extent)
        return {OBJECTS: objects, "width": width, "height": height, "found": len(objects), "certainty": min(mean, 1.0)}

    def parse_truth(self, payload: Mapping[str, Any]) -> Truth:
        """`objects` as the model spells their labels, or that it is `wrong`; raises InvalidInput."""
        if payload.keys() == {WRONG} and payload[WRONG] is True:
            return {WRONG: True}
        objects = payload.get(OBJECTS)
        if payload.keys() != {OBJECTS} or not isinstance(objects, list) or len(objects) > MOST_OBJECTS:
            has = f'"{OBJECTS}", a list of {MOST_OBJECTS:,} at most, or says "{WRONG}": true'
            raise InvalidInput(f'besides its "id", feedback has {has}')
        try:
            read = read_objects(objects, _ANY_PICTURE)
        except WrongBox as wrong:
            raise InvalidInput(str(wrong), f"/{OBJECTS}") from None
        for label in read.labels:
            if normal_form(label) not in self._by_normal_form:
                raise InvalidInput(f"the model has no class {label[:60]!r}", f"/{OBJECTS}")
        boxes = [[round(edge, 2) for edge in box] for box in read.boxes.tolist()]
        pairs = zip(read.labels, boxes, strict=True)
        return {OBJECTS: [{LABEL: self._by_normal_form[normal_form(label)], BOX: box} for label, box in pairs]}

    def loss(self, answer: Mapping[str, Any], truth: Truth) -> float:
        """1 less the F1 of the picture's boxes, at an overlap of half.

        Where of the answer only the `columns` are there, the least that it can be: as if as many were right as could.
        Of an answer that is only said to be wrong, 1.
        """
        if WRONG in truth:
            return 1.0
        if OBJECTS not in answer:
            found_count, there_count = float(answer["found"]), len(truth[OBJECTS])
            return abs(found_count - there_count) / max(found_count + there_count, 1)
        (found, labels), (there, true_labels) = _apart(answer[OBJECTS]), _apart(truth[OBJECTS])
        return 1 - f1(found, labels, there, true_labels)

    def score(self, losses: Losses) -> Score:
        """The mean F1 of pictures."""
        return mean_f1(losses)

    def explained(self, outputs: Outputs, answer: Answer) -> NDArray[Any]:  # noqa: ARG002 - every task's signature
        """The highest score of all."""
        highest: NDArray[Any] = outputs["scores"].max((1, 2))
        return highest


def mean_f1(losses: Losses) -> Score:
    """With its 95% interval."""
    mean = mean_score("f1", losses)
    ends = (None, None) if mean.low is None or mean.high is None else (1 - min(mean.high, 1), 1 - mean.low)
    return Score("f1", 1 - mean.value, *ends)


def _apart(objects: Sequence[Mapping[str, Any]]) -> tuple[NDArray[np.float32], list[str]]:
    boxes = np.array([each[BOX] for each in objects], np.float32).reshape(-1, 4)
    return boxes, [each[LABEL] for each in objects]


def _object_schema(label: dict[str, Any]) -> dict[str, Any]:
    box = {"type": "array", "items": {"type": "number"}, "minItems": 4, "maxItems": 4}
    return {"type": "object", "properties": {LABEL: label, BOX: box}, "required": [LABEL, BOX]}
