"""Foreign text at a terminal: shown, never obeyed, whatever the encoding."""

import io
import logging
import sys
from collections.abc import Callable

import pytest
from rich.table import Table
from rich.text import Text

from boatyard.config.console import complain, log_plainly, say, terminal

pytestmark = pytest.mark.unit

HOSTILE = ["[quote]x[/b]", "[/]", "[bold]b[/bold]", ":smile: [link=x]", "\\[x]", "[red]", "kärte 日本 \udcff", "…"]
ESCAPES = "\x1b[31mred\x1b]0;title\x07 \x9b2J \r over \u202e back"


class Terminal(io.TextIOWrapper):
    def __init__(self, encoding: str) -> None:
        super().__init__(io.BytesIO(), encoding=encoding, newline="", write_through=True)

    def shown(self) -> str:
        assert isinstance(self.buffer, io.BytesIO)
        return self.buffer.getvalue().decode(self.encoding)


Screen = Callable[[], Terminal]


@pytest.fixture(params=["utf-8", "ascii", "cp1252", "latin-1", "gbk"])
def screen(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Screen:
    """Opens standard output and standard error of each kind: in the test, before which pytest sets its own."""

    def open_screen() -> Terminal:
        opened = Terminal(request.param)
        monkeypatch.setattr(sys, "stdout", opened)
        monkeypatch.setattr(sys, "stderr", opened)
        monkeypatch.setenv("COLUMNS", "200")
        return opened

    return open_screen


def expected(text: str, encoding: str) -> str:
    return text.encode(encoding, "backslashreplace").decode(encoding)


def test_a_table_shows_text_as_it_is(screen: Screen) -> None:
    opened = screen()
    table = Table(HOSTILE[0], title=HOSTILE[1])
    for text in HOSTILE:
        table.add_row(text)
    console = terminal()
    console.print(table)
    console.print(HOSTILE[4], soft_wrap=True)
    for text in HOSTILE:
        assert expected(text, opened.encoding) in opened.shown()


def test_a_long_text_is_cut_where_the_encoding_has_no_ellipsis(screen: Screen) -> None:
    opened = screen()
    table = Table(width=20)
    table.add_column(no_wrap=True)
    table.add_row("a" * 100)
    terminal().print(table)
    assert "aaaa" in opened.shown()


def test_escape_sequences_do_nothing(screen: Screen) -> None:
    opened = screen()
    table = Table(ESCAPES)
    table.add_row(ESCAPES)
    console = terminal()
    console.print(table)
    console.print(ESCAPES)
    say(ESCAPES)
    complain(ESCAPES)
    assert not set(opened.shown()) & set("\x1b\x07\x9b\u202e")
    assert "\r" not in opened.shown().replace("\r\n", "\n")


def test_what_is_said_and_logged_is_shown_as_it_is(screen: Screen, monkeypatch: pytest.MonkeyPatch) -> None:
    opened = screen()
    monkeypatch.setattr(logging.root, "handlers", [])
    log_plainly()
    for text in HOSTILE:
        say(text)
        complain(text)
        logging.getLogger("boatyard.test").info("it says %s", f"{text}\x1b[1m")
    for text in HOSTILE:
        assert opened.shown().count(expected(text, opened.encoding)) >= 3
    assert "\x1b" not in opened.shown()


def test_our_own_colours_stay(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "stdout", Terminal("utf-8"))
    monkeypatch.setenv("FORCE_COLOR", "1")
    monkeypatch.setenv("TERM", "xterm")
    console = terminal()
    console.print(Text("wrong", "red"))
    console.print("found", style="red")
    assert console.file.shown().count("\x1b[31m") == 2  # type: ignore[attr-defined]
