"""What a cleaner of temporary files may do to a folder in use."""

import shutil
from contextlib import suppress
from pathlib import Path
from uuid import uuid4


def remove_at_once(folder: Path) -> None:
    """Remove it in one step: otherwise its user could refill it meanwhile."""
    aside = folder.with_name(f"{folder.name}-{uuid4().hex}")
    folder.rename(aside)
    shutil.rmtree(aside)


def replace_by_a_file(folder: Path) -> None:
    """Retries if its user recreates it meanwhile."""
    while not folder.is_file():
        remove_at_once(folder)
        with suppress(IsADirectoryError):
            folder.write_text("a file")
