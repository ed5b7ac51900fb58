"""Token ids of texts to what an encoder reads: cut to its length or in windows, and special tokens around them."""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import groupby

from tokenizers import Tokenizer

from boatyard.bundle.manifest import BundleError


@dataclass(frozen=True, slots=True)
class Specials:
    """Special tokens between the texts."""

    ids: list[int]
    type_id: int


@dataclass(frozen=True, slots=True)
class Slot:
    """Where the text of one field goes."""

    field: int
    type_id: int


Frame = list[Specials | Slot]


def frame_of(tokenizer: Tokenizer, fields: int) -> Frame:
    """The special tokens that the tokenizer puts around texts, learnt from a sample."""
    sample = tokenizer.encode("a", "a" if fields == 2 else None)
    tokens = zip(sample.sequence_ids, sample.ids, sample.type_ids, strict=True)
    frame: Frame = []
    for (field, type_id), run in groupby(tokens, key=lambda token: (token[0], token[2])):
        frame.append(Specials([id_ for _, id_, _ in run], type_id) if field is None else Slot(field, type_id))
    if [part.field for part in frame if isinstance(part, Slot)] != list(range(fields)):
        raise BundleError(f"tokenizer.json cannot encode {'a pair of texts' if fields == 2 else 'a text'}")
    return frame


def framed(frame: Frame, texts: Sequence[list[int]]) -> tuple[list[int], list[int]]:
    """Token ids and segment ids."""
    ids: list[int] = []
    type_ids: list[int] = []
    for part in frame:
        added = part.ids if isinstance(part, Specials) else texts[part.field]
        ids += added
        type_ids += [part.type_id] * len(added)
    return ids, type_ids


def shares(lengths: list[int], room: int) -> list[int]:
    """How many tokens each text keeps: the longer of two gives way first, as it did in training."""
    if sum(lengths) <= room:
        return lengths
    if len(lengths) == 1:
        return [room]
    shorter = min(*lengths, room // 2)
    return [shorter, room - shorter] if lengths[0] <= lengths[1] else [room - shorter, shorter]


def cut(text: list[int], most: int, of_end: float) -> list[int]:
    """Its beginning and its end. `of_end`: the share of what is kept that is of the end."""
    if len(text) <= most:
        return text
    end = round(most * of_end)
    return text[: most - end] + text[len(text) - end :]


def windows(texts: Sequence[list[int]], room: int) -> list[list[list[int]]]:
    """Everything, in as few and as even windows of at most `room` tokens as can be.

    A window has a piece of each text: of two texts, the one with fewer pieces comes again and again, so that an article
    is read below its title throughout.
    """
    sizes = shares([len(text) for text in texts], room)
    pieces = [_even(text, -(-len(text) // max(size, 1))) for text, size in zip(texts, sizes, strict=True)]
    return [[of[number % len(of)] for of in pieces] for number in range(max(map(len, pieces)))]


def _even(text: list[int], pieces: int) -> list[list[int]]:
    pieces = max(pieces, 1)
    return [text[len(text) * i // pieces : len(text) * (i + 1) // pieces] for i in range(pieces)]
