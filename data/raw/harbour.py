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

import numpy as np
from harbour_boats import BOATS, Boat, outline
from harbour_land import INK, LIGHTS, SCALE, SIZE, WHITE, WIDE, Drawing, Mask, Point, blurred, smooth, turned
from PIL import Image, ImageDraw

SCENES, SEED = 600, 20_240_621
QUALITY = 80  # of WebP
LEAST_SEEN, SEEN_UNDER_CLOUDS, HIDES = 10, 0.35, 0.6  # with fewer of its points in sight, a thing has no box
BUOYS = ((222, 48, 40), (40, 150, 84), (246, 194, 40), (240, 116, 32))
BOAT_COUNTS = (0.06, 0.16, 0.25, 0.24, 0.16, 0.09, 0.04)


class Scene(Drawing):
    """With boats, buoys and a lighthouse upon it, below clouds."""

    def __init__(self, seed: int) -> None:
        super().__init__(seed)
        self.towers: list[tuple[Point, float]] = []

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
            self.draw_rock(at, radius * 1.5)
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
