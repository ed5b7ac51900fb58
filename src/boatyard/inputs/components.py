"""What links join, one after another: the connected components of a graph."""

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components


def components(first: NDArray[np.int64], second: NDArray[np.int64], size: int) -> NDArray[np.int64]:
    """[size], a number for each that those have in common which the links `first` to `second` join."""
    links = coo_array((np.ones(len(first), bool), (first, second)), shape=(size, size))
    numbers: NDArray[np.int64] = connected_components(links, directed=False)[1].astype(np.int64)
    return numbers
