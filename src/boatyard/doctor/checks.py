"""Checks that run concurrently, each with a time limit, and the table of their results."""

import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from queue import Empty, Queue
from typing import Generic, Literal, TypeVar

from boatyard.config.console import say, terminal
from boatyard.config.errors import Failed, UserError

T = TypeVar("T")
State = Literal["ok", "warning", "wrong"]
Verdict = tuple[State, str, str | None]
"""A state, a sentence, and the command that fixes what is wrong."""

_COLOURS: dict[State, str] = {"ok": "green", "warning": "yellow", "wrong": "red"}


@dataclass(frozen=True)
class Result:
    """The verdict of a check."""

    name: str
    state: State
    sentence: str
    fix: str | None = None


def ok(sentence: str) -> Verdict:
    """As it should be."""
    return "ok", sentence, None


def warning(sentence: str, fix: str | None = None) -> Verdict:
    """It works without this, or the check could not decide."""
    return "warning", sentence, fix


def wrong(sentence: str, fix: str) -> Verdict:
    """It does not work until this is fixed."""
    return "wrong", sentence, fix


class Undecided(UserError):  # noqa: N818 - nothing is wrong
    """A check cannot see what it must know; `fix` grants access."""

    def __init__(self, sentence: str, fix: str | None = None) -> None:
        super().__init__(sentence)
        self.fix = fix


@dataclass(frozen=True)
class Check(Generic[T]):
    """A name, and a function that judges a `T`. A check that raises UserError results in a warning."""

    name: str
    judge: Callable[[T], Verdict]

    def __call__(self, subject: T) -> Result:
        """Changes nothing."""
        try:
            return Result(self.name, *self.judge(subject))
        except UserError as error:
            return Result(self.name, *warning(f"cannot tell: {error}", getattr(error, "fix", None)))


def check(name: str) -> Callable[[Callable[[T], Verdict]], Check[T]]:
    """A decorator that turns a judging function into the check of this name."""
    return lambda judge: Check(name, judge)


def run_checks(checks: Sequence[Check[T]], subject: T, seconds: float) -> list[Result]:
    """Run the checks concurrently; the results are in their order. One without a result in time is a warning."""
    finished: Queue[tuple[int, Result | Exception]] = Queue()

    def work(index: int, check: Check[T]) -> None:
        try:
            finished.put((index, check(subject)))
        except Exception as error:  # raised again in the caller's thread
            finished.put((index, error))

    for index, check in enumerate(checks):
        thread = threading.Thread(target=work, args=(index, check), name=f"check {check.name}", daemon=True)
        thread.start()  # a late one is abandoned
    results: dict[int, Result] = {}
    deadline = time.monotonic() + seconds
    while len(results) < len(checks):
        try:
            index, result = finished.get(timeout=max(0.0, deadline - time.monotonic()))
        except Empty:
            break
        if isinstance(result, Exception):
            raise result
        results[index] = result
    late = warning(f"no answer in {seconds:g} s")
    return [results.get(index) or Result(check.name, *late) for index, check in enumerate(checks)]


def report(results: Sequence[Result]) -> None:
    """Print the table, and below it each fix on a line of its own, ready to copy.

    Raises:
        Failed: something is wrong.
    """
    from rich.table import Table
    from rich.text import Text

    console = terminal()
    table = Table()
    for column in ("check", "", "result"):
        table.add_column(column, overflow="fold", no_wrap=column == "")
    for result in results:
        table.add_row(result.name, Text(result.state, _COLOURS[result.state]), result.sentence)
    console.print(table)
    for fix in dict.fromkeys(result.fix for result in results if result.fix is not None):
        fixed = [result for result in results if result.fix == fix]
        names, state = ", ".join(result.name for result in fixed), fixed[0].state
        console.print(f"\n{names} ({state}):", style=_COLOURS[state])
        say(fix)  # never wrapped
    if bad := [result.name for result in results if result.state == "wrong"]:
        raise Failed(f"wrong: {', '.join(bad)}; the commands above fix it")


def refuse_wrong(results: Sequence[Result]) -> None:
    """Raises UserError for the first result that is wrong, with its fix."""
    for result in results:
        if result.state == "wrong":
            raise UserError(f"{result.name}: {result.sentence}; run `{result.fix}`")
