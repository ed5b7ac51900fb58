"""How good a model is on groups of rows, such as those of one level of a column: an average may hide a poor one."""

from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from numpy.typing import NDArray

from boatyard import inputs, tasks
from boatyard.config.schema import Config
from boatyard.data.prepare import Prepared
from boatyard.evaluate.markdown import escape, shorten, table
from boatyard.inputs.training_protocol import Group
from boatyard.tasks.protocol import Outputs, Section, Target
from boatyard.tasks.score import Score, Scores

_DECIMALS = 3


@dataclass(frozen=True)
class Measured:
    """A group, and the scores of its rows that the task wants shown, the primary first."""

    group: Group
    scores: Sequence[Score]

    def as_json(self) -> dict[str, Any]:
        """As metrics.json has it."""
        scores = [asdict(score) for score in self.scores]
        return {"by": self.group.by, "name": self.group.name, "rows": len(self.group.rows), "scores": scores}


def measure_groups(config: Config, prepared: Prepared, split: str, outputs: Outputs, target: Target) -> list[Measured]:
    """Of the split's rows, for which these are the outputs, the groups that the input tells apart."""
    targets = prepared.targets(split)
    groups = inputs.training(config.data.input).groups(prepared.data, prepared.rows(split))
    return [Measured(group, list(_scores(config, group, outputs, targets, target))) for group in groups]


def groups_section(measured: Sequence[Measured], whole: Scores) -> list[Section]:
    """A table; nothing where there are no groups. `whole`: the scores of all rows, which come last."""
    if not measured:
        return []
    wanted = {score.name for score in measured[0].scores}
    shown = [score for score in whole.all if score.name in wanted]  # a group may have one that all rows have not
    lines = [(each.group.by, each.group.name, len(each.group.rows), each.scores) for each in measured]
    lines.append(("", "all rows", whole.rows, shown))
    rows = [(shorten(by), shorten(name), f"{count:,}", *_cells(scores, shown)) for by, name, count, scores in lines]
    header = ("", "Group", "Rows", *(score.heading for score in shown))
    said = f"{escape(shown[0].heading)} with its 95% interval: where it lies apart from that of all rows, look closer."
    return [Section("By group", [said, table(header, rows, align="ll" + "r" * (len(header) - 2))])]


def _cells(scores: Sequence[Score], shown: Sequence[Score]) -> list[str]:
    by_name = {score.name: score.with_interval(_DECIMALS) for score in scores}
    return [by_name.get(score.name, "n/a") for score in shown]


def _scores(config: Config, group: Group, outputs: Outputs, targets: NDArray[Any], target: Target) -> Iterator[Score]:
    task = tasks.training(config.data.task)
    of_rows = {name: output[group.rows] for name, output in outputs.items()}
    scores = task.score(of_rows, targets[group.rows], target, config)
    yield scores.primary
    yield from (score for score in scores.all[1:] if score.name in task.BY_GROUP)
