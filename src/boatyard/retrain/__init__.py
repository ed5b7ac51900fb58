"""Retraining: rows with feedback join the training rows, and a model that is better by more than chance is promoted."""
