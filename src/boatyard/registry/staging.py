"""Whether a published version may be promoted: how it behaves, and its size, speed and score beside production's.

python -m boatyard.registry.staging NAME VERSION [KEY=VALUE ...]
"""

import argparse
import sys
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from boatyard.bundle.predict import Predictor, open_predictor
from boatyard.config.cli import run
from boatyard.config.compose import options
from boatyard.config.console import say
from boatyard.config.errors import UserError
from boatyard.config.schema import Config, Staging
from boatyard.evaluate.markdown import table
from boatyard.registry import DEFAULT_ALIAS, Reference, aliases, behaviour, fetch
from boatyard.storage import open_storage
from boatyard.tasks.score import Score

_ROUNDS = 3  # the best of each counts: other load on the machine is not the model's fault
_TIMED_ROWS = 200


@dataclass(frozen=True)
class Speed:
    """The latency of single rows, and the throughput of a batch."""

    p95_ms: float
    rows_per_second: float


@dataclass(frozen=True)
class Measured:
    """Of a version, on this machine."""

    version: str
    megabytes: float
    speed: Speed
    score: Score


@dataclass(frozen=True)
class Verdict:
    """`current` is where the alias points, None where it is not set; `refusals` says why not to promote.

    `production` is None where nothing there can be compared. `outcomes`: of what its behaviour must be.
    """

    candidate: Measured
    current: str | None
    production: Measured | None
    outcomes: list[behaviour.Outcome]
    refusals: list[str]


