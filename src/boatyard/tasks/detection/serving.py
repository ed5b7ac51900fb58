"""Answers with the objects in a picture: a label, a score and a box each."""
