"""What a file under tests/behaviour says of a model's answers, read and held against the model's schemas."""

import json
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, Literal, Self

import yaml
from jsonschema import Draft202012Validator
from pydantic import Field, ValidationError, model_validator

from boatyard.bundle.manifest import Card
from boatyard.config.errors import UserError, refusal, suggestion
from boatyard.config.schema import Section
from boatyard.evaluate.markdown import shorten

Asked = dict[str, Any] | str
"""The fields of a request, or the path of a file in one of the input's own forms, such as a picture."""

_SHOWN = 200  # characters of an input in a message


class Condition(Section):
    """What a part of an answer must be, where it is not one value."""

    at_least: float | None = None
    at_most: float | None = None
    one_of: list[Any] | None = Field(None, min_length=1)
    has: dict[str, Any] | None = Field(None, min_length=1)
    """Of a list, an entry with these values among its own."""
    lacks: dict[str, Any] | None = Field(None, min_length=1)

    @model_validator(mode="after")
    def _says_something(self) -> Self:
        if not self.model_fields_set:
            raise ValueError("says nothing")
        return self

    def misfits(self, schema: Mapping[str, Any]) -> Iterator[str]:
        """Why no answer could be so, if none could. `schema`: of that part."""
        kind = schema.get("type")
        if (self.at_least, self.at_most) != (None, None) and kind not in ("number", "integer"):
            yield "at_least and at_most are of numbers, which this is not"
        for choice in self.one_of or []:
            yield from _misfits(choice, schema)
        for entry in (self.has, self.lacks):
            if entry is not None and kind != "array":
                yield "has and lacks are of lists, which this is not"
            elif entry is not None:
                yield from _misfits_of_values(entry, schema.get("items", {}))

    def met_by(self, value: Any) -> bool:
        """Whether the part of an answer is so."""
        return (
            (self.at_least is None or value >= self.at_least)
            and (self.at_most is None or value <= self.at_most)
            and (self.one_of is None or value in self.one_of)
            and (self.has is None or _holds(value, self.has))
            and (self.lacks is None or not _holds(value, self.lacks))
        )


class Behaviour(Section):
    """One test: what every `input` is answered, or what every `change` to it does to the answer.

    `then`: of the answer's main columns, that they stay the `same`; or of the number that explains an answer, that it
    is `higher` or `lower`. That number is of the answer itself, or of one with the values `of`.
    `by`: how far a number may move where it stays the same, and how far it must where it does not.
    """

    name: str = Field(min_length=1)
    input: Asked | list[Asked]
    answer: dict[str, Any] | None = Field(None, min_length=1)
    change: Asked | list[Asked] | None = None
    then: Literal["same", "higher", "lower"] | None = None
    of: dict[str, Any] = Field({})
    by: float = Field(0, ge=0)
    share: float = Field(1, gt=0, le=1)
    """The least of its cases that must hold."""
    required: bool = True
    """Whether a model that fails it is refused."""

    @model_validator(mode="after")
    def _asks_one_thing(self) -> Self:
        if (self.answer is None) == (self.then is None) or (self.change is None) != (self.then is None):
            raise ValueError("has either an answer, or a change and what happens then")
        if self.of and self.then not in ("higher", "lower"):
            raise ValueError("has an `of`, which goes with then: higher or then: lower")
        return self


class _File(Section):
    model: str
    behaviour: list[Behaviour] = Field(min_length=1)


def read_behaviours(folder: Path, card: Card) -> list[tuple[str, Behaviour]]:
    """All that the folder's files say of the card's model, each with its file.

    Files of other models are not looked into.

    Raises:
        UserError: there is no such folder, or a file is wrong, or expects what the model cannot answer.
    """
    if not folder.is_dir():
        raise UserError(f"there is no folder {folder}: make it, with a file for each model, or set staging.behaviour")
    found = []
    for file in sorted(folder.glob("*.y*ml")):
        content = _load(file)
        if content["model"] == card.name:
            for number, behaviour in enumerate(_parse(file, content).behaviour, 1):
                _require_possible(f"{file}, behaviour {number} ({behaviour.name})", behaviour, card)
                found.append((str(file), behaviour))
    return found


def unmet(expected: Mapping[str, Any], answer: Mapping[str, Any]) -> list[str]:
    """The keys of an answer that are not as expected."""
    return [key for key, wanted in expected.items() if not _is_met(wanted, answer.get(key))]


