"""An expected count with one decimal."""

from boatyard.frontend.task_page import *  # noqa: F403


def headline(answer):
    return f"{answer['expected']:.1f} expected"
