"""Tasks: what is asked of a row. Each is a folder, found by its name.

`serving` answers from a bundle's graph, `training` learns and measures, `settings` are the configuration keys it owns.
docs/how-to/add-an-input-or-a-task.md builds one.
"""

from collections.abc import Callable  # part: frontend
from typing import TYPE_CHECKING

from boatyard.config.plugins import Plugins

if TYPE_CHECKING:  # who loads one of the parts may lack what the others need
    from boatyard.frontend.protocol import TaskPage  # part: frontend
    from boatyard.tasks.protocol import ServingTask, TrainingTask

_folders: "Plugins[ServingTask, TrainingTask]" = Plugins(__name__, __path__)
names, settings = _folders.names, _folders.settings
serving, training = _folders.serving, _folders.training
page: "Callable[[str], TaskPage]" = _folders.page  # part: frontend
