"""Asks a model what tests/behaviour expects of it: tests of single inputs, of which a score over many says nothing.

The three kinds are those of CheckList (Ribeiro et al. 2020): an input and its answer, a change that must leave the
answer the same, and a change that must move it one way.
"""

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from mimetypes import guess_type
from pathlib import Path
from typing import Any

from boatyard.bundle.predict import Explaining, Predictor
from boatyard.config.errors import UserError, refusal
from boatyard.evaluate.markdown import table
from boatyard.inputs.protocol import InvalidInput
from boatyard.journal.columns import Column
from boatyard.registry.expected import Asked, Behaviour, read_behaviours, shown, unmet
from boatyard.tasks.protocol import Answer


@dataclass(frozen=True)
class Outcome:
    """How a behaviour's `cases` went; `failures` says of each that does not hold what was asked and answered."""

    behaviour: Behaviour
    file: str
    cases: int
    failures: Sequence[str]

    @property
    def holds(self) -> bool:
        """In as many cases as must."""
        return self.cases - len(self.failures) >= self.behaviour.share * self.cases

    @property
    def refusal(self) -> str | None:
        """Why the model is refused, as a sentence; None where it is not."""
        if self.holds or not self.behaviour.required:
            return None
        more = f" ({len(self.failures)} of {self.cases} cases fail)" if self.cases > 1 else ""
        return f"it fails the behaviour {self.behaviour.name!r} of {self.file}: {self.failures[0]}{more}"


def ask_behaviours(predictor: Predictor, folder: Path) -> list[Outcome]:
    """All that the folder's files expect of the model, tried.

    Raises:
        UserError: there is no such folder, a file is wrong, or the model does not take what it would be asked.
    """
    return [_try(predictor, behaviour, file) for file, behaviour in read_behaviours(folder, predictor.manifest)]


def render(model: str, outcomes: Sequence[Outcome]) -> str:
    """How many cases were asked, which may be none, and a Markdown table."""
    if not outcomes:
        return f"Behaviour cases asked: 0. No file in `staging.behaviour` is about the model `{model}`."
    rows = [
        (
            one.behaviour.name,
            f"{one.cases - len(one.failures)} of {one.cases}",
            "yes" if one.holds else "no" if one.behaviour.required else "no, and need not",
        )
        for one in outcomes
    ]
    asked = f"Behaviour cases asked: {sum(one.cases for one in outcomes)}."
    return f"{asked}\n\n{table(('Behaviour', 'Cases', 'Holds'), rows, align='lrl')}"


def _try(predictor: Predictor, behaviour: Behaviour, file: str) -> Outcome:
    try:
        cases, failures = _CHECKS[behaviour.then](predictor, behaviour)
    except (InvalidInput, OSError) as wrong:
        why = wrong.detail if isinstance(wrong, InvalidInput) else refusal(wrong)
        raise UserError(f"{file} ({behaviour.name}): the model cannot be asked this: {why}") from None
    return Outcome(behaviour, file, cases, failures)


def _answered(predictor: Predictor, behaviour: Behaviour) -> tuple[int, list[str]]:
    """An input and its answer."""
    asked = _listed(behaviour.input)
    expected = behaviour.answer or {}
    failures = []
    for each, answer in zip(asked, _answers(predictor, [_request(predictor, each) for each in asked]), strict=True):
        if wrong := unmet(expected, answer):
            got, wanted = ({key: of.get(key) for key in wrong} for of in (answer, expected))
            failures.append(f"asked {shown(each)} it answers {shown(got)}, and {shown(wanted)} is expected")
    return len(asked), failures


def _unmoved(predictor: Predictor, behaviour: Behaviour) -> tuple[int, list[str]]:
    """A change that leaves the answer's main columns the same."""
    main = [column for column in predictor.task.columns if column.group == "prediction"]

    def fault(before: Answer, after: Answer) -> str | None:
        moved = [column.name for column in main if _differ(column, before, after, behaviour.by)]
        if not moved:
            return None
        first, second = ({name: answer[name] for name in moved} for answer in (before, after))
        within = f" within {behaviour.by:g}" if behaviour.by else ""
        return f"it answers {shown(first)} and {shown(second)}, which must be the same{within}"

    return _compared(predictor, behaviour, lambda _, answers: answers, fault)


def _differ(column: Column, before: Answer, after: Answer, by: float) -> bool:
    first, second = before[column.name], after[column.name]
    return bool(first != second if column.category else abs(first - second) > by)


def _moved(predictor: Predictor, behaviour: Behaviour) -> tuple[int, list[str]]:
    """A change that makes a number higher, or lower."""
    sign = 1 if behaviour.then == "higher" else -1

    def numbers(requests: Sequence[Any], answers: Sequence[Answer]) -> list[float]:
        explaining = Explaining(answer={**answers[0], **behaviour.of})
        return [answer["number"] for answer in _answers(predictor, requests, explaining)]

    def fault(before: float, after: float) -> str | None:
        if sign * (after - before) > 0 and sign * (after - before) >= behaviour.by:
            return None
        by = f" by {behaviour.by:g}" if behaviour.by else ""
        return f"the number is {before:,.6g} and {after:,.6g}, which must be {behaviour.then}{by}"

    return _compared(predictor, behaviour, numbers, fault)


def _compared(
    predictor: Predictor,
    behaviour: Behaviour,
    read: Callable[[Sequence[Any], list[Answer]], Sequence[Any]],
    fault: Callable[[Any, Any], str | None],
) -> tuple[int, list[str]]:
    """Each input beside each of its changes: `fault` judges what `read` makes of the requests and their answers."""
    inputs, changes = _listed(behaviour.input), _listed(behaviour.change or [])
    failures = []
    for each in inputs:
        requests = [_request(predictor, each), *(_changed(predictor, each, change) for change in changes)]
        before, *after = read(requests, _answers(predictor, requests))
        for change, one in zip(changes, after, strict=True):
            if (why := fault(before, one)) is not None:
                failures.append(f"asked {shown(each)}, and then with {shown(change)}, {why}")
    return len(inputs) * len(changes), failures


_CHECKS: Mapping[str | None, Callable[[Predictor, Behaviour], tuple[int, list[str]]]] = {
    None: _answered,
    "same": _unmoved,
    "higher": _moved,
    "lower": _moved,
}


def _listed(asked: Asked | list[Asked]) -> list[Asked]:
    return asked if isinstance(asked, list) else [asked]


def _changed(predictor: Predictor, asked: Asked, change: Asked) -> Any:
    """The request with other values in some fields; a file takes the whole one's place."""
    if isinstance(asked, str) or isinstance(change, str):
        return _request(predictor, change)
    return _request(predictor, {**asked, **change})


def _request(predictor: Predictor, asked: Asked) -> Any:
    """As a client would send it: a date, which YAML knows, is a string there."""
    if not isinstance(asked, str):
        return json.loads(json.dumps(asked, default=str))
    read = predictor.media_types.get(guess_type(asked)[0] or "", next(iter(predictor.media_types.values()), None))
    if read is None:
        raise InvalidInput(f"{asked} would be a file, and requests of this input are none")
    request = read(Path(asked).read_bytes())
    if isinstance(request, list):
        if len(request) != 1:
            raise InvalidInput(f"{asked} holds {len(request)} inputs, and one is asked at a time")
        (request,) = request
    return request


def _answers(predictor: Predictor, requests: Sequence[Any], options: Any = None) -> list[Answer]:
    rows = [predictor.input.parse(request) for request in requests]
    return [prediction.answer for prediction in predictor.answer(rows, options)]
