"""Folders of a package as plug-ins: each is found by its name, and nothing lists them."""

from collections.abc import Callable, Iterable, Mapping
from functools import cache
from importlib import import_module
from importlib.util import find_spec
from pkgutil import iter_modules
from types import ModuleType
from typing import Any, Generic, TypeVar, cast

from boatyard.config.errors import UserError

Serving = TypeVar("Serving")
Training = TypeVar("Training")


class Plugins(Generic[Serving, Training]):
    """The sub-packages of `package`, such as `boatyard.inputs`, each with modules of agreed names.

    The methods raise UserError where there is no such plug-in.
    """

    def __init__(self, package: str, path: Iterable[str]) -> None:
        self._package = package
        self._path = path
        self._what = package.rpartition(".")[2].removesuffix("s")

    def names(self) -> list[str]:
        """All there are, sorted."""
        return sorted(module.name for module in iter_modules(self._path) if module.ispkg)

    def serving(self, name: str) -> Serving:
        """The part that answers: imports neither torch nor pandas."""
        return cast(Serving, self._module(name, "serving"))

    def training(self, name: str) -> Training:
        """The part that learns."""
        return cast(Training, self._module(name, "training"))

    # part: frontend
    def page(self, name: str) -> Any:
        """The part that shows in the browser; without a page of its own, a general one, which goes by the schemas."""
        general = f"boatyard.frontend.{self._what}_page"
        return self._module(name, "page", otherwise=general)

    # part end
    def settings(self, name: str) -> ModuleType:
        """The configuration keys that it owns; without a module for them, the package itself, which may name them."""
        return self._module(name, "settings", otherwise=f"{self._package}.{name}")

    def _module(self, name: str, part: str, otherwise: str | None = None) -> ModuleType:
        if name not in (names := self.names()):
            raise UserError(f"unknown {self._what} {name!r}: there are {', '.join(names)}")
        module = f"{self._package}.{name}.{part}"
        return import_module(otherwise if otherwise and find_spec(module) is None else module)


def lazily(package: str, members: Mapping[str, str]) -> Callable[[str], Any]:
    """A module's `__getattr__`: each member's module in `package` is imported when it is first asked for.

    So a plug-in's `training` names all that it owes, and whoever prepares rows loads no torch.
    """

    @cache  # some are called for every row
    def attribute(name: str) -> Any:
        if name not in members:
            raise AttributeError(f"module {package!r} has no attribute {name!r}")
        return getattr(import_module(f"{package}.{members[name]}"), name)

    return attribute
