"""inputs/image: what is read of a picture's file, and what is refused."""

import io
import tracemalloc
from base64 import b64encode, encodebytes
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from PIL import Image

from boatyard.inputs.image import pictures
from boatyard.inputs.image.alike import NEAR, look, near_groups
from boatyard.inputs.image.pictures import WrongPicture, letterbox, place_in_square, read_header, read_picture
from boatyard.inputs.image.serving import ImageInput, decode_base64
from boatyard.inputs.protocol import InvalidInput

pytestmark = pytest.mark.unit

RED, BLUE, WHITE = (255, 0, 0), (0, 0, 255), (255, 255, 255)


def file_of(picture: Image.Image, form: str = "PNG", **how: Any) -> bytes:
    content = io.BytesIO()
    picture.save(content, form, **how)
    return content.getvalue()


def scene(seed: int = 0, size: tuple[int, int] = (96, 64)) -> Image.Image:
    coarse = np.random.default_rng(seed).integers(0, 255, (5, 7, 3), np.uint8)
    return Image.fromarray(coarse).resize(size, Image.Resampling.BICUBIC)


@pytest.mark.parametrize("form", ["JPEG", "PNG", "WEBP"])
def test_a_picture_of_each_format_is_read_with_its_size(form: str) -> None:
    content = file_of(scene(), form)
    header = read_header(content)
    assert (header.format, header.width, header.height) == (form, 96, 64)
    assert read_picture(content).size == (96, 64)
    assert np.abs(np.asarray(read_picture(content), int) - np.asarray(scene(), int)).mean() < 6


@pytest.mark.parametrize("turn", range(1, 9))
def test_a_photo_that_lies_on_its_side_is_read_as_a_viewer_shows_it(turn: int) -> None:
    half = Image.new("RGB", (40, 20), BLUE)
    half.paste(RED, (0, 0, 20, 20))
    exif = Image.Exif()
    exif[0x0112] = turn
    content = file_of(half, "JPEG", exif=exif, quality=95)
    header, shown = read_header(content), read_picture(content)
    assert (header.width, header.height) == shown.size == ((40, 20) if turn < 5 else (20, 40))
    corner = {1: RED, 2: BLUE, 3: BLUE, 4: RED, 5: RED, 6: RED, 7: BLUE, 8: BLUE}[turn]
    assert np.abs(np.subtract(shown.getpixel((3, 3)), corner)).max() < 8  # type: ignore[arg-type]


def test_what_is_transparent_is_white() -> None:
    clear = Image.new("RGBA", (8, 8), (0, 0, 0, 0))
    assert read_picture(file_of(clear)).getpixel((4, 4)) == WHITE
    assert read_picture(file_of(clear.convert("LA"))).getpixel((4, 4)) == WHITE
    palette = Image.new("P", (8, 8), 0)
    palette.putpalette([9, 9, 9, 200, 0, 0])
    assert read_picture(file_of(palette, transparency=0)).getpixel((4, 4)) == WHITE


def test_sixteen_bits_of_grey_are_scaled() -> None:
    deep = Image.fromarray(np.full((8, 8), 32_768, np.uint16))
    assert read_picture(file_of(deep)).getpixel((4, 4)) == (128, 128, 128)


def test_printing_colours_are_converted() -> None:
    content = file_of(Image.new("CMYK", (16, 16), (0, 255, 255, 0)), "JPEG", quality=95)
    red, green, blue = read_picture(content).getpixel((8, 8))  # type: ignore[misc]
    assert red > 180
    assert max(green, blue) < 80


def bomb() -> bytes:
    return file_of(Image.new("1", (30_000, 30_000)))


