"""The vocabulary that a network from scratch learns: accents stay, and capitals where it is asked to keep them."""

from types import SimpleNamespace
from typing import cast

import pytest

from boatyard.config.schema import Model
from boatyard.inputs.text.settings import Scratch, TextModel
from boatyard.inputs.text.tokenizer import make_tokenizer

pytestmark = pytest.mark.unit

ROWS = [("El año y el ano, la Polonesa y la polonesa",)] * 3


def read(text: str, cased: bool) -> list[str]:
    scratch = Scratch(vocabulary=200, hidden_size=8, layers=1, heads=1, cased=cased)
    model = cast(Model, SimpleNamespace(name=None, text=TextModel(scratch=scratch)))  # type: ignore[arg-type]
    return make_tokenizer(model, [], ROWS).encode(text, add_special_tokens=False).tokens


@pytest.mark.parametrize("cased", [False, True])
def test_an_accent_is_part_of_its_letter_however_it_was_typed(cased: bool) -> None:
    assert read("año", cased) == read("an\u0303o", cased) == ["año"]
    assert read("ano", cased) == ["ano"]


def test_capitals_are_other_letters_only_in_a_cased_vocabulary() -> None:
    assert read("Polonesa", cased=False) == ["polonesa"]
    assert read("Polonesa polonesa", cased=True) == ["Polonesa", "polonesa"]
