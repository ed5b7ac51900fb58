"""The configuration keys of pictures."""

from collections.abc import Mapping

from pydantic import Field

from boatyard.config.schema import Section


class ImageData(Section):
    """Where a table names the pictures."""

    file_column: str = Field(default="file")
    """Of a table: a file, from the table's own folder."""


SECTIONS: Mapping[str, type[Section]] = {"data": ImageData}
