"""Text, or a pair of texts, to one label out of a fixed set."""
