"""Rows to network inputs: read -> validate -> split -> encode, and the data report."""
