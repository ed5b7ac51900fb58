import html

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from markdown_it import MarkdownIt

from boatyard.evaluate.markdown import escape, one_line, shorten, table

pytestmark = pytest.mark.unit

HOSTILE = [
    "a | b || c",
    "\\| already escaped \\\\|",
    "first\nsecond\r\n\r\n| third |",
    "`code` ``more`` ```fence",
    "<script>alert(1)</script><img src=x onerror=y>",
    "&lt;b&gt; &amp; &#124;",
    "**bold** __bold__ *it* _it_ ~~gone~~",
    "![image](https://example.com/x.png) [link](javascript:alert(1))",
    "[ref]: https://example.com",
    "$x^2$ {{ template }}",
    "# heading",
    "1. list",
    "- [ ] task",
    "---",
]


def cells_of(markdown: str) -> list[str]:
    """The text of every cell, as a renderer shows it."""
    rendered = MarkdownIt("commonmark").enable("table").enable("strikethrough").render(markdown)
    assert rendered.count("<table>") == 1
    assert rendered.startswith("<table>")
    assert rendered.endswith("</table>\n")
    cells = [cell.split("</t")[0] for cell in rendered.replace("<th", "<td").split("<td")[1:]]
    contents = [cell.split(">", 1)[1] for cell in cells if not cell.startswith(("ead", "body"))]
    assert not any("<" in content for content in contents), "markup came through"
    return [html.unescape(content) for content in contents]


@pytest.mark.parametrize("text", HOSTILE)
def test_a_hostile_cell_is_shown_as_it_is_and_stays_one_cell(text: str) -> None:
    assert cells_of(table(("a", "b"), [(text, "next")])) == ["a", "b", one_line(text), "next"]


@settings(max_examples=60, deadline=None)
@given(st.lists(st.tuples(st.text(max_size=20), st.text("|\\`*_<&[]~\n -#1.", max_size=12)), max_size=4))
def test_no_text_at_all_breaks_a_table(rows: list[tuple[str, str]]) -> None:
    expected = [one_line(cell) for row in rows for cell in row]
    assert cells_of(table(("a", "b"), rows)) == ["a", "b", *expected]


@pytest.mark.parametrize("text", HOSTILE)
def test_hostile_text_opening_a_paragraph_stays_a_paragraph(text: str) -> None:
    rendered = MarkdownIt("commonmark").render(escape(text))
    assert html.unescape(rendered) == f"<p>{one_line(text)}</p>\n"


def test_ordinary_labels_and_numbers_stay_readable_in_the_source() -> None:
    for text in ("card_arrival", "Why is it 3.5% - or 4? I can't say (yet).", "-3.2", "train.csv:17"):
        assert escape(text) == text


def test_neither_tags_links_formulas_nor_templates_are_started() -> None:
    # in dialects beyond CommonMark a dollar sign opens a formula, a brace a template or attributes
    assert not set("<[${") & set(escape("<b [x](y) $x^2$ {{ name }} {% if %}"))


def test_what_cannot_be_printed_is_replaced_rather_than_written() -> None:
    assert escape("a\x00b\udc80c\u202ed") == "a\ufffdb\ufffdc\ufffdd"
    escape("\udcff").encode()


def test_a_short_text_is_kept_and_a_long_one_is_cut_with_an_ellipsis() -> None:
    assert shorten("  one\n two ", 7) == "one two"
    assert shorten("one two three", 8) == "one two…"
    assert len(shorten("x" * 1000, 50)) == 50


def test_columns_are_aligned_as_asked() -> None:
    assert table(("a", "b"), [("x", "1")], align="lr").splitlines()[1] == "| --- | ---: |"


def test_a_row_that_does_not_fit_the_header_is_refused() -> None:
    with pytest.raises(ValueError, match="2 cells"):
        table(("a", "b"), [("only one",)])
    with pytest.raises(ValueError, match="2 cells"):
        table(("a", "b"), [], align="l")
