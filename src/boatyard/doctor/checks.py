"""Checks that run side by side, each bounded in time, and the table that tells of them."""

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

_COLOURS: dict[State, str] = {"ok": "green", "warning": "yellow", "wrong": "red"}


@dataclass(frozen=True)
class Check:
    """What was found, and the command that mends it."""

    name: str
    state: State
    told: str
    mend: str | None = None


def ok(told: str) -> Verdict:
    """As it should be."""
    return "ok", told, None


def warning(told: str, mend: str | None = None) -> Verdict:
    """It works without, or it could not be found out."""
    return "warning", told, mend


def wrong(told: str, mend: str) -> Verdict:
    """It does not work before this is mended."""
    return "wrong", told, mend


class Undecided(UserError):  # noqa: N818 - nothing is wrong
    """What a check must know could not be found out; `mend` makes it visible."""

    def __init__(self, told: str, mend: str | None = None) -> None:
        super().__init__(told)
        self.mend = mend


@dataclass(frozen=True)
class Question(Generic[T]):
    """A name, and what judges a `T`. Where that cannot tell, the check is a warning."""

    name: str
    judge: Callable[[T], Verdict]

    def __call__(self, subject: T) -> Check:
        """Changes nothing."""
        try:
            return Check(self.name, *self.judge(subject))
        except Undecided as error:
            return Check(self.name, *warning(f"cannot tell: {error}", error.mend))
        except UserError as error:
            return Check(self.name, *warning(f"cannot tell: {error}"))


def check(name: str) -> Callable[[Callable[[T], Verdict]], Question[T]]:
    """Turns the function that judges into the check of this name."""
    return lambda judge: Question(name, judge)


def ask(questions: Sequence[Question[T]], subject: T, seconds: float) -> list[Check]:
    """Side by side, in their order; what has no answer in time is a warning."""
    answers: Queue[tuple[int, Check | Exception]] = Queue()

    def work(place: int, question: Question[T]) -> None:
        try:
            answers.put((place, question(subject)))
        except Exception as error:  # raised where somebody sees it
            answers.put((place, error))

    for place, question in enumerate(questions):
        threading.Thread(target=work, args=(place, question), daemon=True).start()  # a late one is not waited for
    found: dict[int, Check] = {}
    limit = time.monotonic() + seconds
    while len(found) < len(questions):
        try:
            place, answer = answers.get(timeout=max(0.0, limit - time.monotonic()))
        except Empty:
            break
        if isinstance(answer, Exception):
            raise answer
        found[place] = answer
    late = warning(f"no answer in {seconds:g} s")
    return [found.get(place) or Check(question.name, *late) for place, question in enumerate(questions)]


def tell(checks: Sequence[Check]) -> None:
    """The table, and below it each command on a line of its own, to be copied.

    Raises:
        Failed: something is wrong.
    """
    from rich.table import Table
    from rich.text import Text

    console = terminal()
    table = Table()
    for column in ("check", "", "found"):
        table.add_column(column, overflow="fold", no_wrap=column == "")
    for one in checks:
        table.add_row(one.name, Text(one.state, _COLOURS[one.state]), one.told)
    console.print(table)
    for mend in dict.fromkeys(one.mend for one in checks if one.mend is not None):
        mended = [one for one in checks if one.mend == mend]
        names, state = ", ".join(one.name for one in mended), mended[0].state
        console.print(f"\n{names} ({state}):", style=_COLOURS[state])
        say(mend)  # never wrapped
    if bad := [one.name for one in checks if one.state == "wrong"]:
        raise Failed(f"wrong: {', '.join(bad)}; the commands above mend it")


def stop_at_wrong(checks: Sequence[Check]) -> None:
    """Raises UserError: the first thing that is wrong, and what mends it."""
    for one in checks:
        if one.state == "wrong":
            raise UserError(f"{one.name}: {one.told}; run `{one.mend}`")
