"""A count has no settings."""

SECTIONS = {}
