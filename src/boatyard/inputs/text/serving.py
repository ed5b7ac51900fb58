"""Answers text requests: JSON to rows, rows to token ids, token ids to padded batches."""

import os
import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray
from tokenizers import Tokenizer

from boatyard.bundle.manifest import BundleError, Manifest
from boatyard.inputs.protocol import Feeds, InvalidInput, Parts, pointer_to
from boatyard.inputs.records import Record
from boatyard.inputs.text.framing import Specials, cut, frame_of, framed, shares, windows
from boatyard.inputs.text.parts import take_apart
from boatyard.inputs.text.vocabulary import ids_of_pieces, ids_of_unknown
from boatyard.inputs.texts import UNDECODABLE, VISIBLE, is_blank, is_encodable
from boatyard.journal.columns import Column

if TYPE_CHECKING:
    from boatyard.config.schema import Model

FILES = ("tokenizer.json",)
MEDIA_TYPES: Mapping[str, Callable[[bytes], object]] = {}
FILE_FORMATS: Mapping[str, Callable[[Iterable[bytes]], Iterator[Record]]] = {}
MOST_CHARACTERS = 20_000
MOST_WORDS = 4_096
"""Tokens of a row that a wide branch counts, and that windows have in all."""
NO_WORD, FEWEST_WORDS = -1, 2
"""What fills up the words of a batch, which are at least one pair."""
_ECHOED_CHARACTERS = 40
Row = tuple[str, ...]
"""The texts of one request, in the order of the schema."""

_letter = re.compile(r"[^\W\d_]")
_LAST_LATIN = "\u024f"


class TokenizerPanic(Exception):  # noqa: N818 - what the Rust side calls it
    """The tokenizer cannot read a text, as where one of its regular expressions gives up."""


@dataclass(frozen=True, slots=True)
class EncodedText:
    """Token ids and segment ids, special tokens included, of one window after another.

    `windows`: how many tokens each has; `words`: the ids of the texts alone, for a wide branch.
    """

    ids: list[int]
    type_ids: list[int]
    windows: list[int]
    words: list[int]
    truncated: bool

    @property
    def cost(self) -> int:
        """In tokens."""
        return len(self.ids)


def open_input(folder: Path, manifest: Manifest) -> "TextInput":
    """Reads `tokenizer.json`, and the fields and limits from the manifest."""
    # or each call waits for a pool of threads, on cores that are busy, to do what takes one thread microseconds
    os.environ.setdefault("TOKENIZERS_PARALLELISM", "false")
    fields = manifest.request_schema.get("required")
    if not isinstance(fields, list) or len(fields) not in (1, 2) or not all(isinstance(f, str) for f in fields):
        raise BundleError(f"the request schema of {manifest.name} must require one text field or two")
    try:
        tokenizer = Tokenizer.from_file(str(folder / "tokenizer.json"))
    except Exception as wrong:  # the Rust side raises nothing narrower
        raise BundleError(f"{folder / 'tokenizer.json'} is not a tokenizer: {wrong}") from wrong
    if (max_tokens := manifest.limits.get("max_tokens")) is None:
        raise BundleError(f"the manifest of {manifest.name} states no limits.max_tokens")
    max_characters = manifest.limits.get("max_characters", MOST_CHARACTERS)
    others = {limit: manifest.limits.get(limit, 0) for limit in ("max_words", "tail_tokens", "window_tokens")}
    return TextInput(tokenizer, fields, max_tokens, max_characters, **others)


def request_schema(fields: Sequence[str], max_characters: int = MOST_CHARACTERS) -> dict[str, Any]:
    """The JSON Schema of one request. `required` lists the fields in the order that the model reads."""
    text = {"type": "string", "minLength": 1, "maxLength": max_characters, "pattern": VISIBLE}
    return {
        "type": "object",
        "properties": {field: dict(text) for field in fields},
        "required": list(fields),
        "additionalProperties": False,
    }


