"""Where a training step's time goes."""
