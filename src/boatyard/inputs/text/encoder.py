"""Rows to token ids as training stores them, and those to batches."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from itertools import chain
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa
from tokenizers import Tokenizer

from boatyard.config.errors import UserError
from boatyard.config.schema import Data, Model
from boatyard.inputs.text import serving, tokenizer
from boatyard.inputs.text.rows import row_format
from boatyard.inputs.text.serving import FEWEST_WORDS, NO_WORD, EncodedText, TextInput, TokenizerPanic, padding_id
from boatyard.inputs.text.settings import text_data

if TYPE_CHECKING:
    from torch import Tensor

COST_UNIT = "tokens"

_FACTS = "inputs.json"


def make_inputs(model: Model, data: Data, rows: Iterable[Sequence[str]], folder: Path) -> None:
    """Write the tokenizer, learnt from `rows` or pretrained, and the limits under which it reads."""
    tokenizer.make_tokenizer(model, text_data(data).mask, rows).save(str(folder / tokenizer.FILE))
    facts = {"fields": list(row_format(data).fields), **serving.limits(model)}
    (folder / _FACTS).write_text(json.dumps(facts), encoding="utf-8")


def request_schema(fields: Sequence[str], folder: Path) -> dict[str, Any]:  # noqa: ARG001 - every input's signature
    """Of texts as long as a server takes."""
    return serving.request_schema(fields)


def open_encoder(folder: Path) -> TextEncoder:
    """By what `make_inputs` wrote."""
    tokens = Tokenizer.from_file(str(folder / tokenizer.FILE))
    facts = json.loads((folder / _FACTS).read_text(encoding="utf-8"))
    return TextEncoder(tokens, TextInput(tokens, facts.pop("fields"), **facts))


class TextEncoder:
    """Encodes with the very code that serves, so that training sees what serving sees."""

    def __init__(self, tokens: Tokenizer, served: TextInput) -> None:
        self._padding_id = padding_id(tokens)
        self._served = served

    def encode(self, rows: Sequence[tuple[str, ...]]) -> dict[str, pa.Array]:
        """Arrow columns with an entry for each row: `input_ids`, `cost` in tokens and, where the model reads them,
        `token_type_ids` of pairs, how many tokens each of the `windows` has, and `words`."""  # fmt: skip
        encoded = self._encoded(rows)
        columns = {"input_ids": _lists([row.ids for row in encoded], np.int32)}
        if len(self._served.fields) > 1:
            columns["token_type_ids"] = _lists([row.type_ids for row in encoded], np.int8)
        if self._served.in_windows:
            columns["windows"] = _lists([row.windows for row in encoded], np.int32)
        if self._served.max_words:
            columns["words"] = _lists([row.words for row in encoded], np.int32)
        return {**columns, "cost": pa.array([row.cost for row in encoded], pa.int32())}

    def _encoded(self, rows: Sequence[tuple[str, ...]]) -> list[EncodedText]:
        """Raises UserError, which names the row, where the tokenizer cannot read one."""
        try:
            return self._served.encode(rows)
        except TokenizerPanic as panic:
            if len(rows) > 1:
                return [one for row in rows for one in self._encoded([row])]
            begins = " ".join(word for text in rows[0] for word in text.split())[:60]
            raise UserError(f"the tokenizer cannot read the row that begins {begins!r}: {panic}") from None

    def collate(self, items: Sequence[Mapping[str, Any]]) -> dict[str, Tensor]:
        """A batch, each array padded to its longest row: int64[windows, tokens] and [rows, words].

        A row is one window, unless it says how many tokens each of its `windows` has; the batch says how many windows
        each row has.
        """
        import torch

        batch = {"attention_mask": torch.empty(0)}
        columns = ("input_ids", self._padding_id, 1), ("token_type_ids", 0, 1), ("words", NO_WORD, FEWEST_WORDS)
        for name, padding, fewest in columns:
            if name in items[0]:
                in_windows = name != "words" and "windows" in items[0]
                lengths = torch.as_tensor(
                    [length for item in items for length in (item["windows"] if in_windows else [len(item[name])])]
                )
                filled = torch.arange(max(int(lengths.max()), fewest)) < lengths.unsqueeze(1)
                values = torch.as_tensor(list(chain.from_iterable(item[name] for item in items)), dtype=torch.int64)
                batch[name] = torch.full(filled.shape, padding).masked_scatter(filled, values)
                if name == "input_ids":
                    batch["attention_mask"] = filled.long()
        if "windows" in items[0]:
            batch["windows"] = torch.as_tensor([len(item["windows"]) for item in items])
        return batch


def _lists(rows: Sequence[Sequence[int]], dtype: type[np.integer[Any]]) -> pa.Array:
    offsets = np.cumsum([0, *map(len, rows)], dtype=np.int32)
    flat = np.fromiter(chain.from_iterable(rows), dtype, int(offsets[-1]))
    return pa.ListArray.from_arrays(offsets, flat)
