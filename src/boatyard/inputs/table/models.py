"""What learns from a table, by the configuration: a network, or boosting."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from torch import Tensor, nn

from boatyard.config.schema import Model
from boatyard.inputs.defaults import open_counted  # noqa: F401 - for `training`
from boatyard.inputs.graphs import write_graph
from boatyard.inputs.table import backbone, boosting, trees
from boatyard.inputs.table.backbone import backbone_shape  # noqa: F401 - for `training`
from boatyard.inputs.table.settings import Boosting, TableModel, table_model
from boatyard.inputs.training_protocol import Alternative

if TYPE_CHECKING:
    from datasets import Dataset

_MOST_ROWS = 50_000  # of the alternative

quantize_graph = None  # few products, and a number's last digits count


def open_learner(model: Model, training: "Dataset", validation: "Dataset", seed: int) -> boosting.Learner | None:
    """Of boosting; None for a network."""
    settings = table_model(model).boosting
    return None if settings is None else boosting.Learner(settings, training, validation, seed)


def alternative(model: Model) -> Alternative | None:
    """Boosting, beside a network; beside boosting nothing: a network takes as long to train as all the rest."""
    if table_model(model).boosting is not None:
        return None
    boosted = model.model_copy(update={"table": TableModel(boosting=Boosting())})
    return Alternative("Boosting", "gradient-boosted trees", boosted, _MOST_ROWS)


def build_backbone(shape: Mapping[str, Any], start: str | None) -> nn.Module:
    """Trees or, where the shape counts none, a network with random weights. Raises UserError for a `start`."""
    return boosting.Backbone(shape) if "trees" in shape else backbone.build_backbone(shape, start)


def export_graph(network: nn.Module, example: Mapping[str, Tensor], outputs: Sequence[str], graph: Path) -> None:
    """As it is traced on the example; any number of rows is a batch."""
    boosted = isinstance(network.get_submodule("backbone"), boosting.Backbone)
    write_graph(network, example, outputs, graph, opsets=trees.OPSETS if boosted else None)
