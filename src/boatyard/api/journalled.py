"""What the journal keeps of predictions and feedback, before their clients have an answer."""

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

logger = logging.getLogger(__name__)

Keep = Literal["stored", "hashed", "dropped"]
KEEPS: tuple[Keep, ...] = get_args(Keep)


def append(journal: Journal, lines: Sequence[Mapping[str, Any]]) -> None:
    """All of them, or raises a Problem: what cannot be kept is not answered."""
    try:
        journal.append(lines)
    except JournalError as full:
        logger.error("%s", full)
        raise Problem(503, "the server cannot keep its journal", headers={"retry-after": "10"}) from None


def prediction_lines(
    manifest: Manifest, inputs: Iterable[Any], predictions: Iterable[Prediction], answers: Iterable[Answer], keep: Keep
) -> list[dict[str, Any]]:
    """One line for each answer. `inputs`: as the client sent them; `keep`: what becomes of them."""
    time = _now()
    return [
        {
            "event": "prediction",
            "id": answer.id,
            "time": time,
            "kind": manifest.kind,
            "model": answer.model,
            "version": answer.version,
            **_kept(given, keep),
            "length": prediction.length,
            "truncated": answer.truncated,
            "label": answer.label,
            "score": answer.score,
            "top": prediction.top,
            "duration_ms": answer.duration_ms,
        }
        for given, prediction, answer in zip(inputs, predictions, answers, strict=True)
    ]


def feedback_line(prediction: str, model: Reference | None, label: str) -> dict[str, Any]:
    """The truth about an earlier prediction, by its id; `model`: what gave it, where that is known."""
    named = {} if model is None else {"model": model.name, "version": model.selector}
    return {"event": "feedback", "id": prediction, "time": _now(), **named, "label": label}


def _kept(given: Any, keep: Keep) -> dict[str, Any]:
    if keep == "stored":
        return {"input": given}
    if keep == "hashed":  # equal inputs can still be told to be equal
        content = json.dumps(given, sort_keys=True, ensure_ascii=False).encode()
        return {"input_sha256": hashlib.sha256(content).hexdigest()}
    return {}


def _now() -> str:
    return datetime.now(UTC).isoformat(timespec="milliseconds")
