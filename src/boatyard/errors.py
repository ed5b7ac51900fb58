"""The one error that is the user's to mend."""


class UserError(Exception):
    """What the user gave is wrong: one sentence that names the file, key or row and what would be right.

    Commands print it without a traceback and exit with status 2; the API answers with a problem document.
    """
