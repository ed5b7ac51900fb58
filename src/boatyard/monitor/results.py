"""What a run of the monitor finds: the shape of `drift.json`, which does not change but by additions."""

from pydantic import BaseModel, ConfigDict


class _Result(BaseModel):
    model_config = ConfigDict(frozen=True, use_attribute_docstrings=True)


class Verdict(_Result):
    """One aspect. Whatever the statistic is, more of it is worse: above the threshold it drifted."""

    name: str
    group: str
    """`prediction`, `confidence`, `input`, `embedding`, `data quality` or `live quality`."""
    statistic: str
    value: float | None
    """None where it was not measured; the sentence says why."""
    threshold: float | None
    drifted: bool
    sentence: str


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


class Findings(_Result):
    """One report."""

    model: str
    version: str
    time: str
    window: Window
    alarm: bool
    verdicts: list[Verdict]
    quality: Quality

    @property
    def conclusion(self) -> str:
        """In two or three words."""
        if self.alarm:
            return "drift"
        compared = any(one.value is not None and one.group != "live quality" for one in self.verdicts)
        return "no drift" if compared else "too little to compare"

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
