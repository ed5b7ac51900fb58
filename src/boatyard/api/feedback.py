"""Is feedback about an answer that a published model gave, and is its label one of that model's?"""

import threading
from collections.abc import Iterator
from difflib import get_close_matches
from time import monotonic
from uuid import UUID

from boatyard import registry
from boatyard.api.answers import Feedback
from boatyard.api.ids import is_of
from boatyard.api.problems import Fault, Problem
from boatyard.bundle.manifest import BundleError, Card
from boatyard.inputs.texts import LONGEST_LABEL, normal_form
from boatyard.registry import Reference, UnknownModel
from boatyard.storage import Storage

LIST_SECONDS = 1.0  # how long a listing of the registry is reused
MOST_KNOWN = 100  # models whose labels are kept
IDS_SINCE = "20261128T000000Z"  # answers of older models may have a random UUID, which names no model
_ECHOED_CHARACTERS = 60


class Truths:
    """Checks feedback. Threads may share it; it asks the storage where it does not know the model yet."""

    def __init__(self, storage: Storage) -> None:
        self._storage = storage
        self._labels: dict[Reference, dict[str, str]] = {}  # by their normal form
        self._published: list[Reference] = []
        self._listed_at = float("-inf")
        self._asking = threading.Lock()  # one at a time asks the storage

    def check(self, correction: Feedback, default: Card | None) -> tuple[Reference | None, str]:
        """The model that the answer is of, and the label as it has it. `default`: a model that need not be looked up.

        The model is None for an answer from before ids told it. Raises Problem.
        """
        if default is not None:
            self._remember(Reference(default.name, default.version), default)
        model = next((model for model in self._models() if is_of(correction.id, model)), None)
        if model is not None:
            return model, self._label(correction.label, [model])
        older = [model for model in self._published if model.selector < IDS_SINCE]
        if not (older and UUID(correction.id).version == 4):
            raise _refused("id", "no model that is published here has given an answer with this id")
        return None, self._label(correction.label, older)

    def _models(self) -> Iterator[Reference]:
        """The ones that are known, then, where that is not enough, those that the registry has by now."""
        yield from [*self._labels]
        with self._asking:
            if monotonic() - self._listed_at >= LIST_SECONDS:
                self._published = registry.published(self._storage)
                self._listed_at = monotonic()
        yield from self._published

    def _label(self, label: str, models: list[Reference]) -> str:
        wanted = normal_form(label)
        for model in models:
            if (spelling := self._labels_of(model).get(wanted)) is not None:
                return spelling
        known = {each.casefold(): each for model in models for each in self._labels_of(model).values()}
        # no label is longer, and each comparison takes as long as what it compares
        near = get_close_matches(wanted[:LONGEST_LABEL].casefold(), known, n=1, cutoff=0)
        nearest = f"; the nearest that it has is {known[near[0]]!r}" if near else ""
        raise _refused("label", f"the model has no label {label[:_ECHOED_CHARACTERS]!r}{nearest}")

    def _labels_of(self, model: Reference) -> dict[str, str]:
        if (known := self._labels.get(model)) is not None:
            return known
        try:
            with self._asking:
                card = registry.read_manifest(self._storage, model.name, model.selector)
        except UnknownModel:  # removed meanwhile
            raise _refused("id", f"the answer is of {model}, which is not published any more") from None
        except BundleError as why:
            raise Problem(503, str(why)) from None
        return self._remember(model, card)

    def _remember(self, model: Reference, card: Card) -> dict[str, str]:
        if (known := self._labels.get(model)) is None:
            if len(self._labels) >= MOST_KNOWN:
                self._labels = {}
            known = self._labels[model] = {normal_form(label): label for label in card.labels}
        return known


def _refused(field: str, detail: str) -> Problem:
    return Problem(422, detail, [Fault(detail=detail, pointer=f"#/{field}")])