def stage(config: Config, name: str, version: str) -> Verdict:
    """Measure both on the test rows of `config.data`, in turns.

    Raises:
        UserError: there is no such version, the rows are not its own, or a file on its behaviour is wrong.
    """
    from boatyard.data.prepare import prepare
    from boatyard.evaluate.run import SPLIT
    from boatyard.evaluate.served import difference, mismatch, served_score

    if config.data.name != name:
        raise UserError(f"the rows are of {config.data.name}, not of {name}: give data=... and data.name={name}")
    storage = open_storage(config.paths.storage)
    cache = Path(config.paths.runs, "fetched")
    candidate = open_predictor(fetch(storage, Reference(name, version), cache))
    prepared = prepare(config)
    if why := mismatch(candidate.manifest, config, prepared):
        raise UserError(f"{name}@{version} {why}: data=... names other rows")
    outcomes = behaviour.ask_behaviours(candidate, Path(config.staging.behaviour))
    current = aliases(storage, name).get(DEFAULT_ALIAS)
    production = None if current is None else Predictor(fetch(storage, Reference(name, current), cache))
    foreign = production and difference(candidate.manifest, production.manifest)
    compared = [candidate, *([production] if production and not foreign else [])]
    rows = prepared.rows(SPLIT)
    speeds = measure_speed(compared, rows[:: max(1, len(rows) // _TIMED_ROWS)])
    measured = [
        Measured(
            predictor.manifest.version,
            sum(file.size for file in predictor.manifest.files.values()) / 1e6,
            speed,
            served_score(predictor, config, prepared, SPLIT),
        )
        for predictor, speed in zip(compared, speeds, strict=True)
    ]
    before = measured[1] if len(measured) > 1 else None
    refusals = [f"it {foreign} than production"] if foreign else []
    refusals += [one.refusal for one in outcomes if one.refusal is not None]
    refusals += find_refusals(config.staging, measured[0], before)
    return Verdict(measured[0], current, before, outcomes, refusals)


def measure_speed(predictors: Sequence[Predictor], rows: Sequence[Any]) -> list[Speed]:
    """Alternates between the predictors, so that load on the machine affects all alike."""
    alone = np.full((len(predictors), _ROUNDS, len(rows)), np.inf)
    together = np.full((len(predictors), _ROUNDS), np.inf)
    for predictor in predictors:
        predictor.answer(rows[:1])  # the first run is slower
    for each in range(_ROUNDS):
        for number, predictor in enumerate(predictors):
            together[number, each] = _seconds(predictor, rows)
        for place, row in enumerate(rows):
            for number, predictor in enumerate(predictors):
                alone[number, each, place] = _seconds(predictor, [row])
    return [
        Speed(
            p95_ms=1000 * float(np.percentile(alone[number].min(axis=0), 95)),
            rows_per_second=len(rows) / float(together[number].min()),
        )
        for number in range(len(predictors))
    ]


def _seconds(predictor: Predictor, rows: Sequence[Any]) -> float:
    started = time.perf_counter()
    predictor.answer(rows)
    return time.perf_counter() - started


def find_refusals(limits: Staging, candidate: Measured, production: Measured | None) -> Iterator[str]:
    """One sentence for each limit that the candidate breaks."""
    if candidate.megabytes > limits.max_megabytes:
        yield f"it has {candidate.megabytes:.1f} MB; staging.max_megabytes is {limits.max_megabytes:g}"
    if production is None:
        return
    now, before = candidate.speed, production.speed
    allowed = f"staging.max_slowdown is {limits.max_slowdown:g}"
    if now.p95_ms > limits.max_slowdown * before.p95_ms:
        yield f"95% of answers take up to {now.p95_ms:.2f} ms, production's {before.p95_ms:.2f} ms; {allowed}"
    if now.rows_per_second * limits.max_slowdown < before.rows_per_second:
        yield f"it answers {now.rows_per_second:.0f} rows a second, production {before.rows_per_second:.0f}; {allowed}"
    if candidate.score.shortfall(production.score) > limits.max_score_loss:
        yield (
            f"its {candidate.score.title} is {candidate.score.shown} on the test rows, production's "
            f"{production.score.shown}; staging.max_score_loss is {limits.max_score_loss:g}"
        )


def render(name: str, verdict: Verdict) -> str:
    """The Markdown of the report."""
    versions = [verdict.candidate, *([verdict.production] if verdict.production else [])]
    rows = [
        ("Version", *(each.version for each in versions)),
        (verdict.candidate.score.heading, *(each.score.shown for each in versions)),
        ("One answer, 95%", *(f"{each.speed.p95_ms:.2f} ms" for each in versions)),
        ("Rows a second", *(f"{each.speed.rows_per_second:.0f}" for each in versions)),
        ("Size", *(f"{each.megabytes:.1f} MB" for each in versions)),
    ]
    header = ("", "Candidate", "Production")[: 1 + len(versions)]
    parts = [f"# {name}: staging", table(header, rows, align="lrr"[: len(header)])]
    parts.append(behaviour.render(name, verdict.outcomes))
    if verdict.refusals:
        parts += ["Refused:", "\n".join(f"- {refusal}" for refusal in verdict.refusals)]
    else:
        promote = f"`invoke promote {name} {verdict.candidate.version} --expected={verdict.current or 'none'}`"
        parts += [f"{'Fit' if verdict.production else 'Nothing is in production to compare with'}: {promote}"]
    return "\n\n".join(parts) + "\n"


def main(arguments: Sequence[str] | None = None) -> int:
    """Exit status 0 where the version may be promoted, 1 where it may not, 2 where the input is wrong."""
    parser = argparse.ArgumentParser(prog="python -m boatyard.registry.staging", description=__doc__)
    parser.add_argument("name")
    parser.add_argument("version")
    parser.add_argument(
        "overrides", nargs="*", metavar="KEY=VALUE", help="data=... unless the data set has the model's name"
    )
    chosen = parser.parse_args(arguments)
    overrides: list[str] = chosen.overrides
    if chosen.name in options("data") and not any(word.startswith("data=") for word in overrides):
        overrides = [f"data={chosen.name}", *overrides]
    refusals: list[str] = []

    def job(config: Config) -> None:
        verdict = stage(config, chosen.name, chosen.version)
        report = Path(config.paths.reports, "staging", chosen.name, "report.md")
        report.parent.mkdir(parents=True, exist_ok=True)
        report.write_text(render(chosen.name, verdict), encoding="utf-8")
        say(render(chosen.name, verdict))
        refusals.extend(verdict.refusals)

    purpose = "Compare a version with the one in production."
    return run("stage", purpose, job, overrides, ("processed", "runs", "reports")) or int(bool(refusals))


if __name__ == "__main__":
    sys.exit(main())
