"""The template that projects are made from, and whose later changes they merge."""

TEMPLATE = "boat" + "yard"  # split, so that renaming leaves it alone
PACKAGE = __name__.partition(".")[0]  # this project's
