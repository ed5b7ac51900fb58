"""The evaluation report, as Markdown for people and JSON for programs. The task writes the part below the headline."""

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, replace
from pathlib import Path

from boatyard.config.plurals import counted
from boatyard.evaluate.compared import Compared
from boatyard.evaluate.groups import Measured, groups_section
from boatyard.evaluate.markdown import escape, table
from boatyard.tasks.protocol import Section, Target
from boatyard.tasks.score import Scores, shown

COMPARISON = "scores.png"
_ABSENT = "n/a"
_DECIMALS = 3


def write_report(
    folder: Path,
    *,
    title: str,
    split: str,
    scores: Scores,
    baseline: Compared,
    fitted: Target,
    sections: Sequence[Section],
    alternative: Compared | None = None,
    groups: Sequence[Measured] = (),
    apart: str | None = None,
    by_chance: Scores | None = None,
) -> None:
    """Write `report.md` and `metrics.json` into `folder`, where the pictures lie that the sections show.

    `fitted`: what the task learnt on validation, which goes into the manifest's target. `apart`: why the split is not
    one by chance, where it is not, and `by_chance`: what the baseline would score if it were.
    """
    numbers = {
        "title": title,
        "split": split,
        "rows": scores.rows,
        "scores": [asdict(score) for score in scores.all],
        "baseline": baseline.as_json(),
        **({} if alternative is None else {"alternative": alternative.as_json()}),
        "fitted": fitted,
        **({"groups": [each.as_json() for each in groups]} if groups else {}),
        "detail": scores.detail,
    }
    if apart is not None and by_chance is not None:
        numbers["baseline_by_chance"] = [asdict(score) for score in by_chance.all]
        sections = [_flattery(apart, baseline.scores, by_chance), *sections]
    written = json.dumps(numbers, indent=2, ensure_ascii=False)
    # a lone surrogate, which UTF-8 cannot hold, is written as the JSON escape that it is
    (folder / "metrics.json").write_text(written + "\n", encoding="utf-8", errors="backslashreplace")
    sections = [*groups_section(groups, scores), *sections]
    report = render(
        title=title, split=split, scores=scores, baseline=baseline, alternative=alternative, sections=sections
    )
    (folder / "report.md").write_text(report, encoding="utf-8")


def render(
    *,
    title: str,
    split: str,
    scores: Scores,
    baseline: Compared,
    sections: Sequence[Section],
    alternative: Compared | None = None,
) -> str:
    """The Markdown of the report, which shows the pictures that lie beside it."""
    return "\n\n".join(_parts(title, split, scores, baseline, alternative, sections)) + "\n"


def losing_sentences(model: Scores, baseline: Compared, alternative: Compared | None) -> list[str]:
    """What to say of each that the model is behind in a score that all of them have."""
    sentences = [losing_sentence(model, baseline.scores)]
    if alternative is not None:
        common = {score.name for score in baseline.scores.all}
        theirs = replace(alternative.scores, all=[score for score in alternative.scores.all if score.name in common])
        sentences.insert(0, losing_sentence(model, theirs, escape(alternative.name.lower())))
    return [sentence for sentence in sentences if sentence is not None]


def losing_sentence(model: Scores, other: Scores, name: str = "the baseline") -> str | None:
    """What to say where the model is behind another in a score that both have; None where it is in none."""
    ours = {score.name: score for score in model.all}
    behind = [
        f"{_gap(ours[theirs.name].shortfall(theirs))} of {theirs.title}"
        for theirs in other.all
        if theirs.name in ours and theirs.is_better_than(ours[theirs.name])
    ]
    if not behind:
        return None
    *first, last = behind
    return f"The model loses to {name} by {', '.join(first)}{' and ' if first else ''}{last}."


def _gap(gap: float) -> str:
    return shown(gap) if gap >= 0.0001 else "less than 0.0001"


def _parts(
    title: str,
    split: str,
    scores: Scores,
    baseline: Compared,
    alternative: Compared | None,
    sections: Sequence[Section],
) -> Iterator[str]:
    yield f"# {escape(title)}"
    yield f"Measured on {counted(scores.rows, 'row')} of the {escape(split)} split."
    others = {"Baseline": baseline} if alternative is None else {alternative.name: alternative, "Baseline": baseline}
    yield _headline(scores, {name: other.scores for name, other in others.items()})
    if alternative is not None:
        yield f"![The scores side by side]({COMPARISON})"
    for sentence in losing_sentences(scores, baseline, alternative):
        yield f"**{sentence}**"
    interval = "" if scores.primary.low is None else f"{scores.primary.heading} with its 95% interval. "
    yield interval + " ".join(_how(name, other) for name, other in others.items())
    for section in sections:
        yield f"## {section.heading}"
        yield from section.parts


def _flattery(apart: str, honest: Scores, by_chance: Scores) -> Section:
    """The baseline on this split, and on one by chance."""
    ours = {score.name: score.with_interval(_DECIMALS) for score in honest.all}
    rows = [(score.heading, ours.get(score.name, _ABSENT), score.with_interval(_DECIMALS)) for score in by_chance.all]
    said = (
        f"{escape(apart)} Split by chance into parts of the same size, test rows would be answered by their likeness "
        "to what was learnt, and the baseline would score:"
    )
    return Section(
        "What a split by chance would say", [said, table(("", "This split", "By chance"), rows, align="lrr")]
    )


def _headline(model: Scores, others: Mapping[str, Scores]) -> str:
    theirs = [{score.name: score.with_interval(_DECIMALS) for score in other.all} for other in others.values()]
    rows = [
        (score.heading, score.with_interval(_DECIMALS), *(each.get(score.name, _ABSENT) for each in theirs))
        for score in model.all
    ]
    return table(("", "Model", *others), rows, align="lr" + "r" * len(others))


def _how(name: str, other: Compared) -> str:
    subject = f"The {name.lower()}" if name == "Baseline" else escape(name)
    return f"{subject}: {escape(other.description)}. Fitting it took {other.seconds:.1f} s."
