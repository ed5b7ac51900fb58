"""The sources of a data set, as its input reads them."""

from pathlib import Path

from boatyard import inputs, tasks
from boatyard.config.schema import Config
from boatyard.inputs.protocol import Source
from boatyard.inputs.texts import normal_form


def open_sources(config: Config) -> list[Source]:
    """Where `config.data` leads, with the columns of the target and the split. Raises UserError."""
    data, input_ = config.data, inputs.training(config.data.input)
    columns = [*input_.row_format(data).columns, *tasks.training(data.task).target_columns(data)]
    if data.split_column:
        columns.append(normal_form(data.split_column))
    return input_.open_sources(data, columns, Path(config.paths.processed, "fetched"))
