"""Validates feedback: a published model gave the answer, and the model's task accepts the truth."""

import threading
from collections.abc import Iterator
from time import monotonic
from typing import Any
from uuid import UUID

from boatyard import registry, tasks
from boatyard.api.answers import Feedback
from boatyard.api.ids import is_of
from boatyard.api.problems import Fault, Problem
from boatyard.api.requests import fault, unprocessable
from boatyard.bundle.manifest import BundleError
from boatyard.bundle.predict import Predictor
from boatyard.inputs.protocol import InvalidInput
from boatyard.registry import Reference, UnknownModel
from boatyard.storage import Storage
from boatyard.tasks.protocol import OpenTask, Truth

LIST_SECONDS = 1.0  # how long a listing of the registry is reused
MOST_KNOWN = 100  # models whose opened task is cached
IDS_SINCE = "20261128T000000Z"  # answers of older models may have a random UUID, which names no model


class Truths:
    """Validates feedback. Thread-safe. Models that are not cached yet are looked up in the registry."""

    def __init__(self, storage: Storage) -> None:
        self._storage = storage
        self._tasks: dict[Reference, OpenTask] = {}
        self._published: list[Reference] = []
        self._listed_at = float("-inf")
        self._reading = threading.Lock()  # one thread at a time reads the storage

    def check(self, feedback: Feedback, default: Predictor | None) -> tuple[Reference | None, Truth]:
        """The model that gave the answer, and the truth in its task's normal form.

        `default`: a model that need not be looked up. The returned model is None for an answer whose id predates tags.
        Raises Problem.
        """
        if default is not None:
            self._remember(Reference(default.manifest.name, default.manifest.version), default.task)
        payload = feedback.model_extra or {}
        model = next((model for model in self._models() if is_of(feedback.id, model)), None)
        if model is not None:
            return model, self._truth(payload, [model])
        older = [model for model in self._published if model.selector < IDS_SINCE]
        if not (older and UUID(feedback.id).version == 4):
            raise _unknown_id("no model that is published here gave an answer with this id")
        return None, self._truth(payload, older)

    def _models(self) -> Iterator[Reference]:
        """The cached models, then all published ones."""
        yield from [*self._tasks]
        with self._reading:
            if monotonic() - self._listed_at >= LIST_SECONDS:
                self._published = registry.published(self._storage)
                self._listed_at = monotonic()
        yield from self._published

    def _truth(self, payload: dict[str, Any], models: list[Reference]) -> Truth:
        """The truth, parsed by the first model that accepts it. Raises the first model's Problem if none does."""
        refusals = []
        for model in models:
            try:
                return self._task_of(model).parse_truth(payload)
            except InvalidInput as refused:
                refusals.append(refused)
        raise unprocessable([fault(refusals[0])])

    def _task_of(self, model: Reference) -> OpenTask:
        if (known := self._tasks.get(model)) is not None:
            return known
        try:
            with self._reading:
                manifest = registry.read_manifest(self._storage, model.name, model.selector)
            return self._remember(model, tasks.serving(manifest.task).open_task(manifest, None))
        except UnknownModel:  # removed meanwhile
            raise _unknown_id(f"the answer is of {model}, which is not published any more") from None
        except BundleError as why:
            raise Problem(503, str(why)) from None

    def _remember(self, model: Reference, task: OpenTask) -> OpenTask:
        if model not in self._tasks and len(self._tasks) >= MOST_KNOWN:
            self._tasks = {}
        return self._tasks.setdefault(model, task)


def _unknown_id(detail: str) -> Problem:
    return Problem(422, detail, [Fault(detail=detail, pointer="#/id")])
