import json
import re
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import numpy as np
import pytest
from bundles import MAX_TOKENS, VOCABULARY, tokenizer, write_bundle
from hypothesis import example, given
from hypothesis import strategies as st
from tokenizers import Regex, Tokenizer, models, normalizers, pre_tokenizers, processors

from boatyard.bundle.manifest import BundleError, open_bundle
from boatyard.bundle.predict import Predictor
from boatyard.bundle.rows import answer_others
from boatyard.config.errors import UserError
from boatyard.config.schema import Model
from boatyard.inputs.protocol import InvalidInput
from boatyard.inputs.text.encoder import TextEncoder
from boatyard.inputs.text.serving import TextInput, TokenizerPanic, limits, open_input, request_schema
from boatyard.inputs.text.settings import TextModel

pytestmark = pytest.mark.unit

ONE = TextInput(tokenizer(), ["text"], MAX_TOKENS, max_characters=200)
PAIR = TextInput(tokenizer(), ["title", "text"], MAX_TOKENS)
CLS, SEP, UNK, PAD = (VOCABULARY[f"[{name}]"] for name in ("CLS", "SEP", "UNK", "PAD"))
CARD, LOST = VOCABULARY["card"], VOCABULARY["lost"]

JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(st.characters(exclude_categories=[])),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.sampled_from(["text", "title"]) | st.text(), inner),
    max_leaves=8,
)


def test_a_text_is_framed_by_special_tokens() -> None:
    (encoded,) = ONE.encode([("Card lost",)])
    assert encoded.ids == [CLS, CARD, LOST, SEP]
    assert not encoded.truncated


def test_the_fields_of_a_pair_are_read_in_the_schemas_order() -> None:
    row = PAIR.parse({"text": "lost", "title": "card"})
    (encoded,) = PAIR.encode([row])
    assert encoded.ids == [CLS, CARD, SEP, LOST, SEP]
    assert encoded.type_ids == [0, 0, 0, 1, 1]


def test_a_long_text_is_cut_to_the_limit_and_says_so() -> None:
    fits, too_long = ONE.encode([("card " * (MAX_TOKENS - 2),), ("card " * (MAX_TOKENS - 1),)])
    assert (fits.cost, fits.truncated) == (MAX_TOKENS, False)
    assert (too_long.cost, too_long.truncated) == (MAX_TOKENS, True)
    assert too_long.ids[-1] == SEP


words = st.lists(st.sampled_from(["card", "lost", "fee", "x"]), max_size=2 * MAX_TOKENS).map(" ".join)


@given(st.integers(5, 2 * MAX_TOKENS), words, words)
def test_texts_are_cut_just_as_the_tokenizer_cuts_them_in_training(limit: int, title: str, text: str) -> None:
    reference = tokenizer()
    reference.enable_truncation(limit)
    for fields in (["text"], ["title", "text"]):
        row = (title, text)[: len(fields)]
        expected = reference.encode(*row)
        (encoded,) = TextInput(tokenizer(), fields, limit).encode([row])
        assert (encoded.ids, encoded.type_ids) == (expected.ids, expected.type_ids)
        assert encoded.truncated == bool(expected.overflowing)


@pytest.mark.parametrize(
    ("long", "read"),
    [
        ("head", "card lost fee iban send cost"),
        ("head_tail", "card lost fee x x card"),
        ("tail", "iban send cost x x card"),
    ],
)
def test_of_a_long_text_the_beginning_or_the_end_or_both_are_read(long: str, read: str) -> None:
    chosen = limits(cast(Model, SimpleNamespace(text=TextModel(max_tokens=MAX_TOKENS, long=long, wide=False))))  # type: ignore[arg-type]
    model = TextInput(tokenizer(), ["text"], MAX_TOKENS, tail_tokens=chosen.get("tail_tokens", 0))
    (encoded,) = model.encode([("card lost fee iban send cost x x card",)])
    assert encoded.ids == tokenizer().encode(read).ids
    assert encoded.truncated
    assert [part.name for part in model.parts(("card lost fee iban send cost x x card",)).names][:1] == ["card"]


def test_a_text_that_fits_is_read_whole_wherever_a_longer_one_is_cut() -> None:
    model = TextInput(tokenizer(), ["title", "text"], MAX_TOKENS, tail_tokens=MAX_TOKENS)
    (encoded,) = model.encode([("card", "fee fee iban send")])
    assert encoded.ids == PAIR.encode([("card", "fee fee iban send")])[0].ids
    (encoded,) = model.encode([("card", "fee fee iban send cost")])
    assert encoded.ids == PAIR.encode([("card", "fee iban send cost")])[0].ids


