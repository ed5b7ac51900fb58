"""How a command ends other than well."""

import os
import shutil

_NO_ROOM = ("No space left on device", "Disk quota exceeded")  # as systems say it


class UserError(Exception):
    """What the user gave is wrong: one sentence that names the file, key or row and what would be right.

    Commands print it without a traceback and exit with status 2; the API answers with a problem document.
    """


class Failed(Exception):  # noqa: N818 - as Stopped
    """What was asked for was right, was tried, and did not work: one sentence, exit status 1."""


class Stopped(Exception):  # noqa: N818 - nothing is wrong
    """The work was asked to end, and what it had is kept: exit status 128 and the signal's number."""

    def __init__(self, signal: int, kept: str) -> None:
        super().__init__(kept)
        self.signal = signal


def refusal(error: OSError | UserError) -> str:
    """The error's own sentence; of what the operating system refused: which file, and why."""
    if isinstance(error, UserError):
        return str(error)
    if isinstance(error, shutil.Error) and isinstance(error.args[0], list):  # of a folder's copy: all that failed
        return str(error.args[0][0][2])
    names = [os.fsdecode(name) for name in (error.filename, error.filename2) if isinstance(name, str | bytes)]
    why = error.strerror.lower() if error.strerror else (str(error).splitlines() or [type(error).__name__])[0]
    return f"{' to '.join(names)}: {why}" if names else why


def no_room(error: BaseException | None) -> str | None:
    """What the operating system said where a full disk is behind the error, whatever a library made of it; or None."""
    while error is not None:
        for why in _NO_ROOM:
            if why in str(error):
                return why.lower()
        error = error.__cause__ or error.__context__
    return None
