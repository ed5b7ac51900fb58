"""The report as a page: the verdicts, and below them Evidently's report on the same columns.

`boatyard.monitor.statistics` decides what drifted. Evidently draws the distributions and summarises the data.
"""

from collections.abc import Mapping
from html import escape

import numpy as np
import pandas as pd
from evidently import ColumnType, DataDefinition, Dataset, Report
from evidently.legacy.calculations.stattests.registry import StatTest, register_stattest
from evidently.metrics import ValueDrift
from evidently.presets import DataSummaryPreset
from numpy.typing import NDArray

from boatyard.config.plurals import counted
from boatyard.monitor.drift import Columns, are_categories
from boatyard.monitor.results import Findings, Verdict

# colours that are mixed with what Evidently's page has, light or dark
_STYLE = """<style>
.boatyard { font: 15px/1.5 system-ui, sans-serif; max-width: 70rem; margin: 2rem auto; padding: 0 1rem; }
.boatyard div { overflow-x: auto; }
.boatyard table { border-collapse: collapse; width: 100%; }
.boatyard th, .boatyard td { text-align: left; padding: .4rem .6rem; }
.boatyard th, .boatyard td { border-bottom: 1px solid color-mix(in srgb, currentColor 20%, transparent); }
.boatyard td:nth-child(3) { min-width: 12rem; overflow-wrap: anywhere; }
.boatyard .suspicious td { background: color-mix(in srgb, #f29900 20%, transparent); }
.boatyard .drifted td { background: color-mix(in srgb, #d93025 20%, transparent); }
</style>"""


def page(findings: Findings, reference: Columns, window: Columns) -> str:
    """HTML that needs no other file: it contains Evidently's scripts."""
    measured = {verdict.name: verdict for verdict in findings.verdicts if verdict.value is not None}
    now, before = _frame(window), _frame(reference)
    columns = [name for name in before if name in now and name in measured]
    head = f"<title>{escape(_title(findings))}</title>{_STYLE}"
    if not columns:
        return (
            '<!DOCTYPE html><html lang="en" style="color-scheme: light dark"><head><meta charset="utf-8">'
            f'<meta name="viewport" content="width=device-width">{head}</head><body>{_summary(findings)}</body></html>'
        )
    categories = [name for name in columns if now[name].dtype == object]
    definition = DataDefinition(
        numerical_columns=[name for name in columns if name not in categories], categorical_columns=categories
    )
    _register_with_evidently(measured)
    drift = [ValueDrift(column=name, method=_METHOD, threshold=measured[name].threshold) for name in columns]
    shown = Report([*drift, DataSummaryPreset()], include_tests=False).run(
        Dataset.from_pandas(now[columns], definition), Dataset.from_pandas(before[columns], definition)
    )
    html: str = shown.get_html_str(as_iframe=False)
    return html.replace("<head>", f"<head>{head}", 1).replace("<body>", f"<body>{_summary(findings)}", 1)


_METHOD = "boatyard"


def _register_with_evidently(measured: Mapping[str, Verdict]) -> None:
    """Make Evidently show our statistics and thresholds: its own tests would contradict the verdicts."""

    def result(_: pd.Series, current: pd.Series, __: ColumnType, ___: float) -> tuple[float, bool]:
        verdict = measured[str(current.name)]
        return verdict.value or 0.0, verdict.suspicious

    test = StatTest(_METHOD, "compared with chance (Boatyard)", [ColumnType.Numerical, ColumnType.Categorical])
    register_stattest(test, result)


def _frame(columns: Columns) -> pd.DataFrame:
    # Evidently puts categories into a script as they are
    return pd.DataFrame(
        {name: _harmless(each) if are_categories(each) else each for name, each in columns.values.items()}
    )


def _harmless(categories: NDArray[np.str_]) -> list[str]:
    return [category.replace("<", "\u2039") for category in categories.tolist()]


def _title(findings: Findings) -> str:
    return f"{findings.model}: {findings.conclusion}"


def _summary(findings: Findings) -> str:
    heads = ("", "", "", "statistic", "value", "at most", "p")
    rows = "".join(
        f'<tr class="{verdict.state}"><td>{escape(verdict.name)}</td><td>{verdict.state}</td>'
        f"<td>{escape(verdict.sentence)}</td><td>{escape(verdict.statistic)}</td>"
        f"<td>{_shown(verdict.value)}</td><td>{_shown(verdict.threshold)}</td><td>{_shown(verdict.p)}</td></tr>"
        for verdict in findings.verdicts
    )
    window = findings.window
    drawn = f"{counted(window.rows, 'prediction')} from {escape(window.from_)} to {escape(window.to)}"
    return (
        f'<div class="boatyard"><h1>{escape(_title(findings))}</h1>'
        f"<p>Version {escape(findings.version)}. {drawn}; a random sample of {window.sampled:,} is compared with the "
        "bundle's reference. "
        "The verdicts are Boatyard's; below, Evidently shows the same columns, and these values and thresholds.</p>"
        f"<p>{escape(findings.rule)}</p>"
        f"<div><table><tr>{''.join(f'<th>{head}</th>' for head in heads)}</tr>{rows}</table></div></div>"
    )


def _shown(number: float | None) -> str:
    return "" if number is None else f"{number:.3g}"
