"""The sources of a data set, as its input reads them."""

from pathlib import Path

from boatyard import inputs, tasks
from boatyard.config.schema import Config
from boatyard.inputs.protocol import Source
from boatyard.inputs.texts import normal_form


def open_sources(config: Config) -> list[Source]:
    """Where `config.data` leads, with the columns of the target and the split. Raises UserError."""
    data = config.data
    columns = tasks.training(data.task).target_columns(data)
    if data.split_column:
        columns = [*columns, normal_form(data.split_column)]
    return inputs.training(data.input).open_sources(data, columns, Path(config.paths.processed, "fetched"))
