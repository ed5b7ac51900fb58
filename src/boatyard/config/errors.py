"""The ways in which a command fails."""

import os
import shutil
from collections.abc import Sequence
from difflib import get_close_matches

_NO_ROOM = ("No space left on device", "Disk quota exceeded")  # messages of operating systems


class UserError(Exception):
    """The user's input is wrong: one sentence that names the file, key or row and says what would be right.

    Commands print it without a traceback and exit with status 2; the API answers with a problem document.
    """


class Failed(Exception):  # noqa: N818 - as Stopped
    """A valid request was tried and did not work: one sentence, exit status 1."""


class Stopped(Exception):  # noqa: N818 - nothing is wrong
    """A signal ended the work, and its progress is kept: exit status 128 plus the signal's number."""

    def __init__(self, signal: int, kept: str) -> None:
        super().__init__(kept)
        self.signal = signal


def refusal(error: OSError | UserError) -> str:
    """The sentence of a UserError; for an OSError the file and the reason."""
    if isinstance(error, UserError):
        return str(error)
    if isinstance(error, shutil.Error) and isinstance(error.args[0], list):  # of copytree: all that failed
        return str(error.args[0][0][2])
    names = [os.fsdecode(name) for name in (error.filename, error.filename2) if isinstance(name, str | bytes)]
    reason = error.strerror.lower() if error.strerror else (str(error).splitlines() or [type(error).__name__])[0]
    return f"{' to '.join(names)}: {reason}" if names else reason


def suggestion(name: str, known: Sequence[str], *, prefix: str = "", most: int = 12, beyond: str = "") -> str:
    """What to write instead of an unknown name: the most similar known one, or at most so many of all.

    `prefix`: what the names have in front in messages. `beyond`: said instead if there are more.
    """
    near = get_close_matches(name, known, n=1, cutoff=0.5)
    if not near:  # the right name in the wrong section
        near = [other for other in known if other.rpartition(".")[2] == name.rpartition(".")[2]]
    if near:
        return f"did you mean {prefix}{near[0]}?"
    if not known:
        return "there are none yet"
    if len(known) > most and beyond:
        return beyond
    more = f" and {len(known) - most} more" if len(known) > most else ""
    return f"there are: {', '.join(known[:most])}{more}"


def no_room(error: BaseException | None) -> str | None:
    """The operating system's message if a full disk caused the error, however it is wrapped; else None."""
    while error is not None:
        for message in _NO_ROOM:
            if message in str(error):
                return message.lower()
        error = error.__cause__ or error.__context__
    return None
