"""How often the monitor raises a false alarm, and how soon it notices a change.

    python benchmarks/drift.py BANKING77 NEWS

BANKING77 is a folder with train.csv and test.csv, NEWS a CSV file with a column `title`. Three fifths of all messages
are held out of training: references and windows are drawn from them, with replacement. Runs the pipeline; what is done
already is not done again. Then writes a journal of a million rows and has the monitor look at it. Writes
reports/benchmarks/drift.md and .json; fails where a goal is missed.
"""

import csv
import gzip
import multiprocessing
import os
import random
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from uuid import uuid4

import numpy as np
from numpy.typing import NDArray
from pydantic_core import to_json
from report import write_report
from scipy.stats import chi2

from boatyard.bundle.predict import EMBEDDING, Predictor
from boatyard.config.cli import run
from boatyard.config.schema import Config
from boatyard.data.prepare import prepare
from boatyard.evaluate.markdown import table
from boatyard.journal import ROOT
from boatyard.journal.columns import Column
from boatyard.monitor.drift import MIN_EFFECT, Columns, compare, compared_columns, judge_columns, measure
from boatyard.monitor.looks import DAILY, DAY, INPUTS, YEAR, level, ring
from boatyard.monitor.quality import live_quality, quality_verdict
from boatyard.monitor.results import QUALITY, Verdict
from boatyard.monitor.settings import Settings
from boatyard.monitor.statistics import PERMUTATIONS, Permutations
from boatyard.pipeline.run import run_pipeline
from boatyard.tasks.protocol import OpenTask
from boatyard.tasks.score import Score

REFERENCE_ROWS, FEW_ROWS, ROWS = 5_000, 500, Settings().rows
REFERENCES, DAYS, HOURLY_DAYS = 40, 90, 10
"""Nothing changes: so many references, and for how long one is looked at, each day or each hour."""
STREAMS, MOST_DAYS = 30, 30
"""Something changes: so often it is planted, and for so long it is looked for."""
MOST_FALSE = 1.0  # alarms in a year
FOUND, WITHIN_DAYS = 0.95, {FEW_ROWS: 21, ROWS: 2}
JUDGED = 50  # answers a day
JOURNAL_ROWS, OBJECT_ROWS = 1_000_000, 20_000
MOST_SECONDS, MOST_MEGABYTES = 60, 2_000
WEIGHED = """
import resource, subprocess, sys
status = subprocess.call(sys.argv[1:])
used = resource.getrusage(resource.RUSAGE_CHILDREN)
print(used.ru_utime + used.ru_stime, used.ru_maxrss)
sys.exit(status)
"""
"""A process between: what is started directly is credited with the memory of the one that starts it."""

ELSEWHERE = """
¿Dónde está mi tarjeta? Todavía no ha llegado.
He perdido mi tarjeta, ¿qué debo hacer?
¿Cuánto cuesta enviar dinero a otro país?
Mi transferencia sigue pendiente desde ayer.
El cajero se ha tragado la tarjeta.
Quiero cambiar el número secreto de mi tarjeta.
Me han cobrado dos veces la misma compra.
¿Por qué han rechazado mi pago?
No reconozco este cargo en mi cuenta.
¿Cómo puedo activar la tarjeta nueva?
El dinero que ingresé no aparece en el saldo.
Me han robado el teléfono, bloqueen la cuenta.
¿Puedo tener una segunda tarjeta para mi hija?
Quiero cerrar mi cuenta cuanto antes.
¿Qué monedas aceptan para hacer un ingreso?
El tipo de cambio que aplicaron no es correcto.
Wo bleibt meine neue Karte?
Ich habe meine Karte verloren und brauche eine neue.
Was kostet eine Überweisung ins Ausland?
Meine Überweisung ist noch nicht angekommen.
Der Automat hat meine Karte eingezogen.
Ich möchte die Geheimzahl meiner Karte ändern.
Der Betrag wurde mir doppelt abgebucht.
Warum wurde meine Zahlung abgelehnt?
Diese Abbuchung kenne ich nicht.
Wie schalte ich die neue Karte frei?
Mein eingezahltes Geld fehlt auf dem Konto.
Mein Telefon wurde gestohlen, bitte sperren Sie das Konto.
Kann ich eine zweite Karte für meine Tochter bekommen?
Ich möchte mein Konto so bald wie möglich schließen.
Welche Währungen kann ich einzahlen?
Der Wechselkurs, den Sie verwendet haben, stimmt nicht.
""".strip().splitlines()
"""What customers of a bank ask, in Spanish and in German."""