def animation() -> bytes:
    return file_of(scene(), "WEBP", save_all=True, append_images=[scene(1)])


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (lambda: b"", "is empty"),
        (lambda: b"GIF89a, perhaps", "is no JPEG, PNG or WebP"),
        (lambda: file_of(scene(), "GIF"), "is no JPEG, PNG or WebP"),
        (lambda: file_of(scene(), "BMP"), "is no JPEG, PNG or WebP"),
        (lambda: file_of(scene(), "JPEG")[:-300], "is damaged or cut off"),
        (lambda: file_of(scene())[:-300], "is damaged or cut off"),
        (lambda: file_of(scene(), "WEBP")[:-100], "is damaged or cut off"),
        (animation, "is animated"),
        (lambda: file_of(Image.new("1", (6_000, 5_000))), "at most 25,000,000 are read"),
        (bomb, "has more than 25,000,000 pixels"),
        (lambda: file_of(Image.new("1", (510, 10))), "more than 50 times the other"),
    ],
)
def test_what_is_no_picture_is_refused_in_a_sentence(content: Callable[[], bytes], message: str) -> None:
    with pytest.raises(WrongPicture, match=message):
        read_picture(content())


def test_a_letterbox_keeps_the_shape_and_is_grey_around() -> None:
    square = letterbox(Image.new("RGB", (80, 40), RED), 32)
    assert square.shape == (32, 32, 3)
    assert place_in_square(80, 40, 32) == (0, 8, 32, 16)
    assert (square[8:24] == RED).all()
    assert (np.delete(square, range(8, 24), axis=0) == pictures.PADDING).all()


def test_pictures_are_of_one_group_if_one_is_the_other_saved_again_smaller() -> None:
    scenes = [scene(seed, (192, 128)) for seed in range(20)]
    again = [picture.resize((144, 96)) for picture in scenes]
    keys = [look(file_of(picture)) for picture in scenes]
    keys += [look(file_of(picture, "JPEG", quality=75)) for picture in again]
    assert near_groups(keys).tolist() == [*range(20), *range(20)]


def test_what_is_near_to_either_of_a_group_belongs_to_it() -> None:
    empty, far = np.zeros(64, np.uint8), np.zeros(64, np.uint8)
    between = empty.copy()
    between[:NEAR], far[: 2 * NEAR] = 1, 1
    other = 1 - empty
    keys = [np.packbits(bits).tobytes() for bits in (empty, far, other, between)]
    assert near_groups(keys).tolist() == [0, 0, 2, 0]
    assert near_groups(keys[:3]).tolist() == [0, 1, 2]


@pytest.mark.parametrize(
    "request_", [None, {}, {"image": 3}, {"image": "no base64!"}, {"image": "aGVsbG8="}, {"image": "", "more": 1}]
)
def test_a_request_without_a_picture_is_refused(request_: Any) -> None:
    with pytest.raises(InvalidInput):
        ImageInput(32).parse(request_)


def test_base64_may_be_in_lines() -> None:
    content = file_of(scene())
    assert decode_base64(encodebytes(content).decode()) == content


def test_drift_sees_what_a_picture_looks_like_whatever_its_size() -> None:
    served = ImageInput(32)
    rows = [(file_of(picture),) for picture in (scene(), scene(size=(192, 128)), Image.new("RGB", (9, 9), WHITE))]
    looks = served.describe(rows, served.encode(rows))
    assert looks["brightness"][0] == pytest.approx(looks["brightness"][1], abs=2)
    assert looks["brightness"][2] == pytest.approx(255)
    assert looks["clipped"] == [0, 0, 1]


def test_rows_of_a_data_set_are_decoded_as_they_are_read_and_not_before() -> None:
    served, content = ImageInput(256), file_of(scene())
    tracemalloc.start()
    encoded = served.encode([(content,)] * 300)
    batch = served.collate(encoded[:4])
    measured = [served.measure(row) for row in encoded]
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak < 10_000_000, "all squares have 59 MB"
    (sent,) = served.parse({"image": b64encode(content).decode()})
    (at_once,) = served.encode([(sent,)])
    assert np.array_equal(batch["pixels"][3], at_once.arrays["pixels"])
    assert measured[0] == served.measure(at_once)
