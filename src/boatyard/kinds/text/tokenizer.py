"""The tokenizer: one `tokenizer.json` that training and serving both read, so both see the same tokens."""

from collections.abc import Iterable, Sequence
from pathlib import Path

from tokenizers import Tokenizer, models, normalizers, pre_tokenizers, processors, trainers

from boatyard.config import Model
from boatyard.errors import UserError

FILE = "tokenizer.json"
_PAD, _UNKNOWN, _START, _SEPARATOR, _HIDDEN = "[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"


def make_tokenizer(model: Model, rows: Iterable[Sequence[str]]) -> Tokenizer:
    """The pretrained model's own tokenizer, or a WordPiece vocabulary learnt from the rows."""
    return _learn(model, rows) if model.name is None else _pretrained(model.name)


def padding_id(tokenizer: Tokenizer) -> int:
    """The token that fills a batch's short rows up."""
    return int(tokenizer.padding["pad_id"]) if tokenizer.padding else 0


def hidden_id(tokenizer: Tokenizer) -> int | None:
    """The token that stands for a hidden one, where the vocabulary has such."""
    return next((i for i in map(tokenizer.token_to_id, (_HIDDEN, "<mask>", _UNKNOWN)) if i is not None), None)


def _learn(model: Model, rows: Iterable[Sequence[str]]) -> Tokenizer:
    tokenizer = Tokenizer(models.WordPiece(unk_token=_UNKNOWN))
    tokenizer.normalizer = normalizers.BertNormalizer()
    tokenizer.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    special = [_PAD, _UNKNOWN, _START, _SEPARATOR, _HIDDEN]
    trainer = trainers.WordPieceTrainer(
        vocab_size=model.vocabulary, special_tokens=special, show_progress=False, min_frequency=2
    )
    tokenizer.train_from_iterator((text for row in rows for text in row), trainer)
    tokenizer.post_processor = processors.TemplateProcessing(
        single=f"{_START} $A {_SEPARATOR}",
        pair=f"{_START} $A {_SEPARATOR} $B:1 {_SEPARATOR}:1",
        special_tokens=[(token, special.index(token)) for token in (_START, _SEPARATOR)],
    )
    tokenizer.enable_padding(pad_id=special.index(_PAD), pad_token=_PAD)
    return tokenizer


def _pretrained(name: str) -> Tokenizer:
    from transformers import AutoTokenizer

    from boatyard.kinds.text.network import from_hub

    if (Path(name) / "bundle.json").exists():  # training goes on from a published model
        return Tokenizer.from_file(str(Path(name) / FILE))
    loaded = from_hub(name, lambda: AutoTokenizer.from_pretrained(name))
    tokenizer = getattr(loaded, "backend_tokenizer", None)
    if tokenizer is None:
        raise UserError(f"model.name={name}: it has no fast tokenizer (tokenizer.json), which serving needs")
    tokenizer.enable_padding(pad_id=loaded.pad_token_id or 0, pad_token=loaded.pad_token or _PAD)
    return tokenizer
