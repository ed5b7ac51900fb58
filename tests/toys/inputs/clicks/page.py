"""A visit is typed as its request schema says."""

from boatyard.frontend.input_page import *  # noqa: F403

NOUN = "visit"