def test_two_long_texts_cost_no_more_than_their_length() -> None:
    long = "a " * 10_000  # cut by the tokenizer itself, this takes 20 s and 5 GB
    (encoded,) = PAIR.encode([(long, long)])
    assert encoded.cost == MAX_TOKENS


def test_a_batch_is_padded_to_its_longest_and_masked() -> None:
    feeds = ONE.collate(ONE.encode([("card",), ("card lost lost",)]))
    assert feeds["input_ids"].tolist() == [[CLS, CARD, SEP, PAD, PAD], [CLS, CARD, LOST, LOST, SEP]]
    assert feeds["attention_mask"].tolist() == [[1, 1, 1, 0, 0], [1] * 5]
    assert feeds["token_type_ids"].tolist() == [[0] * 5] * 2
    assert {array.dtype for array in feeds.values()} == {np.dtype(np.int64)}


def test_the_padding_id_is_the_tokenizers_own() -> None:
    padding = tokenizer()
    padding.enable_padding(pad_id=UNK, pad_token="[UNK]", length=50)  # noqa: S106
    feeds = (model := TextInput(padding, ["text"], MAX_TOKENS)).collate(model.encode([("card",), ("card lost",)]))
    assert feeds["input_ids"].tolist() == [[CLS, CARD, SEP, UNK], [CLS, CARD, LOST, SEP]]


def panicking() -> Tokenizer:
    """Its regular expression gives up on 30 spaces after `hard`."""
    tokens = tokenizer()
    tokens.normalizer = normalizers.Replace(Regex(r"hard(?:\s{1,80})+z"), " ")
    return tokens


def test_a_row_at_which_the_tokenizer_panics_fails_nobody_elses(tmp_path: Path) -> None:
    write_bundle(tmp_path)
    predictor = Predictor(open_bundle(tmp_path))
    predictor.input = TextInput(panicking(), ["text"], MAX_TOKENS)
    rows = [("card",), (f"hard{' ' * 30}x",), ("fee",)]
    answers = answer_others(predictor, rows, [predictor.default_options] * 3)
    assert [one is None for one in answers] == [False, True, False]
    with pytest.raises(TokenizerPanic):
        predictor.input.parts(rows[1])


def test_training_names_the_row_at_which_the_tokenizer_panics() -> None:
    tokens = panicking()
    encoder = TextEncoder(tokens, TextInput(tokens, ["text"], MAX_TOKENS))
    with pytest.raises(UserError, match=r"the tokenizer cannot read the row that begins 'hard x': .*retry"):
        encoder.encode([("card",), (f"hard{' ' * 30}x",), ("fee",)])


def test_a_text_without_tokens_still_makes_a_batch() -> None:
    bare = tokenizer()
    bare.post_processor = None  # type: ignore[assignment]
    model = TextInput(bare, ["text"], MAX_TOKENS)
    assert model.collate(model.encode([("\u200b",)]))["input_ids"].shape[1] >= 1
    assert model.collate(model.encode([("",)]))["input_ids"].shape == (1, 1)


@pytest.mark.parametrize(
    ("payload", "detail", "pointer"),
    [
        (None, "must be an object", ""),
        (["card"], "must be an object", ""),
        ("card", "must be an object", ""),
        ({}, '"text" is missing', "/text"),
        ({"text": "a", "txet": "b"}, "unknown field 'txet'", ""),
        ({"text": "a", 1: "b"}, "unknown field '1'", ""),
        ({"text": None}, "must be a string", "/text"),
        ({"text": ["a"]}, "must be a string", "/text"),
        ({"text": True}, "must be a string", "/text"),
        ({"text": ""}, "is blank", "/text"),
        ({"text": " \n\t\u3000\ufeff"}, "is blank", "/text"),
        ({"text": "a" * 201}, "has 201 characters and may have 200", "/text"),
        ({"text": "a\ud800"}, "surrogate", "/text"),
        ({"text": "caf\udce9"}, "is not UTF-8", "/text"),
    ],
)
def test_what_is_not_the_schemas_object_is_refused(payload: object, detail: str, pointer: str) -> None:
    with pytest.raises(InvalidInput) as raised:
        ONE.parse(payload)
    assert detail in raised.value.detail
    assert raised.value.pointer == pointer


