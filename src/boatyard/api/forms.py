"""Takes the file out of a form, as browsers and `curl -F` send it (RFC 7578)."""

from collections.abc import Collection
from email.message import Message
from email.parser import HeaderParser

from boatyard.api.problems import Problem

FORM = "multipart/form-data"
FILE = "file"
"""The name of the form's only part."""

_UNTYPED = ("", "application/octet-stream")


def read_file(body: bytes, content_type: str, accepted: Collection[str]) -> tuple[bytes, str]:
    """The file's content and its media type; a file without one is taken for the first that is `accepted`.

    Raises Problem.
    """
    boundary = _headers(f"content-type: {content_type}").get_boundary()
    if not boundary:
        raise _malformed("its content-type names no boundary")
    delimiter = b"\r\n--" + boundary.encode("utf-8", "replace")
    before, *parts = (b"\r\n" + body).split(delimiter)
    if before or len(parts) < 2 or not parts[-1].startswith(b"--"):
        raise _malformed("it does not begin and end with its boundary")
    if len(parts) > 2:
        raise _malformed(f"it has {len(parts) - 1} parts; send one input in a form")
    head, blank, content = parts[0].partition(b"\r\n\r\n")
    headers = _headers(head.removeprefix(b"\r\n").decode("utf-8", "replace"))
    if not blank or headers.get_param("name", header="content-disposition") != FILE:
        raise _malformed(f'its part must be named "{FILE}"')
    sent = headers.get("content-type", "").partition(";")[0].strip().lower()
    if sent in _UNTYPED:
        return content, next(iter(accepted))
    if sent not in accepted:
        raise Problem(415, f"the file must be {', '.join(accepted)}, not {sent[:100]}")
    return content, sent


def _headers(lines: str) -> Message:
    return HeaderParser().parsestr(lines)


def _malformed(why: str) -> Problem:
    return Problem(400, f"the form cannot be read: {why}")
