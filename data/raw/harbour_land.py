"""The land and the sea of harbour.py, and the brushes that everything is drawn with."""

import math
from collections.abc import Sequence
from random import Random

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFilter

SIZE, SCALE = 160, 4
WIDE = SIZE * SCALE

Point = tuple[float, float]
Colour = tuple[int, ...]
Mask = NDArray[np.float32]

LIGHTS = {  # how often; deep and shallow water, and what the light does to red, green and blue
    "noon": (0.40, (22, 98, 138), (72, 178, 186), (1.0, 1.0, 1.0)),
    "morning": (0.22, (58, 122, 150), (146, 205, 200), (1.04, 1.0, 0.95)),
    "overcast": (0.16, (66, 98, 112), (122, 156, 160), (0.94, 0.96, 0.98)),
    "evening": (0.14, (40, 74, 124), (118, 142, 172), (1.10, 0.95, 0.86)),
    "dusk": (0.08, (22, 36, 78), (62, 84, 128), (0.74, 0.74, 0.92)),
}
ROOFS = ((186, 84, 60), (166, 70, 58), (206, 122, 80), (112, 104, 112))
PLANK, STONE = (150, 116, 84), (134, 128, 124)
WHITE, INK = (255, 255, 255), (28, 34, 46)


def smooth(chance: np.random.Generator, cells: int) -> Mask:
    """Noise from 0 to 1 whose hills are as wide as one of so many cells."""
    grid = Image.fromarray(chance.random((cells + 3, cells + 3), np.float32))
    whole = np.asarray(grid.resize((WIDE, WIDE), Image.Resampling.BICUBIC, (1, 1, cells + 2, cells + 2)))
    return np.clip(whole, 0, 1)


def blurred(mask: Image.Image, radius: float) -> Mask:
    """From 0 to 1."""
    return np.asarray(mask.filter(ImageFilter.GaussianBlur(radius)), np.float32) / 255


def turned(points: Sequence[Point], at: Point, angle: float, length: float) -> list[Point]:
    """Points of a thing that looks to the right and is 1 long, where it is in the picture."""
    cos, sin = math.cos(angle) * length, math.sin(angle) * length
    return [(at[0] + x * cos - y * sin, at[1] + x * sin + y * cos) for x, y in points]


