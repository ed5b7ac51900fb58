"""The report as a page: our verdicts, and below them Evidently's account of the same columns."""

from collections.abc import Mapping
from html import escape

import pandas as pd
from evidently import ColumnType, DataDefinition, Dataset, Report
from evidently.legacy.calculations.stattests.registry import StatTest, register_stattest
from evidently.metrics import ValueDrift
from evidently.presets import DataSummaryPreset

from boatyard.monitor.drift import Columns
from boatyard.monitor.results import Findings, Verdict

_STYLE = """<style>
.boatyard { font: 15px/1.5 system-ui, sans-serif; max-width: 70rem; margin: 2rem auto; padding: 0 1rem; color: #222; }
.boatyard table { border-collapse: collapse; width: 100%; }
.boatyard th, .boatyard td { text-align: left; padding: .4rem .6rem; border-bottom: 1px solid #ddd; }
.boatyard .drifted td { background: #fdecea; }
</style>"""


def page(findings: Findings, reference: Columns, window: Columns) -> str:
    """One file with no other: Evidently's scripts are in it."""
    measured = {verdict.name: verdict for verdict in findings.verdicts if verdict.value is not None}
    ours, theirs = _frame(window), _frame(reference)
    columns = [name for name in theirs if name in ours and name in measured]
    if not columns:
        return f'<!DOCTYPE html><html lang="en"><meta charset="utf-8"><body>{_summary(findings)}</body></html>'
    definition = DataDefinition(
        numerical_columns=[name for name in columns if name != "label"], categorical_columns=["label"]
    )
    _tell_evidently(measured)
    drift = [ValueDrift(column=name, method=_METHOD, threshold=measured[name].threshold) for name in columns]
    shown = Report([*drift, DataSummaryPreset()], include_tests=False).run(
        Dataset.from_pandas(ours[columns], definition), Dataset.from_pandas(theirs[columns], definition)
    )
    before, body, after = shown.get_html_str(as_iframe=False).partition("<body>")
    return f"{before}{body}{_summary(findings)}{after}"


_METHOD = "boatyard"


def _tell_evidently(measured: Mapping[str, Verdict]) -> None:
    """Has Evidently show our statistic and threshold: by its own, its page would contradict the verdicts."""

    def seen(_: pd.Series, current: pd.Series, __: ColumnType, ___: float) -> tuple[float, bool]:
        verdict = measured[str(current.name)]
        return verdict.value or 0.0, verdict.drifted

    test = StatTest(_METHOD, "compared with chance (Boatyard)", [ColumnType.Numerical, ColumnType.Categorical])
    register_stattest(test, seen)


def _frame(columns: Columns) -> pd.DataFrame:
    return pd.DataFrame({"label": columns.label, "score": columns.score, **columns.described})


def _summary(findings: Findings) -> str:
    heads = ("", "", "statistic", "value", "at most")
    rows = "".join(
        f'<tr class="{"drifted" if verdict.drifted else ""}"><td>{escape(verdict.name)}</td>'
        f"<td>{escape(verdict.sentence)}</td><td>{escape(verdict.statistic)}</td>"
        f"<td>{_shown(verdict.value)}</td><td>{_shown(verdict.threshold)}</td></tr>"
        for verdict in findings.verdicts
    )
    window = findings.window
    drawn = (
        f"{window.rows:,} predictions from {escape(window.from_)} to {escape(window.to)}; {window.sampled:,} of them"
    )
    return (
        f'{_STYLE}<div class="boatyard"><h1>{escape(findings.model)}: {"drift" if findings.alarm else "no drift"}</h1>'
        f"<p>Version {escape(findings.version)}. {drawn}, drawn by chance, are compared with the rows that the model's "
        f"accuracy was accepted on.</p>"
        f"<table><tr>{''.join(f'<th>{head}</th>' for head in heads)}</tr>{rows}</table></div>"
    )


def _shown(number: float | None) -> str:
    return "" if number is None else f"{number:.3g}"
