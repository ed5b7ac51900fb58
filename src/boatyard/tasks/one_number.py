"""What a task whose outputs are one number each for a row needs not define: its `serving` imports it."""

from collections.abc import Mapping, Sequence
from typing import Any

from boatyard.bundle.manifest import BundleError, Card
from boatyard.tasks.protocol import NoOptions as Options

__all__ = ["FILES", "Options", "check_outputs"]

FILES: Sequence[str] = ()


def check_outputs(card: Card, shapes: Mapping[str, Sequence[Any]]) -> None:
    """Raises BundleError where the graph does not answer each row with one number of each kind."""
    for name, shape in shapes.items():
        width = shape[-1] if len(shape) > 1 else 1
        if isinstance(width, int) and width != 1:
            raise BundleError(f"the graph of {card.name} answers a row with {width} numbers as {name}, not with one")
