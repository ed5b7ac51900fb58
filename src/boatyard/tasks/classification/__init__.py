"""One of some labels for each row, with its probability."""
