"""What a run of the monitor finds: the shape of `drift.json`, which does not change but by additions."""

from pydantic import BaseModel, ConfigDict


class _Result(BaseModel):
    model_config = ConfigDict(frozen=True, use_attribute_docstrings=True)


class Verdict(_Result):
    """One aspect. Whatever the statistic is, more of it is worse."""

    name: str
    group: str
    """`prediction`, `confidence`, `input`, `embedding`, `data quality` or `live quality`."""
    statistic: str
    value: float | None
    """None where it was not measured; the sentence says why."""
    threshold: float | None
    """What passes for chance in a single look, or for too little to matter."""
    p: float | None = None
    """How often chance alone brings any verdict of one look so far."""
    suspicious: bool = False
    """Above the threshold: one look in fifty has such a verdict though nothing changed."""
    drifted: bool = False
    """It rings the alarm, by `boatyard.monitor.looks`."""
    sentence: str

    @property
    def state(self) -> str:
        """`drifted`, `suspicious`, or nothing."""
        return "drifted" if self.drifted else "suspicious" if self.suspicious else ""


class Window(_Result):
    """The predictions that were looked at."""

    rows: int
    """Of this version, in this time; the statistics are taken of a sample of them."""
    sampled: int
    from_: str
    to: str

    model_config = ConfigDict(alias_generator=lambda name: name.rstrip("_"), populate_by_name=True)


class Quality(_Result):
    """How often people who said what was right agreed; `low` and `high` are a 95% interval."""

    feedback: int
    accuracy: float | None
    low: float | None
    high: float | None
    accepted: float | None
    """On the test rows, when the model was exported."""
    unknown: int = 0
    """Feedback that names a label which the model does not have: it is not counted."""


class Findings(_Result):
    """One report."""

    model: str
    version: str
    time: str
    window: Window
    alarm: bool
    comparable: bool = True
    """False where the model's reference is too small to compare anything with."""
    level: float | None = None
    """A suspicious verdict rings the alarm in this look where its `p` is at most that."""
    verdicts: list[Verdict]
    quality: Quality

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
            "A verdict is suspicious where it shows more than chance explains in one look: one look in fifty has one "
            f"though nothing changed. It rings the alarm where chance has a share of at most {self.level:.2g} in it, "
            "so that a year of looks expects one false alarm at most, or where it rang in the look before."
        )

    def as_json(self) -> bytes:
        """As it is stored and served."""
        return self.model_dump_json(by_alias=True, indent=2).encode() + b"\n"


class Past(_Result):
    """What is told of a report that is not the latest."""

    time: str
    version: str
    rows: int
    alarm: bool
    drifted: list[str]
    suspicious: list[str]
    """Those that drifted among them."""
