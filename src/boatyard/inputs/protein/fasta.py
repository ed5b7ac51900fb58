"""Reads FASTA: a record is a line that starts with > and the lines of its sequence, up to the next."""

import re
import zlib
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from itertools import chain

from boatyard.inputs.lines import MOST_BYTES, Line, Unreadable, split_lines, without_end
from boatyard.inputs.protein.sequences import MOST_RESIDUES
from boatyard.inputs.records import Record
from boatyard.inputs.texts import composed

MEDIA_TYPE = "text/x-fasta"
SUFFIXES = tuple(f".{kind}{packed}" for kind in ("fasta", "faa", "fa", "fas", "fsa") for packed in ("", ".gz"))
MOST_EXPANDED = 2**30
"""Bytes that a compressed file may expand to."""
LONGEST_ID = 200

_MOST_PASSED_OVER = 1_000_000  # lines without a sequence: packed, millions of them are a few bytes
_MOST_CHARACTERS = 2 * MOST_RESIDUES  # spaces and numbers of positions included
_GZIP = b"\x1f\x8b"
_PIECE = 2**16  # bytes expanded at once
_GAP = re.compile(r"\s")
_BOM = "\ufeff"


def read_fasta(pieces: Iterable[bytes], most_bytes: int = MOST_EXPANDED) -> Iterator[Record]:
    """Records with `id`, `sequence` as it is written and `header`, each where its header is; gzip is seen by its start.

    What is wrong with a sequence itself is for `read_sequence` to say. Blank lines and those that start with ; are
    passed over.

    Raises:
        Unreadable: this is neither text in UTF-8 nor such text compressed, it expands to more than `most_bytes`, or
            millions of its lines are blank.
    """
    file = _File(iter(pieces), most_bytes)
    record: _Open | None = None
    strays = passed_over = 0
    for line in split_lines(file.expanded()):
        text = without_end(line.text).lstrip(_BOM)
        if text.startswith(">"):
            if record is not None:
                yield record.closed(file)
            record = _Open(line, text)
        elif line.too_long or (text.strip() and not text.startswith(";")):
            if record is not None:
                record.add(line, text)
            elif not strays:  # once for all of them
                strays = line.number
                yield Record(line.number, file.end(line.end), text, {}, "comes before the first header, a line with >")
        elif (passed_over := passed_over + 1) > _MOST_PASSED_OVER:
            raise Unreadable(f"has more than {_MOST_PASSED_OVER:,} lines that are blank or comments")
    if record is not None:
        yield record.closed(file)


@dataclass
class _Open:
    """A record whose end has not been reached."""

    first: Line
    header: str
    parts: list[str] = field(default_factory=list)
    characters: int = 0
    end: int = 0
    too_long: bool = False

    def add(self, line: Line, text: str) -> None:
        """What is too long is dropped, never kept."""
        self.end = line.end
        self.characters += len(text)
        self.too_long |= line.too_long or self.characters > _MOST_CHARACTERS
        if self.too_long:
            self.parts.clear()
        else:
            self.parts.append(text)

    def closed(self, file: "_File") -> Record:
        """As the rest of the package has records."""
        header = _readable(self.header[1:])
        id_, end = _GAP.split(header, maxsplit=1)[0], file.end(max(self.end, self.first.end))
        wrong = None
        if self.first.too_long:
            wrong = f"has a header that is longer than {MOST_BYTES:,} bytes"
        elif len(id_) > LONGEST_ID:
            wrong = f"has an id of {len(id_):,} characters, and it may have {LONGEST_ID}"
        elif self.too_long:
            wrong = f"{named(id_)} is too long: at most {MOST_RESIDUES:,} residues can be read"
        fields = {} if wrong else {"id": id_, "sequence": "".join(self.parts), "header": header}
        return Record(self.first.number, end, header, fields, wrong)


class _File:
    """Bytes as they come, or what they expand to."""

    def __init__(self, pieces: Iterator[bytes], most_bytes: int) -> None:
        self._pieces = pieces
        self._most = most_bytes
        self._taken = 0
        self._packed = False

    def expanded(self) -> Iterator[bytes]:
        """In pieces that are small, however much is packed into one."""
        start = b""
        for piece in self._pieces:
            start += piece
            if len(start) >= len(_GZIP):
                break
        self._packed = start.startswith(_GZIP)
        pieces = chain([start], self._pieces)
        return self._unpacked(pieces) if self._packed else pieces

    def end(self, offset: int) -> int:
        """An offset of the text as one of the file: of a compressed one, as far as that is read."""
        return self._taken if self._packed else offset

    def _unpacked(self, pieces: Iterator[bytes]) -> Iterator[bytes]:
        """All members, one after another, as bgzip and `cat` make them."""
        member, expanded = _member(), 0
        try:
            for piece in pieces:
                self._taken += len(piece)
                rest = piece
                while rest:
                    if member.eof:
                        member = _member()
                    text = member.decompress(rest, _PIECE)
                    rest = member.unused_data if member.eof else member.unconsumed_tail
                    if (expanded := expanded + len(text)) > self._most:
                        raise Unreadable(f"expands to more than {self._most:,} bytes")
                    yield text
        except zlib.error:
            raise Unreadable("is compressed by gzip, and damaged") from None
        if not member.eof:
            raise Unreadable("is compressed by gzip, and cut off")


def named(id_: str) -> str:
    """A record in a message."""
    return f"record {id_!r}" if id_ else "a record without an id"


def _member() -> "zlib._Decompress":
    return zlib.decompressobj(wbits=31)


def _readable(header: str) -> str:
    """Descriptions may be in any encoding: what is not UTF-8 becomes a replacement character."""
    return composed(header.encode("utf-8", "surrogateescape").decode("utf-8", "replace").strip())
