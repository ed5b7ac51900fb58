"""Which pictures show the same: a perceptual hash of 64 bits, and the groups of those that differ in a few."""

from collections import defaultdict
from collections.abc import Sequence

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray
from PIL.Image import Resampling

from boatyard.inputs.image.pictures import read_picture
from boatyard.inputs.image.serving import FIELD
from boatyard.inputs.training_protocol import Relatives

NEAR = 6
"""Bits: a picture that was scaled by 3/4 and saved as JPEG differs in 4 at most, two of different scenes in 12 or more.

Measured on 300 pictures of harbour and 300 of BCCD.
"""
_SIDE, _WAVES = 32, 9
_BITS = 64


def relatives(rows: pa.Table) -> Relatives:
    """Pictures that show the same."""
    return Relatives(near_groups([look(content.as_py()) for content in rows.column(FIELD)]), exact=True)


def look(content: bytes) -> bytes:
    """Of the slowest waves of the greys (a discrete cosine transform), whether each is stronger than half of them."""
    picture = read_picture(content, 2 * _SIDE).convert("L").resize((_SIDE, _SIDE), Resampling.BOX)
    middles, waves = np.arange(_SIDE) + 0.5, np.arange(_WAVES)
    cosines = np.cos(np.pi / _SIDE * waves[:, None] * middles)
    strengths = (cosines @ np.asarray(picture, np.float64) @ cosines.T).ravel()[1 : _BITS + 1]  # less the mean grey
    return np.packbits(strengths > np.median(strengths)).tobytes()


def near_groups(keys: Sequence[bytes]) -> NDArray[np.int64]:
    """Keys that differ in NEAR bits at most are of one group, and so is what is near to either.

    Two such keys agree in one of NEAR + 1 bands of their bits, so only those are compared that agree in a band.
    """
    if not keys:
        return np.zeros(0, np.int64)
    bits = np.unpackbits(np.frombuffer(b"".join(keys), np.uint8).reshape(len(keys), -1), axis=1)
    leader = np.arange(len(keys))
    for band in np.array_split(np.arange(_BITS), NEAR + 1):
        agreeing = defaultdict[bytes, list[int]](list)
        for place, own in enumerate(np.packbits(bits[:, band], axis=1)):
            agreeing[own.tobytes()].append(place)
        for places in agreeing.values():
            for number, place in enumerate(places[:-1]):
                others = np.array(places[number + 1 :])
                for other in others[(bits[others] != bits[place]).sum(1) <= NEAR].tolist():
                    first, second = sorted((_leader_of(leader, place), _leader_of(leader, other)))
                    leader[second] = first
    return np.array([_leader_of(leader, place) for place in range(len(keys))])


def _leader_of(leader: NDArray[np.int64], place: int) -> int:
    while leader[place] != place:
        place = int(leader[place])
    return place
