"""Makes harbour/, a harbour from above in 600 pictures with a box around each thing.

    python data/raw/harbour.py [FOLDER]

The same Pillow and numpy always make the same files. Everything is drawn four times as large as it is saved, so that
edges are smooth. A thing's box holds what can be seen of it within the picture, less its shadow, wake and light.
"""

import csv
import math
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from random import Random

import numpy as np
from boats import BOATS, Boat, outline
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFilter

SCENES, SEED = 600, 20_240_621
SIZE, SCALE = 160, 4
WIDE = SIZE * SCALE
QUALITY = 80  # of WebP
LEAST_SEEN, SEEN_UNDER_CLOUDS, HIDES = 10, 0.35, 0.6  # with fewer of its points in sight, a thing has no box

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
BUOYS = ((222, 48, 40), (40, 150, 84), (246, 194, 40), (240, 116, 32))
ROOFS = ((186, 84, 60), (166, 70, 58), (206, 122, 80), (112, 104, 112))
PLANK, STONE = (150, 116, 84), (134, 128, 124)
BOAT_COUNTS = (0.06, 0.16, 0.25, 0.24, 0.16, 0.09, 0.04)
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


class Scene:
    """What is drawn so far. `things`: the label of each, with its silhouette."""

    def __init__(self, seed: int) -> None:
        self.chance, self.noise = Random(seed), np.random.default_rng(seed)
        kinds = list(LIGHTS)
        self.light = self.chance.choices(kinds, [LIGHTS[kind][0] for kind in kinds])[0]
        self.sun = self.chance.uniform(0, math.tau)
        self.land, self.taken = (Image.new("L", (WIDE, WIDE)) for _ in range(2))
        self.things: list[tuple[str, Image.Image]] = []
        self.piers: list[tuple[Point, float, float]] = []
        self.towers: list[tuple[Point, float]] = []
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
                self._draw_rock(at, self.chance.uniform(9, 20))

    def _draw_rock(self, at: Point, radius: float) -> None:
        outline, grey = self._blob(at, radius, 0.22), self.chance.randint(-14, 14)
        self.polygon(turned([(x - at[0], y - at[1]) for x, y in outline], at, 0, 1.32), WHITE, 130, 3)
        self.polygon(outline, tuple(c + grey - 26 for c in STONE))
        lit = turned([(x - at[0], y - at[1]) for x, y in outline], (at[0] - radius / 7, at[1] - radius / 6), 0, 0.74)
        self.polygon(lit, tuple(c + grey + 18 for c in STONE))
        ImageDraw.Draw(self.taken).polygon(outline, fill=255)

    # ---- things

    def draw_lighthouse(self) -> None:
        """At the end of a pier, on an island's shore or on a rock of its own, leaning away from who looks."""
        radius = self.chance.uniform(17, 27)
        at = self._place_of_lighthouse(radius)
        if at is None:
            return
        lean = math.atan2(at[1] - WIDE / 2, at[0] - WIDE / 2)
        tall = radius * (0.7 + 1.3 * math.dist(at, (WIDE / 2, WIDE / 2)) / WIDE)
        away = (math.cos(self.sun), math.sin(self.sun))
        long = radius * 3.1
        foot = turned([(0, -0.8), (long / radius, -0.4), (long / radius, 0.4), (0, 0.8)], at, self.sun, radius)
        self.polygon(foot, INK, 85 if self.light != "overcast" else 40, 4)
        base = [(at[0] + radius * math.cos(t / 9), at[1] + radius * math.sin(t / 9)) for t in range(57)]
        self.disc((at[0] + 3 * away[0], at[1] + 3 * away[1]), radius * 1.02, (90, 84, 84))
        self.disc(at, radius, (206, 198, 186))
        silhouettes, levels = [base], 15
        for level in range(levels + 1):
            share = level / levels
            top = (at[0] + tall * share * math.cos(lean), at[1] + tall * share * math.sin(lean))
            red = (level * 5 // (levels + 1)) % 2 == 0
            self.disc(top, radius * (0.80 - 0.26 * share), (206, 48, 44) if red else (250, 248, 242))
        for wide, colour in ((0.66, INK), (0.56, (244, 240, 232)), (0.36, (255, 214, 84)), (0.20, (255, 246, 190))):
            self.disc(top, radius * wide, colour)
        cap = [(top[0] + 0.66 * radius * math.cos(t / 9), top[1] + 0.66 * radius * math.sin(t / 9)) for t in range(57)]
        silhouettes.append(cap)
        self.keep("lighthouse", silhouettes)
        self.towers.append((top, radius))

    def _place_of_lighthouse(self, radius: float) -> Point | None:
        if self.piers and self.chance.random() < 0.5:
            start, angle, length = self.piers.pop()
            return turned([(1 + 0.4 * radius / length, 0)], start, angle, length)[0]
        heights = np.argwhere(np.abs(blurred(self.land, 14) - 0.8) < 0.08)
        if len(heights) and self.chance.random() < 0.6:
            y, x = heights[self.chance.randrange(len(heights))].tolist()
            return (x, y)
        at = self.find_place(radius * 2.4, 40)
        if at is not None:
            self._draw_rock(at, radius * 1.5)
        return at

    def draw_buoy(self) -> None:
        """On ripples."""
        radius = self.chance.uniform(9, 15)
        at = self.find_place(radius + 8, 8)
        if at is None:
            return
        colour = self.chance.choice(BUOYS)
        for further in (1.5, 2.1):
            self.ring(at, radius * further, 90 if further < 2 else 50)
        outline = [(at[0] + radius * math.cos(t / 6), at[1] + radius * math.sin(t / 6)) for t in range(38)]
        self.shadow(outline, 6)
        self.disc(at, radius, tuple(int(c * 0.72) for c in colour))
        self.disc((at[0] - 1, at[1] - 1), radius * 0.88, colour)
        self.disc(at, radius * 0.52, (252, 250, 244))
        self.disc(at, radius * 0.28, colour)
        self.disc((at[0] - radius * 0.4, at[1] - radius * 0.45), radius * 0.15, WHITE)
        self.keep("buoy", [outline])

    def draw_boat(self) -> None:
        """Under way with a wake, adrift, or moored at a pier."""
        kind = self.chance.choices(BOATS, [boat.often for boat in BOATS])[0]
        length = self.chance.uniform(*kind.long)
        for start, along, far in self.chance.sample(self.piers, len(self.piers)):
            side = self.chance.choice((-1, 1)) * (0.055 + (length * kind.wide / 2 + 5) / far)
            at = turned([(self.chance.uniform(0.35, 0.9), side)], start, along, far)[0]
            if self.chance.random() < 0.6 and self.is_free(at, length * kind.wide / 3):
                self._draw_boat(kind, at, along + self.chance.choice((0, math.pi)), length, 0)
                return
        if at := self.find_place(length * 0.46, -10):
            moves = self.chance.random() < kind.moves
            self._draw_boat(kind, at, self.chance.uniform(0, math.tau), length, self.chance.uniform(0.8, 2) * moves)

    def _draw_boat(self, kind: Boat, at: Point, angle: float, length: float, wake: float) -> None:
        def place(points: Sequence[Point]) -> list[Point]:
            return turned(points, at, angle, length)

        half = kind.wide / 2
        hull = place(outline(half))
        if wake:
            self._draw_wake(place, half, wake)
        self.shadow(hull, 6)
        self.polygon(hull, self.chance.choice(kind.hulls))
        self.polygon(place(outline(half * 0.78, 0.92)), kind.deck)
        silhouettes = [hull]
        for part in kind.parts(self.chance, half):
            points = place(part.points)
            if part.rises:
                self.shadow(points, part.rises)
                silhouettes.append(points)
            self.polygon(points, part.colour)
        self.keep("boat", silhouettes)

    def _draw_wake(self, place: Callable[[Sequence[Point]], list[Point]], half: float, long: float) -> None:
        """Foam behind the stern and a wave from the bow to either side; both fade away."""
        layer, steps = Image.new("L", (WIDE, WIDE)), 14
        draw = ImageDraw.Draw(layer)
        for step in range(steps):
            near, far = (-0.4 - long * each / steps for each in (step, step + 1))
            alpha, wide = int(190 * (1 - step / steps) ** 1.5), half * (0.55 + 0.5 * step / steps)
            draw.polygon(place([(near, -wide), (far, -wide), (far, wide), (near, wide)]), fill=alpha)
            near, far = (0.44 - (long + 0.5) * each / steps for each in (step, step + 1))
            for side in (-1, 1):
                crest = [(at, side * (half * 0.4 + 0.30 * (0.44 - at))) for at in (near, far)]
                draw.line(place(crest), fill=alpha, width=5)
        foam = blurred(layer, 2.5) * (0.45 + 0.55 * smooth(self.noise, 60))
        self.paint(foam, WHITE, 0.95)

    # ---- the air

    def draw_clouds(self) -> Mask:
        """And what they hide, from 0 to 1."""
        hidden = np.zeros((WIDE, WIDE), np.float32)
        for _ in range(self.chance.choices((0, 1, 2, 3), (0.52, 0.26, 0.14, 0.08))[0]):
            at, puff = (self.chance.uniform(0, WIDE), self.chance.uniform(0, WIDE)), self.chance.uniform(26, 62)
            layer = Image.new("L", (WIDE, WIDE))
            for _ in range(self.chance.randint(5, 9)):
                x, y = at[0] + self.chance.gauss(0, puff), at[1] + self.chance.gauss(0, puff * 0.5)
                radius = puff * self.chance.uniform(0.5, 1)
                ImageDraw.Draw(layer).ellipse((x - radius, y - radius, x + radius, y + radius), fill=255)
            cloud = blurred(layer, puff * 0.3) * (0.72 + 0.28 * smooth(self.noise, 14)) * self.chance.uniform(0.6, 0.95)
            shade = Image.new("L", (WIDE, WIDE))
            shade.paste(layer, (round(70 * math.cos(self.sun)), round(70 * math.sin(self.sun))))
            self.paint(blurred(shade, puff * 0.4), INK, 0.2)
            self.paint(cloud, (250, 250, 252), 0.7 if self.light == "dusk" else 1)
            hidden = np.maximum(hidden, cloud)
        return hidden

    def draw_gulls(self) -> None:
        """With their shadows on the water."""
        for _ in range(self.chance.choices((0, 2, 5), (0.6, 0.25, 0.15))[0]):
            at, angle = (self.chance.uniform(0, WIDE), self.chance.uniform(0, WIDE)), self.chance.uniform(0, math.tau)
            wings = turned([(-0.1, -0.5), (0.12, -0.2), (0.02, 0), (0.12, 0.2), (-0.1, 0.5)], at, angle, 17)
            draw = ImageDraw.Draw(self.image)
            draw.line(
                [(x + 12, y + 12) for x, y in wings], fill=tuple(int(c * 0.6) for c in LIGHTS[self.light][1]), width=3
            )
            draw.line(wings, fill=WHITE, width=4, joint="curve")

    def finish(self) -> Image.Image:
        """In the light of the day, as small as it is saved, with a camera's noise."""
        small = np.asarray(self.image.resize((SIZE, SIZE), Image.Resampling.BOX), np.float32)
        small = small * np.array(LIGHTS[self.light][3]) * self.chance.uniform(0.93, 1.06)
        if self.light == "dusk":
            for (x, y), radius in self.towers:
                small += self._beam(x / SCALE, y / SCALE, radius / SCALE)
        small += self.noise.normal(0, self.chance.uniform(1, 4), small.shape[:2])[..., None]
        return Image.fromarray(np.uint8(np.clip(small, 0, 255)))

    def _beam(self, x: float, y: float, radius: float) -> Mask:
        """A glow, and light in two directions."""
        rows, columns = np.mgrid[:SIZE, :SIZE] + 0.5
        far, angle = np.hypot(columns - x, rows - y), np.arctan2(rows - y, columns - x) - self.sun
        light = 90 * np.exp(-far / (1.6 * radius)) + 80 * np.exp(-((np.sin(angle) / 0.13) ** 2)) * np.exp(-far / 60)
        return np.float32(light[..., None] * np.array((1.0, 0.86, 0.52)))

    def boxes(self, clouds: Mask) -> list[tuple[str, float, float, float, float]]:
        """Of what is seen: label, left, top, right and bottom, in pixels."""
        found = []
        for place, (label, mask) in enumerate(self.things):
            seen = np.asarray(mask) > 128
            for _, above in self.things[place + 1 :]:
                seen &= np.asarray(above) <= 128
            rows, columns = np.flatnonzero(seen.any(1)), np.flatnonzero(seen.any(0))
            if len(rows) < LEAST_SEEN or len(columns) < LEAST_SEEN:
                continue
            if (clouds[seen] < HIDES).mean() >= SEEN_UNDER_CLOUDS:
                edges = columns[0], rows[0], columns[-1] + 1, rows[-1] + 1
                found.append((label, *(round(float(edge) / SCALE, 1) for edge in edges)))
        return found


def make_scene(seed: int) -> tuple[Image.Image, list[tuple[str, float, float, float, float]]]:
    """A picture and its boxes. Now and then nothing is there but water."""
    scene = Scene(seed)
    scene.draw_land()
    scene.draw_piers()
    scene.draw_rocks()
    if scene.chance.random() < 0.55:
        scene.draw_lighthouse()
    for draw, counts in ((scene.draw_buoy, (0.30, 0.28, 0.22, 0.13, 0.07)), (scene.draw_boat, BOAT_COUNTS)):
        for _ in range(scene.chance.choices(range(len(counts)), counts)[0]):
            draw()
    clouds = scene.draw_clouds()
    scene.draw_gulls()
    return scene.finish(), scene.boxes(clouds)


def write(folder: Path) -> None:
    """`scenes/0001.webp` and the like, and `boxes.csv`; a scene where nothing is has a line without a box."""
    (folder / "scenes").mkdir(parents=True, exist_ok=True)
    with (folder / "boxes.csv").open("w", encoding="utf-8", newline="") as file:
        table = csv.writer(file, lineterminator="\n")
        table.writerow(["file", "label", "x0", "y0", "x1", "y1"])
        for number in range(1, SCENES + 1):
            picture, boxes = make_scene(SEED + number)
            name = f"scenes/{number:04}.webp"
            picture.save(folder / name, quality=QUALITY, method=6)
            table.writerows([name, *box] for box in boxes or [("",) * 5])


if __name__ == "__main__":
    write(Path(sys.argv[1]) if len(sys.argv) > 1 else Path(__file__).parent / "harbour")
