"""Output at a terminal, with all strings shown literally.

Markup, emoji codes and escape sequences in data have no effect, and characters that the terminal's encoding lacks are
written as `\\xe9`.
"""

from __future__ import annotations

import logging
import re
import sys
from io import TextIOWrapper
from typing import IO, TYPE_CHECKING, Any

from boatyard.config.errors import Failed, UserError, refusal

if TYPE_CHECKING:
    from rich.console import Console

# all but line ends and tabs: these move the cursor, or change colours or the reading direction
_UNPRINTABLE = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069]")


def literal(text: str, stream: IO[str]) -> str:
    """`text` in printable characters that `stream` can encode."""
    shown = _UNPRINTABLE.sub("\ufffd", text)
    encoding = getattr(stream, "encoding", None) or "utf-8"
    return shown.encode(encoding, "backslashreplace").decode(encoding)


def say(text: str) -> None:
    """Print a line on standard output."""
    print(literal(text, sys.stdout), flush=True)  # noqa: T201


def complain(text: str) -> None:
    """Print a line on standard error."""
    print(literal(text, sys.stderr), file=sys.stderr, flush=True)  # noqa: T201


def refuse(command: str, error: Failed | OSError | UserError) -> int:
    """Print on standard error why the command ends. Returns its exit status: 1 for Failed, else 2."""
    complain(f"{command}: {error if isinstance(error, Failed) else refusal(error)}")
    return 1 if isinstance(error, Failed) else 2


def terminal() -> Console:
    """A Rich console for tables that shows strings literally; a `Text` may have a colour."""
    from rich.console import Console
    from rich.text import Text

    class Literal(Console):
        def render_str(self, text: str, **how: Any) -> Text:
            plain = Text(literal(text, self.file), style=how.get("style", ""))
            plain.justify, plain.overflow = how.get("justify"), how.get("overflow")
            return plain

    if isinstance(sys.stdout, TextIOWrapper):
        sys.stdout.reconfigure(errors="backslashreplace")  # for what Rich itself adds, such as an ellipsis
    return Literal()


def log_plainly(level: int = logging.INFO) -> None:
    """Log bare messages to standard error: boatyard's own from `level` up, and warnings of others."""
    handler = logging.StreamHandler()
    handler.setFormatter(_Literal())
    logging.basicConfig(level=logging.WARNING, handlers=[handler])
    logging.getLogger("boatyard").setLevel(level)


class _Literal(logging.Formatter):
    def format(self, record: logging.LogRecord) -> str:
        return literal(super().format(record), sys.stderr)
