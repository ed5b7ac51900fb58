"""A run: files are cut into slices, and Ray Data's actors make a block of each.

Which rows a block has and what it is called is settled before the first is scored: a slice that is worked on twice,
because its machine died, is written twice under one name. So all that a run has to know of an earlier one is which
blocks are there.
"""

import logging
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from functools import partial
from itertools import groupby

import pyarrow as pa
import pyarrow.parquet as pq
from pydantic_core import to_json

from boatyard.bundle.manifest import Manifest
from boatyard.config.errors import UserError
from boatyard.config.schema import Config
from boatyard.registry import parse_reference, read_manifest, resolve
from boatyard.score import cluster
from boatyard.score.files import Forms, find_files, lies_in
from boatyard.score.plan import BLOCK, SUMMARY, Plan, Task, begin, begun, block_name, draw_up
from boatyard.score.progress import Progress
from boatyard.score.slices import Slice, cut_singles
from boatyard.score.work import Done, Places
from boatyard.storage import Storage, open_storage

_READERS = 16  # of footers, at once

log = logging.getLogger(__name__)


def score(config: Config) -> None:
    """Answer the rows in `score.rows` into `score.out`: all, or those that an earlier run has left.

    Raises:
        UserError: there is nothing to score, or the folder was begun for something else.
    """
    settings = config.score
    if settings.rows is None or settings.out is None:
        missing = "rows" if settings.rows is None else "out"
        raise UserError(f"score.{missing} must be given: score.rows=FILE_OR_FOLDER score.out=FOLDER")
    if lies_in(settings.out, settings.rows):
        raise UserError(f"score.out={settings.out} lies in score.rows, where answers would become rows")
    models, out = open_storage(config.paths.storage), open_storage(settings.out)
    reference = parse_reference(settings.model or config.data.name)
    manifest = read_manifest(models, reference.name, resolve(models, reference))  # whatever is promoted meanwhile
    rows, files = find_files(settings.rows, Forms(manifest))
    task = Task(
        model=manifest.name, version=manifest.version, files=files, block=settings.block, columns=settings.columns
    )
    places = Places(str(models.root), str(rows.root), str(out.root))
    plan = begun(out, task)
    with cluster.joined():
        plan = plan or begin(out, _draw_up(task, manifest, places))
        before = _written(out, plan)
        left = [number for number in range(len(plan.slices)) if number not in before]
        if before:
            log.info("%d of %d blocks are there already", len(before), len(plan.slices))
        progress = Progress(plan.rows, sum(plan.slices[number].rows for number in left))
        for done in cluster.work(plan, places, left, settings.actors):
            progress.add(done)
    _finish(out, plan, progress.bad + sum(done.bad for done in before.values()))
    progress.end(settings.out)


def _draw_up(task: Task, manifest: Manifest, places: Places) -> Plan:
    """Files of rows are passed over, wherever Ray has room; the others only counted."""
    forms = Forms(manifest)
    singles: list[Slice] = []
    others: list[int] = []
    for is_single, group in groupby(range(len(task.files)), lambda index: forms.is_single(task.files[index])):
        indices = list(group)
        if is_single:
            singles += cut_singles(task.files[indices[0] : indices[-1] + 1], indices[0], task.block)
        else:
            others += indices
    if others:
        log.info("finding where the rows of %d file%s lie", len(others), "s" if len(others) > 1 else "")
    return draw_up(task, manifest, cluster.cut_files(task, manifest, places, others), singles)


def _written(out: Storage, plan: Plan) -> dict[int, Done]:
    """Blocks of an earlier run, by the numbers of their slices.

    Raises:
        UserError: one is not whole, or not the plan's.
    """
    numbers = {block_name(number): number for number in range(len(plan.slices))}
    names = out.list("part-")
    marks = [plan.mark(numbers[name]) if name in numbers else None for name in names]
    with ThreadPoolExecutor(_READERS) as threads:
        found = dict(zip(names, threads.map(partial(_block, out), names, marks), strict=True))
    written: dict[int, Done] = {}
    for name, done in found.items():
        if done is None:
            raise UserError(f"{name} in score.out={out.root} is damaged or not of this run: remove it, and repeat")
        written[numbers[name]] = done
    return written


def _block(out: Storage, name: str, mark: str | None) -> Done | None:
    """What the block with this mark says of itself: its last column is the error. None: it is none, or another."""
    try:
        with closing(out.open(name)) as file:
            footer = pq.read_metadata(file)
    except pa.ArrowException:
        return None
    if mark is None or (footer.metadata or {}).get(BLOCK.encode()) != mark.encode():
        return None
    groups = [footer.row_group(number) for number in range(footer.num_row_groups)]
    bad = sum(group.num_rows - group.column(group.num_columns - 1).statistics.null_count for group in groups)
    return Done(footer.num_rows, bad)


def _finish(out: Storage, plan: Plan, bad: int) -> None:
    """Says that nothing is missing."""
    summary = {"model": plan.task.model, "version": plan.task.version, "rows": plan.rows, "bad": bad}
    out.write(SUMMARY, to_json({**summary, "blocks": len(plan.slices)}, indent=2) + b"\n")