@given(st.text(st.characters(exclude_categories=["Cs"]), max_size=3))
@example("\x1c")
@example("\x85\u200b\u2800\u3164\ufe0f")
@example("\0.")
def test_a_text_is_answered_exactly_if_the_schemas_pattern_finds_something(text: str) -> None:
    pattern = request_schema(["text"])["properties"]["text"]["pattern"]
    try:
        ONE.parse({"text": text})
    except InvalidInput:
        assert not re.search(pattern, text)
    else:
        assert re.search(pattern, text)


def test_a_pointer_escapes_the_fields_name() -> None:
    odd = TextInput(tokenizer(), ["a/b~c"], MAX_TOKENS)
    with pytest.raises(InvalidInput) as raised:
        odd.parse({"a/b~c": 1})
    assert raised.value.pointer == "/a~1b~0c"


@given(JSON | st.fixed_dictionaries({"text": st.text(st.characters(exclude_categories=[]))}))
@example({"text": "\0"})
@example({"text": "[CLS] [SEP] [PAD]"})
@example({"text": "\udfff\ud800"})
def test_any_payload_is_either_refused_or_encoded(payload: object) -> None:
    try:
        row = ONE.parse(payload)
    except InvalidInput as refused:
        refused.detail.encode()  # so that it can be sent
        return
    (encoded,) = ONE.encode([row])
    assert 0 < encoded.cost <= MAX_TOKENS


def test_the_schema_admits_only_its_fields_in_their_order() -> None:
    schema = request_schema(["title", "text"], 100)
    assert schema["required"] == ["title", "text"]
    assert schema["additionalProperties"] is False
    assert schema["properties"]["text"]["maxLength"] == 100


def test_a_bundles_own_limits_hold(tmp_path: Path) -> None:
    manifest = write_bundle(tmp_path, limits={"max_tokens": 4, "max_characters": 10})
    model = open_input(tmp_path, manifest)
    assert model.encode([("card card card",)])[0].cost == 4
    with pytest.raises(InvalidInput, match="may have 10"):
        model.parse({"text": "a" * 11})


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"limits": {}}, "max_tokens"),
        ({"limits": {"max_tokens": 2}}, "no room"),
        ({"request_schema": {}}, "one text field or two"),
        ({"request_schema": {"required": ["a", "b", "c"]}}, "one text field or two"),
    ],
)
def test_a_bundle_that_cannot_serve_text_is_refused(tmp_path: Path, changes: dict[str, Any], said: str) -> None:
    manifest = write_bundle(tmp_path, **changes)
    with pytest.raises(BundleError, match=said):
        open_input(tmp_path, manifest)


def test_a_tokenizer_that_is_none_is_refused(tmp_path: Path) -> None:
    write_bundle(tmp_path)
    manifest = open_bundle(tmp_path).manifest
    (tmp_path / "tokenizer.json").write_text(json.dumps({"model": 1}))
    with pytest.raises(BundleError, match="is not a tokenizer"):
        open_input(tmp_path, manifest)


def test_descriptors_tell_capitals_other_letters_unknown_and_pieces_of_words() -> None:
    model = described_model()
    rows = [("my CARD",), ("моя card",), ("cards card",)]
    found = model.describe(rows, model.encode(rows))
    assert list(found) == [column.name for column in model.described]
    assert found["capital_share"] == pytest.approx([4 / 6, 0, 0])
    assert found["foreign_letter_share"] == pytest.approx([0, 3 / 7, 0])
    assert found["unknown_share"] == pytest.approx([0.25, 0.25, 0])
    assert found["fragment_share"] == pytest.approx([0, 0, 0.2])


def test_descriptors_tell_the_language() -> None:
    model = described_model()
    rows = [("where is my new card, please?",), ("¿Dónde está mi tarjeta?",), ("Wo bleibt meine Karte?",), ("?! 42",)]
    assert model.describe(rows, model.encode(rows))["language"] == ["en", "es", "de", "unknown"]


def described_model() -> TextInput:
    """WordPiece, which knows `card` and how to end it with an s."""
    vocabulary = {token: i for i, token in enumerate(["[PAD]", "[UNK]", "[CLS]", "[SEP]", "card", "##s"])}
    made = Tokenizer(models.WordPiece(vocabulary, unk_token="[UNK]"))  # noqa: S106
    made.normalizer = normalizers.Lowercase()
    made.pre_tokenizer = pre_tokenizers.Whitespace()
    made.post_processor = processors.TemplateProcessing(
        single="[CLS] $A [SEP]", special_tokens=[("[CLS]", 2), ("[SEP]", 3)]
    )
    return TextInput(made, ["text"], max_tokens=16)
