"""Inputs: what a row is. Each is a folder, found by its name.

`serving` turns requests into a graph's inputs, `training` reads, encodes and builds a network's backbone,
`settings` are the configuration keys it owns. docs/how-to/add-an-input-or-a-task.md builds one.
"""

from collections.abc import Callable  # part: frontend
from typing import TYPE_CHECKING

from boatyard.config.plugins import Plugins

if TYPE_CHECKING:  # who loads one of the parts may lack what the others need
    from boatyard.frontend.protocol import InputPage  # part: frontend
    from boatyard.inputs.protocol import ServingInput
    from boatyard.inputs.training_protocol import TrainingInput

_folders: "Plugins[ServingInput, TrainingInput]" = Plugins(__name__, __path__)
names, settings = _folders.names, _folders.settings
serving, training = _folders.serving, _folders.training
page: "Callable[[str], InputPage]" = _folders.page  # part: frontend
