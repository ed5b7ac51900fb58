"""When a look rings the alarm: at most one false alarm in a year, however often anybody looks.

Controlled is the expected number of alarms that begin in a year in which nothing changed (Spjotvoll 1972 calls it
gamma). A look at level a rings by chance with a probability of at most a, and expectations add up whatever depends on
what; so the levels that a year's looks spend need only add up to one. They do where windows overlap, where all looks
share one reference with its own luck, after restarts, gaps and promotions. Per day and model two things are spent:

- `DAILY`, by the day's first look that could compare anything. Which one that is, is settled in the storage.
- what accrued of `RESERVE` since the look before. Of looks a minute apart each has 2e-7: enough for a broken client,
  which needs not wait for tomorrow, and nothing for chance, were there a look a second.

An alarm lasts while the verdict that rang stays suspicious, which is more than chance explains in a single look.

Products of e-values (Vovk and Wang 2021) and detectors made of them (Shin, Ramdas and Rinaldo 2024) would add up small
evidence over days, but need every look to be valid given the looks before it. Here none is: a reference that is a
little off by chance is so in each look, and they would prove it. What small evidence adds up to is seen by one test of
a longer window instead.
"""

from collections.abc import Collection, Sequence
from datetime import timedelta

from boatyard.monitor.results import Verdict

YEAR, DAY = timedelta(days=365), timedelta(days=1)
SUSPICIOUS = 0.02
"""So many of the looks in which nothing changed have a suspicious verdict."""
RESERVE = 0.1
"""False alarms a year that looks between the daily ones may expect."""
DAILY = (1 - RESERVE) * (DAY / YEAR)
INPUTS, FEEDBACK = 0.8, 0.2
"""How each level is shared by what is compared with the reference and the judged answers."""


def level(*, daily: bool, since: timedelta | None) -> float:
    """What a look may spend. `daily`: it is the day's first. `since`: the look before, None if there was none."""
    accrued = DAY if since is None else min(max(since, timedelta(0)), DAY)
    return DAILY * daily + RESERVE * (accrued / YEAR)


def ring(verdicts: Sequence[Verdict], at: float, ringing: Collection[str]) -> list[Verdict]:
    """The verdicts, with `drifted` where one rings at this level, or rang in the look before and is suspicious yet."""
    return [
        verdict.model_copy(update={"drifted": verdict.suspicious and (_p(verdict) <= at or verdict.name in ringing)})
        for verdict in verdicts
    ]


def _p(verdict: Verdict) -> float:
    return 1.0 if verdict.p is None else verdict.p
