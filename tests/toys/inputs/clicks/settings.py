"""`model.clicks.width`."""

from boatyard.config.schema import Section


class Network(Section):
    width: int = 16


SECTIONS = {"model.clicks": Network}
