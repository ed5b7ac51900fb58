"""Watches a model in production: is its traffic still like the data it was accepted on, and is it still as good?"""
