"""When a look raises the alarm: at most one false alarm is expected in a year, however many looks there are.

What is controlled is the per-family error rate: the expected number of alarms that begin in a year in which nothing
changed (Spjotvoll 1972). A look at level a raises a false alarm with probability a at most, and expectations add up
even where looks depend on each other; so the levels spent in a year must add up to one. Therefore overlapping windows,
a reference that all looks share, restarts, gaps and promotions do no harm. Per day and model two budgets are spent:

- `DAILY`, by the day's first look that could compare anything. The storage decides which look that is.
- what accrued of `RESERVE` since the previous look. With a look a minute, each has 2e-7: enough to detect a broken
  client the same day, and negligible for false alarms, even with a look a second.

An alarm lasts while the verdict that raised it stays suspicious, which means significant in a single look.

Products of e-values (Vovk and Wang 2021) and detectors built on them (Shin, Ramdas and Rinaldo 2024) would accumulate
weak evidence over days, but need every look to be valid given the looks before it. These are not: a reference that
differs a little by chance does so in each look, and they would prove it. Weak evidence is found by one test of a longer
window instead.
"""

from collections.abc import Collection, Sequence
from datetime import timedelta

from boatyard.monitor.results import Verdict

YEAR, DAY = timedelta(days=365), timedelta(days=1)
SUSPICIOUS = 0.02
"""The share of looks with a suspicious verdict, if nothing changed."""
RESERVE = 0.1
"""The false alarms a year that are expected of the looks between the daily ones."""
DAILY = (1 - RESERVE) * (DAY / YEAR)
INPUTS, FEEDBACK = 0.8, 0.2
"""How each level is divided between the comparison with the reference and the judged answers."""


def level(*, daily: bool, since: timedelta | None) -> float:
    """The level that a look may spend. `daily`: it is the day's first. `since`: the previous look, None if none."""
    accrued = DAY if since is None else min(max(since, timedelta(0)), DAY)
    return DAILY * daily + RESERVE * (accrued / YEAR)


def ring(verdicts: Sequence[Verdict], at: float, ringing: Collection[str]) -> list[Verdict]:
    """The verdicts, with `drifted` set on those that raise the alarm at this level, or did and are still suspicious."""
    return [
        verdict.model_copy(update={"drifted": verdict.suspicious and (_p(verdict) <= at or verdict.name in ringing)})
        for verdict in verdicts
    ]


def _p(verdict: Verdict) -> float:
    return 1.0 if verdict.p is None else verdict.p
