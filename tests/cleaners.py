"""What a cleaner of temporary files does to a folder in use."""

import shutil
from contextlib import suppress
from pathlib import Path
from uuid import uuid4


def remove_at_once(folder: Path) -> None:
    """In one step for whoever uses it, who would else fill it again while it is emptied."""
    aside = folder.with_name(f"{folder.name}-{uuid4().hex}")
    folder.rename(aside)
    shutil.rmtree(aside)


def replace_by_a_file(folder: Path) -> None:
    """Again where its user has made it anew in between."""
    while not folder.is_file():
        remove_at_once(folder)
        with suppress(IsADirectoryError):
            folder.write_text("a file")
