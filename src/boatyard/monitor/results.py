"""The monitor's report: the schema of `drift.json`.

Reports are kept indefinitely, so those in the previous format can be read as well.
"""

from collections.abc import Mapping
from typing import Any

from pydantic import BaseModel, ConfigDict, model_validator

from boatyard.tasks.score import Score

QUALITY = "quality"
"""The name of the verdict on live quality."""


class _Result(BaseModel):
    model_config = ConfigDict(frozen=True, use_attribute_docstrings=True)


class Spread(_Result):
    """How the values of a column are spread, as shares of all rows; what is not counted is missing or rarer.

    Of a number there are `edges`, one more than shares: the outer bins have what lies beyond them as well. Of a
    category there are `categories`, the most frequent of either side; one that is missing is "".
    """

    edges: list[float] = []
    categories: list[str] = []
    reference: list[float]
    window: list[float]


class Verdict(_Result):
    """One column, or one aspect of the traffic. A larger value of any statistic is worse."""

    name: str
    group: str
    """`prediction`, `confidence`, `input`, `embedding`, `data quality` or `live quality`."""
    statistic: str
    value: float | None
    """None if it was not measured; the sentence says why."""
    threshold: float | None
    """The largest value that is neither significant in a single look nor relevant."""
    p: float | None = None
    """Adjusted for all verdicts of one look: the probability, if nothing changed, that any of them is as extreme."""
    suspicious: bool = False
    """Above the threshold: one look in fifty has such a verdict though nothing changed."""
    drifted: bool = False
    """It raises the alarm, as decided by `boatyard.monitor.looks`."""
    sentence: str
    spread: Spread | None = None
    """None if it is not about a column, or was not measured."""

    @property
    def state(self) -> str:
        """`drifted`, `suspicious`, or nothing."""
        return "drifted" if self.drifted else "suspicious" if self.suspicious else ""


class Window(_Result):
    """The predictions that a look considered."""

    rows: int
    """Of this version, in this period; a sample of them is compared."""
    sampled: int
    from_: str
    to: str

    model_config = ConfigDict(alias_generator=lambda name: name.rstrip("_"), populate_by_name=True)


class Quality(_Result):
    """The model's primary score by feedback."""

    feedback: int
    """How many answers were judged."""
    score: Score | None
    """None if no answer was judged."""
    accepted: Score | None
    """On the test rows, when the model was exported."""
    unknown: int = 0
    """Feedback with a truth that this model cannot answer; it is not counted."""


class Findings(_Result):
    """One report."""

    model: str
    version: str
    time: str
    window: Window
    alarm: bool
    comparable: bool = True
    """False if the model's reference is too small to compare anything with."""
    level: float | None = None
    """A suspicious verdict raises the alarm in this look if its `p` is at most this level."""
    verdicts: list[Verdict]
    quality: Quality

    @model_validator(mode="before")
    @classmethod
    def _read_earlier(cls, report: Any) -> Any:
        """Converts the previous format, which had one figure and its interval for live quality."""
        if isinstance(report, Mapping) and isinstance(report.get("quality"), Mapping) and "low" in report["quality"]:
            verdicts = [verdict | {"name": _current_name(verdict)} for verdict in report["verdicts"]]
            return {**report, "verdicts": verdicts, "quality": _current_quality(report["quality"])}
        return report

    @property
    def conclusion(self) -> str:
        """In two or three words."""
        if self.alarm:
            return "drift"
        if any(one.suspicious for one in self.verdicts):
            return "one look is suspicious"
        if not self.comparable:
            return "the reference is too small to compare with"
        compared = any(one.value is not None and one.group != "live quality" for one in self.verdicts)
        return "no drift" if compared else "too little to compare"

    @property
    def rule(self) -> str:
        """What a suspicious verdict means in this look, in a sentence or two."""
        if self.level is None:
            return ""
        return (
            "A verdict is suspicious if it shows more than chance explains in one report: one report in fifty has one "
            f"even if nothing has changed. It raises the alarm if its p-value is at most {self.level:.2g}, so that at "
            "most one false alarm a year is expected, or if it raised the alarm in the previous report."
        )

    def as_json(self) -> bytes:
        """For storage and over HTTP."""
        return self.model_dump_json(by_alias=True, indent=2).encode() + b"\n"


class Past(_Result):
    """A line of the history: one report."""

    time: str
    version: str
    rows: int
    alarm: bool
    drifted: list[str]
    suspicious: list[str]
    """Including those that drifted."""


def _current_name(verdict: Mapping[str, Any]) -> str:
    name: str = verdict["name"]
    if verdict["group"] == "live quality":
        return QUALITY
    return name.removesuffix("s") if verdict["group"] == "data quality" else name


def _current_quality(earlier: Mapping[str, Any]) -> dict[str, Any]:
    counts = {key: earlier[key] for key in ("feedback", "unknown") if key in earlier}
    name = next(iter(earlier.keys() - {*counts, "low", "high", "accepted"}))
    return counts | {
        "score": None if earlier[name] is None else Score(name, earlier[name], earlier["low"], earlier["high"]),
        "accepted": None if earlier["accepted"] is None else Score(name, earlier["accepted"]),
    }
