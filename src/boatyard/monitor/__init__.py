"""Watches a model at work: is what it is asked still like what it was accepted on, and is it still right?"""
