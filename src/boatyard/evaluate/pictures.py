"""Pictures of reports, drawn without pyplot's global state."""

from collections.abc import Sequence
from io import BytesIO
from pathlib import Path

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from numpy.typing import NDArray
from PIL import Image

_ACROSS = 4


def side_by_side(
    canvases: Sequence[NDArray[np.uint8]], extents: Sequence[Sequence[float]] | None = None
) -> tuple[Figure, list[Axes]]:
    """A figure, and axes that show each canvas. `extents`: the width and the height that they count, if not pixels."""
    down = -(-len(canvases) // _ACROSS)
    figure = Figure(figsize=(12, 3.2 * down), layout="constrained")
    all_axes: list[Axes] = figure.subplots(down, _ACROSS, squeeze=False).ravel().tolist()
    for axes in all_axes:
        axes.set_axis_off()
    extents = extents or [(canvas.shape[1], canvas.shape[0]) for canvas in canvases]
    for axes, canvas, (width, height) in zip(all_axes, canvases, extents, strict=False):
        axes.imshow(canvas, extent=(0, width, height, 0))
    return figure, all_axes[: len(canvases)]


def save_picture(figure: Figure, path: Path) -> None:
    """Write a PNG with no empty edges. Of 128 colours, which keeps letters sharp at a third of the size."""
    drawn = BytesIO()
    figure.savefig(drawn, dpi=100, bbox_inches="tight", pad_inches=0.2)
    few_colours = Image.open(drawn).convert("RGB").quantize(128, method=Image.Quantize.FASTOCTREE)
    few_colours.save(path, format="PNG")
