"""The template itself: a project made from it, and what is new in it brought into the project."""
