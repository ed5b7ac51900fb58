"""Answers rows with an opened bundle: the input encodes, the graph runs, the task decodes."""

import timeit
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import groupby
from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime as ort
from numpy.typing import NDArray
from pydantic import BaseModel, ValidationError

from boatyard import inputs, tasks
from boatyard.bundle.manifest import Bundle, BundleError, Manifest
from boatyard.bundle.map import MAP, Map, Point
from boatyard.config.processes import allowed_cores
from boatyard.inputs.protocol import Encoded, OpenInput
from boatyard.journal.columns import Column
from boatyard.tasks.protocol import Answer, OpenTask, Outputs

GRAPH = "model.onnx"
EMBEDDING = "embedding"
"""A further output, whatever the task: float[rows, width], which drift compares. A graph may have none."""
QUICK_SECONDS = 0.0003
"""In less, a row is answered sooner than a thread is woken for it: by the event loop it took 0.7 of the time."""
RUN_COST = 4
"""What starting a run costs, in units of a row's cost."""
# reports/benchmarks/serving.md has how it was found  # part: story
MOST_COST = 512
"""Of a batch in all: what is more leaves the processor's caches. Texts of 350 tokens took it 2.7 ms each two at a time
and 5.6 ms by 32, messages of 32 tokens 0.23 ms by eight and 0.36 ms by 64."""
_TIMES = 3  # that the example is answered: a busy machine may be slow at one of them

MOST_BYTES = 1024 * 1024
"""Of a request, unless the input says otherwise."""


@dataclass(frozen=True, slots=True)
class Prediction:
    """The task's answer to one row, and what is known of the row."""

    answer: Answer
    truncated: bool
    measured: dict[str, Any]
    """By column, what the input measures of each row."""
    name: str | None = None
    """What its client calls the row, where it does."""
    place: Point | None = None
    """On the model's map, where it has one."""


class Explaining(BaseModel):
    """The options of a row's variant: instead of an answer, it gets the `number` that explains the row's."""

    answer: Answer


def served_files(manifest: Manifest) -> list[str]:
    """What a Predictor reads of the bundle; the rest is for people, and for whoever trains on."""
    optional = {*tasks.serving(manifest.task).FILES, MAP} & manifest.files.keys()
    return [GRAPH, *inputs.serving(manifest.input).FILES, *sorted(optional)]


class Predictor:
    """An inference session between its input and its task. Threads may share it.

    Once made, it no longer needs the bundle's folder.
    `threads`: of one run, by default as many as there are cores; runs side by side, of one each, get more done.
    """

    def __init__(self, bundle: Bundle, threads: int | None = None) -> None:
        self.manifest = bundle.manifest
        input_, task = inputs.serving(self.manifest.input), tasks.serving(self.manifest.task)
        self.input: OpenInput[Any, Any] = input_.open_input(bundle.folder, self.manifest)
        self.task: OpenTask = task.open_task(self.manifest, bundle.folder)
        self.media_types = input_.MEDIA_TYPES
        self.file_formats = input_.FILE_FORMATS
        self.most_bytes: int = getattr(input_, "MOST_BYTES", MOST_BYTES)
        self.most_raw_bytes: int = getattr(input_, "MOST_RAW_BYTES", self.most_bytes)
        self.slow_parse: bool = getattr(input_, "SLOW_PARSE", False)
        self.options_type: type[BaseModel] = getattr(self.task, "Options", task.Options)
        self.default_options = self.options_type()
        self.is_quick = False
        """Whether rows all cost the same, and less than QUICK_SECONDS each; `open_predictor` finds out."""
        self._session = _open_session(bundle.folder / GRAPH, threads or allowed_cores())
        self._inputs = {node.name for node in self._session.get_inputs()}
        shapes = {node.name: node.shape for node in self._session.get_outputs()}
        self._answered: list[str] = [*task.OUTPUTS]
        self._outputs = [*self._answered, *({EMBEDDING} & shapes.keys())]
        if missing := set(self._answered) - shapes.keys():
            raise BundleError(f"{bundle.folder / GRAPH} has no output named {', '.join(sorted(missing))}")
        self.map = _read_map(bundle) if EMBEDDING in shapes else None
        task.check_outputs(self.manifest, {name: shapes[name] for name in task.OUTPUTS})

    @property
    def columns(self) -> list[Column]:
        """Of each answered row, what the journal keeps: the task's, then the input's."""
        return [*self.task.columns, *self.input.measured]

    def answer(self, rows: Sequence[Any], options: BaseModel | None = None) -> list[Prediction]:
        """One prediction for each row that `input.parse` made. Raises whatever input, graph or task raise of a row."""
        return self.answer_each(rows, [options or self.default_options] * len(rows))

    def answer_each(self, rows: Sequence[Any], options: Sequence[BaseModel]) -> list[Prediction]:
        """The same where each row has options of its own: neighbours with equal ones are decoded together.

        Those of a variant are `Explaining`.
        """
        if not rows:
            return []
        encoded = self.input.encode(rows)
        outputs = self.run(encoded)
        if not all(np.isfinite(outputs[name]).all() for name in self._answered):
            raise FloatingPointError("the graph answered with what is no number")
        answers: list[Answer] = []
        for chosen, neighbours in groupby(options):
            part = slice(len(answers), len(answers) + len(list(neighbours)))
            answers += self._decode({name: array[part] for name, array in outputs.items()}, chosen)
        places = self._places(outputs, answers)
        return [
            Prediction(answer, each.truncated, self.input.measure(each), self.input.name_of(row), place)
            for answer, each, row, place in zip(answers, encoded, rows, places, strict=True)
        ]

    def _decode(self, outputs: Outputs, options: BaseModel) -> list[Answer]:
        if isinstance(options, Explaining):
            return [{"number": number} for number in self.task.explained(outputs, options.answer).tolist()]
        return self.task.decode(outputs, options)

    def _places(self, outputs: Outputs, answers: Sequence[Answer]) -> Sequence[Point | None]:
        if self.map is None:
            return [None] * len(answers)
        places = self.map.places(outputs[EMBEDDING]).tolist()
        kinds = (str(answer.get(self.map.kind)) for answer in answers)  # a variant's has none
        return [Point(x, y, kind) for (x, y), kind in zip(places, kinds, strict=True)]

    def works(self) -> bool:
        """Whether it still answers its own example; if not, a run that failed says nothing about its rows."""
        try:
            self.answer_example()
        except Exception:  # whatever it is
            return False
        return True

    def answer_example(self) -> None:
        """Raises whatever `parse` or `answer` raise of the bundle's first example."""
        self.answer([self.input.parse(example) for example in self.manifest.examples[:1]])

    def outputs(self, rows: Sequence[Any], batch_size: int = 32) -> Outputs:
        """What the graph says of each row, its `embedding` included if it has one; there must be a row."""
        return self.run(self.input.encode(rows), batch_size)

    def run(self, encoded: Sequence[Encoded], batch_size: int = 32) -> Outputs:
        """The same of rows that `input.encode` has seen."""
        batches = _of_like_cost([row.cost for row in encoded], batch_size)
        ran = [self.run_batch([encoded[index] for index in batch]) for batch in batches]
        together = ran[0] if len(ran) == 1 else {n: np.concatenate([part[n] for part in ran]) for n in self._outputs}
        order = [index for batch in batches for index in batch]
        if order == sorted(order):
            return together
        back = np.argsort(order)
        return {name: array[back] for name, array in together.items()}

    def run_batch(self, encoded: Sequence[Encoded]) -> dict[str, NDArray[Any]]:
        """One run: the same of rows that are all collated together."""
        feeds = self.input.collate(encoded)
        arrays = self._session.run(
            self._outputs, {name: array for name, array in feeds.items() if name in self._inputs}
        )
        return dict(zip(self._outputs, arrays, strict=True))


