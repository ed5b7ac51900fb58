"""What stands out of a picture, found without learning: blobs that are darker, brighter or of another colour.

A picture is cut at several levels; each piece that hangs together is a blob, with a box around it and some numbers on
its shape and colours.
"""

from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray
from PIL.Image import Resampling
from scipy import ndimage

from boatyard.inputs.image.pictures import read_header, read_picture
from boatyard.inputs.training_protocol import Regions

_SIDE = 160
"""Of the longer side, where the picture has more."""
_LEVELS = (0.07, 0.2, 0.4, 0.6, 0.8, 0.9, 0.97)
"""Shares of the pixels that are below a cut."""
_LEAST, _MOST = 3, 0.7
"""Pixels of a blob's shorter side; of its longer side, the share of the picture's."""
_WORN = (0, 3)
"""Pixels by which pieces are worn off all around, so that those which touch come apart."""
_AROUND = 2
"""Pixels beyond a blob's box, with which its colours are compared."""

Floats = NDArray[np.float64]
Bits = NDArray[np.bool_]


def blobs_of(content: bytes) -> Regions:
    """Of a picture's file."""
    header = read_header(content)
    scale = max(1.0, max(header.width, header.height) / _SIDE)
    width, height = max(1, round(header.width / scale)), max(1, round(header.height / scale))
    pixels = np.asarray(read_picture(content, _SIDE).resize((width, height), Resampling.BOX))
    boxes, features = (np.concatenate(parts) for parts in zip(*_cuts(pixels / 255), strict=True))
    _, first = np.unique(boxes, axis=0, return_index=True)  # where two cuts find the same, the first
    stretch = np.array([header.width / width, header.height / height] * 2)
    return Regions((boxes[first] * stretch).astype(np.float32), features[first])


def _cuts(colours: Floats) -> Iterator[tuple[NDArray[np.int64], Floats]]:
    """Boxes and features of each cut. `colours`: [height, width, 3] from 0 to 1."""
    usual = np.median(colours, axis=(0, 1))
    unusual = np.linalg.norm(colours - usual, axis=-1)
    views = ((colours.mean(-1), (False, True)), (unusual, (True,)), (np.ptp(colours, axis=-1), (True,)))
    sums = np.pad(colours, ((1, 0), (1, 0), (0, 0))).cumsum(0).cumsum(1)
    channels = np.concatenate([colours, colours**2], -1).reshape(-1, 6).T.copy()
    number = 0
    for view, sides in views:
        smooth = ndimage.uniform_filter(view, 3)
        cuts = np.quantile(smooth, _LEVELS)
        for above in sides:
            for level, cut in zip(_LEVELS, cuts, strict=True):
                mask = _without_holes(smooth > cut if above else smooth < cut)
                for worn in _WORN:
                    boxes, looks = _pieces(mask, worn, channels, sums, usual)
                    how = np.zeros((len(boxes), 6))
                    how[:, [number, 4, 5]] = 1, level, worn
                    yield boxes, np.hstack([how, looks])
            number += 1


def _pieces(mask: Bits, worn: int, channels: Floats, sums: Floats, usual: Floats) -> tuple[NDArray[np.int64], Floats]:
    """Of what hangs together once so many pixels are worn off. `sums`: of colours, above and left of each
    corner. `channels`: [6, pixels], colours and their squares.
    """
    height, width = mask.shape
    numbered, count = ndimage.label(ndimage.minimum_filter(mask, 2 * worn + 1) if worn else mask)
    places = ndimage.find_objects(numbered)
    boxes = np.array([(x.start, y.start, x.stop, y.stop) for y, x in places], np.int64).reshape(-1, 4)
    limits = np.array([width, height] * 2)
    boxes = np.clip(boxes + np.array([-worn, -worn, worn, worn]), 0, limits)
    sides = boxes[:, 2:] - boxes[:, :2]
    right_size = (sides.min(1, initial=1000) >= _LEAST) & (sides.max(1, initial=0) <= _MOST * max(height, width))
    taken = np.flatnonzero(numbered)
    of_pixel = numbered.ravel()[taken].astype(np.intp) - 1
    area = np.bincount(of_pixel, minlength=count)[:, None].astype(float)
    inner, squares = np.split(np.array([np.bincount(of_pixel, each[taken], count) for each in channels]), 2)
    inner, squares = inner.T, squares.T
    middle = inner / area
    wide = np.clip(boxes + _AROUND * np.array([-1, -1, 1, 1]), 0, limits)
    ring_area = np.prod(wide[:, 2:] - wide[:, :2], axis=1, keepdims=True) - area
    around = (_within(sums, wide) - inner) / np.maximum(ring_area, 1)
    size, aspect = sides / max(height, width), np.log(sides[:, :1] / sides[:, 1:])
    looks = [
        np.log(size.prod(1, keepdims=True)) / 2,
        aspect,
        np.abs(aspect),
        area / np.prod(np.maximum(sides - 2 * worn, 1), axis=1, keepdims=True),
        (boxes[:, :2] == 0).sum(1, keepdims=True) + (boxes[:, 2:] == limits[:2]).sum(1, keepdims=True),
        middle,
        middle - around,
        middle - usual,
        np.sqrt(np.maximum(squares / area - middle**2, 0)),
        np.linalg.norm(middle - around, axis=1, keepdims=True),
        np.linalg.norm(middle - usual, axis=1, keepdims=True),
    ]
    return boxes[right_size], np.hstack(looks)[right_size]


def _without_holes(mask: Bits) -> Bits:
    """What is not reached from the edges belongs to it."""
    numbered, count = ndimage.label(~mask)
    outside = np.zeros(count + 1, bool)
    for edge in (numbered[0], numbered[-1], numbered[:, 0], numbered[:, -1]):
        outside[edge] = True
    outside[0] = False
    filled: Bits = ~outside[numbered]
    return filled


def _within(sums: Floats, boxes: NDArray[np.int64]) -> Floats:
    left, top, right, bottom = boxes.T
    total: Floats = sums[bottom, right] - sums[top, right] - sums[bottom, left] + sums[top, left]
    return total
