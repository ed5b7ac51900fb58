"""A few of many rows. Arrow's `Table.take` copies all of them first, and fails where a column has more than 2 GB."""

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray


def take_rows(rows: pa.Table, places: NDArray[np.int64]) -> pa.Table:
    """Those at the places, each given once, in their order."""
    order = np.argsort(places, kind="stable")
    ascending, parts, start = places[order], [], 0
    for batch in rows.to_batches():
        end = start + batch.num_rows
        here = ascending[np.searchsorted(ascending, start) : np.searchsorted(ascending, end)]
        parts.append(batch.take(pa.array(here - start)))
        start = end
    return pa.Table.from_batches(parts, rows.schema).take(pa.array(np.argsort(order)))


def spread(rows: pa.Table, most: int) -> pa.Table:
    """Up to so many of the rows, from the first to the last."""
    if len(rows) <= most:
        return rows
    return take_rows(rows, np.unique(np.linspace(0, len(rows) - 1, most).astype(np.int64)))
