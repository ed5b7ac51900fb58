"""Bundle format 1, from before there were inputs and tasks: every model in it classifies texts."""

from collections.abc import Mapping
from typing import Any

TASK = "classification"


def upgraded(content: Mapping[str, Any]) -> dict[str, Any]:
    """The manifest as format 2 says it; what is not as format 1 had it is left for validation to find."""
    renamed = {"kind": "input", "input_schema": "request_schema", "output_schema": "answer_schema"}
    upgraded = {renamed.get(key, key): value for key, value in content.items()}
    labels = upgraded.pop("labels", None)
    measured = upgraded.get("metrics")
    truth = {"label": {"type": "string", "minLength": 1}}
    return upgraded | {
        "format": 2,
        "task": TASK,
        "target": {"labels": labels},
        "truth_schema": {
            "type": "object",
            "properties": truth,
            "required": list(truth),
            "additionalProperties": False,
        },
        "metrics": _metrics(measured) if isinstance(measured, Mapping) else measured,
    }


def upgraded_answer(answer: Mapping[str, Any]) -> dict[str, Any]:
    """An answer from the journal of that time, which held the ranking in pairs."""
    ranked = {"top": [{"label": label, "score": score} for label, score in answer["top"]]} if "top" in answer else {}
    return {**answer, **ranked}


def _metrics(measured: Mapping[str, Any]) -> dict[str, Any]:
    parts = {part: measured.get(part) or {} for part in ("trained", "served", "baseline")}
    kept = {key: value for key, value in measured.items() if key not in parts}
    return {
        **kept,
        **{part: _scores(figures) for part, figures in parts.items()},
        "rows": parts["served"].get("rows", 0),
        "baseline_name": parts["baseline"].get("name", ""),
    }


def _scores(figures: Mapping[str, Any]) -> list[dict[str, Any]]:
    """Accuracy with its interval, then what else there is."""
    low, high = figures.get("accuracy_interval") or (figures.get("accuracy_low"), figures.get("accuracy_high"))
    scores: list[dict[str, Any]] = []
    for name, value in figures.items():
        if name == "accuracy":
            scores.insert(0, {"name": name, "value": value, "low": low, "high": high, "higher_is_better": True})
        elif name == "macro_f1" or name.startswith("top"):
            scores.append({"name": name, "value": value, "low": None, "high": None, "higher_is_better": True})
        elif name == "expected_calibration_error":
            scores.append({"name": name, "value": value, "low": None, "high": None, "higher_is_better": False})
    return scores
