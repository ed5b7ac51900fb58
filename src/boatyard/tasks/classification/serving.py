"""Answers with a label: probabilities to the likeliest labels, and what feedback may say of them."""

from collections.abc import Mapping, Sequence
from difflib import get_close_matches
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, Field, ValidationError

from boatyard.bundle.manifest import BundleError, Card
from boatyard.inputs.protocol import InvalidInput
from boatyard.inputs.texts import normal_form
from boatyard.journal.columns import Column
from boatyard.tasks.classification.decision import Decision
from boatyard.tasks.classification.familiarity import FILE, UNFAMILIAR_SHARE, Familiarity, open_familiarity
from boatyard.tasks.protocol import Answer, Outputs, Target, Truth
from boatyard.tasks.score import Losses, Score

OUTPUTS = ("logits", "probabilities")
FILES = (FILE,)
LONGEST_LABEL = 200
"""In characters: what training takes, feedback can name."""

_ECHOED_CHARACTERS = 60
_COLUMNS = (
    Column("label", "the answer", category=True, group="prediction", weight=3.0),  # it looks at each label
    Column("score", "the model's confidence", group="confidence", buckets=[tenth / 10 for tenth in range(1, 11)]),
)
_UNFAMILIAR = Column("unfamiliar", "the share of inputs unlike the training rows", group="confidence")


class Options(BaseModel):
    """How much of the ranking is wanted."""

    top_k: int = Field(3, ge=1, le=100, description="capped at the number of labels")


class ThresholdOptions(Options):
    """Of a model that tells one label from the rest."""

    threshold: float | None = Field(
        None, ge=0, le=1, description="The least probability at which the positive label is answered"
    )


def open_task(card: Card, folder: Path | None) -> "Classification":
    """The labels, in the order of the graph's classes, and what is familiar. Raises BundleError."""
    labels = card.target.get("labels")
    if not isinstance(labels, list) or not labels or not all(isinstance(label, str) for label in labels):
        raise BundleError(f"the manifest of {card.name} names no target.labels")
    if len(set(labels)) < len(labels):
        raise BundleError(f"the manifest of {card.name} names a label twice")
    try:
        decision = Decision.model_validate(card.target)
    except ValidationError as wrong:
        error = wrong.errors()[0]
        where = ".".join(map(str, ("target", *error["loc"])))
        raise BundleError(f"the manifest of {card.name} is wrong at {where}: {error['msg']}") from None
    if folder is None or UNFAMILIAR_SHARE not in card.target:
        return Classification(labels, decision)
    return Classification(labels, decision, open_familiarity(folder))


def check_outputs(card: Card, shapes: Mapping[str, Sequence[Any]]) -> None:
    """Raises BundleError where the graph tells another number of classes apart."""
    classes, labels = shapes["probabilities"][-1], len(card.target["labels"])
    if isinstance(classes, int) and classes != labels:
        raise BundleError(f"the graph of {card.name} tells {classes} classes apart, but {labels} labels are named")


def answer_schema(target: Target) -> dict[str, Any]:
    """`label`, its probability `score`, the `top` labels, best first, and whether the row is `unfamiliar`."""
    label = {"type": "string", "enum": target["labels"]}
    score = {"type": "number", "minimum": 0, "maximum": 1}
    choice = {"type": "object", "properties": {"label": label, "score": score}, "required": ["label", "score"]}
    properties = {"label": label, "score": score, "top": {"type": "array", "items": choice, "minItems": 1}}
    if UNFAMILIAR_SHARE in target:
        properties["unfamiliar"] = {"type": "boolean"}
    return {"type": "object", "properties": properties, "required": [*properties]}


def truth_schema(target: Target) -> dict[str, Any]:  # noqa: ARG001 - every task's signature
    """The right `label`; one that the model has, which may be spelt in another Unicode form."""
    return {
        "type": "object",
        "properties": {"label": {"type": "string", "minLength": 1}},
        "required": ["label"],
        "additionalProperties": False,
    }