STATE: Any = None
"""The held-out rows as answered, the columns to compare, and the changes: for the processes that share the work."""

Indices = NDArray[np.int64]
Draw = Callable[[np.random.Generator, int], Columns]


def held_out(folder: Path, work: Path) -> tuple[Predictor, list[str], list[str]]:
    """A model of two fifths of the messages; the texts and intents of the others."""
    merged = work / "messages.csv"
    work.mkdir(parents=True, exist_ok=True)
    with merged.open("w", newline="", encoding="utf-8") as file:
        lines = csv.writer(file)
        lines.writerow(["text", "intent"])
        for name in ("train.csv", "test.csv"):
            with (folder / name).open(newline="", encoding="utf-8") as source:
                lines.writerows([row["text"], row["category"]] for row in csv.DictReader(source))
    made: list[tuple[Predictor, list[str], list[str]]] = []

    def job(config: Config) -> None:
        bundle = run_pipeline(config).bundle
        prepared = prepare(config)
        intents = [prepared.target["labels"][target] for target in prepared.targets("test")]
        made.append((Predictor(bundle), [row[0] for row in prepared.rows("test")], intents))

    overrides = {
        "data": "csv",
        "data.path": merged,
        "data.name": "drift",
        "data.target": "intent",
        "data.on_bad_row": "quarantine",
        "data.validation_share": 0.05,
        "data.test_share": 0.6,
        "model": "tiny",
        "tracking": "none",
        **{f"paths.{part}": work / part for part in ("processed", "runs", "reports", "storage")},
    }
    if status := run("benchmark", "", job, [f"{key}={value}" for key, value in overrides.items()]):
        sys.exit(status)
    return made[0]


def answered(predictor: Predictor, texts: Sequence[str]) -> Columns:
    """As the monitor sees them."""
    rows = [(text,) for text in texts]
    encoded = predictor.input.encode(rows)
    outputs = predictor.run(encoded)
    answers = predictor.task.decode(outputs, predictor.options_type())
    measured = [predictor.input.measure(row) for row in encoded]
    values = {
        **{column.name: np.array([answer[column.name] for answer in answers]) for column in predictor.task.columns},
        **{column.name: np.array([each[column.name] for each in measured]) for column in predictor.input.measured},
        "truncated": np.array([row.truncated for row in encoded], dtype=float),
        **{name: np.asarray(column) for name, column in predictor.input.describe(rows, encoded).items()},
    }
    return Columns(values, np.asarray(outputs[EMBEDDING], dtype=np.float32))


def taken(columns: Columns, rows: Indices) -> Columns:
    """Some of its rows."""
    assert columns.embedding is not None
    return Columns({name: column[rows] for name, column in columns.values.items()}, columns.embedding[rows])


def joined(first: Columns, second: Columns) -> Columns:
    """The rows of both."""
    assert first.embedding is not None
    assert second.embedding is not None
    return Columns(
        {name: np.concatenate([column, second.values[name]]) for name, column in first.values.items()},
        np.concatenate([first.embedding, second.embedding]),
    )


