"""Texts as the parts that an explanation tells apart."""

from typing import Any

import numpy as np
import pytest
from bundles import MAX_TOKENS, tokenizer
from hypothesis import given
from hypothesis import strategies as st

from boatyard.inputs.protocol import Parts
from boatyard.inputs.text.parts import MOST, take_apart
from boatyard.inputs.text.serving import TextInput
from boatyard.inputs.texts import is_blank

pytestmark = pytest.mark.unit

ONE = TextInput(tokenizer(), ["text"], MAX_TOKENS)
PAIR = TextInput(tokenizer(), ["title", "text"], MAX_TOKENS)


def variants(parts: Parts[Any], *lines: list[int]) -> list[Any]:
    return parts.variants(np.array(lines, dtype=bool), np.zeros(len(lines), dtype=int))


def names(parts: Parts[Any]) -> list[str]:
    return [part.name for part in parts.names]


def test_words_are_left_out_and_the_others_stay_as_they_were() -> None:
    parts = ONE.parts(("  Card lost,\tplease! ",))
    assert [tuple(part) for part in parts.names] == [
        ("Card", "text", 2, 6),
        ("lost,", "text", 7, 12),
        ("please!", "text", 13, 20),
    ]
    assert variants(parts, [0, 0, 0], [0, 1, 0], [1, 0, 1], [1, 1, 1]) == [
        ("",),
        ("lost,\t",),
        ("  Card please! ",),
        ("  Card lost,\tplease! ",),
    ]


def test_one_word_is_one_part() -> None:
    parts = ONE.parts(("card",))
    assert (names(parts), variants(parts, [0], [1])) == (["card"], [("",), ("card",)])


def test_words_of_both_texts_are_parts() -> None:
    parts = PAIR.parts(("lost card", "fee"))
    assert [part[:2] for part in parts.names] == [("lost", "title"), ("card", "title"), ("fee", "text")]
    assert variants(parts, [0, 1, 0], [1, 0, 1]) == [("card", ""), ("lost ", "fee")]


def test_a_script_without_spaces_has_a_part_for_each_character() -> None:
    parts = take_apart(["text"], ["卡丢了 card"], ["卡丢了 card"])
    assert names(parts) == ["卡", "丢", "了", "card"]


def test_what_the_model_does_not_read_is_in_no_part_and_does_not_move_up() -> None:
    row = ("card " * 50 + "fee",)
    parts = ONE.parts(row)
    assert names(parts) == ["card"] * (MAX_TOKENS - 2)
    nothing, one, everything = variants(parts, [0] * 6, [0] * 5 + [1], [1] * 6)
    assert (nothing, one, everything) == (("",), ("card",), row)


texts = st.text(st.sampled_from("ab .,\n卡\u0301é"), min_size=1, max_size=300).filter(lambda text: not is_blank(text))


@given(texts, texts | st.just("word " * 500))
def test_parts_are_few_and_make_up_the_whole(title: str, text: str) -> None:
    for row in ((text,), (title, text)):
        parts = take_apart(["title", "text"][: len(row)], row, row)
        assert 1 <= len(parts.names) <= MOST
        each = variants(parts, *np.eye(len(parts.names), dtype=int).tolist())
        rest = tuple("".join(pieces) for pieces in zip(*each, strict=True))
        assert rest == row or len(each) == 1
        fields = dict(zip(["title", "text"], row, strict=False))
        assert all(fields[part.field][part.start : part.end] == part.name for part in parts.names)
