"""The sources of a data set, as its input reads them."""

from pathlib import Path

from boatyard import inputs, tasks
from boatyard.config.schema import Config, Data
from boatyard.inputs.texts import normal_form
from boatyard.inputs.training_protocol import Source


def open_sources(config: Config) -> list[Source]:
    """Where `config.data` leads, with the columns of the target and the split. Raises UserError."""
    data, input_ = config.data, inputs.training(config.data.input)
    columns = [*input_.row_format(data).columns, *other_columns(data)]
    if data.split_by_date:
        columns.append(normal_form(data.split_by_date))
    return input_.open_sources(data, list(dict.fromkeys(columns)), Path(config.paths.processed, "fetched"))


def other_columns(data: Data) -> list[str]:
    """Those of the target, and of the split where they tell nothing else."""
    splits = (data.split_column, data.group_column)
    return [*tasks.training(data.task).target_columns(data), *(normal_form(name) for name in splits if name)]
