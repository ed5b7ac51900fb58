"""Checks of what this machine and Google Cloud must provide, made before the work; nothing is changed."""
