"""The evaluation report, as Markdown for people and JSON for programs. The task writes the part below the headline."""

import json
from collections.abc import Iterator, Sequence
from dataclasses import asdict
from pathlib import Path

from boatyard.evaluate.baseline import Baseline
from boatyard.evaluate.markdown import escape, table
from boatyard.tasks.protocol import Section, Target
from boatyard.tasks.score import Scores, shown

_ABSENT = "n/a"
_DECIMALS = 3


def write_report(
    folder: Path,
    *,
    title: str,
    split: str,
    scores: Scores,
    baseline: Baseline,
    fitted: Target,
    sections: Sequence[Section],
    by_chance: Scores | None = None,
) -> None:
    """Write `report.md` and `metrics.json` into `folder`, where the pictures lie that the sections show.

    `fitted`: what the task learnt on validation, which goes into the manifest's target. `by_chance`: of the baseline,
    where relatives are kept on one side of the split and might not be.
    """
    numbers = {
        "title": title,
        "split": split,
        "rows": scores.rows,
        "scores": [asdict(score) for score in scores.all],
        "baseline": baseline.as_json(),
        "fitted": fitted,
        "detail": scores.detail,
    }
    if by_chance is not None:
        numbers["baseline_by_chance"] = [asdict(score) for score in by_chance.all]
        sections = [_flattery(baseline.scores, by_chance), *sections]
    written = json.dumps(numbers, indent=2, ensure_ascii=False)
    # a lone surrogate, which UTF-8 cannot hold, is written as the JSON escape that it is
    (folder / "metrics.json").write_text(written + "\n", encoding="utf-8", errors="backslashreplace")
    report = render(title=title, split=split, scores=scores, baseline=baseline, sections=sections)
    (folder / "report.md").write_text(report, encoding="utf-8")


def render(*, title: str, split: str, scores: Scores, baseline: Baseline, sections: Sequence[Section]) -> str:
    """The Markdown of the report, which shows the pictures that lie beside it."""
    return "\n\n".join(_parts(title, split, scores, baseline, sections)) + "\n"


def losing_sentence(model: Scores, baseline: Scores) -> str | None:
    """What to say where the model is behind the baseline in a score that both have; None where it is in none."""
    ours = {score.name: score for score in model.all}
    behind = [
        f"{_gap(ours[theirs.name].shortfall(theirs))} of {theirs.title}"
        for theirs in baseline.all
        if theirs.name in ours and theirs.is_better_than(ours[theirs.name])
    ]
    if not behind:
        return None
    *first, last = behind
    return f"The model loses to the baseline by {', '.join(first)}{' and ' if first else ''}{last}."


def _gap(gap: float) -> str:
    return shown(gap) if gap >= 0.0001 else "less than 0.0001"


def _parts(title: str, split: str, scores: Scores, baseline: Baseline, sections: Sequence[Section]) -> Iterator[str]:
    yield f"# {escape(title)}"
    yield f"Measured on {scores.rows:,} rows of the {escape(split)} split."
    yield _headline(scores, baseline.scores)
    if sentence := losing_sentence(scores, baseline.scores):
        yield f"**{sentence}**"
    interval = "" if scores.primary.low is None else f"{scores.primary.heading} with its 95% interval. "
    yield f"{interval}The baseline: {escape(baseline.description)}. Fitting it took {baseline.seconds:.1f} s."
    for section in sections:
        yield f"## {section.heading}"
        yield from section.parts


def _flattery(honest: Scores, by_chance: Scores) -> Section:
    """Why relatives are kept together: the baseline on this split, and on one by chance."""
    ours = {score.name: score.with_interval(_DECIMALS) for score in honest.all}
    rows = [(score.heading, ours.get(score.name, _ABSENT), score.with_interval(_DECIMALS)) for score in by_chance.all]
    said = (
        "Rows that resemble each other stay on one side of the split. Split by chance, as many rows of each part would "
        "be answered by their likeness to what was learnt, and the baseline would score:"
    )
    return Section(
        "What a split by chance would say", [said, table(("", "This split", "By chance"), rows, align="lrr")]
    )


def _headline(model: Scores, baseline: Scores) -> str:
    theirs = {score.name: score.with_interval(_DECIMALS) for score in baseline.all}
    rows = [(score.heading, score.with_interval(_DECIMALS), theirs.get(score.name, _ABSENT)) for score in model.all]
    return table(("", "Model", "Baseline"), rows, align="lrr")
