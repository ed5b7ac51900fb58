"""The journal's lines for predictions and feedback, written before the client gets its answer."""

import hashlib
import json
import logging
from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any, Literal, get_args

from boatyard.api.answers import Answer
from boatyard.api.problems import Problem
from boatyard.bundle.manifest import Manifest
from boatyard.bundle.predict import Prediction
from boatyard.journal import Journal, JournalError
from boatyard.registry import Reference
from boatyard.tasks.protocol import Truth

logger = logging.getLogger(__name__)

Keep = Literal["stored", "hashed", "dropped"]
KEEPS: tuple[Keep, ...] = get_args(Keep)


def append(journal: Journal, lines: Sequence[Mapping[str, Any]]) -> None:
    """Appends all lines, or raises a Problem: what cannot be journalled is not answered."""
    try:
        journal.append(lines)
    except JournalError as full:
        logger.error("%s", full)
        raise Problem(503, "the server cannot write its journal", headers={"retry-after": "10"}) from None


def prediction_lines(
    manifest: Manifest,
    requests: Iterable[Any],
    predictions: Iterable[Prediction],
    answers: Iterable[Answer],
    keep: Keep,
) -> list[dict[str, Any]]:
    """One line for each answer. `requests`: as the client sent them; `keep`: how they are journalled."""
    time = _now()
    return [
        {
            "event": "prediction",
            "id": answer["id"],
            "time": time,
            "input": manifest.input,
            "task": manifest.task,
            "model": manifest.name,
            "version": manifest.version,
            **_kept(request, keep),
            "truncated": prediction.truncated,
            "measured": prediction.measured,
            "answer": prediction.answer,
            "duration_ms": answer["duration_ms"],
        }
        for request, prediction, answer in zip(requests, predictions, answers, strict=True)
    ]


def feedback_line(prediction: str, model: Reference | None, truth: Truth) -> dict[str, Any]:
    """The truth about an earlier prediction, by its id; `model`: the one that made it, if known."""
    named = {} if model is None else {"model": model.name, "version": model.selector}
    return {"event": "feedback", "id": prediction, "time": _now(), **named, "truth": truth}


def _kept(request: Any, keep: Keep) -> dict[str, Any]:
    if keep == "stored":
        return {"request": request}
    if keep == "hashed":  # equal requests still have equal hashes
        content = json.dumps(request, sort_keys=True, ensure_ascii=False).encode()
        return {"request_sha256": hashlib.sha256(content).hexdigest()}
    return {}


def _now() -> str:
    return datetime.now(UTC).isoformat(timespec="milliseconds")
