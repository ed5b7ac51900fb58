"""Checks of what must be there before the work begins; nothing is changed."""
