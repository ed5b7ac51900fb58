"""The vocabulary that a network from scratch learns: in any script, without case unless it is asked to keep it."""

import sys
import unicodedata
from types import SimpleNamespace
from typing import cast

import pytest
from tokenizers import Tokenizer

from boatyard.config.schema import Model
from boatyard.inputs.text.settings import Scratch, TextModel
from boatyard.inputs.text.tokenizer import make_tokenizer
from boatyard.inputs.texts import words

pytestmark = pytest.mark.unit

ROWS = ["El año y el ano, la Polonesa y la polonesa"] * 3


HISTORICAL = range(0x1C80, 0x1C8B)  # Cyrillic letters of old prints
UNSPACED = {
    "Thai": "ฉันอยากทราบว่าเมื่อไหร่จะได้รับน้ำดื่มที่สั่งซื้อไว้",
    "Lao": "ຂ້ອຍຢາກຮູ້ວ່າເມື່ອໃດຈະໄດ້ຮັບ",
    "Khmer": "ខ្ញុំចង់ដឹងថាតើកាតរបស់ខ្ញុំនឹងមកដល់នៅពេលណា",
    "Burmese": "ကျွန်ုပ်ကတ်ဘယ်အချိန်ရောက်မည်ကိုသိလိုပါသည်",
    "Japanese": "私のカードはいつ届きますか知りたいです",
    "Chinese": "我想知道我的银行卡什么时候能寄到",
}


def learnt(texts: list[str], *, cased: bool = False) -> Tokenizer:
    scratch = Scratch(vocabulary=400, hidden_size=8, layers=1, heads=1, cased=cased)
    model = cast(Model, SimpleNamespace(name=None, text=TextModel(scratch=scratch)))  # type: ignore[arg-type]
    return make_tokenizer(model, [], [(text,) for text in texts])


def read(text: str, cased: bool) -> list[str]:
    tokens: list[str] = learnt(ROWS, cased=cased).encode(text, add_special_tokens=False).tokens
    return tokens


@pytest.mark.parametrize("cased", [False, True])
def test_an_accent_is_part_of_its_letter_however_it_was_typed(cased: bool) -> None:
    assert read("año", cased) == read("an\u0303o", cased) == ["año"]
    assert read("ano", cased) == ["ano"]


def test_capitals_are_other_letters_only_in_a_cased_vocabulary() -> None:
    assert read("Polonesa", cased=False) == ["polonesa"]
    assert read("Polonesa polonesa", cased=True) == ["Polonesa", "polonesa"]


@pytest.mark.parametrize(
    ("text", "same"), [("istanbul", "İSTANBUL"), ("iyi", "İYİ"), ("λόγος", "ΛΌΓΟΣ"), ("groß", "GROSS"), ("ᾳδω", "ΑΙΔΩ")]
)
def test_words_that_differ_by_case_are_the_same_in_any_language(text: str, same: str) -> None:
    tokenizer = learnt([text, same] * 2)
    assert tokenizer.encode(text).tokens == tokenizer.encode(same).tokens
    assert "[UNK]" not in tokenizer.encode(text).tokens


def test_no_letter_is_another_one_by_its_case() -> None:
    """By Unicode's own table."""
    normalizer = learnt(["a"]).normalizer
    differing = []
    for letter in map(chr, range(0x80, sys.maxunicode + 1)):
        if unicodedata.category(letter)[0] != "L" or ord(letter) in HISTORICAL:
            continue
        for other in {letter.upper(), letter.lower(), letter.title(), letter.casefold()}:
            alike = unicodedata.normalize("NFC", letter.casefold()) == unicodedata.normalize("NFC", other.casefold())
            if alike and normalizer.normalize_str(f"a{letter}b") != normalizer.normalize_str(f"a{other}b"):
                differing.append((letter, other))
    assert not differing


@pytest.mark.parametrize("text", UNSPACED.values(), ids=UNSPACED)
def test_a_long_sentence_without_spaces_is_read_character_by_character(text: str) -> None:
    tokenizer = learnt([text] * 2)
    tokens = tokenizer.encode(text * 10, add_special_tokens=False).tokens
    assert "[UNK]" not in tokens
    assert len([token for token in tokens if not token.startswith("##")]) == len(words(text * 10))
    assert len({*tokens}) > 10


@pytest.mark.parametrize("text", ["ship" * 100, "https://harbour.example/" + "a1b2" * 100])
def test_no_word_is_unknown_for_its_length(text: str) -> None:
    assert "[UNK]" not in learnt(["ship a 1 b 2 : / . https harbour example"] * 2).encode(text).tokens


def test_most_characters_of_a_script_with_thousands_are_known() -> None:
    frequent, rare = [chr(0x4E00 + place) for place in range(150)], [chr(0x5E00 + place) for place in range(150)]
    tokenizer = learnt(["".join(frequent)] * 3 + ["".join(rare)])
    assert tokenizer.token_to_id("[UNK]") not in tokenizer.encode("".join(frequent)).ids
    assert tokenizer.encode("".join(rare), add_special_tokens=False).tokens == ["[UNK]"] * 150
