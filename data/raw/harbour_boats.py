"""The boats of harbour.py, each as it is seen from above: 1 long, its bow to the right."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from random import Random

Point = tuple[float, float]
Colour = tuple[int, ...]

DECK, WOOD, DARK_WOOD, GLASS, WHITE = (238, 230, 212), (176, 124, 76), (132, 88, 54), (44, 66, 92), (252, 250, 246)
PAINTS = ((196, 52, 45), (32, 82, 140), (38, 120, 98), (236, 180, 60), (60, 62, 74), (226, 110, 50))
SAILS = ((252, 250, 242), (252, 250, 242), (246, 232, 204), (214, 70, 58), (250, 200, 90), (92, 140, 176))


@dataclass(frozen=True)
class Part:
    """What is seen upon a deck. `rises`: how far its shadow falls; what rises may stick out of the hull."""

    points: Sequence[Point]
    colour: Colour
    rises: float = 0


@dataclass(frozen=True)
class Boat:
    """A kind. `long`: in points of the drawing; `wide`: as a share of that; `moves`: how often it is under way."""

    often: float
    long: tuple[float, float]
    wide: float
    moves: float
    hulls: Sequence[Colour]
    deck: Colour
    parts: Callable[[Random, float], list[Part]]


def outline(half: float, long: float = 1.0) -> list[Point]:
    """Of a hull: a pointed bow, sides that bend, a flat stern."""
    side = [(-0.5, 0.62), (-0.38, 0.84), (-0.15, 1.0), (0.1, 0.95), (0.28, 0.68), (0.42, 0.3), (0.5, 0.0)]
    port = [(x * long, y * half) for x, y in side]
    return port + [(x, -y) for x, y in reversed(port[:-1])]


def _box(left: float, right: float, half: float, colour: Colour, rises: float = 0) -> Part:
    return Part([(left, -half), (right, -half), (right, half), (left, half)], colour, rises)


def _sailing(chance: Random, half: float) -> list[Part]:
    """A mainsail that the wind has filled, and a jib."""
    side, swing = chance.choice((-1, 1)), chance.uniform(0.12, 0.30)
    sail, stripe = chance.choice(SAILS), chance.choice(PAINTS)
    mast, boom = (0.14, 0.0), (-0.40, side * swing)
    belly = [(-0.06, side * (swing * 0.40 + 0.13)), (-0.26, side * (swing * 0.76 + 0.10))]
    bands = [
        (0.05, side * swing * 0.17),
        (-0.02, side * (swing * 0.33 + 0.11)),
        (-0.09, side * (swing * 0.46 + 0.125)),
        (-0.05, side * swing * 0.35),
    ]
    jib = [(0.48, 0.0), (0.32, side * 0.14), (0.12, side * 0.10), (0.17, side * 0.02)]
    return [
        _box(-0.32, 0.04, half * 0.34, WOOD),
        Part([mast, *belly, boom], sail, 7),
        Part(bands, stripe if chance.random() < 0.4 else sail),
        Part(jib, sail, 5),
        Part([(0.15, 0.018), (-0.40, side * swing + 0.018), (-0.40, side * swing - 0.018), (0.15, -0.018)], DARK_WOOD),
    ]


def _motor(chance: Random, half: float) -> list[Part]:
    """A windscreen, seats and an engine."""
    seats = chance.choice(PAINTS)
    return [
        _box(-0.34, 0.10, half * 0.60, (206, 196, 178)),
        Part([(0.06, -half * 0.62), (0.22, -half * 0.40), (0.22, half * 0.40), (0.06, half * 0.62)], GLASS, 3),
        _box(-0.08, 0.0, half * 0.42, seats),
        _box(-0.30, -0.22, half * 0.50, seats),
        _box(-0.56, -0.46, half * 0.26, (50, 52, 58), 2),
    ]


def _fishing(chance: Random, half: float) -> list[Part]:
    """A wheelhouse, a hatch, a heap of nets and a mast."""
    roof, nets = chance.choice((*PAINTS, WHITE)), chance.choice(((64, 128, 112), (208, 120, 60), (90, 96, 150)))
    return [
        _box(0.16, 0.24, half * 0.34, DARK_WOOD),
        Part([(-0.42, -half * 0.4), (-0.30, -half * 0.55), (-0.24, half * 0.1), (-0.36, half * 0.45)], nets, 2),
        _box(-0.18, 0.10, half * 0.62, WHITE, 5),
        _box(-0.15, 0.05, half * 0.48, roof),
        _box(0.05, 0.09, half * 0.50, GLASS),
        _box(-0.20, 0.30, half * 0.06, (250, 214, 90)),
    ]


def _rowing(chance: Random, half: float) -> list[Part]:
    """Thwarts, two oars, and somebody who rows."""
    lean, jacket = chance.uniform(-0.12, 0.12), chance.choice(PAINTS)
    oars = [
        Part(
            [
                (0.02, side * half * 0.5),
                (lean, side * (half + 0.30)),
                (lean - 0.05, side * (half + 0.30)),
                (-0.03, side * half * 0.5),
            ],
            (222, 186, 130),
            3,
        )
        for side in (-1, 1)
    ]
    body = [(-0.08, -half * 0.55), (0.06, -half * 0.4), (0.06, half * 0.4), (-0.08, half * 0.55)]
    return [
        *(_box(at - 0.035, at + 0.035, half * 0.66, DARK_WOOD) for at in (-0.3, 0.0, 0.22)),
        *oars,
        Part(body, jacket, 3),
        _box(-0.04, 0.04, half * 0.2, (92, 62, 44)),
    ]


BOATS = (
    Boat(0.36, (82, 128), 0.34, 0.6, (WHITE, WHITE, *PAINTS), (226, 196, 150), _sailing),
    Boat(0.26, (62, 96), 0.40, 0.7, (WHITE, *PAINTS), WHITE, _motor),
    Boat(0.22, (84, 136), 0.42, 0.6, PAINTS, DECK, _fishing),
    Boat(0.16, (46, 62), 0.40, 0.0, (DARK_WOOD, *PAINTS), WOOD, _rowing),
)