def misspelt(text: str, draw: random.Random) -> str:
    """With two neighbouring letters swapped in each third word or so of four letters and more; at least in one."""
    words = text.split()
    long = [place for place, word in enumerate(words) if len(word) >= 4] or [0]
    for place in draw.sample(long, max(1, len(long) // 3)):
        word = words[place]
        at = draw.randrange(max(1, len(word) - 1))
        words[place] = word[:at] + word[at + 1 : at + 2] + word[at : at + 1] + word[at + 2 :]
    return " ".join(words)


def windows_of(
    predictor: Predictor, own: Columns, texts: list[str], asked_for: list[str], news: list[str]
) -> dict[str, Callable[[np.random.Generator], Draw]]:
    """How the windows of each change are drawn; which intent changes is drawn once for all of a stream's."""
    draw = random.Random(0)  # noqa: S311
    typos = answered(predictor, [misspelt(text, draw) for text in texts])
    loud = answered(predictor, [text.upper() for text in texts])
    other = answered(predictor, news)
    foreign = answered(predictor, ELSEWHERE)
    intents = np.array(asked_for)

    def drawn(chance: np.random.Generator, rows: int) -> Indices:
        return chance.integers(len(own), size=rows)

    def changed(share: float, by: Columns) -> Draw:
        """Some of the window's own rows, changed."""

        def window(chance: np.random.Generator, rows: int) -> Columns:
            chosen, few = drawn(chance, rows), round(share * rows)
            return joined(taken(own, chosen[few:]), taken(by, chosen[:few]))

        return window

    def mixed(share: float, with_: Columns) -> Draw:
        """Rows from elsewhere among the window's own."""

        def window(chance: np.random.Generator, rows: int) -> Columns:
            few = round(share * rows)
            strange = taken(with_, chance.integers(len(with_), size=few))
            return joined(taken(own, drawn(chance, rows - few)), strange) if few < rows else strange

        return window

    def tripled(intent: str) -> Draw:
        """Each message of the intent comes three times as often."""
        weights = np.where(intents == intent, 3.0, 1.0)

        def window(chance: np.random.Generator, rows: int) -> Columns:
            return taken(own, chance.choice(len(own), rows, p=weights / weights.sum()))

        return window

    def any_tripled(chance: np.random.Generator) -> Draw:
        return tripled(chance.choice(intents))  # so that a frequent one is chosen as often as it is asked

    return {
        "one intent tripled": any_tripled,
        "other topics: a fifth are headlines": lambda _: mixed(0.2, other),
        "typos in 30% of the messages": lambda _: changed(0.3, typos),
        "shouting: all in capitals": lambda _: changed(1.0, loud),
        "shouting: a tenth in capitals": lambda _: changed(0.1, loud),
        "another language: all": lambda _: mixed(1.0, foreign),
        "another language: a tenth": lambda _: mixed(0.1, foreign),
    }


class Watch:
    """What the monitor concludes, window after window, of one reference in which nothing changed.

    The permutations are those of the first window, so that a look takes milliseconds. Where they come near to the level
    of the day's look, the window is compared as the monitor does, with permutations of its own.
    """

    def __init__(self, reference: Columns, first: Columns, columns: Sequence[Column]) -> None:
        self._reference, self._columns = reference, columns
        permutations = Permutations(len(reference), len(first))
        self._permuted, _ = measure(reference, first, columns, permutations, MIN_EFFECT)
        self._identity = Permutations(len(reference), len(first), 0)

    def look(self, window: Columns) -> list[Verdict]:
        """The verdicts that are needed to decide."""
        observed, _ = measure(self._reference, window, self._columns, self._identity, MIN_EFFECT)
        statistics = {
            name: replace(
                one,
                values=np.concatenate([one.values, self._permuted[name].values[1:]]),
                bounds=np.concatenate([one.bounds, self._permuted[name].bounds[1:]]),
            )
            for name, one in observed.items()
        }
        verdicts = [
            Verdict(
                name=name,
                group="",
                statistic="",
                value=one.value,
                threshold=one.threshold,
                p=one.p / INPUTS,
                suspicious=one.suspicious,
                sentence="",
            )
            for name, one in judge_columns(statistics, self._columns).items()
        ]
        near = any(one.suspicious and one.p is not None and one.p <= 3 * DAILY for one in verdicts)
        return compare(self._reference, window, self._columns) if near else verdicts


def nothing_changes(job: tuple[int, int, int, int]) -> Counter[str]:
    """How often an alarm begins, by rule, of one reference: (its rows, a window's rows, looks a day, the seed)."""
    reference_rows, rows, looks, _ = job
    own, columns, _ = STATE
    chance = np.random.default_rng([*job])
    reference = taken(own, chance.integers(len(own), size=reference_rows))
    days = DAYS if looks == 1 else HOURLY_DAYS
    fresh = rows // looks
    stream = chance.integers(len(own), size=rows + fresh * looks * days)
    watch = Watch(reference, taken(own, stream[:rows]), columns)
    rung: Counter[str] = Counter(looks=looks * days)
    rings: dict[str, set[str]] = {"the rule": set(), "each suspicious look": set(), "two in a row": set()}
    before: set[str] = set()
    for look in range(looks * days):
        verdicts = watch.look(taken(own, stream[look * fresh : look * fresh + rows]))
        suspicious = {one.name for one in verdicts if one.suspicious}
        at = level(daily=look % looks == 0, since=DAY / looks)
        now = {
            "the rule": {one.name for one in ring(verdicts, at, rings["the rule"]) if one.drifted},
            "each suspicious look": suspicious,
            "two in a row": suspicious & before,
        }
        rung.update(name for name, names in now.items() if names and not rings[name])
        rings, before = now, suspicious
    return rung


def years(pool: Any) -> Iterator[dict[str, Any]]:
    """Alarms in which nothing changed, at each size and pace."""
    for reference_rows, rows, looks in (
        (REFERENCE_ROWS, ROWS, 1),
        (REFERENCE_ROWS, FEW_ROWS, 1),
        (200, ROWS, 1),
        (REFERENCE_ROWS, ROWS, 24),
    ):
        rung: Counter[str] = Counter()
        for one in pool.imap_unordered(
            nothing_changes, [(reference_rows, rows, looks, seed) for seed in range(REFERENCES)]
        ):
            rung.update(one)
        simulated = rung.pop("looks") / looks / (YEAR / DAY)
        yield {
            "reference_rows": reference_rows,
            "rows": rows,
            "looks_a_day": looks,
            "years": simulated,
            "alarms": {name: rung[name] for name in ("each suspicious look", "two in a row", "the rule")},
            "low": float(chi2.ppf(0.025, 2 * rung["the rule"])) / 2 / simulated if rung["the rule"] else 0.0,
            "high": float(chi2.ppf(0.975, 2 * rung["the rule"] + 2)) / 2 / simulated,
        }


def found_after(job: tuple[str, int, int]) -> tuple[int | None, str]:
    """The day whose look rings, of a change planted on the first: (the change, a window's rows, the seed)."""
    change, rows, seed = job
    own, columns, kinds = STATE
    chance = np.random.default_rng([rows, seed])
    reference = taken(own, chance.integers(len(own), size=REFERENCE_ROWS))
    draw = kinds[change](chance)
    for day in range(1, MOST_DAYS + 1):
        verdicts = compare(reference, draw(chance, rows), columns)
        rung = [one for one in ring(verdicts, level(daily=True, since=DAY), ()) if one.drifted]
        if rung:
            return day, min(rung, key=lambda one: one.p or 0.0).name
    return None, ""


def delays(kinds: Sequence[str], pool: Any) -> Iterator[dict[str, Any]]:
    """How many days each change takes to be found."""
    for rows in (FEW_ROWS, ROWS):
        for name in kinds:
            outcomes = pool.map(found_after, [(name, rows, seed) for seed in range(STREAMS)], chunksize=1)
            yield summed_up(name, rows, [day for day, _ in outcomes]) | {
                "by": dict(Counter(verdict for _, verdict in outcomes if verdict).most_common())
            }


def summed_up(name: str, rows: int, days: Sequence[int | None]) -> dict[str, Any]:
    """Of the days that streams took to be noticed; None: never."""
    ordered = sorted(day or MOST_DAYS + 1 for day in days)
    return {
        "name": name,
        "rows": rows,
        "streams": len(ordered),
        "first_day": sum(day == 1 for day in ordered) / len(ordered),
        "median": ordered[len(ordered) // 2],
        "most": ordered[int(np.ceil(FOUND * len(ordered))) - 1],
    }


def feedback(task: OpenTask, accuracy: float) -> tuple[float, list[dict[str, Any]]]:
    """Of judged answers alone: alarms a year where accuracy stays, and how soon a fall of it is found."""
    chance = np.random.default_rng(0)
    rows = 3_080  # as the published test split has
    accepted = Score("accuracy", accuracy, accuracy - 1.96 * (accuracy * (1 - accuracy) / rows) ** 0.5)

    def rings(now: float, judged: int) -> bool:
        losses = (chance.random(judged) >= now).astype(float)
        verdict = quality_verdict(live_quality(losses, task, accepted), losses, task)
        return any(one.drifted for one in ring([verdict], level(daily=True, since=DAY), ()))

    false = sum(rings(accuracy, JUDGED) for _ in range(20_000)) / 20_000 * (YEAR / DAY)
    delays_of_falls = []
    for judged, fall in ((JUDGED, 0.2), (4 * JUDGED, 0.1)):
        streams = [
            next((day for day in range(1, MOST_DAYS + 1) if rings(accuracy - fall, judged)), None)
            for _ in range(10 * STREAMS)
        ]
        name = f"feedback: accuracy falls by {100 * fall:.0f} points"
        rung = {QUALITY: sum(day is not None for day in streams)}
        delays_of_falls.append(summed_up(name, judged, streams) | {"by": rung})
    return false, delays_of_falls


def write_journal(storage: Path, predictor: Predictor, own: Columns, texts: list[str]) -> None:
    """A day of it, in objects as a busy server ships them."""
    manifest, now = predictor.manifest, datetime.now(UTC)
    chosen = np.random.default_rng(0).integers(len(texts), size=JOURNAL_ROWS)
    for first in range(0, JOURNAL_ROWS, OBJECT_ROWS):
        lines = []
        for number in range(first, first + OBJECT_ROWS):
            row = chosen[number]
            time = now - timedelta(hours=23) * (1 - number / JOURNAL_ROWS)
            label, score = str(own.values["label"][row]), float(own.values["score"][row])
            lines.append(
                {
                    "event": "prediction",
                    "id": uuid4().hex,
                    "time": time.isoformat(timespec="milliseconds"),
                    "input": manifest.input,
                    "task": manifest.task,
                    "model": manifest.name,
                    "version": manifest.version,
                    "request": {"text": texts[row]},
                    "truncated": False,
                    "measured": {"length": int(own.values["length"][row])},
                    "answer": {"label": label, "score": score, "top": [{"label": label, "score": score}] * 3},
                    "duration_ms": 3.5,
                }
            )
        path = storage / f"{ROOT}date={time:%Y-%m-%d}" / f"benchmark-{first:07}.jsonl.gz"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(gzip.compress(b"".join(to_json(line) + b"\n" for line in lines), 3))


def million(predictor: Predictor, own: Columns, texts: list[str], storage: Path) -> dict[str, Any]:
    """What `python -m boatyard.monitor` takes to look at a million rows."""
    with tempfile.TemporaryDirectory() as temporary:
        there = Path(temporary)
        (there / "models").symlink_to(storage.absolute() / "models")
        write_journal(there, predictor, own, texts)
        megabytes = sum(path.stat().st_size for path in there.glob(f"{ROOT}*/*")) / 1e6
        environment = {"BOATYARD_STORAGE": temporary, "BOATYARD_MODEL": predictor.manifest.name}
        command = [sys.executable, "-c", WEIGHED, sys.executable, "-m", "boatyard.monitor"]
        started = time.monotonic()
        look = subprocess.run(
            [*command, f"--reports={temporary}/reports"],
            env=os.environ | environment,
            stdout=subprocess.PIPE,
            text=True,
        )
        seconds = time.monotonic() - started
        if look.returncode not in (0, 3):
            sys.exit("the monitor failed")
    processor, peak = map(float, look.stdout.split()[-2:])
    return {
        "rows": JOURNAL_ROWS,
        "journal_megabytes": megabytes,
        "seconds": seconds,
        "processor_seconds": processor,
        "peak_megabytes": peak * (1 if sys.platform == "darwin" else 1024) / 1e6,
    }


def goal_of(change: dict[str, Any]) -> int:
    """In how many days it must be found."""
    return WITHIN_DAYS.get(change["rows"], 7)


def write(facts: dict[str, Any]) -> list[str]:
    """The same figures for people and for programs; the goals that are missed."""
    quiet, changes, large = facts["nothing_changes"], facts["changes"], facts["million"]
    missed = [
        f"alarms a year, windows of {one['rows']:,}, {one['looks_a_day']} looks a day"
        for one in quiet
        if one["low"] > MOST_FALSE
    ]
    missed += ["alarms a year by feedback"] * (facts["feedback_alarms_a_year"] > MOST_FALSE)
    missed += [f"{one['name']}, {one['rows']:,} a day" for one in changes if one["most"] > goal_of(one)]
    missed += ["seconds of a million rows"] * (large["seconds"] > MOST_SECONDS)
    missed += ["memory of a million rows"] * (large["peak_megabytes"] > MOST_MEGABYTES)
    command = "`python benchmarks/drift.py BANKING77 NEWS`"
    text = [
        "# Drift",
        f"All figures are of one command: {command}, on Banking77, all its messages in one, "
        f"{facts['held_out']:,} of them held out of training (accuracy {facts['accuracy']:.3f}). References and "
        "windows are drawn from these with replacement. The verdicts are those of the monitor with its defaults: "
        f"{PERMUTATIONS:,} permutations, a smallest relevant effect of {MIN_EFFECT:.0%}.",
        "## Alarms in a year in which nothing changed",
        "An alarm is counted when it begins. The goal is that of the monitor's rule. For comparison, two other rules "
        "on the same reports: an alarm whenever a report is suspicious, and when a verdict is suspicious twice in a "
        "row.",
        table(
            [
                "Reference",
                "Window",
                "Reports a day",
                "Years",
                "Each suspicious report",
                "Two in a row",
                "The rule",
                "95% interval",
                "Goal",
            ],
            [
                [
                    f"{one['reference_rows']:,}",
                    f"{one['rows']:,}",
                    f"{one['looks_a_day']}",
                    f"{one['years']:.1f}",
                    *(f"{count / one['years']:.1f}" for count in one["alarms"].values()),
                    f"{one['low']:.1f} to {one['high']:.1f}",
                    f"at most {MOST_FALSE:.0f}",
                ]
                for one in quiet
            ],
            align="rrrrrrrll",
        ),
        f"- {REFERENCES} references a line; the interval is Poisson's, and the goal is missed if all of it is above. "
        "Reports share the luck of their reference: if that is small, two suspicious reports in a row say little.\n"
        "- 24 reports a day share most of their rows: each window is a day.\n"
        f"- By feedback alone, on {JUDGED} answers a day: {facts['feedback_alarms_a_year']:.2f} alarms a year, in "
        "20,000 reports in which the accuracy is as accepted.",
        "## Days until a change is found",
        f"Each change is planted {STREAMS} times ({10 * STREAMS} times for feedback), each time with another reference "
        f"of {REFERENCE_ROWS:,} rows, and there is one report a day on that day's rows.",
        table(
            ["Change", "Rows a day", "On the first day", "Half within", "95% within", "Goal", "Which verdicts"],
            [
                [
                    one["name"],
                    f"{one['rows']:,}",
                    f"{one['first_day']:.0%}",
                    days_shown(one["median"]),
                    days_shown(one["most"]),
                    days_shown(goal_of(one)),
                    ", ".join(f"{name} {times}" for name, times in list(one["by"].items())[:3]),
                ]
                for one in changes
            ],
            align="lrrrrrl",
        ),
        "- If an intent is tripled, each of its messages comes three times as often as before. The intent is drawn by "
        "its share. In 500 messages, one of 77 intents occurs 6 or 7 times, give or take 3, so three times as often "
        f"may well be chance. That is why the monitor samples {ROWS:,} rows if there are as many.\n"
        "- Typos are two neighbouring letters swapped in a third of a message's longer words, at least in one. "
        "Headlines are of news. The other languages are 32 sentences in Spanish and German, over and over.",
        "## A million rows",
        f"`python -m boatyard.monitor` on a journal of {large['rows']:,} rows ({large['journal_megabytes']:,.0f} MB in "
        f"{JOURNAL_ROWS // OBJECT_ROWS} objects, gzipped), from the start of the process to the written report:",
        table(
            ["", "Measured", "Goal"],
            [
                ["seconds", f"{large['seconds']:.1f}", f"at most {MOST_SECONDS}"],
                ["of a processor", f"{large['processor_seconds']:.1f}", ""],
                ["peak memory, MB", f"{large['peak_megabytes']:,.0f}", f"at most {MOST_MEGABYTES:,}"],
            ],
            align="lrr",
        ),
        f"Missed: {'; '.join(missed)}." if missed else "All goals are met.",
    ]
    write_report("drift", text, facts | {"missed": missed}, ["boatyard", "evidently", "numpy", "pandas", "scipy"])
    return missed


def days_shown(days: int) -> str:
    """In words."""
    return f"over {MOST_DAYS} days" if days > MOST_DAYS else "1 day" if days == 1 else f"{days} days"


def main() -> None:
    """Measure, write the report, and say whether the goals are met."""
    global STATE
    if len(sys.argv) != 3:
        sys.exit(__doc__)
    work = Path("runs/drift")
    predictor, texts, intents = held_out(Path(sys.argv[1]), work)
    with Path(sys.argv[2]).open(newline="", encoding="utf-8") as file:
        news = [row["title"] for row in csv.DictReader(file)]
    own = answered(predictor, texts)
    kinds = windows_of(predictor, own, texts, intents, news)
    accuracy = float(np.mean(own.values["label"] == np.array(intents)))
    facts: dict[str, Any] = {"held_out": len(texts), "accuracy": accuracy, "reference_rows": REFERENCE_ROWS}
    STATE = (own, compared_columns(predictor), kinds)
    with multiprocessing.get_context("fork").Pool(os.cpu_count()) as pool:
        facts["nothing_changes"] = list(shown(years(pool)))
        facts["changes"] = list(shown(delays(list(kinds), pool)))
    facts["feedback_alarms_a_year"], fallen = feedback(predictor.task, accuracy)
    facts["changes"] += fallen
    facts["million"] = million(predictor, own, texts, work / "storage")
    if missed := write(facts):
        sys.exit(f"missed: {', '.join(missed)}")


def shown(rows: Iterator[dict[str, Any]]) -> Iterator[dict[str, Any]]:
    """Printed as they come."""
    for row in rows:
        print(row, flush=True)  # noqa: T201
        yield row


if __name__ == "__main__":
    main()
