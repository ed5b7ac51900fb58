"""What many inputs answer alike: their `training` says `from boatyard.inputs.defaults import *`, then what differs."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from boatyard.inputs.protocol import Feeds
from boatyard.inputs.sources import open_tables
from boatyard.inputs.training_protocol import Group, RowReport, Source

if TYPE_CHECKING:
    import pyarrow as pa
    from datasets import Dataset
    from torch import Tensor, nn

    from boatyard.config.schema import Data, Model, Train
    from boatyard.tasks.protocol import Target

__all__ = [
    "COST_UNIT",
    "REPEATS",
    "SIZE_UNIT",
    "alternative",
    "backbone_shape",
    "canvas",
    "content_key",
    "digest_of_start",
    "export_graph",
    "group_key",
    "groups",
    "limits",
    "make_inputs",
    "open_counted",
    "open_learner",
    "open_sources",
    "open_variation",
    "quantize_graph",
    "relatives",
    "report_rows",
    "request",
    "settle",
    "show",
    "size",
    "unservable",
]

COST_UNIT = "rows"
REPEATS: Literal["error", "warning"] = "error"
SIZE_UNIT = "bytes"


def open_sources(data: Data, columns: Sequence[str], cache: Path) -> list[Source]:
    """Tables."""
    return open_tables(data, columns, cache, "data.target")


def settle(data: Data, sources: Sequence[Source], others: Sequence[str]) -> tuple[Data, Mapping[str, Any]]:  # noqa: ARG001
    """`data` leaves nothing open."""
    return data, {}


def report_rows(
    data: Data,  # noqa: ARG001 - every input's signature
    found: Mapping[str, Any],  # noqa: ARG001
    rows: pa.Table,  # noqa: ARG001
    target: Target,  # noqa: ARG001
    folder: Path,  # noqa: ARG001
) -> RowReport:
    """Nothing besides the general part."""
    return RowReport()


def content_key(row: Sequence[Any]) -> bytes:
    """The row as JSON."""
    return json.dumps(row, ensure_ascii=False).encode()


def group_key(row: Sequence[Any]) -> bytes:
    """Its content: rows that differ say different things."""
    return content_key(row)


def relatives(rows: pa.Table) -> None:
    """None: `group_key` says all."""


def size(row: Sequence[Any]) -> int:
    """Of its content."""
    return len(content_key(row))


def unservable(row: Sequence[Any]) -> str | None:  # noqa: ARG001 - every input's signature
    """None: a server takes each row that training does."""
    return None


def show(row: Sequence[Any]) -> str:
    """The fields on one line."""
    return " | ".join(" ".join(map(str, field)) if isinstance(field, list) else str(field) for field in row)


def canvas(row: Sequence[Any]) -> None:
    """None: a row is words."""


def groups(data: Data, rows: Sequence[Any]) -> list[Group]:  # noqa: ARG001 - every input's signature
    """None: rows are measured all together."""
    return []


def request(fields: Sequence[str], row: Sequence[Any]) -> dict[str, Any]:
    """The fields by name."""
    return dict(zip(fields, row, strict=True))


def limits(model: Model) -> dict[str, int]:  # noqa: ARG001 - every input's signature
    """No limits but those of every request."""
    return {}


def make_inputs(model: Model, data: Data, rows: Iterable[Sequence[Any]], folder: Path) -> None:
    """No files: nothing is learnt from rows before they are encoded."""


def digest_of_start(model: Model) -> dict[str, str]:  # noqa: ARG001 - every input's signature
    """No files: the network starts from random weights."""
    return {}


def open_learner(model: Model, training: Dataset, validation: Dataset, seed: int) -> None:
    """None: the backbone is trained."""


def open_counted(model: Model, folder: Path, training: Dataset) -> None:
    """None: the network reads all there is."""


def open_variation(train: Train, data: Data, target: Target) -> None:
    """None: rows are read as they are."""


def alternative(model: Model) -> None:
    """None: the baseline is enough."""


def backbone_shape(model: Model, folder: Path) -> dict[str, Any]:  # noqa: ARG001 - every input's signature
    """All of `model`."""
    return model.model_dump()


def export_graph(network: nn.Module, example: Mapping[str, Tensor], outputs: Sequence[str], graph: Path) -> None:
    """As it is traced on the example; any number of rows is a batch."""
    from boatyard.inputs.graphs import write_graph  # of torch, which not all need that read rows

    write_graph(network, example, outputs, graph)


def quantize_graph(fp32: Path, int8: Path, calibration: Iterable[Feeds]) -> None:
    """Its matrix products."""
    from boatyard.inputs.graphs import quantize_graph as quantize

    quantize(fp32, int8, calibration)
