"""A number for each row, with an interval."""
