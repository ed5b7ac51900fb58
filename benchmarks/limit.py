"""What the graph alone can do: bare sessions, without HTTP and tokenising, on messages sorted by length in advance."""

import random
import statistics
import time
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any, NamedTuple

import onnxruntime as ort

from boatyard.bundle.manifest import Bundle
from boatyard.bundle.predict import GRAPH
from boatyard.config.processes import allowed_cores
from boatyard.inputs.text.serving import open_input

BATCHES = (1, 4, 8, 16, 32, 64)
CHOOSING = 2  # passes over a third of the messages, by each layout and size of batch


class Layout(NamedTuple):
    """How the cores are used: so many runs side by side, each with so many threads."""

    runs: int
    threads: int
    shared: bool
    """Whether the runs share one session, as in the server."""

    def __str__(self) -> str:
        sessions = 1 if self.shared else self.runs
        return f"{sessions} session(s) of {self.threads} thread(s), {self.runs} run(s) at a time"


class Limit:
    """An upper bound, by whichever layout is the best at the time."""

    def __init__(self, bundle: Bundle, texts: Sequence[str]) -> None:
        cores = allowed_cores()
        model = open_input(bundle.folder, bundle.manifest)
        rows = model.encode([model.parse({model.fields[0]: text}) for text in texts])
        self._texts = len(texts)
        self._arriving = [model.collate([row]) for row in rows]
        ordered = sorted(rows, key=lambda row: row.cost)

        def batches(size: int, step: int = 1) -> list[Any]:
            chosen = ordered[::step]
            return [model.collate(chosen[first : first + size]) for first in range(0, len(chosen), size)]

        layouts = {Layout(1, cores, True), Layout(cores, 1, True), Layout(cores, 1, False)}
        self._sessions = {each: _sessions(bundle, each) for each in layouts}
        self._inputs = [node.name for node in self._sessions[Layout(1, cores, True)][0].get_inputs()]
        samples = {size: batches(size, step=3) for size in BATCHES}
        took = {(layout, size): float("inf") for layout in layouts for size in BATCHES}
        for _ in range(CHOOSING):
            for layout, size in took:
                took[layout, size] = min(took[layout, size], self._pass(layout, samples[size]))
        self.sizes = {each: min(BATCHES, key=lambda size, each=each: took[each, size]) for each in layouts}
        self._batches = {size: batches(size) for size in set(self.sizes.values())}

    def speeds(self, seconds: float) -> dict[Layout, float]:
        """Messages per second of each layout, the layouts taking turns for at least so long."""
        took, passes = dict.fromkeys(self.sizes, 0.0), 0
        while sum(took.values()) < seconds:
            for layout, size in self.sizes.items():
                took[layout] += self._pass(layout, self._batches[size])
            passes += 1
        return {layout: passes * self._texts / spent for layout, spent in took.items()}

    def single_ms(self, threads: int) -> float:
        """The median time of a single message, with this many threads."""
        session = self._sessions[Layout(1 if threads > 1 else allowed_cores(), threads, True)][0]
        times = []
        for feeds in self._arriving[:500]:
            start = time.perf_counter()
            self._run(session, feeds)
            times.append(time.perf_counter() - start)
        return 1000 * statistics.median(times)

    def _pass(self, layout: Layout, batches: Sequence[Any]) -> float:
        """The seconds that all batches take, in an order that mixes long and short ones."""
        mixed = random.Random(0).sample(batches, len(batches))  # noqa: S311
        sessions = self._sessions[layout]

        def run(first: int) -> None:
            for feeds in mixed[first :: layout.runs]:
                self._run(sessions[first % len(sessions)], feeds)

        with ThreadPoolExecutor(layout.runs) as pool:
            start = time.perf_counter()
            list(pool.map(run, range(layout.runs)))
            return time.perf_counter() - start

    def _run(self, session: ort.InferenceSession, feeds: Mapping[str, Any]) -> None:
        session.run(["probabilities"], {name: feeds[name] for name in self._inputs})


def _sessions(bundle: Bundle, layout: Layout) -> list[ort.InferenceSession]:
    options = ort.SessionOptions()
    options.intra_op_num_threads = layout.threads
    options.enable_mem_pattern = False  # few batches are alike
    return [
        ort.InferenceSession(bundle.folder / GRAPH, options, providers=["CPUExecutionProvider"])
        for _ in range(1 if layout.shared else layout.runs)
    ]
