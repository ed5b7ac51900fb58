"""What `cloud.setup` and `cloud.destroy` are about to do: shown first, agreed to, then done step by step."""

import logging
import sys
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from typing import TypeVar

from boatyard.cloud.rest import ApiError
from boatyard.config.console import say
from boatyard.config.errors import UserError

_PATIENCE = 240.0  # seconds until all of Google knows of a new account or API; mostly one minute, sometimes more
_PAUSE = 5.0  # seconds between tries

T = TypeVar("T")
log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Step:
    """A change: in words, a line for each part of it, and what carries it out."""

    lines: tuple[str, ...]
    do: Callable[[], object]


@dataclass
class Plan:
    """In the order of doing."""

    stays: list[str] = field(default_factory=list)
    """What is left as it is, in words."""
    steps: list[Step] = field(default_factory=list)

    def add(self, line: str, do: Callable[[], object]) -> None:
        """A step of one line."""
        self.add_all([line], do)

    def add_all(self, lines: Iterable[str], do: Callable[[], object]) -> None:
        """A step that does several things at once."""
        self.steps.append(Step(tuple(lines), do))

    def show(self) -> None:
        """Print it: what stays, then what would be done."""
        for line in [*self.stays, *(line for step in self.steps for line in step.lines)]:
            say(line)

    def carry_out(self) -> None:
        """Each step in turn. One that Google refuses ends it: the same command goes on from there."""
        for number, step in enumerate(self.steps, start=1):
            for line in step.lines:
                log.info("%d/%d: %s", number, len(self.steps), line)
            patiently(step.do)


def agree(question: str, answer: str, yes: bool) -> None:
    """Return if `yes`, or if somebody at a terminal types the answer. Raises UserError: nothing may be changed."""
    if yes:
        return
    if not sys.stdin.isatty():
        raise UserError("nothing was changed: --yes does what is listed above")
    if input(f"{question} Type {answer}: ").strip() != answer:
        raise UserError("nothing was changed")


def patiently(do: Callable[[], T]) -> T:
    """Do it, again and again while all that hinders it is that Google does not know yet what was just created."""
    deadline, told = time.monotonic() + _PATIENCE, ""
    while True:
        try:
            return do()
        except ApiError as error:
            if not _is_too_early(error) or time.monotonic() > deadline:
                raise
            if told != str(error):
                told = str(error)
                log.info("not yet, trying again for %.0f minutes: %s", _PATIENCE / 60, told)
        time.sleep(_PAUSE)


def _is_too_early(error: ApiError) -> bool:
    """An API that was just turned on, or an account that was just created, is unknown in some places for a while."""
    unknown = error.status == 404 or (error.status == 400 and "does not exist" in str(error))
    return unknown or error.reason == "SERVICE_DISABLED"