def open_predictor(bundle: Bundle, threads: int | None = None) -> Predictor:
    """The bundle opened and asked its first example, on which its input, its limits, its graph and its task must agree.

    A server does this before it answers with a bundle, and whoever promotes a version before the alias moves.

    Raises:
        BundleError: no server could answer with it.
    """
    predictor, named = Predictor(bundle, threads), f"{bundle.manifest.name}@{bundle.manifest.version}"
    try:
        predictor.answer_example()
        predictor.is_quick = _is_quick(predictor)
    except Exception as wrong:  # a graph's have no narrower base
        raise BundleError(f"{named} opens, but does not answer its own example: {wrong}") from wrong
    return predictor


def _read_map(bundle: Bundle) -> Map | None:
    if MAP not in bundle.manifest.files:
        return None
    path = bundle.folder / MAP
    try:
        return Map.model_validate_json(path.read_bytes())
    except ValidationError as wrong:
        raise BundleError(f"{path} is no map: {wrong.errors()[0]['msg']}") from None


def _is_quick(predictor: Predictor) -> bool:
    rows = [predictor.input.parse(example) for example in predictor.manifest.examples]
    costs = {row.cost for row in predictor.input.encode(rows)}
    if len(rows) < 2 or len(costs) > 1:
        return False
    return any(timeit.timeit(predictor.answer_example, number=1) < QUICK_SECONDS for _ in range(_TIMES))


def _of_like_cost(costs: Sequence[int], most: int) -> Sequence[Sequence[int]]:
    """Indices in batches of at most `most` or MOST_COST, each with less padding than another run would cost."""
    if len(set(costs)) == 1:  # as they come: there is nothing to sort by
        room = max(1, min(most, MOST_COST // max(costs[0], 1)))
        return [range(start, min(start + room, len(costs))) for start in range(0, len(costs), room)]
    batches: list[list[int]] = []
    for index in sorted(range(len(costs)), key=costs.__getitem__):
        batch = batches[-1] if batches else []
        grows = costs[index] - costs[batch[-1]] if batch else 0
        room = min(most, MOST_COST // max(costs[index], 1))
        if batch and len(batch) < room and grows * len(batch) <= RUN_COST:
            batch.append(index)
        else:
            batches.append([index])
    return batches


def _lacks_vnni() -> bool:
    """Whether this is an x86 processor without instructions for int8 products; False where that is not known."""
    try:
        flags = Path("/proc/cpuinfo").read_text()
    except OSError:
        return False
    return "sse2" in flags and "vnni" not in flags


def _open_session(path: Path, threads: int) -> ort.InferenceSession:
    options = ort.SessionOptions()
    options.intra_op_num_threads = threads
    # what ONNX Runtime would remember of each shape of batch costs more than it saves: few batches are alike. Its arena
    # stays small, as batches do
    # `invoke bench engine` measures both  # part: benchmarks
    options.enable_mem_pattern = False
    if _lacks_vnni():  # sums of int8 products would overflow; where none do, the exact kernel takes twice as long
        options.add_session_config_entry("session.x64quantprecision", "1")
    options.log_severity_level = 4  # what fails raises, and need not be said in lines that are no JSON
    try:
        return ort.InferenceSession(path, options, providers=["CPUExecutionProvider"])
    except Exception as wrong:  # its exceptions share no narrower base
        raise BundleError(f"{path} is not a graph that ONNX Runtime {ort.__version__} opens: {wrong}") from wrong
