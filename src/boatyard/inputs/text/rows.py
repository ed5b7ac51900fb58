"""What a row of text is before any tokenizer: its fields, its words, and when two rows say the same."""

from collections.abc import Sequence

from boatyard.config.errors import UserError
from boatyard.config.schema import Data
from boatyard.inputs import texts

LENGTH_UNIT = "words"
# of a file's columns and an Arrow table's, and of the API, where `inputs` is a list of them
RESERVED = ("file", "inputs", "label", "row", "source", "why")


def field_columns(data: Data) -> dict[str, str]:
    """The name of each input field, in order, and the column it is read from.

    One column is called `text` whatever the file calls it, so that every such model answers the same request;
    two keep their names.
    """
    columns = [texts.normal_form(column) for column in data.text_columns]
    targets = {"label_column": data.label_column, "split_column": data.split_column}
    for column in columns:
        if not column:
            raise UserError("data.text_columns: a column without a name cannot be read; name it in the file's header")
        for key, other in targets.items():
            if other is not None and texts.normal_form(other) == column:
                raise UserError(f"data.text_columns: {column!r} is data.{key} too; a text and it are two columns")
    if len(columns) == 1:
        return {"text": columns[0]}
    for column in columns:
        if column in RESERVED:
            raise UserError(f"data.text_columns: {column!r} is boatyard's own name; rename the column")
    if columns[0] == columns[1]:
        raise UserError(f"data.text_columns: {columns[0]!r} is given twice")
    return {column: column for column in columns}


def display(row: Sequence[str]) -> str:
    """The texts on one line."""
    return " | ".join(row)


def words(row: Sequence[str]) -> list[str]:
    """The row without case, punctuation and space: rows with the same words say the same."""
    return [word for text in row for word in texts.words(text)]
