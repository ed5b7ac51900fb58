"""Tasks: what is asked of a row. Each is a folder, found by its name.

`serving` answers from a bundle's graph, `training` learns and measures, `page` shows, `settings` are the
configuration keys it owns. docs/how-to/add-an-input-or-a-task.md builds one.
"""

from types import ModuleType
from typing import TYPE_CHECKING, cast

from boatyard.config.plugins import Plugins

if TYPE_CHECKING:  # the web page loads pages alone: its image lacks what the other parts need
    from boatyard.frontend.protocol import TaskPage
    from boatyard.tasks.protocol import ServingTask, TrainingTask

_folders = Plugins(__name__, __path__)
names = _folders.names


def serving(task: str) -> "ServingTask":
    """The part that answers: imports neither torch nor pandas."""
    return cast("ServingTask", _folders.module(task, "serving"))


def training(task: str) -> "TrainingTask":
    """The part that learns and measures."""
    return cast("TrainingTask", _folders.module(task, "training"))


def page(task: str) -> "TaskPage":
    """The part that shows answers in the browser; without a page of its own, by the schemas."""
    return cast("TaskPage", _folders.module(task, "page", otherwise="boatyard.frontend.task_page"))


def settings(task: str) -> ModuleType:
    """The configuration keys that the task owns."""
    return _folders.module(task, "settings")
