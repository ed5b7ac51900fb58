"""Fit the network: transformers' Trainer, driven by the `train` configuration group."""
