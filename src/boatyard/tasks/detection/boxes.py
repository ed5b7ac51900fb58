"""Boxes: left, top, right and bottom, in pixels of the picture as a viewer shows it, counted from its upper left."""

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

Boxes = NDArray[np.float32]
"""[boxes, 4]."""

LABEL, BOX, LINE = "label", "box", "row"
"""Of an object in a cell, in feedback and in an answer; `row`: the line of a table that says it, if one does."""
CLIPPED = 1.0
"""So many pixels beyond an edge are rounding, which nobody need be told."""
MOST_OUTSIDE = 0.1
"""Of a side of the picture: a box further out is of another picture."""
TWICE = 0.9
"""Above this overlap, two boxes of one label are one thing marked twice."""
_LEAST = 0.01  # pixels wide and high: places are rounded to as much


class WrongBox(ValueError):  # noqa: N818 - says what it is
    """An object that cannot be; goes on from the words for it, as in "object 3 *has no label*"."""


class Objects(NamedTuple):
    """What is in one picture. `remarks`: what is odd about it and was put right, as a kind and a sentence."""

    labels: Sequence[str]
    boxes: Boxes
    remarks: Sequence[tuple[str, str]] = ()


def read_objects(objects: Sequence[Any], extent: tuple[float, float]) -> Objects:
    """Checked, clipped to the picture, and without doubles. `extent`: its width and height.

    Raises:
        WrongBox: it names which.
    """
    labels, boxes, remarks = list[str](), list[list[float]](), list[tuple[str, str]]()
    for number, each in enumerate(objects, 1):
        name = _name(number, each)
        try:
            label, box = _read(each, extent)
        except WrongBox as wrong:
            raise WrongBox(f"{name} {wrong}") from None
        clipped = _clipped(box, extent)
        beyond = max(abs(after - before) for before, after in zip(box, clipped, strict=True))
        if beyond > CLIPPED:
            size = " x ".join(f"{side:g}" for side in extent)
            remark = f"{name} ({label}) reaches {beyond:g} pixels out of the picture, which has {size}: it is clipped"
            remarks.append(("outside", remark))
        labels.append(label)
        boxes.append(clipped)
    kept, doubles = _without_doubles(labels, np.array(boxes, np.float32).reshape(-1, 4))
    for first, other in doubles:
        pair = f"{_name(other + 1, objects[other])} ({labels[other]}) repeats {_name(first + 1, objects[first])}"
        remarks.append(("double", f"{pair}: their overlap is more than {TWICE:.0%}"))
    return Objects(
        [labels[at] for at in kept], np.array([boxes[at] for at in kept], np.float32).reshape(-1, 4), remarks
    )


def overlaps(first: Boxes, other: Boxes) -> NDArray[np.float32]:
    """Intersection over union of each pair, [first, other]."""
    low = np.maximum(first[:, None, :2], other[None, :, :2])
    high = np.minimum(first[:, None, 2:], other[None, :, 2:])
    both = np.prod(np.clip(high - low, 0, None), axis=-1)
    areas = [np.prod(boxes[:, 2:] - boxes[:, :2], axis=-1) for boxes in (first, other)]
    shares: NDArray[np.float32] = both / np.maximum(areas[0][:, None] + areas[1][None] - both, 1e-9)
    return shares


def _name(number: int, each: Any) -> str:
    line = each.get(LINE) if isinstance(each, Mapping) else None
    return f"object {number}" if line is None else f"the box in row {line}"


def _read(each: Any, extent: tuple[float, float]) -> tuple[str, list[float]]:
    if not isinstance(each, Mapping):
        raise WrongBox("is no object with a label and a box")
    label, box = each.get(LABEL), each.get(BOX)
    if not isinstance(label, str) or not label.strip():
        raise WrongBox("has no label")
    if not (isinstance(box, Sequence) and not isinstance(box, str) and len(box) == 4 and all(map(_is_number, box))):
        raise WrongBox(f"({label}) has no box of four numbers, left, top, right and bottom")
    left, top, right, bottom = corners = [float(edge) for edge in box]
    shown = f"({label}, {', '.join(f'{edge:g}' for edge in corners)})"
    if left > right or top > bottom:
        raise WrongBox(f"{shown} has its corners swapped: left and top must come before right and bottom")
    if right - left < _LEAST or bottom - top < _LEAST:
        raise WrongBox(f"{shown} has no area")
    width, height = extent
    for out, side in ((max(-left, right - width), width), (max(-top, bottom - height), height)):
        if out > max(CLIPPED, MOST_OUTSIDE * side):
            raise WrongBox(f"{shown} reaches {out:g} pixels out of the picture, which has {width:g} x {height:g}")
    clipped = _clipped(corners, extent)
    if clipped[0] >= clipped[2] or clipped[1] >= clipped[3]:
        raise WrongBox(f"{shown} lies beside the picture")
    return label.strip(), corners


def _is_number(edge: Any) -> bool:
    return isinstance(edge, int | float) and not isinstance(edge, bool) and abs(edge) < 1e9


def _clipped(box: Sequence[float], extent: tuple[float, float]) -> list[float]:
    return [min(max(edge, 0.0), float(extent[at % 2])) for at, edge in enumerate(box)]


def _without_doubles(labels: Sequence[str], boxes: Boxes) -> tuple[list[int], list[tuple[int, int]]]:
    """The places that are kept, and of each other the one that it repeats."""
    shares = overlaps(boxes, boxes)
    kept, doubles = list[int](), list[tuple[int, int]]()
    for place, label in enumerate(labels):
        same = next((first for first in kept if labels[first] == label and shares[first, place] > TWICE), None)
        if same is None:
            kept.append(place)
        else:
            doubles.append((same, place))
    return kept, doubles
