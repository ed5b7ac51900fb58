"""Where a task of several modules keeps each thing that its `training` owes."""

from collections.abc import Mapping

MODULES: Mapping[str, str] = {
    "open_targets": "targets",
    "target_columns": "targets",
    "refusal": "targets",
    "truth": "targets",
    "cell": "targets",
    "data_section": "data_report",
    "data_facts": "data_report",
    "VALIDATION": "settings",
    "SMOOTHED": "head",
    "tensor": "head",
    "head_shape": "head",
    "build_head": "head",
    "fit_estimates": "head",
    "fit_linear": "head",
    "validation_scores": "head",
    "fit_after": "metrics",
    "fit_files": "report",
    "fit_map": "report",
    "score": "metrics",
    "BY_GROUP": "metrics",
    "DOCUMENTS": "report",
    "report": "report",
    "card_parts": "report",
    "fit_baseline": "baseline",
    "fallback": "baseline",
    "sample": "baseline",
    "parity": "parity",
}
