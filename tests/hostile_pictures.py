"""Files that are sent as pictures and are none, or more than one would think: by number, the same each time."""

import io
import struct
import zlib
from collections.abc import Callable
from functools import cache
from random import Random

import numpy as np
from pictures import file_of
from PIL import Image

FORMS = {"JPEG": "image/jpeg", "PNG": "image/png", "WEBP": "image/webp"}


def hostile(number: int, largest: int) -> tuple[bytes, str]:
    """A file and the media type that it is sent under. `largest`: the side of the largest that may be decoded."""
    chance = Random(number)
    make = KINDS[number % len(KINDS)]
    content = make(chance, largest)
    return content, chance.choice([*FORMS.values(), *FORMS.values(), "multipart/form-data", "application/json"])


@cache
def whole(form: str) -> bytes:
    coarse = np.random.default_rng(0).integers(0, 255, (9, 12, 3), np.uint8)
    exif = Image.Exif()
    exif[0x0112] = 6
    return file_of(Image.fromarray(coarse).resize((96, 72)), form, exif=exif)


def any_whole(chance: Random, _: int = 0) -> bytes:
    return whole(chance.choice([*FORMS]))


def truncated(chance: Random, _: int) -> bytes:
    content = any_whole(chance)
    return content[: chance.randrange(len(content))]


def flipped(chance: Random, _: int) -> bytes:
    content = bytearray(any_whole(chance))
    for _ in range(chance.choice([1, 3, 30])):
        content[chance.randrange(len(content))] ^= 1 << chance.randrange(8)
    return bytes(content)


def spliced(chance: Random, _: int) -> bytes:
    first, other = any_whole(chance), any_whole(chance)
    return first[: chance.randrange(len(first))] + other[chance.randrange(len(other)) :]


def chunk(kind: bytes, content: bytes) -> bytes:
    return struct.pack(">L", len(content)) + kind + content + struct.pack(">L", zlib.crc32(kind + content))


def png(width: int, height: int, *chunks: bytes, depth: int = 8, colours: int = 2, pixels: bytes = b"") -> bytes:
    header = struct.pack(">LLBBBBB", width, height, depth, colours, 0, 0, 0)
    data = chunk(b"IDAT", zlib.compress(pixels))
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + b"".join(chunks) + data + chunk(b"IEND", b"")


def bomb(chance: Random, largest: int) -> bytes:
    """A few bytes that are many pixels, or none at all."""
    side = chance.choice([0, 1, largest, 5_001, 30_000, 2**31 - 1, 2**32 - 1])
    other = chance.choice([0, 1, side])
    rows = bytes((1 + 3 * side) * side) if 0 < side <= largest and other == side else b""
    return png(side, other, pixels=rows, depth=chance.choice([8, 8, 8, 3]))


@cache
def packed() -> bytes:
    return zlib.compress(bytes(2**26), 1)


def with_a_bomb_beside_it(chance: Random, _: int) -> bytes:
    """A profile, or a text, of which a few bytes expand to many."""
    large = packed()
    beside = chance.choice(
        [(b"iCCP", b"a\0\0" + large), (b"zTXt", b"a\0\0" + large), (b"iTXt", b"a\0\1\0\0\0" + large)]
    )
    return png(8, 8, chunk(*beside), pixels=bytes(25 * 8))


def polyglot(chance: Random, _: int) -> bytes:
    other = chance.choice([b"PK\x05\x06" + bytes(18), b"<script>alert(1)</script>", b"%PDF-1.7", b"GIF89a", b"\x7fELF"])
    return any_whole(chance) + other if chance.random() < 0.5 else other + any_whole(chance)


def of_another_kind(chance: Random, _: int) -> bytes:
    if chance.random() < 0.3:
        return b'<svg xmlns="http://www.w3.org/2000/svg" onload="alert(1)"/>'
    made = io.BytesIO()
    Image.new("L", (8, 8)).save(made, chance.choice(["GIF", "BMP", "TIFF", "PPM", "ICO"]))
    return made.getvalue()


def noise(chance: Random, _: int) -> bytes:
    start = chance.choice([b"", b"\xff\xd8\xff", b"\x89PNG\r\n\x1a\n", b"RIFF\xff\xff\xff\xffWEBPVP8 ", b"RIFF"])
    return start + chance.randbytes(chance.randrange(3000))


KINDS: list[Callable[[Random, int], bytes]] = [
    *(truncated, flipped, flipped, spliced, bomb, bomb, with_a_bomb_beside_it, polyglot, of_another_kind, noise),
]
