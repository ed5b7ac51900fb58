"""The ways in which a command fails."""

import os
import shutil

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


def no_room(error: BaseException | None) -> str | None:
    """The operating system's message if a full disk caused the error, however it is wrapped; else None."""
    while error is not None:
        for message in _NO_ROOM:
            if message in str(error):
                return message.lower()
        error = error.__cause__ or error.__context__
    return None
