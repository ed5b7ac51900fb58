"""From a body to an input's rows: JSON, one or a list, or a body in a media type of the input's own."""

from collections.abc import Iterable, Iterator
from typing import Any, cast

import pytest

from boatyard.api.jobs import store
from boatyard.api.jobs.store import Job, JobFailed, Submission
from boatyard.api.problems import Problem
from boatyard.api.requests import parse_question, parse_raw
from boatyard.inputs.lines import Unreadable
from boatyard.inputs.protocol import InvalidInput, OpenInput
from boatyard.inputs.records import Record
from boatyard.storage import Storage

pytestmark = pytest.mark.unit

FORMAT = "application/x-shouts"


class Shouts:
    """A row is what somebody shouts: under `shout` in JSON, or the body itself."""

    def parse(self, payload: object) -> str:
        shout = payload.get("shout") if isinstance(payload, dict) else None
        if not isinstance(shout, str) or not shout.isupper():
            raise InvalidInput('"shout" must be in capitals', "/shout")
        return shout


SHOUTS = cast(OpenInput[Any, Any], Shouts())


def decode(body: bytes) -> object:
    if body.startswith(b"\0"):
        raise InvalidInput("the body is no shout")
    return {"shout": body.decode(), "inputs": "which JSON alone gives a meaning"}


def test_one_input_and_a_list_of_them_become_rows() -> None:
    one, many = {"shout": "AHOY"}, [{"shout": "AHOY"}, {"shout": "LAND"}]
    question = parse_question(one, SHOUTS)
    assert (question.inputs, question.rows, question.listed) == ([one], ["AHOY"], False)
    question = parse_question({"inputs": many}, SHOUTS)
    assert (question.inputs, question.rows, question.listed) == (many, ["AHOY", "LAND"], True)


def test_everything_that_is_wrong_with_a_list_is_reported_at_its_place() -> None:
    with pytest.raises(Problem, match=r"in capitals \(and 1 more\)") as raised:
        parse_question({"inputs": [{"shout": "ahoy"}, {"shout": "LAND"}, 3]}, SHOUTS)
    errors = raised.value.document.errors or []
    assert [error.pointer for error in errors] == ["#/inputs/0/shout", "#/inputs/2/shout"]


def test_a_raw_body_is_one_input_whatever_is_in_it() -> None:
    question = parse_raw(b"AHOY", decode, SHOUTS)
    assert (question.inputs, question.rows, question.listed) == ([decode(b"AHOY")], ["AHOY"], False)


@pytest.mark.parametrize(("body", "pointer", "why"), [(b"\0", "#", "no shout"), (b"ahoy", "#/shout", "in capitals")])
def test_a_raw_body_that_cannot_be_decoded_or_parsed_is_a_problem(body: bytes, pointer: str, why: str) -> None:
    with pytest.raises(Problem, match=why) as raised:
        parse_raw(body, decode, SHOUTS)
    assert raised.value.document.status == 422
    assert [error.pointer for error in raised.value.document.errors or []] == [pointer]


# ---- files in a format of the input's own


def read_shouts(pieces: Iterable[bytes]) -> Iterator[Record]:
    end = 0
    for number, shout in enumerate(b"".join(pieces).split(b"!"), 1):
        end += len(shout) + 1
        if not shout.isascii():
            raise Unreadable("is no file of shouts")
        yield Record(number, end, "", {"shout": shout.decode()}, None if shout else "is silent")


def job(storage: Storage, content: bytes, form: str = FORMAT) -> Job:
    submission = Submission(storage, "harbour", "1", form)
    submission.add(content)
    assert submission.unreadable is None, "what is no text in CSV may be one of these"
    return submission.finish()


def test_a_file_in_a_format_of_the_inputs_own_is_read_by_it(storage: Storage) -> None:
    sent = job(storage, b"PK\x03\x04!!LAND")
    ((first, second, third),) = store.chunks(storage, sent, ["shout"], {FORMAT: read_shouts})
    assert (first.number, first.fields, first.end) == (1, {"shout": "PK\x03\x04"}, 5)
    assert second.wrong == "line 2 is silent"
    assert (third.number, third.fields) == (3, {"shout": "LAND"})


def test_a_file_that_turns_out_unreadable_midway_fails_its_job(storage: Storage) -> None:
    with pytest.raises(JobFailed, match="the file is no file of shouts"):
        list(store.chunks(storage, job(storage, b"A!\xff"), (), {FORMAT: read_shouts}))


def test_a_format_that_the_model_does_not_read_fails_the_job(storage: Storage) -> None:
    with pytest.raises(JobFailed, match=f"harbour reads no files of {FORMAT}"):
        list(store.chunks(storage, job(storage, b"A")))