class Drawing:
    """What is drawn so far. `things`: the label of each, with its silhouette."""

    def __init__(self, seed: int) -> None:
        self.chance, self.noise = Random(seed), np.random.default_rng(seed)
        kinds = list(LIGHTS)
        self.light = self.chance.choices(kinds, [LIGHTS[kind][0] for kind in kinds])[0]
        self.sun = self.chance.uniform(0, math.tau)
        self.land, self.taken = (Image.new("L", (WIDE, WIDE)) for _ in range(2))
        self.things: list[tuple[str, Image.Image]] = []
        self.piers: list[tuple[Point, float, float]] = []
        self.image = Image.new("RGB", (WIDE, WIDE))

    # ---- brushes

    def paint(self, mask: Mask, colour: Colour, strength: float = 1.0) -> None:
        """Lay a colour over the picture where the mask says so."""
        layer = Image.fromarray(np.uint8(np.clip(mask * strength, 0, 1) * 255))
        self.image.paste(colour, (0, 0), layer)

    def polygon(self, points: Sequence[Point], colour: Colour, alpha: int = 255, blur: float = 0) -> None:
        """Fill it."""
        layer = Image.new("L", (WIDE, WIDE))
        ImageDraw.Draw(layer).polygon(points, fill=alpha)
        self.image.paste(colour, (0, 0), layer.filter(ImageFilter.GaussianBlur(blur)) if blur else layer)

    def disc(self, at: Point, radius: float, colour: Colour) -> None:
        """Fill it."""
        x, y = at
        ImageDraw.Draw(self.image).ellipse((x - radius, y - radius, x + radius, y + radius), fill=colour)

    def ring(self, at: Point, radius: float, alpha: int, width: int = 3) -> None:
        """A ripple."""
        layer, (x, y) = Image.new("L", (WIDE, WIDE)), at
        ImageDraw.Draw(layer).ellipse((x - radius, y - radius, x + radius, y + radius), outline=alpha, width=width)
        self.image.paste(WHITE, (0, 0), layer.filter(ImageFilter.GaussianBlur(1)))

    def shadow(self, points: Sequence[Point], far: float) -> None:
        """Of something so far above the ground; softer without a sun."""
        away = (far * math.cos(self.sun), far * math.sin(self.sun))
        self.polygon([(x + away[0], y + away[1]) for x, y in points], INK, 95 if self.light != "overcast" else 45, 2)

    def keep(self, label: str, silhouettes: Sequence[Sequence[Point]]) -> None:
        """Note where the thing is, so that it gets a box and nothing else lies there."""
        mask = Image.new("L", (WIDE, WIDE))
        for points in silhouettes:
            ImageDraw.Draw(mask).polygon(points, fill=255)
            ImageDraw.Draw(self.taken).polygon(points, fill=255)
        self.things.append((label, mask))

    def is_free(self, at: Point, radius: float, land: Image.Image | None = None) -> bool:
        """Whether nothing was drawn there, and no land is."""
        x, y = at
        box = tuple(round(edge) for edge in (x - radius, y - radius, x + radius, y + radius))
        masks = (self.taken, self.land if land is None else land)
        return not any(mask.crop(box).getextrema()[1] > 100 for mask in masks)

    def find_place(self, radius: float, margin: float = 0) -> Point | None:
        """Somewhere on open water."""
        for _ in range(40):
            at = (self.chance.uniform(margin, WIDE - margin), self.chance.uniform(margin, WIDE - margin))
            if self.is_free(at, radius):
                return at
        return None

    # ---- land and sea

    def draw_land(self) -> None:
        """Islands, and in half of the scenes a coast; the water around is shallow, its edge is foam."""
        chance, coast = self.chance, self.chance.random() < 0.5
        draw = ImageDraw.Draw(self.land)
        if coast:
            side, out = chance.randrange(4) * math.pi / 2, WIDE * chance.uniform(0.86, 0.98)
            middle = (WIDE / 2 + out * math.cos(side), WIDE / 2 + out * math.sin(side))
            draw.polygon(self._blob(middle, WIDE * chance.uniform(0.5, 0.6), 0.1), fill=255)
        for _ in range(chance.choices((0, 1, 2), (0.3, 0.5, 0.2) if coast else (0.1, 0.6, 0.3))[0]):
            radius = chance.uniform(45, 110)
            at = (chance.uniform(0, WIDE), chance.uniform(0, WIDE))
            if not coast or self.is_free(at, radius + 30):
                draw.polygon(self._blob(at, radius, 0.28), fill=255)
        _, deep, shallow, _ = LIGHTS[self.light]
        hills = 0.6 * smooth(self.noise, 3) + 0.4 * smooth(self.noise, 9)
        near = np.maximum(1.5 * blurred(self.land, 46), blurred(self.land, 18))
        depth = np.clip(0.9 * hills - 0.12 + 1.1 * near, 0, 1)[..., None]
        sea = np.array(deep) * (1 - depth) + np.array(shallow) * depth
        self.image = Image.fromarray(np.uint8(np.clip(sea, 0, 255)))
        self._draw_waves()
        edge = blurred(self.land, 5) + 0.10 * (smooth(self.noise, 40) - 0.5)
        self.paint((edge > 0.12) * 0.75 * smooth(self.noise, 30), WHITE)
        self.paint(np.float32(edge > 0.30), (226, 206, 160))
        self.paint(np.float32(edge > 0.42), (238, 222, 182))
        grass = blurred(self.land, 15) + 0.22 * (smooth(self.noise, 26) - 0.5)
        self.paint(np.float32(grass > 0.70), (132, 164, 88))
        self.paint(np.float32(grass > 0.82), (108, 148, 78))
        self._draw_trees_and_houses(blurred(self.land, 12))

    def _blob(self, at: Point, radius: float, roughness: float) -> list[Point]:
        waves = [(n, self.chance.uniform(0, math.tau), self.chance.uniform(0.3, 1) / n**0.7) for n in range(2, 8)]
        angles = [math.tau * step / 180 for step in range(180)]
        far = [radius * (1 + roughness * sum(a * math.sin(n * t + start) for n, start, a in waves)) for t in angles]
        return [(at[0] + r * math.cos(t), at[1] + r * math.sin(t)) for t, r in zip(angles, far, strict=True)]

    def _draw_waves(self) -> None:
        layer = Image.new("L", (WIDE, WIDE))
        draw, wind = ImageDraw.Draw(layer), self.chance.uniform(0, math.tau)
        for _ in range(self.chance.randint(14, 60)):
            at, length = (self.chance.uniform(0, WIDE), self.chance.uniform(0, WIDE)), self.chance.uniform(14, 34)
            crests = [
                (-0.5, 0.10),
                (-0.32, -0.02),
                (-0.16, -0.02),
                (0, 0.08),
                (0.16, -0.02),
                (0.32, -0.02),
                (0.5, 0.10),
            ]
            draw.line(
                turned(crests, at, wind + self.chance.gauss(0, 0.1), length), self.chance.randint(40, 100), 3, "curve"
            )
        self.image.paste(WHITE, (0, 0), layer.filter(ImageFilter.GaussianBlur(1)))

    def _draw_trees_and_houses(self, inland: Mask) -> None:
        for _ in range(260):
            at = (self.chance.uniform(0, WIDE - 1), self.chance.uniform(0, WIDE - 1))
            if inland[int(at[1]), int(at[0])] < 0.93 or not self.is_free(at, 9, self.taken):
                continue
            if self.chance.random() < 0.14:
                self._draw_house(at)
            else:
                radius, green = self.chance.uniform(8, 15), self.chance.randint(-14, 14)
                self.shadow(turned([(-0.7, -0.7), (0.7, -0.7), (0.7, 0.7), (-0.7, 0.7)], at, 0.4, radius), 7)
                self.disc(at, radius, (58 + green, 104 + green, 62))
                self.disc((at[0] - radius / 4, at[1] - radius / 4), radius * 0.62, (82 + green, 134 + green, 74))

    def _draw_house(self, at: Point) -> None:
        angle, length, roof = self.chance.uniform(0, math.pi), self.chance.uniform(30, 42), self.chance.choice(ROOFS)
        walls = turned([(-0.5, -0.34), (0.5, -0.34), (0.5, 0.34), (-0.5, 0.34)], at, angle, length)
        self.shadow(walls, 8)
        self.polygon(walls, tuple(c - 34 for c in roof))
        self.polygon(turned([(-0.5, -0.34), (0.5, -0.34), (0.5, 0), (-0.5, 0)], at, angle, length), roof)
        self.disc(turned([(0.25, -0.15)], at, angle, length)[0], 3.2, (236, 226, 214))
        ImageDraw.Draw(self.taken).polygon(walls, fill=255)

    def draw_piers(self) -> None:
        """From the land out, of planks on posts."""
        inland, shore = blurred(self.land, 4), np.argwhere(np.abs(blurred(self.land, 4) - 0.55) < 0.1)
        inside = shore[(shore > 70).all(1) & (shore < WIDE - 70).all(1)]
        for _ in range(self.chance.choices((0, 1, 2), (0.4, 0.4, 0.2))[0] if len(inside) else 0):
            y, x = inside[self.chance.randrange(len(inside))].tolist()
            slope = np.array(np.gradient(inland[y - 20 : y + 21, x - 20 : x + 21])).mean((1, 2))
            angle, length = math.atan2(-slope[0], -slope[1]), self.chance.uniform(90, 190)
            corners = [(-0.12, -0.055), (1, -0.055), (1, 0.055), (-0.12, 0.055)]
            body, (end,) = turned(corners, (x, y), angle, length), turned([(1, 0)], (x, y), angle, length)
            middle = turned([(0.6, 0)], (x, y), angle, length)[0]
            if not (self.is_free(end, 30) and self.is_free(middle, 12)):
                continue
            self.shadow(body, 8)
            self.polygon(body, PLANK)
            draw, planks = ImageDraw.Draw(self.image), int(length / 9)
            for plank in range(planks):
                across = turned([(plank / planks, -0.055), (plank / planks, 0.055)], (x, y), angle, length)
                draw.line(across, fill=(118, 88, 62), width=2)
            for post in (0.35, 0.65, 0.97):
                for side in (-0.062, 0.062):
                    self.disc(turned([(post, side)], (x, y), angle, length)[0], 4.5, (92, 68, 50))
            ImageDraw.Draw(self.taken).polygon(body, fill=255)
            self.piers.append(((x, y), angle, length))

    def draw_rocks(self) -> None:
        """None, one or three."""
        for _ in range(self.chance.choices((0, 1, 3), (0.5, 0.3, 0.2))[0]):
            if at := self.find_place(26):
                self.draw_rock(at, self.chance.uniform(9, 20))

    def draw_rock(self, at: Point, radius: float) -> None:
        """In foam, and lit from above."""
        outline, grey = self._blob(at, radius, 0.22), self.chance.randint(-14, 14)
        self.polygon(turned([(x - at[0], y - at[1]) for x, y in outline], at, 0, 1.32), WHITE, 130, 3)
        self.polygon(outline, tuple(c + grey - 26 for c in STONE))
        lit = turned([(x - at[0], y - at[1]) for x, y in outline], (at[0] - radius / 7, at[1] - radius / 6), 0, 0.74)
        self.polygon(lit, tuple(c + grey + 18 for c in STONE))
        ImageDraw.Draw(self.taken).polygon(outline, fill=255)
