"""Rows of numbers, categories, dates and truth values."""
