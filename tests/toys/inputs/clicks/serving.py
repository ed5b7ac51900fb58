"""Requests to counts of pages. A page's place among the counts is its hash: there is no vocabulary to keep."""

from zlib import crc32

import numpy as np

from boatyard.inputs.arrays import ArrayInput, EncodedArrays
from boatyard.inputs.protocol import InvalidInput
from boatyard.inputs.records import read_lines
from boatyard.inputs.texts import is_encodable
from boatyard.journal.columns import Column

FILES = ()
MEDIA_TYPES = {"text/x-clicks": lambda body: {"clicks": body.decode("utf-8", "surrogateescape")}}
FILE_FORMATS = {"text/x-clicks": lambda pieces: read_lines(pieces, lambda line: {"clicks": line})}
PAGES, MOST_CLICKS = 64, 20


class Clicks(ArrayInput):
    measured = (Column("clicks_read", "the number of clicks that are read"),)
    described = (Column("first_page", "the page that a visit begins with", category=True),)

    def parse(self, payload):
        clicks = payload.get("clicks") if isinstance(payload, dict) else None
        clicks = clicks.split() if isinstance(clicks, str) else clicks  # as a line or a cell of a file has them
        if not (isinstance(clicks, list) and clicks and all(isinstance(p, str) and is_encodable(p) for p in clicks)):
            raise InvalidInput('"clicks" must be a list with the names of one page or more', "/clicks")
        return (clicks,)

    def encode_row(self, row):
        (clicks,) = row
        places = [crc32(page.encode()) % PAGES for page in clicks[:MOST_CLICKS]]
        pages = np.bincount(places, minlength=PAGES).astype(np.float32)
        return EncodedArrays({"pages": pages}, {"clicks_read": len(places)}, truncated=len(clicks) > MOST_CLICKS)

    def describe(self, rows, encoded):
        return {"first_page": [clicks[0] for (clicks,) in rows]}


def open_input(folder, manifest):
    return Clicks()
