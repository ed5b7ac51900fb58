"""Boatyard: from rows of data to a model in production that is watched."""

from importlib.metadata import version

__version__ = version("boatyard")
