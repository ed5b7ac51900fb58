"""Inputs: what a row is. Each is a folder, found by its name.

`serving` turns requests into a graph's inputs, `training` reads, encodes and builds a network's backbone, `page` shows,
`settings` are the configuration keys it owns. docs/how-to/add-an-input-or-a-task.md builds one.
"""

from types import ModuleType
from typing import TYPE_CHECKING, cast

from boatyard.config.plugins import Plugins

if TYPE_CHECKING:  # the web page loads pages alone: its image lacks what the other parts need
    from boatyard.frontend.protocol import InputPage
    from boatyard.inputs.protocol import ServingInput, TrainingInput

_folders = Plugins(__name__, __path__)
names = _folders.names


def serving(input_: str) -> "ServingInput":
    """The part that reads requests: imports neither torch nor pandas."""
    return cast("ServingInput", _folders.module(input_, "serving"))


def training(input_: str) -> "TrainingInput":
    """The part that reads data and learns."""
    return cast("TrainingInput", _folders.module(input_, "training"))


def page(input_: str) -> "InputPage":
    """The part that shows rows in the browser; without a page of its own, by the request schema."""
    return cast("InputPage", _folders.module(input_, "page", otherwise="boatyard.frontend.input_page"))


def settings(input_: str) -> ModuleType:
    """The configuration keys that the input owns."""
    return _folders.module(input_, "settings")
