"""Visits to a shop: the pages that somebody clicked on, one after another."""
