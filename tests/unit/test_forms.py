"""api/forms: the file in a form, as clients send it."""

import httpx
import pytest

from boatyard.api.forms import read_file
from boatyard.api.problems import Problem

pytestmark = pytest.mark.unit

ACCEPTED = ["image/jpeg", "image/png"]
CONTENT = bytes(range(256)) + b"\r\n\r\n--no boundary\r\n"


def form(*files: tuple[str, tuple[str, bytes, str]]) -> tuple[bytes, str]:
    sent = httpx.Request("POST", "http://localhost", files=list(files))
    return sent.read(), sent.headers["content-type"]


def test_a_forms_file_is_taken_as_it_is_with_its_type() -> None:
    assert read_file(*form(("file", ("a.png", CONTENT, "image/png"))), ACCEPTED) == (CONTENT, "image/png")
    untyped = form(("file", ("a", CONTENT, "application/octet-stream")))
    assert read_file(*untyped, ACCEPTED) == (CONTENT, "image/jpeg")


PNG = ("file", ("a.png", CONTENT, "image/png"))


@pytest.mark.parametrize(
    ("sent", "message"),
    [
        (form(PNG, PNG), "2 parts"),
        (form(("picture", PNG[1])), 'must be named "file"'),
        (form(("file", ("a.gif", CONTENT, "image/gif"))), "not image/gif"),
        ((form(PNG)[0], "multipart/form-data"), "no boundary"),
        ((form(PNG)[0], "multipart/form-data; boundary=other"), "begin and end with its boundary"),
        ((form(PNG)[0][:-10], form(PNG)[1]), "begin and end with its boundary"),
        ((b"", "multipart/form-data; boundary=b"), "begin and end with its boundary"),
        ((b"--b\r\n\r\n--b--", "multipart/form-data; boundary=b"), 'must be named "file"'),
    ],
)
def test_what_is_no_form_with_a_file_is_refused(sent: tuple[bytes, str], message: str) -> None:
    with pytest.raises(Problem, match=message):
        read_file(*sent, ACCEPTED)
