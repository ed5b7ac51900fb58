"""What is blank, and what is the same, in any script."""

# ruff: noqa: RUF001 - lookalikes are what it is about

import json
import re
import shutil
import subprocess
from typing import Annotated

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import Field, TypeAdapter, ValidationError

from boatyard.inputs.texts import VISIBLE, is_blank, look, normal_form, words

pytestmark = pytest.mark.unit

BLANK = [
    "", " ", "\x00", "\x1c", "\x1f", "\x7f", "\x85", "\u00a0", "\u00ad", "\u034f", "\u115f", "\u1680", "\u180e",
    "\u200b", "\u200d", "\u200e", "\u2028", "\u2029", "\u202e", "\u2060", "\u2800", "\u3000", "\u3164", "\ufe0f",
    "\ufeff", "\uffa0", "\ufffb",
]  # fmt: skip
VISIBLE_TEXTS = ["a", ".", "\u0301", "\u00e9", "\ufffd", "\ufffc", "😀", "日", "\u2801", "-", "\u0600"]


@pytest.mark.parametrize("text", [*BLANK, "".join(BLANK)])
def test_what_cannot_be_seen_is_blank(text: str) -> None:
    assert is_blank(text)
    assert normal_form(f"{text}card{text}") == "card"


@pytest.mark.parametrize("text", VISIBLE_TEXTS)
def test_what_can_be_seen_is_not(text: str) -> None:
    assert not is_blank(f" {text}\u200b")


@pytest.mark.skipif(shutil.which("node") is None, reason="asks ECMAScript itself")
def test_the_pattern_means_the_same_in_ecmascript() -> None:
    script = (
        "const bad=[];for(const flags of ['','u'])for(let i=0;i<65536;i++)"
        "if(i<0xd800||i>0xdfff)if(!new RegExp(process.argv[1],flags).test(String.fromCharCode(i)))bad.push(i);"
        "console.log(JSON.stringify(bad))"
    )
    shown = subprocess.run(["node", "-e", script, VISIBLE], check=True, capture_output=True, text=True)
    here = [i for i in range(65536) if not 0xD800 <= i <= 0xDFFF and not re.search(VISIBLE, chr(i))]
    assert json.loads(shown.stdout) == here * 2


def test_the_pattern_means_the_same_in_pydantic() -> None:
    checked = TypeAdapter(Annotated[str, Field(pattern=VISIBLE)])
    for text in (*BLANK, "".join(BLANK)):
        with pytest.raises(ValidationError):
            checked.validate_python(text)
    for text in VISIBLE_TEXTS:
        checked.validate_python(f" {text}")


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("Don't  STOP, please_now 2nd!", ["don", "t", "stop", "please_now", "2nd"]),
        ("Straße CAFÉ cafe\u0301", ["strasse", "café", "café"]),
        ("कि का", ["कि", "का"]),
        ("日本語の文。", ["日", "本", "語", "の", "文"]),
        ("ดีครับ", ["ดี", "ค", "รั", "บ"]),
        ("iPhone漢字", ["iphone", "漢", "字"]),
        ("한국어 문장", ["한국어", "문장"]),
        ("ＡＢＣ ﬁne", ["abc", "fine"]),
        ("ca\u200brd so\u00adft", ["card", "soft"]),
        ("don´t", ["don", "t"]),
        ("?!", []),
    ],
)
def test_words_keep_their_marks_and_are_counted_where_none_are_spaced(text: str, expected: list[str]) -> None:
    assert words(text) == expected


@given(st.text(st.characters(max_codepoint=127)))
def test_the_words_of_plain_english_stay_what_rows_were_split_by(text: str) -> None:
    assert words(text) == re.findall(r"\w+", text.casefold())


@pytest.mark.parametrize(
    ("label", "other"),
    [
        ("card", "CARD"),
        ("card", "c\u0430rd"),
        ("CARD", "СARD"),
        ("card", "ca\u200brd"),
        ("card", "ca\x01rd"),
        ("card", "ca\x7frd"),
        ("card", "ca\u3164rd"),
        ("card", "card\U000e0020"),
        ("lost card", "lost\tcard"),
        ("card", "ｃａｒｄ"),
        ("lost card", "lost \u00a0card"),
        ("café", "cafe\u0301"),
        ("don't", "don’t"),
        ("pre-paid", "pre–paid"),
        ("İade", "iade"),
        ("straße", "STRASSE"),
    ],
)
def test_labels_that_people_take_for_one_look_alike(label: str, other: str) -> None:
    assert look(label) == look(other)


@pytest.mark.parametrize(
    ("label", "other"), [("C", "C++"), ("कि", "का"), ("card", "cards"), ("a_b", "a b"), ("1", "2")]
)
def test_labels_that_differ_do_not_look_alike(label: str, other: str) -> None:
    assert look(label) != look(other)
