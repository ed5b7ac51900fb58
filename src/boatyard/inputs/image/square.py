"""The square that a network reads: in training mirrored, turned and in another light, and where its places are."""

import torch
from torch import Tensor

ALLOWED = {
    "none": (False, False, False),
    "sideways": (True, False, False),
    "both": (True, True, False),
    "turned": (True, True, True),
}
"""By `model.image.flips`: mirrored across, mirrored down, and then on its side, so that what was across is down."""
_BRIGHTER, _TINTED = 0.25, 0.10  # standard deviations of what training does to light and colours


def look_at(pixels: Tensor, flips: str | None) -> tuple[Tensor, Tensor | None]:
    """uint8[batch, side, side, 3] to float[batch, 3, side, side] from -2 to 2.

    `flips`: as training allows them; None: the picture is read as it is. In training it is in other light and colours,
    and bool[batch, 3] says which of the flips it has.
    """
    picture = pixels.permute(0, 3, 1, 2).float() / 64 - 2
    if flips is None:
        return picture, None
    shape, device = (len(picture), 1, 1, 1), picture.device
    turns = (torch.rand(len(picture), 3, device=device) < 0.5) & torch.tensor(ALLOWED[flips], device=device)
    across, down, on_its_side = (turn.view(shape) for turn in turns.T)
    picture = torch.where(across, picture.flip(3), picture)
    picture = torch.where(down, picture.flip(2), picture)
    picture = torch.where(on_its_side, picture.transpose(2, 3), picture)
    contrast = 1 + _BRIGHTER * torch.randn(shape, device=device)
    tint = 2 * _TINTED * torch.randn(len(picture), 3, 1, 1, device=device)
    return picture * contrast + 2 * _BRIGHTER * torch.randn(shape, device=device) + tint, turns


def frame_of(extent: Tensor, side: int, cells: int, turns: Tensor | None) -> dict[str, Tensor]:
    """`extent`, and the `origin`, `step` and `turned` of so many cells along the square, as a backbone's `places`."""
    longer = extent.amax(1, keepdim=True)
    fitted = torch.round(extent.double() * side / longer).clamp(min=1)
    margin = torch.floor((side - fitted) / 2)  # as `place_in_square` has it
    scale = extent / fitted
    origin, step = (-margin * scale).float(), (side // cells * scale).float()
    if turns is None:
        return {"extent": extent, "origin": origin, "step": step}
    mirrored = turns[:, :2]
    origin = torch.where(mirrored, origin + step * cells, origin)
    return {
        "extent": extent,
        "origin": origin,
        "step": torch.where(mirrored, -step, step),
        "turned": turns[:, 2],
    }
