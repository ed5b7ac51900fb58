"""What a cleaner of temporary files does to a folder in use."""

import shutil
from pathlib import Path
from uuid import uuid4


def remove_at_once(folder: Path) -> None:
    """In one step for whoever uses it, who would else fill it again while it is emptied."""
    aside = folder.with_name(f"{folder.name}-{uuid4().hex}")
    folder.rename(aside)
    shutil.rmtree(aside)
