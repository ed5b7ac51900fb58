"""How good a trained network is, always beside a simple baseline."""
