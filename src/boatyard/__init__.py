"""Boatyard: from rows of data to a watched model in production."""

from importlib.metadata import version

__version__ = version("boatyard")
