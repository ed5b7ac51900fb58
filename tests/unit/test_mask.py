"""`data.mask`: patterns that a model never sees of any text."""

import time
from pathlib import Path

import pyarrow as pa
import pytest
from bundles import VOCABULARY, tokenizer

from boatyard.config.compose import load_config
from boatyard.config.errors import UserError
from boatyard.inputs.text.features import TextFeatures
from boatyard.inputs.text.mask import masked, masking
from boatyard.inputs.text.report import report_rows
from boatyard.inputs.text.serving import MOST_CHARACTERS, TextInput
from boatyard.inputs.training_protocol import TARGET

pytestmark = pytest.mark.unit

ROWS = ("data=csv", "data.path=x.csv", "data.name=x")


def left(text: str, *patterns: str) -> str:
    (what,) = masked([text], patterns)
    return " ".join(what.split())


@pytest.mark.parametrize(
    ("text", "pattern", "remains"),
    [
        ("WASHINGTON (Reuters) - The vote", "(reuters)", "WASHINGTON - The vote"),
        ("By Jane Staffing and John Staff. The vote", "by * staff", ". The vote"),
        ("Published 7/11/2020, corrected", "published #/#/#", ", corrected"),
        ("El niño dijo: ¿qué? EL NIÑO", "el  Niño", "dijo: ¿qué?"),
        ("unaccountable count", "count", "unaccountable"),
        ("a.b axb", "a.b", "axb"),
        ("路透社报道", "路透社", "报道"),
        ("by\nstaff", "by * staff", "by staff"),
        ("by Jo of the staff", "by * * staff", ""),
        ("by  Jo of\n the  staff", "of the staff", "by Jo"),
        ("El Pai\u0301s dice", "el país", "dice"),
        ("El País dice", "el pai\u0301s", "dice"),
        ("İSTANBUL (AA), İstanbul'da", "istanbul", "(AA), 'da"),
        ("istanbul (AA)", "İstanbul", "(AA)"),
        ("so 👍🏽 good 👍 \u2764\ufe0f", "👍", "so good \u2764\ufe0f"),
        ("a \u2764\ufe0f b", "\u2764", "a b"),
        ("café, cafés", "cafe\u0301", ", cafés"),
    ],
)
def test_a_pattern_is_whole_words_whatever_their_capitals(text: str, pattern: str, remains: str) -> None:
    assert left(text, pattern) == remains


def test_a_served_text_is_read_without_them() -> None:
    hidden = TextInput(masking(tokenizer(), ["lost *fee"]), ["text"], 16, max_words=16)
    plain = TextInput(tokenizer(), ["text"], 16, max_words=16)
    assert hidden.encode([("Card LOST, a fee",)]) == plain.encode([("Card",)])
    assert hidden.encode([("lost fee",)]) == plain.encode([("",)])


def test_another_mask_takes_the_place_of_an_earlier_one() -> None:
    first = masking(tokenizer(), ["card"])
    assert masking(first, ["fee"]).to_str() == masking(tokenizer(), ["fee"]).to_str()
    assert masking(first, []).encode("card").ids == tokenizer().encode("card").ids
    assert masking(tokenizer(), []).to_str() == tokenizer().to_str()


def test_the_baseline_reads_what_the_network_reads() -> None:
    features, _ = TextFeatures(["card lost"]).features(rich=True)
    one, other = features.fit_transform([("card lost now",), ("now",)])
    assert (one != other).nnz == 0
    assert VOCABULARY["card"] in tokenizer().encode("card").ids


def warned_of(tmp_path: Path, *texts: str, mask: str = "card") -> list[str]:
    rows = pa.table({"text": texts, TARGET: [0] * len(texts)})
    report = report_rows(load_config([*ROWS, f"data.mask=[{mask}]"]).data, {}, rows, {"labels": ["lost"]}, tmp_path)
    return [warning.message for warning in report.warnings]


def test_rows_that_a_mask_empties_are_counted_and_not_all_may_be(tmp_path: Path) -> None:
    warnings = warned_of(tmp_path, "card", "fee card", "lost card", mask="card, fee")
    assert warnings == ["data.mask leaves nothing of 2 of 3 rows"]
    assert not warned_of(tmp_path, "lost card")
    with pytest.raises(UserError, match=r"data\.mask leaves nothing of any row"):
        warned_of(tmp_path, "card", "Card card")


def test_a_pattern_that_is_in_no_row_is_named(tmp_path: Path) -> None:
    warnings = warned_of(tmp_path, "lost card", "a cardigan", mask="card, crad, gan")
    assert warnings == [f"data.mask: '{pattern}' is in none of 2 training rows" for pattern in ("crad", "gan")]


@pytest.mark.parametrize(
    "text",
    [
        "a" * MOST_CHARACTERS,
        "a " * (MOST_CHARACTERS // 2),
        "a1" * (MOST_CHARACTERS // 2),
        "i\u0307" * (MOST_CHARACTERS // 2),
        *(f"{start}{run * length}x" for start in ("a", "a ", "1 ") for run in " \t1" for length in (30, 5_000)),
        f"a{' ' * 60}1{' ' * 60}a{'1' * 60}x" * 50,
    ],
)
def test_no_text_takes_long_to_mask(text: str) -> None:
    started = time.monotonic()
    masked([text], ["a*a*a*a*a*b", "a # # # b", "a a a a a*b", "#*#*#*#*b", "a b", "a #/#", "a * b", "i i i i#b"])
    assert time.monotonic() - started < 2


@pytest.mark.parametrize(
    ("pattern", "sentence"),
    [
        ("*", "would leave out everything or nothing"),
        ("''", "would leave out everything or nothing"),
        ("reuters*", "must be what is looked for, not \\*"),
        ("\u00a0", "would leave out everything or nothing"),
        ("\u3000*\u2028", "would leave out everything or nothing"),
        ("\u0301", "begins with a mark, such as an accent"),
        (", ".join("a" * 101), "there may be 100 patterns, and these are 101$"),
        ("a" * 201, "has at most 200 characters, this one has 201"),
    ],
)
def test_a_pattern_that_says_nothing_is_refused_in_a_sentence(pattern: str, sentence: str) -> None:
    with pytest.raises(UserError, match=rf"data\.mask.*{sentence}") as refusal:
        load_config([*ROWS, f"data.mask=[{pattern}]"])
    assert "\n" not in str(refusal.value)
