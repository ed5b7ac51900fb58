"""Inputs: what a row is. Each is a folder, found by its name.

`serving` turns requests into a graph's inputs, `training` reads, encodes and builds a network's backbone, `page` shows,
`settings` are the configuration keys it owns. docs/how-to/add-an-input-or-a-task.md builds one.
"""

from types import ModuleType
from typing import cast

from boatyard.config.plugins import Plugins
from boatyard.inputs.protocol import ServingInput, TrainingInput

_folders = Plugins(__name__, __path__)
names = _folders.names


def serving(input_: str) -> ServingInput:
    """The part that reads requests: imports neither torch nor pandas."""
    return cast(ServingInput, _folders.module(input_, "serving"))


def training(input_: str) -> TrainingInput:
    """The part that reads data and learns."""
    return cast(TrainingInput, _folders.module(input_, "training"))


def page(input_: str) -> ModuleType:
    """The part that shows rows in the browser."""
    return _folders.module(input_, "page")


def settings(input_: str) -> ModuleType:
    """The configuration keys that the input owns."""
    return _folders.module(input_, "settings")