class Classification:
    """The labels of a bundle, what decides between them, and what is familiar, where the bundle says so."""

    def __init__(
        self,
        labels: Sequence[str],
        decision: Decision | None = None,
        familiarity: Familiarity | None = None,
    ) -> None:
        self.labels = labels
        self.columns = _COLUMNS if familiarity is None else (*_COLUMNS, _UNFAMILIAR)
        self._familiarity = familiarity
        self._decision = decision or Decision(labels=[*labels])
        self.Options = Options if self._decision.positive is None else ThresholdOptions
        self._by_normal_form = {normal_form(label): label for label in labels}

    def decode(self, outputs: Outputs, options: BaseModel) -> list[Answer]:
        """The label of each row with its probability, and the `top_k` likeliest with theirs."""
        assert isinstance(options, Options)
        probabilities = self._decision.probabilities(outputs)
        threshold = options.threshold if isinstance(options, ThresholdOptions) else None
        classes = self._decision.classes(probabilities, threshold)
        best = np.argsort(-probabilities, axis=1, kind="stable")[:, : options.top_k]
        scores = np.take_along_axis(probabilities, best, axis=1)
        chosen = probabilities[np.arange(len(classes)), classes]
        answers: list[Answer] = [
            {**self._choice(number, score), "top": [self._choice(*choice) for choice in zip(numbers, top, strict=True)]}
            for number, score, numbers, top in zip(
                classes.tolist(), chosen.tolist(), best.tolist(), scores.tolist(), strict=True
            )
        ]
        if self._familiarity is not None:
            unfamiliar = self._familiarity.unfamiliar(outputs["embedding"]).tolist()
            answers = [{**answer, "unfamiliar": is_so} for answer, is_so in zip(answers, unfamiliar, strict=True)]
        return answers

    def _choice(self, number: int, score: float) -> Answer:
        return {"label": self.labels[number], "score": score}

    def parse_truth(self, payload: Mapping[str, Any]) -> Truth:
        """`label` as the model spells it; raises InvalidInput, which names the nearest that it has."""
        for field in payload:
            if field != "label":
                raise InvalidInput('besides its "id", feedback has a "label", and nothing else')
        label = payload.get("label")
        if not isinstance(label, str) or not label:
            raise InvalidInput('"label" must be a string that says something', "/label")
        wanted = normal_form(label)
        if (spelling := self._by_normal_form.get(wanted)) is not None:
            return {"label": spelling}
        known = {each.casefold(): each for each in self.labels}
        # no label is longer, and each comparison takes as long as what it compares
        near = get_close_matches(wanted[:LONGEST_LABEL].casefold(), known, n=1, cutoff=0)
        nearest = f"; the nearest that it has is {known[near[0]]!r}" if near else ""
        raise InvalidInput(f"the model has no label {label[:_ECHOED_CHARACTERS]!r}{nearest}", "/label")

    def loss(self, answer: Mapping[str, Any], truth: Truth) -> float:
        """0 where the label is right, else 1."""
        return float(answer["label"] != truth["label"])

    def score(self, losses: Losses) -> Score:
        """Accuracy, with Wilson's interval."""
        return accuracy(int(losses.size - losses.sum()), losses.size)

    def explained(self, outputs: Outputs, answer: Answer) -> NDArray[Any]:
        """The probability of the answer's label."""
        column: NDArray[Any] = self._decision.probabilities(outputs)[:, self.labels.index(answer["label"])]
        return column


def accuracy(right: int, rows: int) -> Score:
    """The share right / rows, with its 95% interval by Wilson (1927), which stays within 0 to 1."""
    from scipy.stats import binomtest  # not installed where a model is served, and not asked there

    interval = binomtest(right, rows).proportion_ci(method="wilson")
    return Score("accuracy", right / rows, float(interval.low), float(interval.high))
