"""The half that learns: rows to token ids, token ids to batches, and the network that reads them.

Torch and scikit-learn are loaded by what needs them, for seconds: who prepares rows needs neither.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from importlib import import_module
from itertools import chain
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
from tokenizers import Tokenizer

from boatyard.config.schema import Model
from boatyard.inputs.text import tokenizer
from boatyard.inputs.text.pretrained import digest as digest_of_start
from boatyard.inputs.text.rows import LENGTH_UNIT, display, field_columns, words
from boatyard.inputs.text.serving import MOST_CHARACTERS, TextModel, input_schema, padding_id

if TYPE_CHECKING:
    from torch import Tensor

    from boatyard.inputs.text.baseline import fit_baseline
    from boatyard.inputs.text.graph import export_graph, quantize_graph
    from boatyard.inputs.text.network import build as build_network
    from boatyard.inputs.text.network import load as load_network

__all__ = [
    "LENGTH_UNIT",
    "Inputs",
    "build_network",
    "digest_of_start",
    "display",
    "export_graph",
    "field_columns",
    "fit_baseline",
    "input_schema",
    "limits",
    "load_network",
    "make_inputs",
    "quantize_graph",
    "unservable",
    "words",
]

_FACTS = "inputs.json"
_LATER = {
    "build_network": ("network", "build"),
    "export_graph": ("graph", "export_graph"),
    "fit_baseline": ("baseline", "fit_baseline"),
    "load_network": ("network", "load"),
    "quantize_graph": ("graph", "quantize_graph"),
}


def __getattr__(name: str) -> Any:
    if name not in _LATER:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    module, function = _LATER[name]
    return getattr(import_module(f"{__package__}.{module}"), function)


def limits(model: Model) -> dict[str, int]:
    """What a served model reads at most of one request."""
    return {"max_tokens": model.max_tokens, "max_characters": MOST_CHARACTERS}


def unservable(row: Sequence[str]) -> str | None:
    """Only the length: what else a server refuses, training refuses too."""
    longest = max(map(len, row))
    return None if longest <= MOST_CHARACTERS else f"has {longest:,} characters, and a server takes {MOST_CHARACTERS:,}"


def make_inputs(model: Model, fields: Sequence[str], rows: Iterable[Sequence[str]], folder: Path) -> None:
    """Write to `folder` what turns rows into network inputs: the tokenizer, learnt from `rows` or pretrained."""
    tokenizer.make_tokenizer(model, rows).save(str(folder / tokenizer.FILE))
    facts = {"fields": list(fields), "max_tokens": model.max_tokens}
    (folder / _FACTS).write_text(json.dumps(facts), encoding="utf-8")


class Inputs:
    """What `make_inputs` wrote, at work."""

    def __init__(self, folder: Path) -> None:
        tokens = Tokenizer.from_file(str(folder / tokenizer.FILE))
        facts = json.loads((folder / _FACTS).read_text(encoding="utf-8"))
        self._padding_id = padding_id(tokens)
        self._served = TextModel(tokens, facts["fields"], facts["max_tokens"])  # training sees what serving sees

    def encode(self, rows: Sequence[tuple[str, ...]]) -> dict[str, pa.Array]:
        """Arrow columns, one entry a row: input_ids, token_type_ids for pairs, length in tokens."""
        encoded = self._served.encode(rows)
        lengths = np.fromiter((row.length for row in encoded), np.int32, len(encoded))
        columns = {"input_ids": _lists(lengths, (row.ids for row in encoded), np.int32)}
        if len(self._served.fields) > 1:
            columns["token_type_ids"] = _lists(lengths, (row.type_ids for row in encoded), np.int8)
        return {**columns, "length": pa.array(lengths)}

    def collate(self, items: Sequence[Mapping[str, Any]]) -> dict[str, Tensor]:
        """A batch, padded to its longest row: int64[batch, tokens] each, and labels[batch]."""
        import torch

        lengths = torch.as_tensor([len(item["input_ids"]) for item in items])
        filled = torch.arange(int(lengths.max())) < lengths.unsqueeze(1)
        batch = {"attention_mask": filled.long()}
        for name, padding in (("input_ids", self._padding_id), ("token_type_ids", 0)):
            if name in items[0]:
                values = torch.as_tensor(list(chain.from_iterable(item[name] for item in items)))
                batch[name] = torch.full(filled.shape, padding).masked_scatter(filled, values)
        return {**batch, "labels": torch.as_tensor([item["label"] for item in items])}


def _lists(lengths: npt.NDArray[np.int32], values: Iterable[Sequence[int]], dtype: type[np.integer[Any]]) -> pa.Array:
    offsets = np.concatenate([[0], np.cumsum(lengths)]).astype(np.int32)
    flat = np.fromiter(chain.from_iterable(values), dtype, int(offsets[-1]))
    return pa.ListArray.from_arrays(offsets, flat)