def shown(value: Any) -> str:
    """Of an input or an answer, as a message has it."""
    return shorten(value if isinstance(value, str) else json.dumps(value, ensure_ascii=False, default=str), _SHOWN)


def _load(file: Path) -> dict[str, Any]:
    try:
        content = yaml.safe_load(file.read_text(encoding="utf-8"))
    except (yaml.YAMLError, UnicodeDecodeError) as wrong:
        raise UserError(f"{file} is no YAML in UTF-8: {shorten(str(wrong), _SHOWN)}") from None
    except OSError as wrong:
        raise UserError(refusal(wrong)) from None
    if not isinstance(content, dict) or not isinstance(content.get("model"), str):
        raise UserError(f"{file} must begin with `model:` and the name of the model that it is about")
    return content


def _parse(file: Path, content: dict[str, Any]) -> _File:
    try:
        return _File.model_validate(content)
    except ValidationError as wrong:
        error = wrong.errors()[0]
    where, (key, *rest) = str(file), error["loc"]
    known = list(_File.model_fields)
    if rest and isinstance(rest[0], int):
        of = content["behaviour"][rest[0]]
        name = of.get("name") if isinstance(of, dict) else None
        where += f", behaviour {rest[0] + 1}" + (f" ({name})" if name else "")
        key, known = (rest[1] if rest[1:] else ""), list(Behaviour.model_fields)
    if error["type"] == "extra_forbidden":
        raise UserError(f"{where}: unknown key {key}; {suggestion(str(key), known)}")
    if error["type"] == "missing":
        raise UserError(f"{where}: {key} must be given")
    if key in ("input", "change"):
        raise UserError(f"{where}: {key} must be a request's fields, the path of a file, or a list of such")
    said = error["msg"].removeprefix("Value error, ")
    raise UserError(f"{where}: {said}" if not key else f"{where}: {key} is {shown(error['input'])}; {said.lower()}")


def _require_possible(where: str, behaviour: Behaviour, card: Card) -> None:
    conditions = {key: wanted for key, wanted in (behaviour.answer or {}).items() if isinstance(wanted, dict)}
    values = {key: wanted for key, wanted in (behaviour.answer or behaviour.of).items() if key not in conditions}
    for why in _misfits_of_values(values, card.answer_schema):
        raise UserError(f"{where}: {why}")
    properties = card.answer_schema["properties"]
    for key, wanted in conditions.items():
        if key not in properties:
            raise UserError(f"{where}: {_unknown(key, properties)}")
        try:
            condition = Condition.model_validate(wanted)
        except ValidationError as wrong:
            error = wrong.errors()[0]
            at = ".".join(map(str, ("answer", key, *error["loc"])))
            said = error["msg"].removeprefix("Value error, ").lower()
            raise UserError(f"{where}: {at}: {said}; a condition has {', '.join(Condition.model_fields)}") from None
        for why in condition.misfits(properties[key]):
            raise UserError(f"{where}: {key}: {why}")


def _misfits_of_values(values: Mapping[str, Any], schema: Mapping[str, Any]) -> Iterator[str]:
    """Why an object of that schema cannot have these values."""
    properties = schema.get("properties", {})
    for key, value in values.items():
        if key in properties:
            yield from (f"{key}: {why}" for why in _misfits(value, properties[key]))
        else:
            yield _unknown(key, properties)


def _misfits(value: Any, schema: Mapping[str, Any]) -> Iterator[str]:
    choices = schema.get("enum")
    if choices is not None and value not in choices:
        yield f"the model never answers {shown(value)}; {suggestion(str(value), list(map(str, choices)))}"
    else:
        yield from (wrong.message[:_SHOWN] for wrong in Draft202012Validator(schema).iter_errors(value))


def _unknown(key: str, properties: Mapping[str, Any]) -> str:
    return f"an answer has no {key!r}; {suggestion(key, list(properties))}"


def _is_met(wanted: Any, value: Any) -> bool:
    if not isinstance(wanted, dict):
        return bool(value == wanted)
    return value is not None and Condition.model_validate(wanted).met_by(value)


def _holds(entries: Sequence[Mapping[str, Any]], values: Mapping[str, Any]) -> bool:
    return any(all(entry.get(key) == value for key, value in values.items()) for entry in entries)
