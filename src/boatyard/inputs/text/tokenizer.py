"""The tokenizer: one `tokenizer.json` that training and serving both read, so both see the same tokens."""

import re
import unicodedata
from collections import Counter
from collections.abc import Iterable, Sequence
from itertools import chain
from pathlib import Path

from tokenizers import Regex, Tokenizer, models, normalizers, pre_tokenizers, processors, trainers

from boatyard.config.errors import UserError
from boatyard.config.schema import Model
from boatyard.inputs.pretrained import digest_of_start, is_bundle, loaded, located  # noqa: F401 - for `training`
from boatyard.inputs.text.mask import masked, masking
from boatyard.inputs.text.settings import Scratch, text_model
from boatyard.inputs.texts import UNSPACED

FILE = "tokenizer.json"
_PAD, _UNKNOWN, _START, _SEPARATOR, _HIDDEN = "[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"
_MOST_LETTERS = 1_000
_FOLDS = {"i\u0307": "i", "ς": "σ", "ß": "ss", "\u0345": "ι"}  # noqa: RUF001
"""What lower case, which BertNormalizer makes, leaves of differences by case alone, once letters are decomposed."""


def make_tokenizer(model: Model, mask: Sequence[str], rows: Iterable[Sequence[str]]) -> Tokenizer:
    """The pretrained model's own tokenizer, or a WordPiece vocabulary learnt from the rows; `mask`: it leaves out."""
    if model.name is not None:
        return masking(_pretrained(model.name), mask)
    scratch = text_model(model).scratch
    assert scratch is not None  # the configuration sees to it
    return masking(_learn(scratch, masked([text for row in rows for text in row], mask)), mask)


def hidden_id(tokenizer: Tokenizer) -> int | None:
    """The token that stands for a hidden one, where the vocabulary has such."""
    return next((i for i in map(tokenizer.token_to_id, (_HIDDEN, "<mask>", _UNKNOWN)) if i is not None), None)


def _learn(scratch: Scratch, texts: Sequence[str]) -> Tokenizer:
    """WordPiece from the texts; the same from the same texts.

    By itself the trainer numbers inner letters (##a) in the order of a hash map, which differs from run to run, and
    breaks ties between equally frequent pieces by number. As special tokens, they are numbered before it starts.
    """
    normalizer = _uniform(cased=scratch.cased)
    letters = Counter(chain.from_iterable(map(normalizer.normalize_str, texts)))
    alphabet, words = _alphabet(letters, scratch.vocabulary // 2)
    special = [_PAD, _UNKNOWN, _START, _SEPARATOR, _HIDDEN]
    trainer = trainers.WordPieceTrainer(
        vocab_size=scratch.vocabulary,
        min_frequency=2,
        special_tokens=[*special, *(f"##{letter}" for letter in alphabet)],
        initial_alphabet=[*alphabet, *words],
        limit_alphabet=len(alphabet) + len(words),
        show_progress=False,
    )
    learnt = _bert(models.WordPiece(unk_token=_UNKNOWN), normalizer)
    learnt.train_from_iterator(texts, trainer)

    tokenizer = _bert(models.WordPiece(learnt.get_vocab(), unk_token=_UNKNOWN), normalizer)
    tokenizer.add_special_tokens(special)
    tokenizer.post_processor = processors.TemplateProcessing(
        single=f"{_START} $A {_SEPARATOR}",
        pair=f"{_START} $A {_SEPARATOR} $B:1 {_SEPARATOR}:1",
        special_tokens=[(token, special.index(token)) for token in (_START, _SEPARATOR)],
    )
    tokenizer.enable_padding(pad_id=special.index(_PAD), pad_token=_PAD)
    return tokenizer


def _uniform(*, cased: bool) -> normalizers.Normalizer:
    """What is one letter to a reader is one to the network, however it was typed.

    An accent is part of its letter: many languages have words that differ by no more. Without case, letters are as
    Python's `casefold` has them, but that a Turkish I with its dot is an i.
    """
    bert = normalizers.BertNormalizer(strip_accents=False, lowercase=not cased)
    if cased:
        return normalizers.Sequence([normalizers.NFC(), bert])
    folds = [normalizers.Replace(letter, folded) for letter, folded in _FOLDS.items()]
    return normalizers.Sequence([normalizers.NFKD(), bert, *folds, normalizers.NFC()])


def _alphabet(letters: Counter[str], most_words: int) -> tuple[list[str], list[str]]:
    """Letters that words are made of, and those that are a word each; the most frequent of both, sorted."""
    ordered = sorted((letter for letter in letters if not letter.isspace()), key=lambda each: (-letters[each], each))
    words = [each for each in ordered if re.match(UNSPACED, each) and unicodedata.category(each)[0] != "M"]
    others = Counter(ordered) - Counter(words)
    return sorted([*others][:_MOST_LETTERS]), sorted([each for each in words if letters[each] > 1][:most_words])


def _bert(model: models.WordPiece, normalizer: normalizers.Normalizer) -> Tokenizer:
    """A character is a word where a script puts no space between them, as in `texts.words`.

    WordPiece knows no word that is longer than its limit, and takes a time that grows with the square of the length.
    """
    tokenizer = Tokenizer(model)
    tokenizer.normalizer = normalizer
    tokenizer.pre_tokenizer = pre_tokenizers.Sequence([
        pre_tokenizers.Split(Regex(rf"{UNSPACED}\p{{M}}*"), "isolated"),
        pre_tokenizers.BertPreTokenizer(),
        pre_tokenizers.Split(Regex(f".{{{model.max_input_chars_per_word}}}"), "isolated"),
    ])  # fmt: skip
    return tokenizer


def _pretrained(name: str) -> Tokenizer:
    from transformers import AutoTokenizer

    if is_bundle(name):
        return Tokenizer.from_file(str(Path(name) / FILE))
    pretrained = loaded(name, lambda: AutoTokenizer.from_pretrained(located(name)))
    tokenizer: Tokenizer | None = getattr(pretrained, "backend_tokenizer", None)
    if tokenizer is None:
        raise UserError(f"model.name={name}: it has no fast tokenizer (tokenizer.json), which serving needs")
    if tokenizer.normalizer is None:  # bytes, by which many a vocabulary goes, differ as accents are composed or not
        tokenizer.normalizer = normalizers.NFC()
    tokenizer.enable_padding(pad_id=pretrained.pad_token_id or 0, pad_token=pretrained.pad_token or _PAD)
    return tokenizer
