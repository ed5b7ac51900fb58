"""Rows to token ids as training stores them, and those to batches."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from itertools import chain
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray
from tokenizers import Tokenizer

from boatyard.config.schema import Data, Model
from boatyard.inputs.text import serving, tokenizer
from boatyard.inputs.text.rows import row_format
from boatyard.inputs.text.serving import FEWEST_WORDS, NO_WORD, TextInput, padding_id
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
        """Arrow columns with an entry for each row: input_ids, token_type_ids for pairs, words, cost in tokens."""
        encoded = self._served.encode(rows)
        costs = np.fromiter((row.cost for row in encoded), np.int32, len(encoded))
        columns = {"input_ids": _lists(costs, (row.ids for row in encoded), np.int32)}
        if len(self._served.fields) > 1:
            columns["token_type_ids"] = _lists(costs, (row.type_ids for row in encoded), np.int8)
        if self._served.max_words:
            words = [row.words for row in encoded]
            columns["words"] = _lists(np.fromiter(map(len, words), np.int32, len(words)), words, np.int32)
        return {**columns, "cost": pa.array(costs)}

    def collate(self, items: Sequence[Mapping[str, Any]]) -> dict[str, Tensor]:
        """A batch, each array padded to its longest row: int64[batch, tokens or words]."""
        import torch

        batch = {"attention_mask": torch.empty(0)}
        columns = ("input_ids", self._padding_id, 1), ("token_type_ids", 0, 1), ("words", NO_WORD, FEWEST_WORDS)
        for name, padding, fewest in columns:
            if name in items[0]:
                lengths = torch.as_tensor([len(item[name]) for item in items])
                filled = torch.arange(max(int(lengths.max()), fewest)) < lengths.unsqueeze(1)
                values = torch.as_tensor(list(chain.from_iterable(item[name] for item in items)), dtype=torch.int64)
                batch[name] = torch.full(filled.shape, padding).masked_scatter(filled, values)
                if name == "input_ids":
                    batch["attention_mask"] = filled.long()
        return batch


def _lists(lengths: NDArray[np.int32], values: Iterable[Sequence[int]], dtype: type[np.integer[Any]]) -> pa.Array:
    offsets = np.concatenate([[0], np.cumsum(lengths)]).astype(np.int32)
    flat = np.fromiter(chain.from_iterable(values), dtype, int(offsets[-1]))
    return pa.ListArray.from_arrays(offsets, flat)
