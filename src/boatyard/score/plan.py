"""What a run is to do, written down before it starts: the same command goes on by it, and another one is refused."""

from base64 import b64decode, b64encode
from collections.abc import Collection, Iterable, Sequence
from functools import cached_property
from hashlib import sha256

import pyarrow as pa
from pydantic import BaseModel, ConfigDict, ValidationError

from boatyard.bundle.manifest import Card
from boatyard.config.errors import UserError, suggestion
from boatyard.inputs.records import Header
from boatyard.registry import Reference
from boatyard.score.files import File
from boatyard.score.slices import Cut, Slice
from boatyard.score.table import answer_schema, columns_read, free_names
from boatyard.storage import AlreadyExists, Storage

PLAN, SUMMARY = "_plan.json", "_summary.json"
"""Names that whoever reads a folder of Parquet passes over, since they start with _."""
SOURCE, ROW = "source", "row"
"""Of a block, its first columns: the file of a row, and the row's number in it, from 1."""
BLOCK = "boatyard.block"
"""Of a block's footer: where it says which it is."""
_MOST_COLUMNS = 1000


class Task(BaseModel):
    """What is asked for: rows of files, and the version that answers them."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    model: str
    version: str
    files: list[File]
    block: int
    """Rows of a block, at most."""
    columns: list[str] | None
    """Carried along; None: all that the model does not read."""

    @property
    def reference(self) -> Reference:
        """The version."""
        return Reference(self.model, self.version)


class Plan(BaseModel):
    """A task cut into slices; each becomes one block."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    task: Task
    headers: dict[int, Header]
    """Of tables, by the numbers of their files."""
    slices: list[Slice]
    carried: list[str]
    """Columns of the files."""
    arrow: str
    """The schema of a block: source and row, the carried columns, the answer's."""

    @property
    def schema(self) -> pa.Schema:
        """Of a block."""
        return pa.ipc.read_schema(pa.BufferReader(b64decode(self.arrow)))

    def mark(self, number: int) -> str:
        """Of the block with this number: no other plan's, nor another of this one, has it."""
        return f"{self._digest}/{number}"

    @cached_property
    def _digest(self) -> str:
        return sha256(self.model_dump_json().encode()).hexdigest()

    @property
    def rows(self) -> int:
        """Of all slices."""
        return sum(piece.rows for piece in self.slices)


def block_name(number: int) -> str:
    """Of the slice with this number: always the same, so that a block which is written twice is one."""
    return f"part-{number:06}.parquet"


def draw_up(task: Task, card: Card, cuts: Iterable[Cut], singles: Sequence[Slice]) -> Plan:
    """Raises UserError: the columns to carry along are not in the files, or of several types."""
    cuts = list(cuts)
    carried = _carried(task, card, dict.fromkeys(name for each in cuts for name in each.columns))
    types = _types(task, cuts, carried)
    answered = answer_schema(card)
    first = [(SOURCE, pa.string()), (ROW, pa.int64())]
    names = free_names(carried, [SOURCE, ROW, *answered.names])
    schema = pa.schema([*first, *((new, types[name]) for new, name in zip(names, carried, strict=True)), *answered])
    slices = sorted((*singles, *(piece for each in cuts for piece in each.slices)), key=_place)
    arrow = b64encode(schema.serialize().to_pybytes()).decode()
    headers = {each.number: each.header for each in cuts if each.header}
    return Plan(task=task, headers=headers, slices=slices, carried=carried, arrow=arrow)


def _types(task: Task, cuts: Sequence[Cut], carried: Iterable[str]) -> dict[str, pa.DataType]:
    """Of the carried columns, in all files."""
    types = dict.fromkeys(carried, pa.null())
    seen: dict[str, str] = {}
    for each in cuts:
        file = task.files[each.number].name
        for name, kind in each.columns.items():
            if name not in types or pa.types.is_null(kind):  # one without a value says nothing about its type
                continue
            if name in seen and kind != types[name]:
                raise UserError(
                    f"column {name!r} is {types[name]} in {seen[name]} and {kind} in {file}: score such files apart, "
                    "into folders of their own, or name other columns to carry along in score.columns"
                )
            types[name] = kind
            seen.setdefault(name, file)
    return types


def _place(piece: Slice) -> tuple[int, int]:
    return piece.file, piece.first


def _carried(task: Task, card: Card, names: Collection[str]) -> list[str]:
    if task.columns is None:
        found = [name for name in names if name not in columns_read(card)]
        if len(found) > _MOST_COLUMNS:
            raise UserError(f"the rows have {len(found):,} columns: name those to carry along in score.columns")
        return found
    for name in task.columns:
        if name not in names:
            raise UserError(f"score.columns: the rows have no column {name!r}; {suggestion(name, list(names))}")
    return list(dict.fromkeys(task.columns))


def begun(out: Storage, task: Task) -> Plan | None:
    """The plan by which the folder was begun; None where it is empty.

    Raises:
        UserError: it was begun for another task, or by something else.
    """
    versioned = out.read_versioned(PLAN)
    if versioned is None:
        if out.list():
            raise UserError(f"score.out={out.root} has files in it that no scoring began: name an empty folder")
        return None
    try:
        plan = Plan.model_validate_json(versioned[0])
    except ValidationError as wrong:
        raise UserError(f"{PLAN} in {out.root} is not a plan: {wrong.errors()[0]['msg']}") from None
    if why := _difference(plan.task, task):
        raise UserError(f"score.out={out.root} was begun {why}; name another folder for this")
    return plan


def begin(out: Storage, plan: Plan) -> Plan:
    """Write it down, unless the same was begun meanwhile."""
    try:
        out.write_once(PLAN, plan.model_dump_json().encode())
    except AlreadyExists:
        return begun(out, plan.task) or plan
    return plan


def _difference(before: Task, now: Task) -> str | None:
    if before.reference != now.reference:
        return f"with score.model={before.reference}, and {now.version} was asked for"
    if before.block != now.block:
        return f"with score.block={before.block}"
    if before.columns != now.columns:
        return f"with score.columns={'null' if before.columns is None else before.columns}"
    was, is_ = ({file.key: file for file in task.files} for task in (before, now))
    for key in sorted({*was, *is_}):
        if was.get(key) != is_.get(key):
            file = is_.get(key) or was[key]
            how = "is new" if key not in was else "is gone" if key not in is_ else "has changed"
            return f"for other rows: {file.name} {how}"
    return None