def limits(model: "Model") -> dict[str, int]:
    """What a served model reads at most of one request."""
    from boatyard.inputs.text.settings import text_model  # of the configuration, which no server reads

    text = text_model(model)
    counted = {"max_words": MOST_WORDS} if text.wide else {}
    most, how = {
        "head": (text.max_tokens, {}),
        "tail": (text.max_tokens, {"tail_tokens": text.max_tokens}),
        "head_tail": (text.max_tokens, {"tail_tokens": text.max_tokens // 2}),
        "windows": (MOST_WORDS, {"window_tokens": text.max_tokens}),
    }[text.long]
    return {"max_tokens": most, "max_characters": MOST_CHARACTERS, **counted, **how}


class TextInput:
    """A tokenizer and the limits of a bundle."""

    measured = (Column("length", "the length of the input"),)
    described = (
        Column("unknown_share", "the share of tokens that the vocabulary does not have"),
        Column(
            "fragment_share", "the share of tokens that are pieces of words, as misspelt and foreign words have them"
        ),
        Column("capital_share", "the share of letters that are capitals"),
        Column("foreign_letter_share", "the share of letters that are not Latin"),
        Column("language", "the language that is guessed", category=True),
    )

    def __init__(
        self,
        tokenizer: Tokenizer,
        fields: list[str],
        max_tokens: int,
        max_characters: int = MOST_CHARACTERS,
        max_words: int = 0,
        tail_tokens: int = 0,
        window_tokens: int = 0,
    ) -> None:
        """`tail_tokens`: how many of the `max_tokens` are of a long text's end.

        `window_tokens`: how many a window has, special ones included, where texts are read in such; those of the texts
        are at most `max_tokens` then.
        """
        self.fields = tuple(fields)
        self.max_characters = max_characters
        self.max_words = max_words
        self._of_end = tail_tokens / max_tokens
        self._pad = padding_id(tokenizer)
        tokenizer.no_padding()
        tokenizer.no_truncation()  # see encode
        self._tokenizer = tokenizer
        self._frame = frame_of(tokenizer, len(fields))
        at_once, limit = (window_tokens, "window_tokens") if window_tokens else (max_tokens, "max_tokens")
        self._room = at_once - sum(len(part.ids) for part in self._frame if isinstance(part, Specials))
        if self._room < len(fields):
            raise BundleError(f"limits.{limit} is {at_once}, which leaves no room for text")
        self.in_windows = bool(window_tokens)
        self._most_read = max_tokens if self.in_windows else self._room

    def parse(self, payload: object) -> Row:
        """The texts; whatever is not exactly the schema's object is refused."""
        wanted = " and ".join(f'"{field}"' for field in self.fields)
        if not isinstance(payload, dict):
            raise InvalidInput(f"the input must be an object with {wanted}")
        for field in payload:
            if field not in self.fields:
                # the name is the client's and may be of any length, so the pointer stays at the object
                raise InvalidInput(f"unknown field {str(field)[:_ECHOED_CHARACTERS]!r}: the input has {wanted}")
        return tuple(self._text(payload, field) for field in self.fields)

    def encode(self, rows: Sequence[Row]) -> list[EncodedText]:
        """The tokenizer sees every text whole; cutting and framing them is done here.

        Left to cut a pair itself, it also builds every combination of what it cut off: two texts of 20,000
        characters take it 20 s and 5 GB.
        """
        flat = [text for row in rows for text in row]
        with _raising_panics():
            ids = [encoding.ids for encoding in self._tokenizer.encode_batch_fast(flat, add_special_tokens=False)]
        width = len(self.fields)
        return [self._framed(ids[start : start + width]) for start in range(0, len(ids), width)]

    def collate(self, encoded: Sequence[EncodedText]) -> Feeds:
        """int64 `input_ids`, `attention_mask` and `token_type_ids`, [all windows, tokens].

        And `words`, where these are counted, and how many `windows` each text has, where it may have several.
        """
        lengths = [length for row in encoded for length in row.windows]
        shape = (len(lengths), max(*lengths, 1))  # a text may have no token at all, and no graph takes that
        ids = np.full(shape, self._pad, dtype=np.int64)
        mask = np.zeros(shape, dtype=np.int64)
        type_ids = np.zeros(shape, dtype=np.int64)
        index = 0
        for row in encoded:
            start = 0
            for length in row.windows:
                ids[index, :length] = row.ids[start : start + length]
                mask[index, :length] = 1
                type_ids[index, :length] = row.type_ids[start : start + length]
                index, start = index + 1, start + length
        feeds = {"input_ids": ids, "attention_mask": mask, "token_type_ids": type_ids}
        if self.max_words:
            feeds["words"] = self._words(encoded)
        if self.in_windows:
            feeds["windows"] = np.array([len(row.windows) for row in encoded], dtype=np.int64)
        return feeds

    def _words(self, encoded: Sequence[EncodedText]) -> NDArray[np.int64]:
        longest = max(len(row.words) for row in encoded)
        words = np.full((len(encoded), max(longest, FEWEST_WORDS)), NO_WORD, dtype=np.int64)
        for index, row in enumerate(encoded):
            words[index, : len(row.words)] = row.words
        return words

    def name_of(self, row: Row) -> None:
        """None."""

    def measure(self, encoded: EncodedText) -> dict[str, Any]:
        """`length`, in tokens."""
        return {"length": encoded.cost}

    def describe(self, rows: Sequence[Row], encoded: Sequence[EncodedText]) -> dict[str, list[Any]]:
        """Of each row, what `described` names."""
        from boatyard.inputs.text.language import guess_language  # not installed where a model is served

        unknown, pieces = ids_of_unknown(self._tokenizer), ids_of_pieces(self._tokenizer)
        letters = [_letter.findall("".join(row)) for row in rows]
        return {
            "unknown_share": [_share(id_ in unknown for id_ in row.ids) for row in encoded],
            "fragment_share": [_share(id_ in pieces for id_ in row.ids) for row in encoded],
            "capital_share": [_share(letter.isupper() for letter in each) for each in letters],
            "foreign_letter_share": [_share(letter > _LAST_LATIN for letter in each) for each in letters],
            "language": [guess_language(" ".join(row)) for row in rows],
        }

    def parts(self, row: Row) -> Parts[Row]:
        """Words, as far as the model reads the texts; or groups of neighbouring words."""
        return take_apart(self.fields, row, self._read(row))

    def _read(self, row: Row) -> list[str]:
        """Of each text, the beginning that is not cut off; or all of it, where its end is read too."""
        if self._of_end:
            return list(row)
        with _raising_panics():
            encoded = [self._tokenizer.encode(text, add_special_tokens=False) for text in row]
        kept = shares([len(one) for one in encoded], max(self._most_read, self.max_words))
        return [
            text if len(one) <= most else text[: one.offsets[most - 1][1]]
            for text, one, most in zip(row, encoded, kept, strict=True)
        ]

    def _text(self, payload: dict[Any, Any], field: str) -> str:
        pointer = pointer_to(field)
        if field not in payload:
            raise InvalidInput(f'"{field}" is missing', pointer)
        text = payload[field]
        if not isinstance(text, str):
            raise InvalidInput(f'"{field}" must be a string', pointer)
        if is_blank(text):
            raise InvalidInput(f'"{field}" is blank', pointer)
        if len(text) > self.max_characters:
            raise InvalidInput(f'"{field}" has {len(text)} characters and may have {self.max_characters}', pointer)
        if not is_encodable(text):
            undecoded = UNDECODABLE.search(text) is not None
            what = "is not UTF-8" if undecoded else "holds half of a surrogate pair, which is no character"
            raise InvalidInput(f'"{field}" {what}', pointer)
        return text

    def _framed(self, texts: list[list[int]]) -> EncodedText:
        lengths = [len(ids) for ids in texts]
        ids: list[int] = []
        type_ids: list[int] = []
        ends: list[int] = [0]
        kept = shares(lengths, self._most_read)
        for window in self._windows(texts, kept):
            more_ids, more_type_ids = framed(self._frame, window)
            ids += more_ids
            type_ids += more_type_ids
            ends.append(len(ids))
        counted = zip(texts, shares(lengths, self.max_words), strict=True) if self.max_words else ()
        words = [id_ for text, most in counted for id_ in text[:most]]
        truncated = sum(lengths) > max(self._most_read, self.max_words)
        return EncodedText(ids, type_ids, [end - start for start, end in pairwise(ends)], words, truncated)

    def _windows(self, texts: list[list[int]], kept: list[int]) -> list[list[list[int]]]:
        read = [cut(text, most, self._of_end) for text, most in zip(texts, kept, strict=True)]
        return windows(read, self._room) if self.in_windows else [read]


def padding_id(tokenizer: Tokenizer) -> int:
    """A padded position is masked, so 0 serves where the tokenizer names no padding."""
    if tokenizer.padding is not None:
        return int(tokenizer.padding["pad_id"])
    return tokenizer.token_to_id("[PAD]") or 0


@contextmanager
def _raising_panics() -> Iterator[None]:
    """By itself a panic is no Exception, and goes past all that answers for a row on which a model fails."""
    try:
        yield
    except BaseException as panic:
        if type(panic).__name__ != "PanicException":  # its module cannot be imported
            raise
        raise TokenizerPanic(str(panic)) from None


def _share(flags: Iterable[bool]) -> float:
    each = list(flags)
    return sum(each) / len(each) if each else 0.0
