"""The square that a network reads: in training mirrored, turned and in another light, and where its places are."""

from typing import NamedTuple

import torch
from torch import Tensor
from torch.nn import functional

ALLOWED = {
    "none": (False, False, False),
    "sideways": (True, False, False),
    "both": (True, True, False),
    "turned": (True, True, True),
}
"""By `model.image.flips`: mirrored across, mirrored down, and then on its side, so that what was across is down."""
_BRIGHTER, _TINTED = 0.25, 0.10  # standard deviations of what training does to light and colours


class View(NamedTuple):
    """How training looks at the pictures of a batch."""

    turns: Tensor
    """bool[batch, 3], by ALLOWED."""
    span: Tensor
    """float[batch, 1]: of a picture's square, so much is the side of what is seen; above 1 there is more than it."""
    start: Tensor
    """float[batch, 2]: of a picture's square, where across and down that begins, before any mirror."""


def look_at(pixels: Tensor, flips: str | None, zoom: float) -> tuple[Tensor, View | None]:
    """uint8[batch, side, side, 3] to float[batch, 3, side, side] from -2 to 2, its channels last in memory.

    `flips`: as training allows them; None: the picture is read as it is. In training it is in other light and colours,
    and up to `zoom` times as large or as small, somewhere in the square or cut by it; the View says how.
    """
    picture = pixels.permute(0, 3, 1, 2).float() / 64 - 2
    if flips is None:
        return picture, None
    view = _any_view(len(picture), flips, zoom, picture.device)
    if zoom > 1:
        picture = _seen(picture, view)
    across, down, on_its_side = (turn.view(-1, 1, 1, 1) for turn in view.turns.T)
    picture = torch.where(across, picture.flip(3), picture)
    picture = torch.where(down, picture.flip(2), picture)
    picture = torch.where(on_its_side, picture.transpose(2, 3), picture)
    shape, device = (len(picture), 1, 1, 1), picture.device
    contrast = 1 + _BRIGHTER * torch.randn(shape, device=device)
    tint = 2 * _TINTED * torch.randn(len(picture), 3, 1, 1, device=device)
    picture = picture * contrast + 2 * _BRIGHTER * torch.randn(shape, device=device) + tint
    return picture.contiguous(memory_format=torch.channels_last), view  # in which convolutions are faster


def _any_view(count: int, flips: str, zoom: float, device: torch.device) -> View:
    turns = (torch.rand(count, 3, device=device) < 0.5) & torch.tensor(ALLOWED[flips], device=device)
    span = zoom ** (2 * torch.rand(count, 1, device=device) - 1)
    return View(turns, span, torch.rand(count, 2, device=device) * (1 - span))


def _seen(picture: Tensor, view: View) -> Tensor:
    """What there is beside a picture is grey."""
    middle = 2 * view.start + view.span - 1  # from -1 to 1 along the square, as a grid is given
    size = view.span * torch.eye(2, device=picture.device).flatten()
    places = torch.cat([size.view(-1, 2, 2), middle.unsqueeze(2)], 2)
    grid = functional.affine_grid(places, list(picture.shape), align_corners=False)
    return functional.grid_sample(picture, grid, align_corners=False)


def frame_of(extent: Tensor, side: int, cells: int, view: View | None) -> dict[str, Tensor]:
    """`extent`, and the `origin`, `step` and `turned` of so many cells along the square, as a backbone's `places`."""
    longer = extent.amax(1, keepdim=True)
    fitted = torch.round(extent.double() * side / longer).clamp(min=1)
    margin = torch.floor((side - fitted) / 2)  # as `place_in_square` has it
    scale = extent / fitted
    origin, step = (-margin * scale).float(), (side // cells * scale).float()
    if view is None:
        return {"extent": extent, "origin": origin, "step": step}
    origin, step = origin + step * cells * view.start, step * view.span
    mirrored = view.turns[:, :2]
    origin = torch.where(mirrored, origin + step * cells, origin)
    return {
        "extent": extent,
        "origin": origin,
        "step": torch.where(mirrored, -step, step),
        "turned": view.turns[:, 2],
    }
